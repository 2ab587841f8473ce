"""Finds the rows that a refusal is about. Pure: a batch and Klaviyo's faults in, what to do next out.

Bulk endpoints refuse a request as a whole. A pointer may name a row, often only the first one at fault
(`/data/attributes/profiles/data/7/attributes/email`). Named rows are rejected and the rest is sent again. A refusal
that names no row is halved, unless it would meet any rows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from spark_klaviyo.core.codes import RejectCode
from spark_klaviyo.core.models import Batch, Rejection
from spark_klaviyo.http.documents import Fault, json_object

# recorded: an unknown list is refused at /data (import) or /data/relationships/list/data/id (subscriptions)
_UNKNOWN_LIST = re.compile(r"\blist (?:id )?\S+ (?:does not exist|not found)|\blist not found\b", re.IGNORECASE)
_REPEATED = re.compile(r"\b(?:already|exists|duplicate|repeat)", re.IGNORECASE)
_IDS = re.compile(r"\bids?\b", re.IGNORECASE)
_OUTSIDE_ROWS = ("/data/relationships", "/data/type", "/data/id")
REFUSED = Fault(RejectCode.REFUSED, "Klaviyo refused the request", "Klaviyo refused the request")


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
    arrangement = batch.envelope.arrangement
    if arrangement is None:
        return rows_named(faults, pointer, batch.rows)
    inside = [fault for fault in faults if pointer and fault.pointer.startswith(pointer)]
    rows = arrangement.named(list(batch.records()), [fault.pointer[len(pointer) :] for fault in inside])
    named: dict[int, Fault] = {}
    for fault, positions in zip(inside, rows, strict=True):
        named |= {row: fault for row in positions if row not in named}
    return named


def rows_named(faults: Sequence[Fault], pointer: str, rows: int) -> dict[int, Fault]:
    """The rows that pointers name by position; the first fault of each counts."""
    place = re.compile(re.escape(pointer.rstrip("/")) + r"/(\d{1,9})(?:/|$)")
    named: dict[int, Fault] = {}
    for fault in faults if pointer else ():
        found = place.match(fault.pointer)
        if found and int(found[1]) < rows:
            named.setdefault(int(found[1]), fault)
    return named


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
    other, detail = fault.meta.get("duplicate_profile_id"), fault.detail or fault.title
    return f"{detail} (duplicate_profile_id {other})" if isinstance(other, str) and other else detail
