"""The chosen template's own options: ids, choices, `name:TEXT` to look up, `column:NAME` to take from each row."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from spark_klaviyo.options import readers
from spark_klaviyo.options.addresses import Unreadable

if TYPE_CHECKING:
    from spark_klaviyo.templates.model import Setting, Template

NAME = "name:"
_NEXT_NAME = re.compile(rf",\s*(?={NAME})", re.IGNORECASE)


def is_name(text: str) -> bool:
    """Whether a value is one to look up."""
    return text[: len(NAME)].lower() == NAME


def parts_of(text: str) -> list[str]:
    """The values in the text of a setting that takes several.

    A name may hold commas, so it reaches to the next `,name:` or to the end; ids stand before it.
    """
    pieces = _NEXT_NAME.split(text)
    return [part.strip() for piece in pieces for part in ([piece] if is_name(piece) else piece.split(","))]


def read_setting(setting: Setting, given: object) -> str:
    """The setting's value as one text; ids are comma-separated. Raises `Unreadable` with what it takes."""
    if isinstance(given, list | tuple) and setting.takes_several:
        given = ",".join(sorted(map(readers.text, given), key=is_name))
    word = readers.text(given)
    kind, colon, rest = word.partition(":")
    if colon and kind.lower() == "column":
        return _from_column(setting, rest.strip())
    if colon and kind.lower() == "name" and not setting.lookup_kind:
        raise Unreadable("the value itself: it cannot be looked up by name")
    if setting.takes_several:
        return ",".join(_one(setting, part) for part in parts_of(word))
    return _one(setting, word)


def _from_column(setting: Setting, column: str) -> str:
    if not setting.per_row:
        raise Unreadable("one value for all rows: it cannot come from a column")
    if not column:
        raise Unreadable("column:NAME with the name of a column")
    return f"column:{column}"


def _one(setting: Setting, word: str) -> str:
    if not word.strip():
        raise Unreadable("free of empty entries")
    if word.strip().lower().startswith("column:"):
        raise Unreadable("one column:NAME for all of it, or none")
    if not setting.choices:
        return word.strip()
    for name in setting.choices:
        if name.lower() == word.strip().lower():
            return name
    raise Unreadable(f"one of {', '.join(setting.choices)}")


def missing(template: Template, given: Iterable[str]) -> Iterator[str]:
    """Complaints about settings and options without which the template sends nothing."""
    there = set(given)
    for setting in template.settings:
        if setting.required and setting.default is None and setting.name not in there:
            yield f"{setting.name}: is required by template {template.name}: {setting.help}"


def homeless(
    given: Mapping[str, object], template: Template | None, mode: str, catalog: Iterable[Template]
) -> Iterator[str]:
    """Complaints about settings that belong to templates other than the chosen one."""
    own = {setting.name for setting in template.settings} if template else set()
    owners = list(catalog)
    for name in given:
        homes = sorted({home.name for home in owners if name in {setting.name for setting in home.settings}})
        some = ", ".join(homes[:3]) + (", ..." if len(homes) > 3 else "")
        if mode == "manual":
            yield f"{name}: belongs to templates ({some}); in manual mode write it into url, headers or body"
        elif template is not None and name not in own:
            yield f"{name}: belongs to other templates ({some}), not to {template.name}; leave it out"
