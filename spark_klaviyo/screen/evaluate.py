"""Evaluates the rules of a plan on the columns of one batch: a verdict for each row, and what warnings count."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_klaviyo.arrow import arrays
from spark_klaviyo.arrow.arrays import Ints, Mask, bytes_and_offsets, text_scalar, to_integers, to_mask, valid_rows
from spark_klaviyo.arrow.columns import Columns
from spark_klaviyo.arrow.encoded import LINE_ITEM, OLD, REPLACED, SECRETS, VALUE_INSIDE, Verdict
from spark_klaviyo.arrow.times import beyond_years, compare
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.shape import Clean, Leaf, Record, leaf_at, leaves_of, node_at
from spark_klaviyo.plan.types import NUMBER, TEXT, TIME, WHOLE, holds
from spark_klaviyo.screen.rules import row_tests
from spark_klaviyo.screen.values import REPLACEMENT

MOST_NAN_COLUMNS, MOST_CARD_COLUMNS = 13, 12  # that have a note of their own; the last one is for all further ones
OLDER_THAN = timedelta(days=7)  # a week of outage is made up for without a warning
ORDERS = frozenset({"orderid", "ordernumber", "orderno", "ordername", "invoiceid", "invoicenumber", "transactionid"})


class ScreenRules:
    """The rules of a plan; made once and used for every batch.

    Each row goes to `validate_row` where `every_row`, else those that `tests` find. `numbers` are the columns that can
    hold infinities, `times` those that can hold times of any year, `index` is that of each column in the plan. `events`
    are notes of events, each with a function of the rows that it is about.
    """

    def __init__(self, plan: WritePlan) -> None:
        leaves = list(leaves_of(plan.record)) if plan.record is not None else []
        self.every_row = plan.checks.every_row or plan.record is None
        self.tests = list(row_tests(plan, plan.record)) if plan.record is not None else []
        self.numbers = [leaf for leaf in leaves if holds(leaf.type, "float", "double")]
        self.times = [leaf for leaf in leaves if leaf.clean is Clean.TIME or holds(leaf.type, *TIME)]
        self.index = {column.name: number for number, column in reversed(list(enumerate(plan.columns)))}
        self.nan_notes, self.card_notes = nan_notes(plan), card_notes(plan)
        self.events = list(_event_notes(plan))


def nan_notes(plan: WritePlan) -> dict[str, int]:
    """The note that a column held NaN, for each that may."""
    names = (column.name for column in plan.columns if holds(column.type, "float", "double"))
    return {name: SECRETS << (1 + min(number, MOST_NAN_COLUMNS - 1)) for number, name in enumerate(names)}


def card_notes(plan: WritePlan) -> dict[tuple[str, ...], int]:
    """The note that a column held card numbers, for each that may."""
    leaves = leaves_of(plan.record) if plan.record is not None else ()
    columns = [leaf.source for leaf in leaves if leaf.clean is Clean.SECRETS and leaf.type.name in TEXT | NUMBER]
    first = 1 + MOST_NAN_COLUMNS
    return {source: SECRETS << (first + min(number, MOST_CARD_COLUMNS - 1)) for number, source in enumerate(columns)}


def verdicts(columns: Columns, rules: ScreenRules, record: pa.Array) -> pa.Array:
    """A `Verdict` for each row, with the index of a column, and notes, where it says so."""
    found = np.full(columns.rows, Verdict.CHECK if rules.every_row else Verdict.VALID, np.int64)
    for test in () if rules.every_row else rules.tests:
        failed = test(columns, record)
        if failed is not None:
            found[failed] = Verdict.CHECK
    for name, rows in columns.no_objects.items():
        found[rows] = Verdict.NO_OBJECT.of_column(rules.index[name])
    beyond_json = ((rules.numbers, Verdict.NOT_FINITE, _infinite), (rules.times, Verdict.BAD_YEAR, beyond_years))
    for leaves, verdict, is_beyond in beyond_json:
        for leaf in reversed(leaves):
            beyond = arrays.anywhere(columns.column(leaf), is_beyond)
            if beyond is not None:
                found[beyond] = verdict.of_column(rules.index[leaf.source[0]])
    _note(found, columns, rules, record)
    return arrays.from_numpy(found)


def _note(found: Ints, columns: Columns, rules: ScreenRules, record: pa.Array) -> None:
    """Add what a warning counts: NaN that became null, secrets, events, and text that was no valid UTF-8."""
    # where no schema is known, a column may hold other types than it was planned with
    for name, rows in columns.nan.items():
        found[rows] |= rules.nan_notes.get(name, 0)
    for source, rows in columns.cards.items():
        found[rows] |= rules.card_notes.get(source, 0)
    found[columns.secrets] |= SECRETS
    for note, rows_of in rules.events:
        found[rows_of(columns)] |= note
    content, _ = bytes_and_offsets(record)
    # U+FFFD is EF BF BD in UTF-8, and few tables hold an EF: both are cheaper to see than the text
    if content.max(initial=0) >= 0xEF and (content == 0xEF).any():
        found[to_mask(pc.match_substring(record, REPLACEMENT))] |= REPLACED


def _infinite(column: pa.Array) -> Mask | None:
    """Which numbers are infinite; None: none."""
    return to_mask(pc.is_inf(column)) if pa.types.is_floating(column.type) else None


# --- what users are warned about in events: orders that repeat, as line items do, and old events that start flows ---


def _event_notes(plan: WritePlan) -> Iterator[tuple[int, Callable[[Columns], Mask]]]:
    """Notes, and the rows of a batch each is about; none where a plan has no events, or says how they are meant."""
    template, record = plan.template, plan.record
    paths = {known.name: known.json_path for known in template.fields}
    if record is None or not template.unique_id_field or "time" not in paths:
        return
    leaves = {name: leaf for name, path in paths.items() if (leaf := leaf_at(record, path)) is not None}
    if "time" in leaves and "backfill" not in leaves and plan.settings.get("backfill") != "true":
        oldest = datetime.now(timezone.utc) - OLDER_THAN
        yield OLD, lambda columns: compare(columns.column(leaves["time"]), oldest, pc.less)
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
