"""Secrets among the custom properties of one record: hashes of passwords, and what has the name of a secret."""

from __future__ import annotations

import re

from spark_klaviyo.core.exact_json import Json, get, remove
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.names import is_secret_name
from spark_klaviyo.plan.shape import Clean, clean_of

# How bcrypt and argon2 write the hash of a password: `$2y$10$...`, `$argon2id$v=19$...`.
CRYPT_TEXT = r"\$(?:2[abxy]?\$[0-9]{2}\$|argon2(?:i|d|id)\$)"
HAS_SECRETS = "rows hold entries with the names of secrets, which are not sent"


def without_secrets(plan: WritePlan, record: dict[str, Json]) -> list[str]:
    """Take secrets out of the custom properties, but for those that `fields` names; a warning for each kind.

    Those of columns have lost what has the name of a secret before; ready-made records lose it here.
    """
    path = plan.template.properties_path
    loose = get(record, path) if path else None
    found: list[str] = []
    if isinstance(loose, dict):
        found = [name for name in loose if name not in plan.checks.asked_properties and _holds_hash(loose[name])]
    for name in found:
        remove(record, (*path, name))
    warnings = [f"{name!r} holds hashes of passwords, which are not sent" for name in found]
    if plan.record_column is not None and not plan.template.raw_rows:
        objects = [known.json_path for known in plan.template.fields if clean_of(known) is Clean.SECRETS]
        if sum(without_secret_names(get(record, at)) for at in (path, *objects) if at):
            warnings.append(HAS_SECRETS)
    elif plan.json_mark and isinstance(loose, dict):  # what is inside a VARIANT shows here first
        unnamed = {name: value for name, value in loose.items() if name not in plan.checks.asked_properties}
        if sum(map(without_secret_names, unnamed.values())):
            warnings.append(HAS_SECRETS)
    return warnings


def without_secret_names(value: Json) -> int:
    """Take what has the name of a secret out of a value, at any depth; how much there was."""
    if isinstance(value, list):
        return sum(map(without_secret_names, value))
    if not isinstance(value, dict):
        return 0
    found = [name for name in value if is_secret_name(name)]
    for name in found:
        del value[name]
    return len(found) + sum(map(without_secret_names, value.values()))


def _holds_hash(value: Json) -> bool:
    if isinstance(value, dict | list):
        return any(map(_holds_hash, value.values() if isinstance(value, dict) else value))
    return isinstance(value, str) and re.match(CRYPT_TEXT, value) is not None
