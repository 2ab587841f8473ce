"""Arrow batches and a plan in, encoded batches out: the one encoder of every way to write.

An encoded batch has the columns of `arrow.encoded`. Batches may be slices or empty and hold dictionaries or large
types. No Python object is made per row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from spark_klaviyo.arrow.arrays import is_text, is_utf8, plain
from spark_klaviyo.arrow.columns import Columns
from spark_klaviyo.arrow.encoded import ENCODED
from spark_klaviyo.core.choices import ContentFormat
from spark_klaviyo.encode.json_rows import LINE_FEED, json_lines, json_texts, rows_of
from spark_klaviyo.encode.json_values import leaf_values, with_valid_text, without_offsets
from spark_klaviyo.encode.record import RecordEncoder
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.shape import Leaf
from spark_klaviyo.screen.evaluate import keys, verdicts
from spark_klaviyo.screen.rules import ScreenRules, compile_screen

MAX_VALUES, MAX_ROWS = 400_000, 10_000  # encoded at once: a worker's memory stays flat however large the batches are


def encode_batches(batches: Iterable[pa.RecordBatch], plan: WritePlan) -> Iterator[pa.RecordBatch]:
    """The encoded rows of all batches, in order, at most 10,000 rows and 400,000 values at a time."""
    rules = compile_screen(plan)
    for batch in batches:
        rows = min(max(MAX_VALUES // max(batch.num_columns, 1), 1), MAX_ROWS)
        for start in range(0, batch.num_rows, rows):
            yield encode(batch.slice(start, rows), plan, rules)
        if batch.num_rows > MAX_ROWS:
            # Such a batch is large by itself, and what the allocator keeps would come on top of it.
            pa.default_memory_pool().release_unused()
        del batch  # before the next one is read


def encode(batch: pa.RecordBatch, plan: WritePlan, rules: ScreenRules | None = None) -> pa.RecordBatch:
    """The encoded rows of one batch, in order. `rules` are the plan's, compiled once for many batches."""
    rules = rules or compile_screen(plan)
    batch = without_offsets(batch)
    columns = Columns(batch, plan.columns)
    record, params = _records(columns, plan), _params(columns, plan)
    if not (is_utf8(record) and is_utf8(params)):  # one such text would make a whole request unreadable
        columns = Columns(with_valid_text(batch), plan.columns)
        record, params = _records(columns, plan), _params(columns, plan)
    arrays = [record, verdicts(columns, rules, record), keys(columns, rules), params]
    return pa.RecordBatch.from_arrays(arrays, schema=ENCODED)


def _records(columns: Columns, plan: WritePlan) -> pa.Array:
    separator = ord(",") if plan.content_format is ContentFormat.JSON else LINE_FEED
    if plan.record is not None:
        return rows_of(RecordEncoder(columns).lines(plan.record), separator)
    kind = next(column.type for column in plan.columns if column.name == plan.record_column)
    given = plain(columns.column(Leaf((plan.record_column or "",), kind))).cast(pa.large_string())
    nothing = pa.scalar("", pa.large_string())
    return pc.binary_join_element_wise(given.fill_null(""), nothing, pa.scalar(chr(separator), pa.large_string()))


def _params(columns: Columns, plan: WritePlan) -> pa.Array:
    """`{name: text of the value}` of each row: a text as it is, any other value as its JSON."""
    if not plan.params:
        return pa.nulls(columns.rows, pa.string())
    texts = [_as_text(leaf_values(param.leaf, columns.column(param.leaf))) for param in plan.params]
    rows = pa.StructArray.from_arrays(texts, names=[param.name for param in plan.params])
    return rows_of(json_lines(rows), LINE_FEED).cast(pa.string())


def _as_text(values: pa.Array) -> pa.Array:
    if is_text(plain(values).type):
        return values
    if pa.types.is_nested(values.type) or pa.types.is_floating(values.type):
        return pa.array([text and text.decode() for text in json_texts(values)], pa.string())
    return values.cast(pa.string())
