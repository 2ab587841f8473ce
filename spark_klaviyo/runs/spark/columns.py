"""The columns of a DataFrame that its tasks need (the others, of whatever type, stay in Spark), plain or encoded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from spark_klaviyo.arrow.encoded import ENCODED_DDL, SPARK_ENCODED
from spark_klaviyo.encode.encoder import encode_batches
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.shape import leaves_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def sent_columns(df: DataFrame, plan: WritePlan) -> tuple[DataFrame, WritePlan]:
    """The DataFrame with the columns that the plan uses, and the plan for these.

    They are called c0, c1, ..., as a name may hold anything, and two names may differ in case alone; `mapInArrow` fails
    on a name with a dot. The encoder takes columns by their position.
    """
    leaves = [param.leaf for param in plan.params] + [check.leaf for check in plan.checks.fields if check.leaf]
    leaves += leaves_of(plan.record) if plan.record is not None else ()
    used = {leaf.source[0] for leaf in leaves} | {plan.record_column}
    if plan.body_text:  # the header of CSV, and the types of placeholders, come from all columns
        used |= {column.name for column in plan.columns}
    kept = [number for number, column in enumerate(plan.columns) if column.name in used] or [0]
    numbered = df.toDF(*(f"c{number}" for number in range(len(plan.columns))))
    columns = tuple(plan.columns[number] for number in kept)
    return numbered.select(*(f"c{number}" for number in kept)), replace(plan, columns=columns)


@dataclass(frozen=True)
class EncodeTask:
    """Encodes the rows of one partition; picklable."""

    plan: WritePlan

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """What `mapInArrow` calls."""
        for encoded in encode_batches(batches, self.plan):
            columns = [column.cast(field.type) for column, field in zip(encoded.columns, SPARK_ENCODED, strict=True)]
            yield pa.RecordBatch.from_arrays(columns, schema=SPARK_ENCODED)


def encoded_in_tasks(frame: DataFrame, plan: WritePlan) -> DataFrame:
    """The encoded rows of such a DataFrame; nothing is evaluated yet."""
    return frame.mapInArrow(EncodeTask(plan), ENCODED_DDL)
