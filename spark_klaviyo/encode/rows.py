"""Python rows and a plan in, encoded rows out: the door for `foreachPartition` and for any iterable of rows.

Rows are pyspark's `Row`, tuples in the order of the plan's columns, or dicts. What comes out are Arrow batches with the
columns of every encoder: `record` (JSON and the separator), `flag`, `key`, and `aside` where the plan has any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
import orjson
import pyarrow as pa

from spark_klaviyo.encode.buffers import strings
from spark_klaviyo.encode.row_columns import Row, RowColumns
from spark_klaviyo.encode.row_flags import RowFlags
from spark_klaviyo.encode.row_records import Make, Maker, RowValues
from spark_klaviyo.encode.row_values import Value
from spark_klaviyo.plan.manual.formats import separator
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.shape import Leaf
from spark_klaviyo.plan.types import Type
from spark_klaviyo.screen.rules import compile_screen

MAX_ROWS, MAX_BYTES = 8_192, 4_000_000  # of one batch


def row_encoder(plan: WritePlan) -> Callable[[Iterable[Row]], Iterator[pa.RecordBatch]]:
    """The function that encodes rows of this plan, in order. A type `unknown` is told by each value."""
    return RowEncoder(plan).batches


class RowEncoder:
    """One plan's rows to encoded batches."""

    def __init__(self, plan: WritePlan) -> None:
        self._columns = RowColumns(plan)
        rules = compile_screen(plan)
        maker = Maker(self._columns.places, self._columns.flags)
        self._bad = maker.bad
        self._typed = bool(plan.columns) and all(column.type.name != "unknown" for column in plan.columns)
        self._flags = RowFlags(maker, plan.checks, rules, typed=self._typed)
        self._record = maker.node(plan.record) if plan.record is not None else None
        self._given = maker.raw(Leaf((plan.record_column or "",), Type("string"))) if plan.record is None else None
        self._asides = [(aside.name, maker.leaf(replace(aside.leaf, keep_null=False))) for aside in plan.params]
        self._after = separator(plan.content_format)

    def batches(self, rows: Iterable[Row]) -> Iterator[pa.RecordBatch]:
        """Encoded batches of at most 8,192 rows and about 4 MB."""
        held, size = _Held(bool(self._asides)), 0
        for row in self._columns.values(rows):
            body = self._add(row, held)
            size += len(body)
            if len(held.bodies) == MAX_ROWS or size >= MAX_BYTES:
                yield held.batch(self._after)
                held, size = _Held(bool(self._asides)), 0
        if held.bodies:
            yield held.batch(self._after)

    def _add(self, row: RowValues, held: _Held) -> bytes:
        record = self._record(row) if self._record is not None else None
        body = _dumps(record) if self._given is None else _given(self._given, row)
        flag = self._flags.flag(row, record, len(body) + len(self._after))
        if self._bad:
            flag = self._bad[0]
            self._bad.clear()
        held.bodies.append(body)
        held.flags.append(flag)
        held.keys.append(self._flags.key(row))
        if self._asides:
            held.params.append(_aside(self._asides, row))
            self._bad.clear()
        return body


class _Held:
    """Rows encoded so far."""

    def __init__(self, with_asides: bool) -> None:
        self.bodies: list[bytes] = []
        self.flags: list[int] = []
        self.keys: list[str | None] = []
        self.params: list[str] = []
        self._with_asides = with_asides

    def batch(self, after: bytes) -> pa.RecordBatch:
        """The rows as one Arrow batch, each record followed by `after`."""
        content = np.frombuffer(after.join([*self.bodies, b""]), np.uint8)
        offsets = np.zeros(len(self.bodies) + 1, np.int64)
        np.cumsum(np.fromiter(map(len, self.bodies), np.int64, len(self.bodies)) + len(after), out=offsets[1:])
        arrays = {
            "record": strings(content, offsets),
            "flag": pa.array(self.flags, pa.int32()),
            "key": pa.array(self.keys, pa.string()),
        }
        if self._with_asides:
            arrays["aside"] = pa.array(self.params, pa.string())
        return pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays))


def _given(get: Make, row: RowValues) -> bytes:
    value = get(row)
    return b"" if value is None else str(value).encode("utf-8", "replace")


def _aside(makes: list[tuple[str, Make]], row: RowValues) -> str:
    """`{name: text of the value}` of a row."""
    values = [(name, make(row)) for name, make in makes]
    texts = {
        name: value if isinstance(value, str) else _dumps(value).decode() for name, value in values if value is not None
    }
    return _dumps(texts).decode()


def _dumps(value: Value) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # half a surrogate pair is in a text
        return orjson.dumps(_whole_text(value))


def _whole_text(value: Value) -> Value:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_whole_text(item) for item in value]
    if isinstance(value, dict):
        return {_whole_text(key): _whole_text(item) for key, item in value.items()}
    return value
