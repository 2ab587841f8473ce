"""Hashes of passwords among the custom properties of a record: they are secrets by their form, whatever the name."""

from __future__ import annotations

import re

from spark_klaviyo.core.exact_json import Json, get, remove
from spark_klaviyo.plan.model import WritePlan

# How bcrypt and argon2 write the hash of a password: `$2y$10$...`, `$argon2id$v=19$...`.
CRYPT_TEXT = r"\$(?:2[abxy]?\$[0-9]{2}\$|argon2(?:i|d|id)\$)"


def without_hashes(plan: WritePlan, record: dict[str, Json]) -> list[str]:
    """Take hashes of passwords out of the custom properties, but for those that `fields` names; a warning for each."""
    path = plan.template.properties_path
    loose = get(record, path) if path and plan.record_column is None else None
    if not isinstance(loose, dict):
        return []
    found = [name for name in loose if name not in plan.checks.asked_properties and _holds_hash(loose[name])]
    for name in found:
        remove(record, (*path, name))
    return [f"{name!r} holds hashes of passwords, which are not sent" for name in found]


def _holds_hash(value: Json) -> bool:
    if isinstance(value, dict | list):
        return any(map(_holds_hash, value.values() if isinstance(value, dict) else value))
    return isinstance(value, str) and re.match(CRYPT_TEXT, value) is not None
