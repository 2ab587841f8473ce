"""What runs in the tasks of an entry point with a session, and the columns that they need of a DataFrame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from spark_klaviyo.arrow.encoded import ENCODED_DDL, SPARK_ENCODED
from spark_klaviyo.core.clock import Stop
from spark_klaviyo.encode.encoder import encode_batches
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.shape import leaves_of
from spark_klaviyo.runs.results import ResultKind, result_batches
from spark_klaviyo.runs.session import current_task
from spark_klaviyo.runs.task_write import CrashReceipts
from spark_klaviyo.task.context import SendContextFactory
from spark_klaviyo.task.run import run_task

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class SendTask:
    """Sends the rows of one partition, and yields result rows; picklable.

    `encode`: the batches hold the user's columns, and this task encodes them.
    """

    plan: WritePlan
    contexts: SendContextFactory
    kinds: frozenset[ResultKind]
    encode: bool
    crash_receipts: CrashReceipts

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """What `mapInArrow` calls."""
        yield from self.send(self.plan, encode_batches(batches, self.plan) if self.encode else iter(batches))

    def send(
        self, plan: WritePlan, encoded: Iterator[pa.RecordBatch], first_partition: int = 0, stop: Stop | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Send encoded rows. Receipts and jobs have the task's partition number after `first_partition`."""
        task = current_task()
        with self.contexts.open(plan, first_partition + task.partition_id, task.attempt, stop) as context:
            events = self.crash_receipts.record(run_task(plan, encoded, context), context)
            yield from result_batches(events, self.kinds)


def encoded_in_tasks(frame: DataFrame, plan: WritePlan) -> DataFrame:
    """The encoded rows of a DataFrame of `sent_columns`; nothing is evaluated yet."""
    return frame.mapInArrow(partial(_encode, plan), ENCODED_DDL)


def _encode(plan: WritePlan, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for encoded in encode_batches(batches, plan):
        columns = [column.cast(field.type) for column, field in zip(encoded.columns, SPARK_ENCODED, strict=True)]
        yield pa.RecordBatch.from_arrays(columns, schema=SPARK_ENCODED)


def sent_columns(df: DataFrame, plan: WritePlan) -> tuple[DataFrame, WritePlan]:
    """The DataFrame with the columns that the plan uses, and the plan for these; others, of any type, stay in Spark.

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
