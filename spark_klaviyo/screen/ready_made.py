"""Records of `record_column`, ready made: their text as requests take it, and what in them does not belong there."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from spark_klaviyo.core.codes import RejectCode
from spark_klaviyo.core.exact_json import ONE_ITEM, Json, Path, get, remove
from spark_klaviyo.plan.shape import constants_of
from spark_klaviyo.screen.values import Problem
from spark_klaviyo.templates.model import FieldForm, Template


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
    if not any(other[: len(path)] == path for other in known):
        yield path
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _unknown_paths(inner, (*path, key), known)
    elif isinstance(value, list) and len(value) == 1:
        yield from _unknown_paths(value[0], (*path, ONE_ITEM), known)
    elif isinstance(value, list):
        yield path
