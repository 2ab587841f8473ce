"""Readers: each turns what a user gave for an option or a setting into the value that the rest relies on.

Text is read as Spark passes it ("true", "4", "10/s,150/m"); Python values are taken too. A reader raises `Unreadable`
with what it expects and never quotes what it was given, which may be secret.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from itertools import chain
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers

from spark_klaviyo.core.policy import Quota
from spark_klaviyo.core.secrets import Secret
from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.addresses import Unreadable
from spark_klaviyo.templates.model import Setting
from spark_klaviyo.templates.revisions import TESTED_REVISION, date_of

Reader: TypeAlias = Callable[[object], object]

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110: a header's name
_CONNECTION_HEADERS = frozenset({"content-length", "transfer-encoding", "host", "connection"})
_QUOTED_ROWS = re.compile(r'"(\{rows?\})"')
COLUMN, NAME = "column:", "name:"
_NEXT_NAME = re.compile(rf",\s*(?={NAME})", re.IGNORECASE)


def text(given: object) -> str:
    """Any single value, as text that is not blank."""
    if isinstance(given, bool):
        return str(given).lower()
    if not isinstance(given, str | int | float) or not str(given).strip():
        raise Unreadable("a text that is not empty")
    return str(given).strip()


def verbatim(given: object) -> str:
    """A text as it stands, blanks included; a dict or a list is written as JSON, in which rows stand without quotes."""
    if isinstance(given, dict | list):
        try:
            return _QUOTED_ROWS.sub(r"\1", json.dumps(given, ensure_ascii=False, allow_nan=False))
        except (TypeError, ValueError):
            raise Unreadable("text, or what JSON can hold") from None
    return given if isinstance(given, str) and given else text(given)


@dataclass(frozen=True)
class OneOf:
    """Reads a member of a closed set from its text or from an older spelling, in any case of letters."""

    members: Iterable[Enum]
    aliases: Mapping[str, Enum] = field(default_factory=dict)

    def __call__(self, given: object) -> Enum:
        """The member that is meant."""
        spellings = {str(member.value).lower(): member for member in self.members} | dict(self.aliases)
        found = spellings.get(text(given).lower())
        if found is None:
            raise Unreadable(f"one of {', '.join(str(member.value) for member in self.members)}")
        return found


def yes_no(given: object) -> bool:
    """A bool, or the words true and false."""
    word = str(given).strip().lower()
    if word not in ("true", "false"):
        raise Unreadable("true or false")
    return word == "true"


def whole(least: int, most: int | None = None) -> Callable[[object], int]:
    """A whole number between both bounds, both allowed."""

    def read(given: object) -> int:
        number = _number(given)
        if number is None or number % 1 or number < least or (most is not None and number > most):
            raise Unreadable(
                f"a whole number from {least:,} to {most:,}" if most else f"a whole number, {least:,} or more"
            )
        return int(number)

    return read


def seconds(given: object) -> float:
    """A finite number of seconds above 0."""
    number = _number(given)
    if number is None or number <= 0:
        raise Unreadable("a number of seconds above 0")
    return number


def _number(given: object) -> float | None:
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        return None
    try:
        number = float(given)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def ceiling(given: object) -> str:
    """A whole number ("100") or a share ("2%"), written the shortest way."""
    body, percent, rest = str(given).strip().partition("%")
    number = None if isinstance(given, bool) or rest else _number(body)
    if number is None or number < 0 or (number > 100 if percent else number % 1):
        raise Unreadable("a whole number or a percentage from 0% to 100%")
    return f"{number:g}%" if percent else str(int(number))


def rate(given: object) -> Quota | None:
    """The windows of "10/s,150/m"; no window for `none`; None for `auto`. Units: s, m, h, d."""
    words = text(given).lower().replace(" ", "")
    if words in ("auto", "none"):
        return None if words == "auto" else Quota(())
    found = [re.fullmatch(r"([0-9]{1,9})/(?:1)?([smhd])", part) for part in words.split(",")]
    windows = {_UNITS[match[2]]: int(match[1]) for match in found if match and int(match[1])}
    if len(windows) != len(found):
        raise Unreadable("auto, none, or requests per unit such as 10/s,150/m")
    return Quota(tuple((windows[unit], unit) for unit in sorted(windows)))


def columns(given: object) -> tuple[str, ...]:
    """Names of columns: a list, its JSON, or comma-separated text."""
    names = _json(given) if isinstance(given, str) and given.lstrip().startswith("[") else given
    names = names.split(",") if isinstance(names, str) else names
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) and name.strip() for name in names):
        raise Unreadable("names of columns, comma-separated")
    return tuple(name.strip() for name in names)


def mapping(given: object) -> dict[str, str]:
    """A JSON object (or a dict) of texts: Klaviyo field path -> column name."""
    expected = 'a JSON object of field path and column name, such as {"email": "mail"}'
    pairs = given if isinstance(given, Mapping) else _json(given)
    words = chain.from_iterable(pairs.items()) if isinstance(pairs, Mapping) else ()
    if not isinstance(pairs, Mapping) or not all(isinstance(word, str) and word.strip() for word in words):
        raise Unreadable(expected)
    return {path.strip(): column for path, column in pairs.items()}


def _json(given: object) -> Any:
    """The value of a JSON text, or None."""
    try:
        return json.loads(given) if isinstance(given, str) else None
    except (ValueError, RecursionError):
        return None


def headers(given: object) -> dict[str, str]:
    """Header fields from a dict, a JSON object, or `Name:value,Name2:value2`; a value may hold colons, not commas."""
    pairs: object = given
    if isinstance(given, str):
        parts = [part.partition(":") for part in given.split(",")]
        texts = {name.strip(): value.strip() if colon else None for name, colon, value in parts}
        pairs = _json(given) if given.lstrip().startswith("{") else texts
    if not isinstance(pairs, Mapping):
        raise Unreadable("a JSON object, or Name:value,Name2:value2")
    return dict(header(name, value) for name, value in pairs.items())


def header(name: object, value: object) -> tuple[str, str]:
    """Name and value of a header field, checked as RFC 9110 has it; those that belong to the connection are refused."""
    if not isinstance(name, str) or not _TOKEN.fullmatch(name):
        raise Unreadable("header names without blanks or punctuation, each with its value")
    if name.lower() in _CONNECTION_HEADERS:
        raise Unreadable(
            "free of Content-Length, Transfer-Encoding, Host and Connection, which the request sets itself"
        )
    shown = value if isinstance(value, str) else text(value)
    if not (shown.isascii() and (shown.isprintable() or not shown)):
        raise Unreadable("header values of printable ASCII")
    return name, shown.strip()


def secret(given: object) -> Secret | str:
    """A key, or a reference that is resolved later; a `Secret` is one that Spark never saw."""
    if isinstance(given, Secret) or (isinstance(given, str) and given.strip()):
        return given
    raise Unreadable("a key, or a reference such as env:NAME")


def account_id(given: object) -> str:
    """The public id of an account: six letters and digits (recorded: `id` of /api/accounts)."""
    word = text(given)
    if not re.fullmatch(r"[A-Za-z0-9]{6}", word):
        raise Unreadable("the public id of an account: six letters and digits")
    return word


def country(given: object) -> str:
    """Two letters of ISO 3166 in upper case, or `column:NAME`."""
    word = text(given)
    if word.lower().startswith(COLUMN) and word[len(COLUMN) :].strip():
        return COLUMN + word[len(COLUMN) :].strip()
    if word.upper() == "UK":
        raise Unreadable("GB for the United Kingdom (ISO 3166 has no UK)")
    if word.upper() not in phonenumbers.SUPPORTED_REGIONS:
        raise Unreadable("a country's two letters (ISO 3166) or column:NAME")
    return word.upper()


def time_zone(given: object) -> str:
    """The IANA name of a time zone."""
    word = text(given)
    try:
        ZoneInfo(word)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Unreadable("the IANA name of a time zone, such as Europe/Berlin or UTC") from None
    return word


def revision(given: object) -> str:
    """A date, with a suffix such as `.pre` where one is meant."""
    word = text(given)
    try:
        date_of(word)
    except OptionError:
        raise Unreadable(f"a date such as {TESTED_REVISION}, or {TESTED_REVISION}.pre") from None
    return word


# --- settings of templates ------------------------------------------------------------------------


def is_name(word: str) -> bool:
    """Whether a setting's value is a name whose id is looked up (`name:TEXT`)."""
    return word[: len(NAME)].lower() == NAME


def parts_of(word: str) -> list[str]:
    """The values in the text of a setting that takes several.

    A name may hold commas, so it reaches to the next `,name:` or to the end; ids stand before it.
    """
    pieces = _NEXT_NAME.split(word)
    return [part.strip() for piece in pieces for part in ([piece] if is_name(piece) else piece.split(","))]


def setting_value(setting: Setting, given: object) -> str:
    """The value of a template's setting as one text: several values comma-separated, or `column:NAME`."""
    if isinstance(given, list | tuple) and setting.takes_several:
        given = ",".join(sorted(map(text, given), key=is_name))
    word = text(given)
    kind, colon, rest = word.partition(":")
    if colon and kind.lower() == "column":
        if not setting.per_row:
            raise Unreadable("one value for all rows: it cannot come from a column")
        if not rest.strip():
            raise Unreadable("column:NAME with the name of a column")
        return COLUMN + rest.strip()
    if colon and kind.lower() == "name" and not setting.lookup_kind:
        raise Unreadable("the value itself: it cannot be looked up by name")
    if setting.takes_several:
        return ",".join(_one_value(setting, part) for part in parts_of(word))
    return _one_value(setting, word)


def _one_value(setting: Setting, word: str) -> str:
    if not word.strip():
        raise Unreadable("free of empty entries")
    if word.strip().lower().startswith(COLUMN):
        raise Unreadable("either values or a single column:NAME")
    if not setting.choices:
        return word.strip()
    for name in setting.choices:
        if name.lower() == word.strip().lower():
            return name
    raise Unreadable(f"one of {', '.join(setting.choices)}")
