"""The function that runs in each sending task of an entry point with a session."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from spark_klaviyo.encode.encoder import encode_batches
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.runs.outputs.crash_receipts import CrashReceipts
from spark_klaviyo.runs.outputs.results import ResultKind, result_batches
from spark_klaviyo.runs.spark.session import current_task
from spark_klaviyo.task.context import SendContextFactory
from spark_klaviyo.task.run import run_task


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
        task = current_task()
        encoded = encode_batches(batches, self.plan) if self.encode else batches
        with self.contexts.open(self.plan, task.partition_id, task.attempt) as context:
            events = self.crash_receipts.record(run_task(self.plan, iter(encoded), context), context)
            yield from result_batches(events, self.plan.run_id, self.kinds)
