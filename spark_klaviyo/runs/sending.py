"""The function that runs in each sending task of a session door."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from spark_klaviyo.encode import arrow
from spark_klaviyo.pipeline.open import LineMaker
from spark_klaviyo.pipeline.task import run_task
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.runs.early import EarlyReceipts
from spark_klaviyo.runs.results import result_batches


@dataclass(frozen=True)
class SendTask:
    """Encoded batches of one partition in, result rows out; picklable, nothing live in it.

    `encode`: the batches hold the user's columns, and this task encodes them.
    """

    plan: WritePlan
    lines: LineMaker
    kinds: frozenset[str]
    encode: bool
    early: EarlyReceipts = field(default_factory=EarlyReceipts)

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """What `mapInArrow` calls."""
        from pyspark import TaskContext

        context = TaskContext.get()
        partition = context.partitionId() if context is not None else 0
        attempt = context.attemptNumber() if context is not None else 0
        encoded = arrow.encoded(batches, self.plan) if self.encode else batches
        with self.lines.open(self.plan, partition, attempt) as line:
            happened = self.early.told(run_task(self.plan, iter(encoded), line), line)
            yield from result_batches(happened, self.plan.run_id, partition, self.kinds)
