"""Which rows a refusal means. Pure: a batch and Klaviyo's faults in, what to do next out.

Bulk endpoints refuse a request as a whole; the pointer names the row, often only the first offender
(`/data/attributes/profiles/data/7/attributes/email`). Rows that are named are rejected
alone and the rest is sent again; a refusal that names none is halved, unless it condemns the
request whatever rows it holds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from spark_klaviyo.core.codes import RejectCode
from spark_klaviyo.core.models import Batch, Rejection
from spark_klaviyo.http.documents import Fault

# recorded: an unknown list is refused at /data (import) or /data/relationships/list/data/id (subscriptions)
_LIST = re.compile(r"\blist (?:id )?\S+ (?:does not exist|not found)|\blist not found\b", re.IGNORECASE)
_AGAIN = re.compile(r"\b(?:already|exists|duplicate|repeat)", re.IGNORECASE)
_IDS = re.compile(r"\bids?\b", re.IGNORECASE)
_CONDEMNED = ("/data/relationships", "/data/type", "/data/id")
ALL = Fault(RejectCode.REFUSED, "Klaviyo refused the request", "Klaviyo refused the request")


@dataclass(frozen=True)
class Isolated:
    """What a refusal comes to: rows rejected (by position), the batches still to be sent, and what was so already."""

    rejected: Mapping[int, Fault]
    again: tuple[Batch, ...] = field(default=())
    there: frozenset[int] = frozenset()


def isolate(batch: Batch, faults: Sequence[Fault], pointer: str, unique: str = "") -> Isolated:
    """Take a refused batch apart. `pointer` is where the rows stand in the body; empty for one record a request.

    `unique` is the field whose repetition means that Klaviyo has the row already.
    """
    named = _named_in(batch, faults, pointer) or _spoken_of(batch, faults)
    if named:
        there = frozenset(row for row, fault in named.items() if unique and _repeats(fault, unique))
        rest = batch.without(set(named))
        refused = {row: fault for row, fault in named.items() if row not in there}
        return Isolated(refused, (rest,) if rest.rows else (), there)
    if batch.rows == 1 or condemns_request(faults, pointer):
        fault = faults[0] if faults else ALL
        return Isolated(dict.fromkeys(range(batch.rows), fault))
    return Isolated({}, batch.halves())


def _named_in(batch: Batch, faults: Sequence[Fault], pointer: str) -> dict[int, Fault]:
    """The rows that faults point at, wherever the body's arrangement put them."""
    arrangement = batch.envelope.arrangement
    if arrangement is None:
        return rows_named(faults, pointer, batch.rows)
    inside = [fault for fault in faults if pointer and fault.pointer.startswith(pointer)]
    rows = arrangement.named(list(batch.records()), [fault.pointer[len(pointer) :] for fault in inside])
    named: dict[int, Fault] = {}
    for fault, positions in zip(inside, rows, strict=True):
        named |= {row: fault for row in positions if row not in named}
    return named


def _spoken_of(batch: Batch, faults: Sequence[Fault]) -> dict[int, Fault]:
    """The rows whose id a sentence names: `Invalid profile IDs: ...` at `/data/` is all that list calls say [F]."""
    telling = [fault for fault in faults if _IDS.search(fault.detail)]
    named: dict[int, Fault] = {}
    for row, record in enumerate(batch.records() if telling else ()):
        own = id_of(record)
        fault = next((fault for fault in telling if own in fault.words), None) if own else None
        if fault is not None:
            named[row] = fault
    return named


def id_of(record: bytes) -> str:
    """The id that a record has beside its attributes; empty without one."""
    try:
        held: object = json.loads(record)
    except (ValueError, RecursionError):
        return ""
    own = held.get("id") if isinstance(held, dict) else None
    return own if isinstance(own, str) else ""


def _repeats(fault: Fault, field_name: str) -> bool:
    """spec: a unique_id that comes again is refused; the wording is not published."""
    return fault.pointer.rstrip("/").endswith(f"/{field_name}") and bool(_AGAIN.search(fault.detail))


def rows_named(faults: Sequence[Fault], pointer: str, rows: int) -> dict[int, Fault]:
    """The rows that faults point at, by position; the first fault of each counts."""
    if not pointer:
        return {}
    at = re.compile(re.escape(pointer.rstrip("/")) + r"/(\d{1,9})(?:/|$)")
    named: dict[int, Fault] = {}
    for fault in faults:
        found = at.match(fault.pointer)
        if found and int(found[1]) < rows:
            named.setdefault(int(found[1]), fault)
    return named


def condemns_request(faults: Sequence[Fault], pointer: str) -> bool:
    """Whether the refusal would meet any rows: a wrong relationship, an unknown list, a setting beside the rows."""
    return any(_condemns(fault, pointer) for fault in faults)


def _condemns(fault: Fault, pointer: str) -> bool:
    at = fault.pointer.rstrip("/")
    if at.startswith(_CONDEMNED) and not (pointer and at.startswith(pointer)):
        return True
    return at in ("", "/data") and bool(_LIST.search(fault.detail))


def rejections(batch: Batch, faults: Mapping[int, Fault], status: int | None) -> tuple[Rejection, ...]:
    """The rejected rows of a batch, with Klaviyo's code and full detail."""
    places = sorted(faults)
    picked = batch.pick(np.array(places, dtype=np.int64))
    return tuple(
        Rejection(
            int(row),
            record.decode("utf-8", "replace"),
            fault.code or RejectCode.REFUSED,
            detail(fault),
            fault.pointer,
            status,
        )
        for row, record, fault in zip(
            picked.numbers(), picked.records(), (faults[place] for place in places), strict=True
        )
    )


def detail(fault: Fault) -> str:
    """Klaviyo's sentence; of a duplicate also whose."""
    other = fault.meta.get("duplicate_profile_id")
    said = fault.detail or fault.title
    return f"{said} (duplicate_profile_id {other})" if isinstance(other, str) and other else said
