"""One set of rows through every encoder: what came out of each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from spark_klaviyo.encode.arrow import encode
from spark_klaviyo.encode.jvm import encodable, encoded
from spark_klaviyo.encode.rows import row_encoder
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.types import Field, Type
from tests.encode.values import Value, batch_of, spark_value

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Rows = Sequence[Sequence[Value]]


@dataclass(frozen=True)
class Made:
    """What one encoder made of the rows. Keys are compared by which rows share one."""

    records: list[str]
    flags: list[int]
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
        """The asides parsed."""
        return [json.loads(aside) if aside else None for aside in self.params]


def by_arrow(plan: WritePlan, rows: Rows) -> Made:
    """Through Arrow columns."""
    return _of([encode(batch_of(plan.columns, rows), plan)])


def by_rows(plan: WritePlan, rows: Rows, handed_by: WritePlan | None = None) -> Made:
    """Through Python rows; `handed_by` is the plan that knows the columns, where this one does not."""
    return _of(list(row_encoder(plan)(handed((handed_by or plan).columns, rows))))


def handed(fields: Sequence[Field], rows: Rows) -> list[tuple[Value, ...]]:
    """The rows as `foreachPartition` hands them out."""
    from pyspark.sql import Row

    return [Row(*(f.name for f in fields))(*(_row(f.type, v) for f, v in zip(fields, r, strict=True))) for r in rows]


def _row(kind: Type, value: Value) -> Value:
    from pyspark.sql import Row

    if kind.name == "struct" and value is not None:
        names = (field.name for field in kind.fields)
        return Row(*names)(*(_row(f.type, item) for f, item in zip(kind.fields, value, strict=True)))
    return spark_value(kind, value)


def by_jvm(spark: SparkSession, plan: WritePlan, rows: Rows) -> Made:
    """Through `to_json`."""
    assert encodable(plan)
    frame = spark.createDataFrame([tuple(row) for row in rows], schema=spark_schema(plan.columns))
    made = encoded(frame.coalesce(1), plan).collect()
    params = [row["aside"] if plan.params else None for row in made]
    return Made([row["record"] for row in made], [r["flag"] for r in made], [r["key"] for r in made], params)


def _of(batches: Sequence[pa.RecordBatch]) -> Made:
    columns = [[value for batch in batches for value in batch.column(n).to_pylist()] for n in range(3)]
    params = [value for batch in batches if batch.num_columns > 3 for value in batch.column(3).to_pylist()]
    return Made(columns[0], columns[1], columns[2], params or [None] * len(columns[0]))


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
