"""The rows that a job names as failed, read from its errors: which record, and why.

Import errors repeat the row (`original_payload`); catalog and coupon errors name it by `meta.id`. The pointer of an
asynchronous error promises no index, so rows are told by their identifiers alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from spark_klaviyo.records import Rejection
from spark_klaviyo.templates.model import Template
from spark_klaviyo.wire.documents import clean

BESIDE = ("id", "type", "meta", "relationships")  # what stands beside the attributes of a record


def failures_of(errors: Iterable[Mapping[str, object]], template: Template, seen: set[str]) -> list[Rejection]:
    """The failures that name their row; their `row` is -1, as nobody knows its number.

    Those in `seen` (by the error's id) came before; adds to it.
    """
    found = []
    for error in errors:
        mark = str(error.get("id") or "")
        record = _record(error, template)
        if record is None or (mark and mark in seen):
            continue
        seen.add(mark)
        found.append(_rejection(error, json.dumps(record, ensure_ascii=False)))
    return found


def _rejection(error: Mapping[str, object], record: str) -> Rejection:
    source = error.get("source")
    pointer = source.get("pointer") if isinstance(source, dict) else ""
    return Rejection(
        row=-1,
        record=record,
        code=_text(error.get("code")) or "refused",
        detail=_text(error.get("detail")) or _text(error.get("title")) or "the row failed in Klaviyo's job",
        pointer=_text(pointer),
    )


def _text(value: object) -> str:
    return clean(value) if isinstance(value, str) else ""


def _record(error: Mapping[str, object], template: Template) -> dict[str, object] | None:
    """The row as a record that can be written again, or what of it is known; None where the error names none."""
    payload, meta = error.get("original_payload"), error.get("meta")
    if isinstance(payload, dict) and payload:
        return _from_payload(payload, template)
    named = meta.get("id") if isinstance(meta, dict) else None
    return _from_id(named, template) if isinstance(named, str) and named else None


def _from_payload(payload: Mapping[str, object], template: Template) -> dict[str, object]:
    """The payload's form is not published: it may be the whole resource, or its attributes side by side with its id."""
    kind = template.record.get("type")
    if isinstance(payload.get("attributes"), dict):
        return {"type": kind, **payload}
    beside = {name: payload[name] for name in BESIDE if payload.get(name) is not None}
    inside = {name: value for name, value in payload.items() if name not in BESIDE}
    return {"type": kind, **beside, "attributes": inside}


def _from_id(named: str, template: Template) -> dict[str, object]:
    """Only the id is known: as such, and as the field of the user's that it was made of."""
    record: dict[str, object] = {"type": template.record.get("type"), "id": named}
    for known in template.fields:
        if known.path == "external_id":
            record["attributes"] = {"external_id": named.rpartition(":::")[2]}
        elif known.path == "unique_code":
            record["attributes"] = {"unique_code": named.partition("-")[2]}
    return record
