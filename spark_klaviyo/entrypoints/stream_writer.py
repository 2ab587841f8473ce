"""The stream writer behind `writeStream.format("klaviyo")`: the batch writer's pipeline, one run for each micro-batch.

Spark hands over Arrow batches where it has `DataSourceStreamArrowWriter`, and rows where it has only the older class.
A micro-batch that Spark repeats is sent again; its run has the same name, made of the query's id and the batch's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from spark_klaviyo.encode.encoder import encode_batches
from spark_klaviyo.encode.rows import arrow_batches
from spark_klaviyo.entrypoints.foreach_batch import QUERY_PROPERTY, batch_run_id, tell
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.report.report import WriteReport
from spark_klaviyo.report.task_report import TaskReport, merge
from spark_klaviyo.runs.outputs.outcome import ended, judged
from spark_klaviyo.runs.outputs.task_outputs import TaskOutputs
from spark_klaviyo.task.context import SendContextFactory
from spark_klaviyo.task.run import run_task

try:  # the class decides, never the version
    from pyspark.sql.datasource import DataSourceStreamWriter, WriterCommitMessage
except ImportError:
    DataSourceStreamWriter = WriterCommitMessage = object
try:
    from pyspark.sql.datasource import DataSourceStreamArrowWriter
except ImportError:  # Spark 4.0
    DataSourceStreamArrowWriter = object

BATCH_PROPERTY = "streaming.sql.batchId"
COMPLETE = (
    'outputMode("complete") would send the whole result again with every micro-batch; use outputMode("append"), or '
    'outputMode("update") with foreachBatch(klaviyo_batch_writer(...)), which sends what has changed'
)


@dataclass
class BatchCounts(WriterCommitMessage):  # type: ignore[misc]
    """What one task tells the commit: counts only, and the name of the run they belong to."""

    report: TaskReport
    run_id: str


class StreamSending:
    """What both kinds of stream writer do; nothing live in it, connections open inside `write`."""

    def __init__(self, plan: WritePlan, options: Options) -> None:
        self.plan, self.options, self.contexts = plan, options, SendContextFactory(share=None)
        self.outputs = TaskOutputs.of(options, plan.run_id)

    def commit(self, messages: Sequence[BatchCounts | None], batchId: int) -> None:  # noqa: N803  Spark's name
        """Judge the micro-batch: raises where it was stopped, or rows were rejected and `on_reject=fail`."""
        told = [message for message in messages if message is not None]
        run_id = next((message.run_id for message in told), self.plan.run_id)
        total = judged(merge(message.report for message in told), self.plan)
        report = WriteReport.of(total, run_id=run_id, template=self.plan.template.name)
        replace(self.outputs, run_id=run_id).keep_run(report, self.options)
        ended(report, self.options.on_reject)
        tell(report, batchId)

    def abort(self, messages: Sequence[BatchCounts | None], batchId: int) -> None:  # noqa: N803  Spark's name
        """Nothing to undo: what was sent is with Klaviyo, and Spark's own error says why the query ended."""

    def sent(self, encoded: Callable[[WritePlan], Iterator[pa.RecordBatch]]) -> BatchCounts:
        """Send one partition of a micro-batch."""
        from pyspark import TaskContext

        spark_task = TaskContext.get()
        query, batch = spark_task.getLocalProperty(QUERY_PROPERTY), spark_task.getLocalProperty(BATCH_PROPERTY)
        plan = replace(self.plan, run_id=batch_run_id(query or self.plan.run_id, batch or "0"))
        with self.contexts.open(plan, spark_task.partitionId(), spark_task.attemptNumber()) as context:
            writing = replace(self.outputs, run_id=plan.run_id).open(context)
            report = writing.all_of(run_task(plan, encoded(plan), context, follows=True))
        return BatchCounts(report.without_rows(), plan.run_id)


class RowStreamWriter(StreamSending, DataSourceStreamWriter):  # type: ignore[misc]
    """For Spark 4.0, which hands over rows."""

    def write(self, iterator: Iterator[Any]) -> BatchCounts:
        """Send the rows of one partition."""
        return self.sent(lambda plan: encode_batches(arrow_batches(iterator, plan.columns), plan))


class ArrowStreamWriter(StreamSending, DataSourceStreamArrowWriter):  # type: ignore[misc]
    """For Spark 4.1 and later, which hands over Arrow batches."""

    def write(self, iterator: Iterator[pa.RecordBatch]) -> BatchCounts:
        """Send the Arrow batches of one partition."""
        return self.sent(lambda plan: encode_batches(iterator, plan))


def stream_writer(plan: WritePlan, options: Options) -> StreamSending:
    """The writer that suits this Spark."""
    kind = RowStreamWriter if DataSourceStreamArrowWriter is object else ArrowStreamWriter
    return kind(plan, options)
