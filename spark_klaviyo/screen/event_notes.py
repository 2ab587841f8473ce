"""What users are warned about in events: orders that repeat, as line items do, and old events that start flows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_klaviyo.arrow.arrays import Mask, plain, text_scalar, to_integers, valid_rows
from spark_klaviyo.arrow.columns import Columns
from spark_klaviyo.arrow.encoded import LINE_ITEM, OLD, VALUE_INSIDE
from spark_klaviyo.arrow.times import compare
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.shape import TEXT, WHOLE, Leaf, Record, leaf_at, node_at

OLDER_THAN = timedelta(days=7)  # a week of outage is made up for without a warning
ORDERS = frozenset({"orderid", "ordernumber", "orderno", "ordername", "invoiceid", "invoicenumber", "transactionid"})


@dataclass(frozen=True)
class EventNotes:
    """The columns that the notes are made from; None and empty where a plan has no events, or says how they are meant.

    `order` begins with the order's id; the rest is what makes two rows with the same id one order.
    """

    time: Leaf | None = None
    without_value: bool = False
    order: tuple[Leaf, ...] = ()


def event_notes_of(plan: WritePlan) -> EventNotes:
    """The notes of a plan."""
    template, record = plan.template, plan.record
    paths = {known.name: known.json_path for known in template.fields}
    if record is None or not template.unique_id_field or "time" not in paths:
        return EventNotes()
    leaves = {name: leaf for name, path in paths.items() if (leaf := leaf_at(record, path)) is not None}
    past = plan.settings.get("backfill") == "true" or "backfill" in leaves
    properties = node_at(record, template.properties_path)
    loose = properties.fields if isinstance(properties, Record) else ()
    orders = [node for name, node in loose if re.sub("[^a-z]", "", name.lower()) in ORDERS and isinstance(node, Leaf)]
    orders = [leaf for leaf in orders if leaf.type.name in TEXT | WHOLE]
    beside = [leaves[name] for name in ("metric", *template.identifiers) if name in leaves]
    derived = template.unique_id_field in leaves or plan.checks.unique_id_sources
    order = (*orders[:1], *beside) if orders and not derived else ()
    return EventNotes(None if past else leaves.get("time"), "value" not in leaves, order)


def notes(columns: Columns, rules: EventNotes) -> Iterator[tuple[int, Mask]]:
    """Notes and the rows that they are about."""
    if rules.time is not None:
        yield OLD, compare(columns.column(rules.time), datetime.now(timezone.utc) - OLDER_THAN, pc.less)
    if rules.without_value and columns.value_inside.any():
        yield VALUE_INSIDE, columns.value_inside
    if rules.order:
        texts = [plain(columns.column(leaf)).cast(pa.string()) for leaf in rules.order]
        there = valid_rows(texts[0])
        same = pc.binary_join_element_wise(
            *(text.fill_null(text_scalar("")) for text in texts), text_scalar("\x1f")
        ).dictionary_encode()
        index = to_integers(same.indices)
        repeated = np.bincount(index[there], minlength=len(same.dictionary)) > 1
        if repeated.any():
            yield LINE_ITEM, repeated[index] & there
