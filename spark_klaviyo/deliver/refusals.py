"""What a refusal says beyond its rows: that the row is there from before, or that it is the account that is refused."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping

from spark_klaviyo.core.exact_json import get, get_object
from spark_klaviyo.core.identifiers import normalise_identifier
from spark_klaviyo.core.models import Batch
from spark_klaviyo.deliver.delivery import SendContext
from spark_klaviyo.deliver.reads import Reader, ReadFailed, ReadTarget
from spark_klaviyo.http.documents import Fault, json_object, values_of, without_values
from spark_klaviyo.http.judge import RequestRefused
from spark_klaviyo.plan.model import SendSpec
from spark_klaviyo.templates.catalog import CATALOG_ID
from spark_klaviyo.templates.limits import L

# 404 and 409 are about what a row names, never about the account.
ABOUT_ROWS = frozenset({404, 409, 413})
SHORTEST_VALUE = 2  # a single letter or digit in a sentence may come from anywhere


# --- whether what is there is what was sent -------------------------------------------------------


def stored_equal(spec: SendSpec, context: SendContext, batch: Batch, refusal: RequestRefused) -> bool:
    """Whether a record that was refused with 409 stands at Klaviyo as it was sent: reads it and compares.

    False where it differs, and where it cannot be read: another host in manual mode, a key that may not read, no id.
    """
    record = json_object(next(batch.records()))
    own_id = _id_there(record, refusal.faults)
    if spec.template.is_manual or not own_id or set(get_object(record, ("relationships",))) - {"coupon"}:
        return False  # a read does not show what is linked
    target = ReadTarget(spec.template.path + "/{id}", L, id=own_id)
    sent = get_object(record, ("attributes",))
    try:
        found = Reader(spec.policy, context).read(target).resources
    except ReadFailed:
        return False
    return any(holds(there, sent) for there in found)


def _id_there(record: Mapping[str, object], faults: tuple[Fault, ...]) -> str:
    """The id under which Klaviyo keeps the record: it says so of a profile, others are made of their fields."""
    for fault in faults:
        other = fault.meta.get("duplicate_profile_id")
        if isinstance(other, str) and other:
            return other
    code, own = get(record, ("attributes", "unique_code")), get(record, ("attributes", "external_id"))
    if isinstance(code, str):
        return f"{get(record, ('relationships', 'coupon', 'data', 'id'))}-{code}"
    if not isinstance(own, str) or record.get("type") == "profile":
        return ""
    # spec: the id of what is created in a catalog is its external_id behind this
    return CATALOG_ID + own if str(record.get("type")).startswith("catalog-") else own


def holds(there: object, sent: object, name: str = "") -> bool:
    """Whether everything that was sent stands there; what is there besides does not matter.

    Numbers may come back as text. What Klaviyo writes in another way (a time in another zone) counts as different.
    """
    if isinstance(sent, dict):
        return isinstance(there, dict) and all(holds(there.get(key), value, key) for key, value in sent.items())
    if isinstance(sent, list):
        return isinstance(there, list) and len(there) == len(sent) and all(map(holds, there, sent))
    if sent is None or isinstance(sent, bool) or isinstance(there, bool):
        return there is sent
    return there == sent or normalise_identifier(name, there) == normalise_identifier(name, sent) != ""


# --- whether it is the account --------------------------------------------------------------------


class AlikeRefusals:
    """Counts the first single rows that are refused alike; used by several threads.

    `most` of them, with nothing ever taken in between or before, mean that the account is refused. A refusal that
    points at the row, holds a value of it, or differs from the others ends the count for good. `most` 0: never.
    `constants`: what all records hold, which is no value of one.
    """

    def __init__(self, most: int, rows_pointer: str, constants: frozenset[str] = frozenset()) -> None:
        self.most, self._constants = most, constants
        row = re.escape(rows_pointer) + r"/\d" if rows_pointer else "/data/(?:attributes|relationships|meta)"
        self._points_at_row = re.compile(row)
        self._lock = threading.Lock()
        self._said: set[tuple[int, str, str]] = set()
        self._count, self._ended = 0, not most

    def end(self) -> None:
        """Something was taken: it is not the account."""
        self._ended = True

    def add(self, batch: Batch, refusal: RequestRefused) -> bool:
        """Count a refusal; whether the account is what is refused. One of several rows says nothing."""
        if self._ended or batch.rows > 1:
            return False
        first = refusal.faults[0] if refusal.faults else Fault()
        with self._lock:
            self._said.add((refusal.status, first.code, first.detail))
            self._count += 1
            self._ended = self._ended or len(self._said) > 1 or self._is_about_the_row(batch, refusal)
            return not self._ended and self._count >= self.most

    def _is_about_the_row(self, batch: Batch, refusal: RequestRefused) -> bool:
        if refusal.status in ABOUT_ROWS or not refusal.faults:
            return True
        record = _without_types(json_object(next(batch.records())))
        values = list(values_of(record, least=(SHORTEST_VALUE, SHORTEST_VALUE)))
        said = [f"{fault.title} {fault.detail}" for fault in refusal.faults]
        return any(self._points_at_row.match(fault.pointer) for fault in refusal.faults) or any(
            without_values(sentence, values, self._constants) != sentence for sentence in said
        )


def _without_types(value: object) -> object:
    """A record without the types of its resources: a sentence that names such a type is about no row."""
    if isinstance(value, Mapping):
        return {name: _without_types(inner) for name, inner in value.items() if name != "type"}
    return [_without_types(inner) for inner in value] if isinstance(value, list) else value
