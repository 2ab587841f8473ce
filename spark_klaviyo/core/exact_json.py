"""JSON without changing a digit of a number, as fractions keep the text they came with; and its values by path.

A path is a tuple of field names, where `[]` is the one item of a list.
"""

from __future__ import annotations

import itertools
import json
import re
from decimal import Decimal
from typing import TypeAlias, cast

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

# A fraction is held as text between these two halves of surrogate pairs, which no text holds, and written as the bare
# number again.
_OPEN, _CLOSE = "\udc02", "\udc03"
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
DOUBLE_DIGITS = 17  # enough for any double to come back as it was
_MARKED = re.compile(f'"{_OPEN}([^"{_CLOSE}]*){_CLOSE}"')
Path: TypeAlias = tuple[str, ...]
ONE_ITEM = "[]"  # a list that holds exactly one item


def loads(text: bytes | str) -> Json:
    """The value of a JSON text; fractions become opaque text that `dumps` writes as they were. Raises ValueError."""
    value: Json = json.loads(text, parse_float=_keep, parse_constant=_refuse)
    return value


def try_loads(text: bytes | str) -> Json:
    """The same; None for what is not JSON, or is nested too deeply to be read."""
    try:
        return loads(text)
    except (ValueError, RecursionError):
        return None


class AmbiguousJsonError(ValueError):
    """A JSON text that readers understand differently."""


def loads_foreign(text: bytes) -> Json:
    """The value of a JSON text that another program wrote. Raises ValueError for what is not JSON in UTF-8.

    Raises AmbiguousJsonError where an object holds a key twice, or a text half of a surrogate pair.
    """
    value: Json = json.loads(
        text.decode(), parse_float=_keep, parse_constant=_refuse, object_pairs_hook=_without_repeats
    )
    if _SURROGATE.search(text) and not _is_text(json.loads(text)):
        raise AmbiguousJsonError("a text in it holds half of a surrogate pair")
    return value


def dumps(value: Json, *, sort_keys: bool = False, indent: int | None = None) -> bytes:
    """JSON in UTF-8 with every kept fraction as it came; compact, unless it is indented for people to read."""
    separators = (",", ":") if indent is None else None
    text = json.dumps(value, ensure_ascii=False, separators=separators, sort_keys=sort_keys, indent=indent)
    return _MARKED.sub(r"\1", text).encode("utf-8", "surrogatepass")


def json_text(value: Json) -> str:
    """A value as JSON that is valid UTF-8."""
    return dumps(value).decode("utf-8", "replace")


def canonical(value: Json) -> Json:
    """The value with every number in one spelling: 20.0, 20 and 2.0E1 are the same.

    Fractions of up to 17 digits are compared as doubles, longer ones digit by digit.
    """
    if isinstance(value, dict):
        return {key: canonical(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [canonical(inner) for inner in value]
    if not is_number(value):
        return value
    number = Decimal(str(value).strip(_OPEN + _CLOSE))
    if number == number.to_integral_value():
        return _keep(str(int(number)))
    short = len(number.as_tuple().digits) <= DOUBLE_DIGITS
    return _keep(repr(float(number)) if short else format(number.normalize(), "f"))


def is_number(value: Json) -> bool:
    """Whether a loaded value is a JSON number."""
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, str) and value[:1] == _OPEN)


def _keep(text: str) -> str:
    return f"{_OPEN}{text}{_CLOSE}"


def _refuse(text: str) -> str:
    raise ValueError(f"{text} is not JSON")


def _without_repeats(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise AmbiguousJsonError("an object in it holds a key twice")
    return found


def _is_text(value: object) -> bool:
    """Whether all texts in a value can be written as UTF-8."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


# --- paths ----------------------------------------------------------------------------------------


def get(record: object, path: Path) -> Json:
    """The value at a path; None where there is none."""
    value = cast("Json", record)
    for part in path:
        if isinstance(value, list) and part == ONE_ITEM:
            value = value[0] if value else None
        else:
            value = value.get(part) if isinstance(value, dict) else None
    return value


def get_object(record: object, path: Path) -> dict[str, Json]:
    """The object at a path; empty where there is none."""
    value = get(record, path)
    return value if isinstance(value, dict) else {}


def put(record: dict[str, Json], path: Path, value: Json) -> None:
    """Set the value at a path, creating the objects that lead there."""
    inner: Json = record
    for part, after in itertools.pairwise(path):
        if isinstance(inner, list):
            inner = inner[0] if inner else None
        elif isinstance(inner, dict):
            inner = inner.setdefault(part, [{}] if after == ONE_ITEM else {})
    if isinstance(inner, dict):
        inner[path[-1]] = value


def remove(record: dict[str, Json], path: Path) -> None:
    """Remove the value at a path."""
    holder = get(record, path[:-1])
    if isinstance(holder, dict):
        holder.pop(path[-1], None)
