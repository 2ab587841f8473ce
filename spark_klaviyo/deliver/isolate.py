"""Finds the rows that a refusal, or the errors of a job, are about. Pure: Klaviyo's faults in, what to do next out.

Bulk endpoints refuse a request as a whole. A pointer may name a row, often only the first one at fault
(`/data/attributes/profiles/data/7/attributes/email`). Named rows are rejected and the rest is sent again. A refusal
that names no row is halved, unless it would meet any rows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from spark_klaviyo.core.codes import RejectCode
from spark_klaviyo.core.exact_json import get
from spark_klaviyo.core.identifiers import normalise_identifier
from spark_klaviyo.core.models import Batch, Rejection
from spark_klaviyo.http.documents import Fault, clean, fault_of, id_text, json_object
from spark_klaviyo.http.plain import MOST_DIGITS
from spark_klaviyo.templates.model import JobErrors, Template

# recorded: an unknown list is refused at /data (import) or /data/relationships/list/data/id (subscriptions)
_UNKNOWN_LIST = re.compile(r"\blist (?:id )?\S+ (?:does not exist|not found)|\blist not found\b", re.IGNORECASE)
_REPEATED = re.compile(r"\b(?:already|exists|duplicate|repeat)", re.IGNORECASE)
_IDS = re.compile(r"\bids?\b", re.IGNORECASE)
_OUTSIDE_ROWS = ("/data/relationships", "/data/type", "/data/id")
REFUSED = Fault(RejectCode.REFUSED, "Klaviyo refused the request", "Klaviyo refused the request")
BESIDE_ATTRIBUTES = ("id", "type", "meta", "relationships")
UNNAMED = "their job says that some rows failed or were skipped, without naming them"
UNCOUNTED = "their job is complete, and its counts do not account for all of its rows"
Identifiers = tuple[str, ...]


@dataclass(frozen=True)
class Isolated:
    """What follows from a refusal: rejected rows (by position), batches to send again, rows stored before."""

    rejected: Mapping[int, Fault]
    again: tuple[Batch, ...] = ()
    already_stored: frozenset[int] = frozenset()


def isolate(batch: Batch, faults: Sequence[Fault], pointer: str, unique_field: str = "") -> Isolated:
    """Decide about a refused batch.

    `pointer` is where the rows stand in the body; empty for one record a request. `unique_field` is the field whose
    repetition means that Klaviyo has the row already.
    """
    named = _pointed_at(batch, faults, pointer) or _named_by_id(batch, faults)
    if named:
        stored = frozenset(row for row, fault in named.items() if unique_field and _is_repeated(fault, unique_field))
        rest = batch.without(set(named))
        refused = {row: fault for row, fault in named.items() if row not in stored}
        return Isolated(refused, (rest,) if rest.rows else (), stored)
    if batch.rows == 1 or refuses_any_rows(faults, pointer):
        return Isolated(dict.fromkeys(range(batch.rows), faults[0] if faults else REFUSED))
    return Isolated({}, batch.halves())


def _pointed_at(batch: Batch, faults: Sequence[Fault], pointer: str) -> dict[int, Fault]:
    """The rows that pointers name, wherever the body's arrangement put them."""
    inside = [fault for fault in faults if pointer and fault.pointer.startswith(pointer)]
    rests = [fault.pointer[len(pointer) :] for fault in inside]
    arrangement = batch.envelope.arrangement
    if arrangement is not None:
        rows = arrangement.named(list(batch.records()), rests)
    else:
        rows = [[at for at in position_in(rest) if at < batch.rows] for rest in rests]
    named: dict[int, Fault] = {}
    for fault, positions in zip(inside, rows, strict=True):
        for row in positions:
            named.setdefault(row, fault)  # the first fault of each counts
    return named


def position_in(rest: str) -> list[int]:
    """The position of the row that a pointer names behind the rows' own; empty where it names none."""
    found = re.match(r"/(\d{1,9})(?:/|$)", rest)
    return [int(found[1])] if found else []


def _named_by_id(batch: Batch, faults: Sequence[Fault]) -> dict[int, Fault]:
    """The rows whose id a detail names: `Invalid profile IDs: ...` at `/data/` is all that list calls say [F]."""
    with_ids = [fault for fault in faults if _IDS.search(fault.detail)]
    named: dict[int, Fault] = {}
    for row, record in enumerate(batch.records() if with_ids else ()):
        own_id = id_of(record)
        fault = next((fault for fault in with_ids if own_id in fault.words), None) if own_id else None
        if fault is not None:
            named[row] = fault
    return named


def id_of(record: bytes) -> str:
    """The id that a record has beside its attributes; empty without one."""
    own_id = json_object(record).get("id")
    return own_id if isinstance(own_id, str) else ""


def _is_repeated(fault: Fault, field_name: str) -> bool:
    """spec: a unique_id that comes again is refused; the wording is not published."""
    return fault.pointer.rstrip("/").endswith(f"/{field_name}") and bool(_REPEATED.search(fault.detail))


def refuses_any_rows(faults: Sequence[Fault], pointer: str) -> bool:
    """Whether any rows would be refused: a wrong relationship, an unknown list, a setting beside the rows."""
    for fault in faults:
        place = fault.pointer.rstrip("/")
        if place.startswith(_OUTSIDE_ROWS) and not (pointer and place.startswith(pointer)):
            return True
        if place in ("", "/data") and _UNKNOWN_LIST.search(fault.detail):
            return True
    return False


def rejections(batch: Batch, faults: Mapping[int, Fault], status: int | None) -> tuple[Rejection, ...]:
    """The rejected rows of a batch, with Klaviyo's code and full detail."""
    positions = sorted(faults)
    picked = batch.pick(np.array(positions, dtype=np.int64))
    found: list[Rejection] = []
    for position, row, record in zip(positions, picked.numbers(), picked.records(), strict=True):
        fault, text = faults[position], record.decode("utf-8", "replace")
        code = fault.code or RejectCode.REFUSED
        found.append(Rejection(int(row), text, code, _full_detail(fault), fault.pointer, status))
    return tuple(found)


def reject_all(batch: Batch, fault: Fault, status: int | None) -> tuple[Rejection, ...]:
    """All rows of a batch as rejected for the same fault."""
    return rejections(batch, dict.fromkeys(range(batch.rows), fault), status)


def _full_detail(fault: Fault) -> str:
    """Klaviyo's sentence; of a duplicate also the other profile's id."""
    other, detail = id_text(fault.meta.get("duplicate_profile_id")), fault.detail or fault.title
    return f"{detail} (duplicate_profile_id {other})" if other else detail


# --- the errors of jobs ---------------------------------------------------------------------------


@dataclass
class FailedRows:
    """The rows that one job's errors have named so far, each once, at most `most` of them.

    Import errors repeat the row (`original_payload`); catalog and coupon errors name it by `meta.id`. The pointer of an
    asynchronous error promises no index, so rows are distinguished by their identifiers alone: errors with the same
    ones mean one row, as a batch never holds two of them. No request body is kept to compare with.
    """

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
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= MOST_DIGITS:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def why_unconfirmed(attributes: Mapping[str, object], rows: int, found: FailedRows, errors: JobErrors) -> str:
    """Why the rows that no error of a final job named cannot be called delivered; empty where they can.

    The counts of a job that names no row, as of suppressions, do not mean rows.
    """
    counts = {name: count_of(attributes, name) for name in ("total", "completed", "failed", "skipped")}
    unreadable = any(attributes.get(f"{name}_count") is not None and counts[name] is None for name in counts)
    total, completed, failed, skipped = counts.values()
    if errors is JobErrors.INLINE and failed is None and not isinstance(attributes.get("errors"), list):
        return UNCOUNTED
    named = found.named + found.already_satisfied
    failed = named + found.nameless if failed is None else failed
    if failed > named or found.beyond or skipped or unreadable:
        return UNNAMED
    counted = total if completed is None else completed + failed
    short = counted is not None and counted < max(rows, total or 0)
    return UNCOUNTED if short and errors is not JobErrors.NONE else ""


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
    """The record where only the id is known: with the id, and with the field that the id was made of."""
    record: dict[str, object] = {"type": template.record.get("type"), "id": named}
    for spec in template.fields:
        if spec.name == "external_id":
            record["attributes"] = {"external_id": named.rpartition(":::")[2]}
        elif spec.name == "unique_code":
            record["attributes"] = {"unique_code": named.partition("-")[2]}
    return record
