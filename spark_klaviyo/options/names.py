"""Which option is meant: every spelling of a name leads to one, and what leads nowhere gets the nearest names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from spark_klaviyo.options.entrypoints import OPTIONS_OF_SPARK, EntryPoint
from spark_klaviyo.options.table import OPTIONS, plain

_HEADER = re.compile(r"header[._-](?P<name>.+)", re.IGNORECASE | re.DOTALL)
_KEYLIKE = re.compile(r"pk_\w{6,}", re.ASCII)  # a private key has this form; nobody wants to read it in a message


@dataclass
class Sheet:
    """What was given, sorted by what it is: table options, settings of templates, headers, and neither."""

    options: dict[str, object] = field(default_factory=dict)
    settings: dict[str, object] = field(default_factory=dict)
    headers: dict[str, object] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


def sorted_out(given: Mapping[str, object], entry_point: EntryPoint, settings: Iterable[str]) -> Sheet:
    """Sort what was given by what it is; a value of None is as good as not given."""
    known = {plain(name): name for name in settings} | {plain(option.name): option.name for option in OPTIONS}
    table, sheet, spelled = {option.name for option in OPTIONS}, Sheet(), dict[str, str]()
    for spelling, value in given.items():
        short = plain(spelling)
        if value is None or short in OPTIONS_OF_SPARK.get(entry_point, ()):
            continue
        name, header = known.get(short), _HEADER.fullmatch(spelling)
        if name is None:
            _put_elsewhere(sheet, spelling, header["name"] if header else None, value)
        elif name in spelled:
            sheet.complaints.append(f"{name}: is given twice, as {spelled[name]} and {spelling}")
        else:
            spelled[name] = spelling
            (sheet.options if name in table else sheet.settings)[name] = value
    return sheet


def _put_elsewhere(sheet: Sheet, spelling: str, header: str | None, value: object) -> None:
    if header is None:
        sheet.unknown.append(spelling)
    else:
        sheet.headers[header] = value


def unknown_complaints(unknown: Iterable[str], settings: Iterable[str]) -> Iterator[str]:
    """A sentence for each name that is no option, with the nearest names of the table and the template's settings."""
    names = {plain(name): name for name in [*(option.name for option in OPTIONS), *settings]}
    for spelling in unknown:
        if plain(spelling) == "path":
            yield "path: rows go to Klaviyo, not to a path; call save() or start() without one"
            continue
        near = [names[match] for match in get_close_matches(plain(spelling), names, 2, 0.7)]
        yield f"{shown_name(spelling)}: no such option{did_you_mean(near)}"


def did_you_mean(names: Iterable[str]) -> str:
    """The nearest names as a question in brackets, or nothing."""
    near = " or ".join(names)
    return f" (did you mean {near}?)" if near else ""


def shown_name(spelling: str) -> str:
    """A name as it was typed, if that is short and plain."""
    word = masked(spelling)
    return word if len(word) <= 60 and word.isprintable() else repr(word[:57] + "...")


def masked(text: str) -> str:
    """The text with everything in it that looks like a private key covered."""
    return _KEYLIKE.sub("********", text)
