"""What users are warned about in events: orders that repeat, as line items do, and old events that start flows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_klaviyo.arrow.arrays import Mask, text_scalar, to_integers, valid_rows
from spark_klaviyo.arrow.columns import Columns
from spark_klaviyo.arrow.encoded import LINE_ITEM, OLD, VALUE_INSIDE
from spark_klaviyo.arrow.times import compare
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.shape import TEXT, WHOLE, Leaf, Record, leaf_at, node_at

OLDER_THAN = timedelta(days=7)  # a week of outage is made up for without a warning
ORDERS = frozenset({"orderid", "ordernumber", "orderno", "ordername", "invoiceid", "invoicenumber", "transactionid"})


def event_notes(plan: WritePlan) -> Iterator[tuple[int, Callable[[Columns], Mask]]]:
    """Notes, and the rows of a batch each is about; none where a plan has no events, or says how they are meant."""
    template, record = plan.template, plan.record
    paths = {known.name: known.json_path for known in template.fields}
    if record is None or not template.unique_id_field or "time" not in paths:
        return
    leaves = {name: leaf for name, path in paths.items() if (leaf := leaf_at(record, path)) is not None}
    if "time" in leaves and "backfill" not in leaves and plan.settings.get("backfill") != "true":
        yield (
            OLD,
            lambda columns: compare(columns.column(leaves["time"]), datetime.now(timezone.utc) - OLDER_THAN, pc.less),
        )
    if "value" not in leaves:
        yield VALUE_INSIDE, lambda columns: columns.value_inside
    properties = node_at(record, template.properties_path)
    loose = properties.fields if isinstance(properties, Record) else ()
    orders = [node for name, node in loose if re.sub("[^a-z]", "", name.lower()) in ORDERS and isinstance(node, Leaf)]
    orders = [leaf for leaf in orders if leaf.type.name in TEXT | WHOLE]
    derived = template.unique_id_field in leaves or plan.checks.unique_id_sources
    if orders and not derived:
        beside = [leaves[name] for name in ("metric", *template.identifiers) if name in leaves]
        yield LINE_ITEM, lambda columns: _of_same_order(columns, [orders[0], *beside])


def _of_same_order(columns: Columns, order: list[Leaf]) -> Mask:
    """Rows that have the order's id, which comes first, and all that is beside it in common with another row."""
    texts = [columns.column(leaf).cast(pa.string()) for leaf in order]
    there = valid_rows(texts[0])
    filled = (text.fill_null(text_scalar("")) for text in texts)
    same = pc.binary_join_element_wise(*filled, text_scalar("\x1f")).dictionary_encode()
    index = to_integers(same.indices)
    repeated = np.bincount(index[there], minlength=len(same.dictionary)) > 1
    return repeated[index] & there
