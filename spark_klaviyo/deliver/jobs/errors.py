"""Reads what a final job says of its rows: those that its errors name as failed, each once, and what it counts.

Import errors repeat the row (`original_payload`); catalog and coupon errors name it by `meta.id`. The pointer of an
asynchronous error promises no index, so rows are distinguished by their identifiers alone: errors with the same ones
mean one row, as a batch never holds two of them. No request body is kept to compare with: open jobs need no memory.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from spark_klaviyo.core.codes import RejectCode
from spark_klaviyo.core.identifiers import normalise_identifier
from spark_klaviyo.core.json_paths import get
from spark_klaviyo.core.models import Rejection
from spark_klaviyo.http.documents import clean, fault_of, json_object
from spark_klaviyo.templates.model import Template

BESIDE_ATTRIBUTES = ("id", "type", "meta", "relationships")
UNNAMED = "their job says that some rows failed or were skipped, without naming them"
UNCOUNTED = "their job is complete, and its counts do not account for all of its rows"
Identifiers = tuple[str, ...]


@dataclass
class FailedRows:
    """The rows that one job's errors have named so far, at most `most` of them."""

    template: Template
    most: int
    named: int = 0
    # Errors that name no row.
    nameless: int = 0
    # Rows that were named on top of `most`.
    beyond: int = 0
    _errors: set[str] = field(default_factory=set)
    _rows: set[Identifiers] = field(default_factory=set)
    _satisfied: set[Identifiers] = field(default_factory=set)

    @property
    def already_satisfied(self) -> int:
        """Rows whose errors say no more than that the wanted state was reached before."""
        return len(self._satisfied - self._rows)

    def add(self, errors: Iterable[Mapping[str, object]]) -> list[Rejection]:
        """The rows that these errors are the first to name; their number in the partition is unknown (-1)."""
        found = []
        for error in errors:
            error_id = str(error.get("id") or "")
            if error_id and error_id in self._errors:
                continue
            self._errors.add(error_id)
            record = _record(error, self.template)
            identifiers = _identifiers(record, self.template)
            if not any(identifiers):
                self.nameless += 1
            elif _is_satisfied(error, self.template):
                self._satisfied.add(identifiers)
            elif identifiers not in self._rows:
                self._rows.add(identifiers)
                found.append(_rejection(error, json.dumps(record, ensure_ascii=False)))
        room = max(self.most - self.named - self.already_satisfied, 0)
        self.named += len(found[:room])
        self.beyond += len(found[room:])
        return found[:room]


def _is_satisfied(error: Mapping[str, object], template: Template) -> bool:
    """Whether the error says that there is nothing to do: what should be deleted does not exist."""
    pattern = template.job.already_satisfied if template.job is not None else ""
    return bool(pattern) and re.search(pattern, clean(error.get("detail"))) is not None


def _rejection(error: Mapping[str, object], record: str) -> Rejection:
    fault = fault_of(error)
    detail = fault.detail or "the row failed in Klaviyo's job"
    return Rejection(-1, record, fault.code or RejectCode.REFUSED, detail, fault.pointer)


# --- what a job counts ----------------------------------------------------------------------------


def count_of(attributes: Mapping[str, object], name: str) -> int | None:
    """A count among a job's attributes, perhaps as digits in a text; None where it is not given, or unreadable."""
    value = attributes.get(f"{name}_count")
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def why_unconfirmed(attributes: Mapping[str, object], rows: int, found: FailedRows, *, counts_rows: bool) -> str:
    """Why the rows that no error of a final job named cannot be called delivered; empty where they can.

    `counts_rows`: whether the counts of this kind of job mean rows (those of suppressions do not).
    """
    counts = {name: count_of(attributes, name) for name in ("total", "completed", "failed", "skipped")}
    unreadable = any(attributes.get(f"{name}_count") is not None and counts[name] is None for name in counts)
    total, completed, failed, skipped = counts.values()
    named = found.named + found.already_satisfied
    failed = named + found.nameless if failed is None else failed
    if failed > named or found.beyond or skipped or unreadable:
        return UNNAMED
    counted = total if completed is None else completed + failed
    short = counted is not None and counted < max(rows, total or 0)
    return UNCOUNTED if counts_rows and short else ""


# --- which record ---------------------------------------------------------------------------------


def _identifiers(record: Mapping[str, object], template: Template) -> Identifiers:
    """All identifiers of a record as they are compared, empty where it lacks them."""
    wanted = {*template.identifiers, *template.key}
    paths = [spec.json_path for spec in template.fields if spec.name in wanted and spec.json_path != ("id",)]
    return tuple(normalise_identifier(path[-1], get(record, path)) for path in [("id",), *paths])


def _record(error: Mapping[str, object], template: Template) -> dict[str, object]:
    """The row as a record that can be written again, or what is known of it; empty where the error names none."""
    payload = _payload(error.get("original_payload"))
    if payload:
        return _from_payload(payload, template)
    named = get(error, ("meta", "id"))
    return _from_id(named, template) if isinstance(named, str) and named else {}


def _payload(given: object) -> Mapping[str, object]:
    """The payload's form is not published: an object, that object as text, or either inside of `data`."""
    payload = json_object(given) if isinstance(given, str) else given
    if not isinstance(payload, dict):
        return {}
    inner = payload.get("data")
    return inner if isinstance(inner, dict) and "attributes" not in payload else payload


def _from_payload(payload: Mapping[str, object], template: Template) -> dict[str, object]:
    """The whole resource, or its attributes side by side with its id."""
    kind = template.record.get("type")
    if isinstance(payload.get("attributes"), dict):
        return {"type": kind, **payload}
    beside = {name: payload[name] for name in BESIDE_ATTRIBUTES if payload.get(name) is not None}
    inside = {name: value for name, value in payload.items() if name not in BESIDE_ATTRIBUTES}
    return {"type": kind, **beside, "attributes": inside}


def _from_id(named: str, template: Template) -> dict[str, object]:
    """The id alone is known: as such, and as the field that it was made of."""
    record: dict[str, object] = {"type": template.record.get("type"), "id": named}
    for spec in template.fields:
        if spec.name == "external_id":
            record["attributes"] = {"external_id": named.rpartition(":::")[2]}
        elif spec.name == "unique_code":
            record["attributes"] = {"unique_code": named.partition("-")[2]}
    return record
