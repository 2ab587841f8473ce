"""What a write would send, before anything is sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from spark_klaviyo.core.codes import RejectCode
from spark_klaviyo.report.pages.html import (
    Markup,
    Rendered,
    card,
    cards,
    element,
    fragment,
    marked,
    section,
    steps,
    table,
)
from spark_klaviyo.report.pages.indent import indented
from spark_klaviyo.report.text import counted, duration, size

SHOWN = 20_000  # characters of one body on the page
HIDDEN = "***"
DROPPED = "dropped"


@dataclass(frozen=True)
class PreviewRequest:
    """One request that the first rows would make, as it would be sent, but for the key.

    `url` and `body` may hold a person's data; `unfilled` is the URL before values of a row are filled in, for texts
    and logs, and is needed only where it differs.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: str
    rows: int
    bytes: int
    unfilled: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "headers", tuple(map(_redacted, self.headers)))

    @property
    def target(self) -> str:
        """Method and URL without a value of a row."""
        return f"{self.method} {self.unfilled or self.url}"

    def __repr__(self) -> str:
        return f"PreviewRequest({self.target}, rows={self.rows}, bytes={self.bytes})"


def _redacted(header: tuple[str, str]) -> tuple[str, str]:
    name, value = header
    if name.lower() not in ("authorization", "proxy-authorization") or value.endswith(HIDDEN):
        return header
    scheme = value.split(" ", 1)[0] if " " in value else ""
    return name, f"{scheme} {HIDDEN}".strip()


@dataclass(frozen=True)
class MappedColumn:
    """Where a column goes: `becomes` is a field's path, `custom property` or `dropped`; `hint` a did-you-mean."""

    column: str
    becomes: str
    hint: str = ""


@dataclass(frozen=True)
class PreviewRejection:
    """A row among the first that would be rejected: its number, and why."""

    row: int
    code: str
    detail: str = ""


@dataclass(frozen=True)
class MirrorSets:
    """What a mirror would do to its list: how many people come and go, and a few of each.

    `most` is how many `max_removals` lets go, `lost` the rows that name nobody who could be compared, with which nobody
    is removed. `coming` and `going` are people's identifiers.
    """

    members: int
    adds: int
    removals: int
    most: int
    coming: tuple[str, ...] = ()
    going: tuple[str, ...] = ()
    lost: int = 0

    def __str__(self) -> str:
        told = f"the list has {counted(self.members, 'member')}: {self.adds:,} would come, {self.removals:,} would go"
        if self.lost:
            return f"{told}; but {counted(self.lost, 'row')} could mean any member, so the write would remove nobody"
        limit = f"max_removals lets {self.most:,} go"
        return f"{told} ({limit}{', so the write would stop before removing' if self.removals > self.most else ''})"

    def __repr__(self) -> str:
        return f"MirrorSets(members={self.members}, adds={self.adds}, removals={self.removals}, most={self.most})"


@dataclass(frozen=True, repr=False)
class Preview(Rendered):
    """A dry run: the first rows' requests, where each column goes, and what the whole DataFrame would take.

    The expectations are None where they cannot be told. A notebook shows the requests with their bodies, which is
    what a preview is for; `str`, `repr` and `to_dict` leave the bodies and every other value of a row out.
    """

    template: str
    requests: tuple[PreviewRequest, ...] = ()
    mapping: tuple[MappedColumn, ...] = ()
    rejected: tuple[PreviewRejection, ...] = ()
    warnings: tuple[str, ...] = ()
    rows: int | None = None
    requests_expected: int | None = None
    bytes_expected: int | None = None
    minutes_expected: float | None = None
    mirror: MirrorSets | None = None
    more_requests: int = 0  # that may come on top, as each task fills its own last one

    @property
    def title(self) -> str:
        """The title of the preview's page."""
        return f"Klaviyo preview: {self.template}"

    def headline(self) -> str:
        """One sentence: what the whole write would take."""
        told = [counted(self.rows, "row")] if self.rows is not None else []
        told += [counted(self.requests_expected, "request")] if self.requests_expected is not None else []
        told += [size(self.bytes_expected)] if self.bytes_expected is not None else []
        told += [f"about {_minutes(self.minutes_expected)}"] if self.minutes_expected is not None else []
        return f"Nothing was sent. The whole write: {', '.join(told)}" if told else "Nothing was sent"

    def fragment(self) -> Markup:
        """The preview as a notebook shows it."""
        rejected = [(f"{row.row:,}", element("code", row.code), row.detail) for row in self.rejected]
        inside = [
            element("section", cards(self._cards())),
            section("Warnings", steps(map(marked, self.warnings), "wary")),
            section("The list", _mirror(self.mirror)),
            section("Rows that would be rejected", table(("row", "code", "detail"), rejected, ("row",))),
            section("Columns", table(("column", "becomes", ""), map(_mapped, self.mapping))),
            section("First requests", *map(_request, self.requests, [True] + [False] * len(self.requests))),
        ]
        notes = ("The requests hold the first rows' values; the key is hidden.",) if self.requests else ()
        return fragment(("dim", "Preview"), self.template, self.headline(), inside, notes)

    def to_dict(self, *, bodies: bool = False) -> dict[str, object]:
        """The preview as JSON can hold it; `bodies` adds URLs as filled, bodies, and details: a person's data."""
        form = asdict(self)
        for shown, request in zip(form["requests"], self.requests, strict=True):
            shown["url"] = request.url if bodies else request.unfilled or request.url
            del shown["unfilled"]
            if not bodies:
                del shown["body"]
        for row in [] if bodies else form["rejected"]:
            del row["detail"]
        if form["mirror"] is not None and not bodies:
            del form["mirror"]["coming"], form["mirror"]["going"]
        return form

    def text(self, *, bodies: bool = False) -> str:
        """The preview for a terminal; `bodies` adds what holds a person's data: URLs as filled, bodies, details."""
        return "\n".join(self._lines(bodies))

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<Preview {self.template}: {self.headline()}>"

    def _cards(self) -> Iterator[Markup]:
        if self.rows is not None:
            yield card("rows", f"{self.rows:,}")
        if self.requests_expected is not None:
            more = f", up to {self.more_requests:,} more: one a task" if self.more_requests else ""
            yield card("requests", f"{self.requests_expected:,}", f"expected{more}", tone="accepted")
        if self.bytes_expected is not None:
            yield card("to send", size(self.bytes_expected), "expected")
        if self.minutes_expected is not None:
            yield card("time", _minutes(self.minutes_expected), "under the account's limits")

    def _lines(self, bodies: bool) -> Iterator[str]:
        yield self.headline()
        if self.more_requests:
            more = counted(self.more_requests, "more request")
            yield f"Up to {more}, as each task fills its own last one"
        yield from (f"warning: {warning}" for warning in self.warnings)
        if self.mirror is not None:
            yield str(self.mirror)
            yield from (f"  would go: {one}" for one in self.mirror.going if bodies)
            yield from (f"  would come: {one}" for one in self.mirror.coming if bodies)
        width = max((len(column.column) for column in self.mapping), default=0)
        for column in self.mapping:
            yield f"  {column.column:<{width}} -> {column.becomes}{f'  ({column.hint})' if column.hint else ''}"
        for row in self.rejected:
            why = row.detail if bodies else RejectCode.text_of(row.code)
            yield f"row {row.row:,} would be rejected: {row.code}{f', {why}' if why else ''}"
        for request in self.requests:
            yield from _told(request, bodies)


def _minutes(minutes: float) -> str:
    return duration(60 * minutes) if minutes >= 1 / 60 else "1 s"


def _mirror(sets: MirrorSets | None) -> Markup:
    if sets is None:
        return Markup("")
    rows = [
        ("would come", f"{sets.adds:,}", ", ".join(sets.coming)),
        ("would go", f"{sets.removals:,}", ", ".join(sets.going)),
    ]
    tone = "bad" if sets.removals > sets.most or sets.lost else "wary"
    return Markup(table(("who", "people", "for example"), rows, ("people",)) + steps([str(sets)], tone))


def _told(request: PreviewRequest, bodies: bool) -> Iterator[str]:
    target = f"{request.method} {request.url}" if bodies else request.target
    yield f"{target}  ({counted(request.rows, 'row')}, {size(request.bytes)})"
    yield from (f"  {name}: {value}" for name, value in request.headers)
    if bodies:
        yield _pretty(request.body)


def _pretty(body: str) -> str:
    return indented(body) if body.lstrip()[:1] in ("{", "[") else body


def _mapped(column: MappedColumn) -> tuple[object, object, object]:
    plain = column.becomes in ("custom property", DROPPED)
    becomes = element("span", column.becomes, kind="dim") if plain else element("code", column.becomes)
    return element("b", column.column), becomes, element("span", column.hint, kind="wary") if column.hint else ""


def _request(request: PreviewRequest, first: bool) -> Markup:
    body = _pretty(request.body)
    rest = f"\n… {len(body) - SHOWN:,} characters more" if len(body) > SHOWN else ""
    notes = f"  {counted(request.rows, 'row')}, {size(request.bytes)}"
    head = element("summary", f"{request.method} {request.url}", element("span", notes, kind="dim"))
    headers = element("pre", "\n".join(f"{name}: {value}" for name, value in request.headers))
    shown = element("pre", body[:SHOWN] + rest) if body else ""
    return element("details", head, headers, shown, more="open" if first else "")
