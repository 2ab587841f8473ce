"""The writer behind `writeStream.format("klaviyo")`: the pipeline of the batch writer, one run for each micro-batch.

Spark hands over Arrow batches where it has `DataSourceStreamArrowWriter`, and rows where it has only the older class.
A micro-batch that Spark repeats is sent again; its run has the same name, made of the query's id and the batch's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from spark_klaviyo.encode.encoder import encode_batches
from spark_klaviyo.encode.rows import arrow_batches
from spark_klaviyo.entrypoints.micro_batch import batch_run_id, log_report
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.runs.session import current_task
from spark_klaviyo.runs.task_write import TaskWrite

try:  # the class decides, never the version
    from pyspark.sql.datasource import DataSourceStreamWriter, WriterCommitMessage
except ImportError:
    DataSourceStreamWriter = WriterCommitMessage = object
try:
    from pyspark.sql.datasource import DataSourceStreamArrowWriter
except ImportError:  # Spark 4.0
    DataSourceStreamArrowWriter = object

COMPLETE = (
    'outputMode("complete") would send the whole result again with every micro-batch; use outputMode("append"), or '
    'outputMode("update") with foreachBatch(klaviyo_batch_writer(...)), which sends what has changed'
)


@dataclass
class BatchCounts(WriterCommitMessage):  # type: ignore[misc]
    """What a task hands to the commit: counts only, and the run that they belong to."""

    report: TaskReport
    run_id: str


class StreamWrite(TaskWrite):
    """What both kinds of stream writer do."""

    def commit(self, messages: Sequence[BatchCounts | None], batchId: int) -> None:  # noqa: N803  Spark's name
        """Conclude the micro-batch: raises where it was stopped, or rows were rejected and `on_reject=fail`."""
        counts = [message for message in messages if message is not None]
        run_id = counts[0].run_id if counts else self.plan.run_id
        log_report(self.conclude((message.report for message in counts), run_id), batchId)

    def abort(self, messages: Sequence[BatchCounts | None], batchId: int) -> None:  # noqa: N803  Spark's name
        """Nothing can be undone: what was sent is with Klaviyo, and Spark's own error says why the query ended."""

    def send_batch(self, batches: Iterator[pa.RecordBatch]) -> BatchCounts:
        """Send one partition of a micro-batch, under the name of the micro-batch's run."""
        task = current_task()
        run_id = batch_run_id(task.query_id or self.plan.run_id, task.batch_id or "0")
        plan = replace(self.plan, run_id=run_id)
        return BatchCounts(self.send(encode_batches(batches, plan), plan).without_rows(), run_id)


class RowStreamWriter(StreamWrite, DataSourceStreamWriter):  # type: ignore[misc]
    """For Spark 4.0, which hands over rows."""

    def write(self, iterator: Iterator[Any]) -> BatchCounts:
        """Send the rows of one partition."""
        return self.send_batch(arrow_batches(iterator, self.plan.columns))


class ArrowStreamWriter(StreamWrite, DataSourceStreamArrowWriter):  # type: ignore[misc]
    """For Spark 4.1 and later, which hands over Arrow batches."""

    def write(self, iterator: Iterator[pa.RecordBatch]) -> BatchCounts:
        """Send the Arrow batches of one partition."""
        return self.send_batch(iterator)


def stream_writer(plan: WritePlan, options: Options) -> StreamWrite:
    """The writer for the installed Spark."""
    kind = RowStreamWriter if DataSourceStreamArrowWriter is object else ArrowStreamWriter
    return kind(plan, options)
