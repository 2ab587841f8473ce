"""Reads and writes JSON without changing a digit of a number: fractions keep the text they came with."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

# A fraction is held as text between these two private-use characters, and written as the bare number again.
_OPEN, _CLOSE = "\ue002", "\ue003"
DOUBLE_DIGITS = 17  # enough for any double to come back as it was
_MARKED = re.compile(f'"{_OPEN}([^"{_CLOSE}]*){_CLOSE}"')


def loads(text: bytes | str) -> Json:
    """The value of a JSON text; fractions become opaque text that `dumps` writes as they were. Raises ValueError."""
    value: Json = json.loads(text, parse_float=_keep, parse_constant=_refuse)
    return value


def dumps(value: Json, *, sort_keys: bool = False) -> bytes:
    """Compact JSON, UTF-8, with every kept fraction as it came."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=sort_keys)
    return _MARKED.sub(r"\1", text).encode("utf-8", "surrogatepass")


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
