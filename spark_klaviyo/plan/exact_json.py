"""JSON text to Python and back without changing a digit: fractions keep the text they came with."""

from __future__ import annotations

import json
import re

from spark_klaviyo.plan.shape import Json

# A fraction travels as text between these two private-use characters, and leaves as the bare number again.
_OPEN, _CLOSE = "\ue002", "\ue003"
_MARKED = re.compile(f'"{_OPEN}([^"{_CLOSE}]*){_CLOSE}"')


def loads(text: bytes | str) -> Json:
    """The value of a JSON text; fractions are opaque text that `dumps` writes as they were. Raises ValueError."""
    value: Json = json.loads(text, parse_float=_keep, parse_constant=_refuse)
    return value


def dumps(value: Json, *, sort_keys: bool = False) -> bytes:
    """Compact JSON, UTF-8, with every kept fraction as it came."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=sort_keys)
    return _MARKED.sub(r"\1", text).encode("utf-8", "surrogatepass")


def is_number(value: Json) -> bool:
    """Whether a loaded value is a JSON number."""
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, str) and value[:1] == _OPEN)


def _keep(text: str) -> str:
    return f"{_OPEN}{text}{_CLOSE}"


def _refuse(text: str) -> str:
    raise ValueError(f"{text} is no JSON")
