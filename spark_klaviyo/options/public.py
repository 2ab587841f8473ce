"""Values of options as text that may be kept and shown."""

from __future__ import annotations

import json
from collections.abc import Mapping

from spark_klaviyo.core.models import Quota
from spark_klaviyo.options.addresses import without_secrets
from spark_klaviyo.options.names import masked
from spark_klaviyo.options.secrets import MASK
from spark_klaviyo.options.table import BY_NAME

_ADDRESSES = frozenset({"url", "proxy", "rejects_path", "receipts_path", "runs_path", "state_path"})


def quoted(value: object) -> str:
    """What was given, for a message: short, and never the inside of an object."""
    word = repr(value) if isinstance(value, str | int | float) else f"a {type(value).__name__}"
    return word if len(word) <= 60 else f"{word[:56]}...{word[0]}"


def public_text(name: str, value: object) -> str:
    """A read value as text; values of headers, bodies, queries, users and passwords are left out."""
    if name in _ADDRESSES:
        return masked(without_secrets(str(value)))
    if name == "headers" and isinstance(value, Mapping):
        return ", ".join(f"{header}: {MASK}" for header in value)
    return MASK if BY_NAME[name].hidden else masked(_text(value))


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, Quota):
        return ",".join(f"{count}/{seconds:g}s" for count, seconds in value.windows) or "none"
    return "auto" if value is None else str(value)
