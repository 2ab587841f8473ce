"""The function that runs in each sending task of a session door."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from spark_klaviyo.encode.encoder import encode_batches
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.runs.outputs.crash_receipts import EarlyReceipts
from spark_klaviyo.runs.outputs.results import result_batches
from spark_klaviyo.runs.session import current_task
from spark_klaviyo.task.context import SendContextFactory
from spark_klaviyo.task.run import run_task


@dataclass(frozen=True)
class SendTask:
    """Encoded batches of one partition in, result rows out; picklable, nothing live in it.

    `encode`: the batches hold the user's columns, and this task encodes them.
    """

    plan: WritePlan
    contexts: SendContextFactory
    kinds: frozenset[str]
    encode: bool
    early: EarlyReceipts = field(default_factory=EarlyReceipts)

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """What `mapInArrow` calls."""
        partition, attempt = current_task()
        encoded = encode_batches(batches, self.plan) if self.encode else batches
        with self.contexts.open(self.plan, partition, attempt) as context:
            happened = self.early.told(run_task(self.plan, iter(encoded), context), context)
            yield from result_batches(happened, self.plan.run_id, partition, self.kinds)
