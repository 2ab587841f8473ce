"""A write whose entry point has no session: each task sends a partition and writes its own rejects and receipts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.report.counts.task_report import TaskReport, merge
from spark_klaviyo.report.report import WriteReport
from spark_klaviyo.runs.outputs.outcome import judge_run, return_or_raise
from spark_klaviyo.runs.outputs.task_outputs import TaskOutputs
from spark_klaviyo.runs.spark.session import current_task
from spark_klaviyo.task.context import SendContextFactory
from spark_klaviyo.task.run import run_task


class TaskWrite:
    """Picklable: connections are opened in the tasks, and closed there. Raises `OptionError` for a path that no
    installed file system can open.
    """

    def __init__(self, plan: WritePlan, options: Options) -> None:
        self.plan, self.options = plan, options
        self.contexts = SendContextFactory(share=None)  # how many tasks share the quota is unknown
        self.outputs = TaskOutputs.of(options)

    def send(self, encoded: Iterator[pa.RecordBatch], plan: WritePlan) -> TaskReport:
        """Send one partition, in the task that this code runs in, and follow its jobs."""
        task = current_task()
        with self.contexts.open(plan, task.partition_id, task.attempt) as context:
            writer = self.outputs.open(plan.run_id, context)
            return writer.write_all(run_task(plan, encoded, context, follows=True))

    def report_of(self, total: TaskReport, run_id: str) -> WriteReport:
        """The report of a task, or of a whole run."""
        return WriteReport(run_id, self.plan.template.name, **vars(total))

    def conclude(self, reports: Iterable[TaskReport], run_id: str) -> WriteReport:
        """The report of a run, appended to the runs; raises `WriteStopped` or `RowsRejected` where that is due."""
        report = self.report_of(judge_run(merge(reports), self.plan), run_id)
        self.outputs.append_run(report, self.options)
        return return_or_raise(report, self.options.on_reject)
