"""Rendering of results as HTML, by the templates and the style sheet beside this file.

Every value is escaped by the template engine. A page loads nothing from anywhere and needs no script.
"""

from __future__ import annotations

import os
import re
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from spark_klaviyo.core.models import Target
from spark_klaviyo.errors import OptionError
from spark_klaviyo.report.counts.text import counted, duration, explanation, ranked, share, size, utc

if TYPE_CHECKING:
    from jinja2 import Environment

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Targeted:
    """A result that names its target: the report of a write, and its preview."""

    target: Target

    @property
    def account(self) -> str:
        """The name of the account; empty where there is no key, or it may not read it."""
        return self.target.account

    @property
    def account_id(self) -> str:
        """The public id of the account; empty where there is no key, or it may not read it."""
        return self.target.account_id

    @property
    def list_name(self) -> str:
        """The name of the list; empty where the write has none, or the key may not read it."""
        return self.target.list_name


class Page:
    """Base of results that show themselves as a page: a subclass names its template and gives the values for it."""

    page_template = ""

    def page_values(self) -> dict[str, object]:
        """What the template shows besides the attributes: `title`, `headline` and `pill` of every page, and its own."""
        raise NotImplementedError

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """Render the page as one self-contained HTML document.

        Args:
            path: A local file to write it to as well; volumes of Unity Catalog are local paths.

        Returns:
            The document.

        Raises:
            OptionError: The path has a scheme such as `s3://`.
        """
        scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):", os.fspath(path)) if path is not None else None
        if scheme:
            raise OptionError(f"to_html writes to a local path, not to {scheme[0]}")
        text = self._rendered("document.html")
        if path is not None:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text(text, encoding="utf-8")
        return text

    def _repr_html_(self) -> str:
        return self._rendered(self.page_template)

    def _rendered(self, template: str) -> str:
        values = {"result": self, "page_template": self.page_template, **vars(self), **self.page_values()}
        return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    # Imported here because it takes longer than the rest of this package, and most processes never render a page.
    from importlib.resources import files

    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("spark_klaviyo.report.pages"),
        autoescape=True,
        finalize=_without_control_characters,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(thousands="{:,}".format, duration=duration, size=size, share=share, utc=utc)
    environment.filters.update(counted=counted, ranked=ranked, explanation=explanation, phrase=phrase)
    style = files("spark_klaviyo.report.pages").joinpath("style.css")
    environment.globals["style"] = style.read_text(encoding="utf-8")
    return environment


def phrase(status: int) -> str:
    """What a status of HTTP means; 0 stands for no answer."""
    return next((known.phrase for known in HTTPStatus if known == status), "" if status else "no answer came")


def _without_control_characters(value: object) -> object:
    # exactly str: its subclass Markup is HTML that has passed here, and would lose its type
    return _CONTROL.sub("", value) if type(value) is str else value
