"""One set of rows through the encoder, as Arrow columns and as Python rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from spark_klaviyo.encode.encoder import encode, encode_batches
from spark_klaviyo.encode.rows import arrow_batches
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.types import Field, Type
from tests.encode.values import Value, batch_of, spark_value

Rows = Sequence[Sequence[Value]]


@dataclass(frozen=True)
class Made:
    """Encoded rows. Keys are compared by which rows share one."""

    records: list[str]
    verdicts: list[int]
    keys: list[object]
    params: list[str | None]

    @property
    def meanings(self) -> list[object]:
        """The records parsed, their separator taken off."""
        return [json.loads(record[:-1]) for record in self.records]

    @property
    def same(self) -> list[int | None]:
        """For each row the first row with the same key; None where a row has no key."""
        return [None if key is None else self.keys.index(key) for key in self.keys]

    @property
    def values(self) -> list[object]:
        """The request parameters parsed."""
        return [json.loads(text) if text else None for text in self.params]


def by_arrow(plan: WritePlan, rows: Rows) -> Made:
    """Through Arrow columns."""
    return _of([encode(batch_of(plan.columns, rows), plan)])


def by_rows(plan: WritePlan, rows: Rows, *, typed: bool = True) -> Made:
    """Through Python rows; not `typed`: without a schema."""
    batches = arrow_batches(rows_of(plan.columns, rows), plan.columns if typed else ())
    return _of(list(encode_batches(batches, plan)))


def rows_of(fields: Sequence[Field], rows: Rows) -> list[tuple[Value, ...]]:
    """The rows as `foreachPartition` hands them out."""
    from pyspark.sql import Row

    return [Row(*(f.name for f in fields))(*(_row(f.type, v) for f, v in zip(fields, r, strict=True))) for r in rows]


def _row(kind: Type, value: Value) -> Value:
    from pyspark.sql import Row

    if kind.name == "struct" and value is not None:
        names = (field.name for field in kind.fields)
        return Row(*names)(*(_row(f.type, item) for f, item in zip(kind.fields, value, strict=True)))
    return spark_value(kind, value)


def _of(batches: Sequence[pa.RecordBatch]) -> Made:
    columns = [[value for batch in batches for value in batch.column(n).to_pylist()] for n in range(4)]
    return Made(*columns)


def spark_schema(fields: Sequence[Field]) -> object:
    """The Spark schema of these columns."""
    from pyspark.sql.types import StructType

    return StructType.fromJson(json_form(Type("struct", fields=tuple(fields))))


def json_form(kind: Type) -> object:
    """Spark's own JSON form of a type."""
    if kind.element is not None:
        return {"type": "array", "elementType": json_form(kind.element), "containsNull": True}
    if kind.key is not None and kind.value is not None:
        key, value = json_form(kind.key), json_form(kind.value)
        return {"type": "map", "keyType": key, "valueType": value, "valueContainsNull": True}
    if kind.name == "struct":
        fields = [{"name": f.name, "type": json_form(f.type), "nullable": True, "metadata": {}} for f in kind.fields]
        return {"type": "struct", "fields": fields}
    if kind.name == "decimal":
        return f"decimal({kind.precision},{kind.scale})"
    return "string" if kind.name in ("char", "varchar") else kind.name
