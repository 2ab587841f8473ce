"""Which identifier makes two rows the same profile, event or item."""

from __future__ import annotations

from spark_klaviyo.core.exact_json import Json
from spark_klaviyo.core.identifiers import normalise_identifier
from spark_klaviyo.core.json_paths import get
from spark_klaviyo.plan.model import Checks


def identifier_of(checks: Checks, record: Json) -> tuple[str, ...] | None:
    """The first identifier that a record has: its field, its value, and what belongs to it; None where it has none."""
    for path in checks.key:
        value = normalise_identifier(path[-1], get(record, path))
        if value:
            return path[-1], value, *(normalise_identifier(p[-1], get(record, p)) for p in checks.key_with)
    return None
