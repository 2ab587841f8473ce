"""What of a record is not sent: in ready-made ones what does not belong there or would wipe a field; and secrets.

Secrets are hashes of passwords among the custom properties, and what has the name of a secret.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from spark_klaviyo.core.codes import RejectCode
from spark_klaviyo.core.exact_json import ONE_ITEM, Json, Path, get, get_object, remove
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.names import is_secret_name
from spark_klaviyo.plan.shape import Clean, clean_of, constants_of
from spark_klaviyo.screen.values import Problem
from spark_klaviyo.templates.model import FieldForm, Template

# How bcrypt and argon2 write the hash of a password: `$2y$10$...`, `$argon2id$v=19$...`.
CRYPT_TEXT = r"\$(?:2[abxy]?\$[0-9]{2}\$|argon2(?:i|d|id)\$)"
HAS_SECRETS = "rows hold entries with the names of secrets, which are not sent"


# --- records of `record_column`, ready made --------------------------------------------------------


def bare(text: bytes) -> bytes:
    """A JSON text as a part of a request: on one line, as NDJSON asks, and without a byte order mark.

    In JSON a line break inside a text is escaped, so that others stand between values and mean nothing.
    """
    unmarked = text.removeprefix(codecs.BOM_UTF8)
    return unmarked.replace(b"\r", b" ").replace(b"\n", b" ")


def shape_problems(template: Template, record: dict[str, Json]) -> Iterator[tuple[Problem, Path]]:
    """What in the record does not belong there, each with its path."""
    expected = template.record.get("type")
    if expected is not None and record.get("type") != expected:
        yield Problem(RejectCode.BAD_RECORD, f'expected a record with "type": "{expected}"'), ("type",)
    if template.raw_rows:
        return
    known = {field.json_path for field in template.fields} | {path for path, _ in constants_of(template.record)}
    known |= {template.properties_path} if template.properties_path else set()
    for path in _unknown_paths(record, (), known):
        one_item = any(other[: len(path) + 1] == (*path, ONE_ITEM) for other in known)
        one_item = one_item and isinstance(get(record, path), list)
        # reports and logs repeat the sentence, and a key may be a person's; the pointer in the rejects names it
        detail = f"{'/'.join(path)} must hold exactly one item" if one_item else f"{template.name} has no such field"
        yield Problem(RejectCode.BAD_RECORD, detail), path


def leave_out(template: Template, record: dict[str, Json]) -> None:
    """Take out what would wipe a field or make a person impossible to reach: blank text, null for an identifier."""
    for known in template.fields:
        value = get(record, known.json_path)
        blank = isinstance(value, str) and not value.strip() and known.form is not FieldForm.DATETIME
        blank = blank and not template.raw_rows and not template.sends_blank(known)
        if blank or (value is None and known.identifies_person):
            remove(record, known.json_path)


def _unknown_paths(value: Json, path: Path, known: set[Path]) -> Iterator[Path]:
    """Paths of the record that neither are known nor lead to one that is."""
    if path in known:
        return
    leads_on = any(other[: len(path)] == path for other in known)
    if not leads_on or (isinstance(value, list) and len(value) != 1):
        yield path
        return
    items = [(ONE_ITEM, item) for item in value] if isinstance(value, list) else []
    for key, inner in value.items() if isinstance(value, dict) else items:
        yield from _unknown_paths(inner, (*path, key), known)


# --- secrets --------------------------------------------------------------------------------------


def without_secrets(plan: WritePlan, record: dict[str, Json]) -> list[str]:
    """Take secrets out of the custom properties, but for those that `fields` names; a warning for each kind.

    Those of columns have lost what has the name of a secret before; ready-made records lose it here.
    """
    path = plan.template.properties_path
    loose = get_object(record, path) if path else {}
    found = [name for name in loose if name not in plan.checks.asked_properties and _holds_hash(loose[name])]
    for name in found:
        remove(record, (*path, name))
    warnings = [f"{name!r} holds hashes of passwords, which are not sent" for name in found]
    if plan.record_column is not None and not plan.template.raw_rows:
        objects = [known.json_path for known in plan.template.fields if clean_of(known) is Clean.SECRETS]
        if sum(without_secret_names(get(record, at)) for at in (path, *objects) if at):
            warnings.append(HAS_SECRETS)
    elif plan.json_mark:  # what is inside a VARIANT shows here first
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
