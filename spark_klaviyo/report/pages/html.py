"""The blocks that pages are built of. Every text is escaped on its way in, save what a block here has made."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from spark_klaviyo.errors import OptionError
from spark_klaviyo.report.pages.css import STYLE

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Markup(str):
    """Text that is HTML already and is not escaped again."""

    __slots__ = ()


def safe(text: object) -> Markup:
    """The text with what HTML would read escaped and control characters dropped; markup as it is."""
    return text if isinstance(text, Markup) else Markup(html.escape(_CONTROL.sub("", str(text))))


def join(parts: Iterable[object], between: str = "") -> Markup:
    """The parts one after the other, each made safe."""
    return Markup(between.join(map(safe, parts)))


def marked(text: str) -> Markup:
    """A text in which `names between backticks` are set as code."""
    return join(element("code", part) if at % 2 else part for at, part in enumerate(text.split("`")))


def element(tag: str, *inside: object, kind: str = "", tone: str = "", more: str = "") -> Markup:
    """An element with its class, its colour (the name of an outcome) and further attributes, which are trusted."""
    classes = f' class="{safe(kind)}"' if kind else ""
    style = f' style="--tone:var(--{safe(tone)})"' if tone else ""
    return Markup(f"<{tag}{classes}{style}{' ' + more if more else ''}>{join(inside)}</{tag}>")


def section(title: str, *inside: object) -> Markup:
    """A titled section; nothing at all when nothing is inside."""
    return element("section", element("h2", title), *inside) if any(inside) else Markup("")


def card(label: str, number: object, note: object = "", tone: str = "") -> Markup:
    """One number with its label and, in small, what there is to say about it."""
    noted = element("span", note, kind="note") if note else ""
    return element("div", element("dt", label), element("dd", number, noted), kind="card", tone=tone)


def cards(every: Iterable[Markup]) -> Markup:
    """Cards in a grid."""
    return element("dl", *every, kind="cards")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], numeric: Iterable[str] = ()) -> Markup:
    """A table; the columns named `numeric` stand at the right. Nothing at all without rows."""
    kinds = ["num" if column in set(numeric) else "" for column in columns]
    head = join(element("th", c, kind=k, more='scope="col"') for c, k in zip(columns, kinds, strict=True))
    body = [element("tr", *map(_cell, row, kinds, columns)) for row in rows]
    if not body:
        return Markup("")
    inside = element("table", element("thead", element("tr", head)), element("tbody", *body))
    return element("div", inside, kind="scroll", more='tabindex="0"')


def _cell(value: object, kind: str, column: str) -> Markup:
    inside = element("span", value) if value != "" else ""
    return element("td", inside, kind=kind, more=f'data-label="{safe(column)}"')


def steps(every: Iterable[object], tone: str = "") -> Markup:
    """A list of things to know or do."""
    items = [element("li", step, kind=tone) for step in every]
    return element("ul", *items, kind="steps") if items else Markup("")


def stacked(parts: Iterable[tuple[str, int, str]], label: str) -> Markup:
    """A bar of (tone, number, legend text) parts and its legend; parts of zero are left out."""
    shown = [part for part in parts if part[1]]
    slices = [f'<i style="--tone:var(--{tone});flex:{number} 1 0"></i>' for tone, number, _ in shown]
    legend = [
        element("li", Markup("<i></i>"), element("b", f"{number:,}"), f" {text}", tone=tone)
        for tone, number, text in shown
    ]
    bar = element("div", Markup("".join(slices)), kind="bar", more=f'role="img" aria-label="{safe(label)}"')
    return join([bar, element("ul", *legend, kind="legend")]) if shown else Markup("")


def fragment(
    pill: tuple[str, str], kicker: str, headline: str, inside: Iterable[object], footer: Iterable[object]
) -> Markup:
    """What a notebook shows. `pill` is (tone, words): good, wary, bad or dim."""
    badge = element("span", pill[1], kind=f"pill {pill[0]}")
    top = element("header", element("p", badge, element("span", kicker), kind="kicker"), element("h1", headline))
    foot = element("footer", *(element("span", note) for note in footer if note))
    return join([Markup(f"<style>{STYLE}</style>"), element("div", top, *inside, foot, kind="sk")])


def page(title: str, inside: Markup) -> str:
    """A whole document around a fragment, that needs nothing from anywhere."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
        f'<title>{safe(title)}</title></head>\n<body class="sk-page"><main>{inside}</main></body></html>\n'
    )


class Rendered:
    """Base of what shows itself as a page: a subclass gives its `title` and its `fragment`."""

    @property
    def title(self) -> str:
        """The document's title."""
        raise NotImplementedError

    def fragment(self) -> Markup:
        """The page's content, as a notebook shows it."""
        raise NotImplementedError

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """The page as one self-contained HTML document, written to the local `path` too if one is given.

        Raises OptionError for a path with a scheme such as `s3://`; volumes of Unity Catalog are local paths.
        """
        scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):", os.fspath(path)) if path is not None else None
        if scheme:
            raise OptionError(f"to_html writes to a local path, not to {scheme[0]}")
        text = page(self.title, self.fragment())
        if path is not None:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text(text, encoding="utf-8")
        return text

    def _repr_html_(self) -> str:
        return self.fragment()
