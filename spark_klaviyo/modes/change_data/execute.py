"""A run of change data: one evaluation of the DataFrame sends inserts and updates one way and deletes another.

The tagged rows pass through each task once, sorted by kind: first those of the template, then those of its deletes,
then those that are only counted. One report covers all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from spark_klaviyo.arrow.encoded import record_texts
from spark_klaviyo.core.codes import RejectCode
from spark_klaviyo.core.models import Rejection
from spark_klaviyo.core.stop import Stop
from spark_klaviyo.deliver.jobs.poll import JobEnded
from spark_klaviyo.encode.encoder import encode, encode_batches
from spark_klaviyo.errors import OptionError
from spark_klaviyo.modes.change_data.change_feed import KIND, ChangeKind, TaggedChanges, tag_changes
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.report.counts.task_report import TaskReport, merge
from spark_klaviyo.report.report import WriteReport
from spark_klaviyo.runs.confirm_deletion import read_confirmed
from spark_klaviyo.runs.execute import conclude
from spark_klaviyo.runs.follow.follow_jobs import follow_jobs
from spark_klaviyo.runs.outputs.crash_receipts import CrashReceipts
from spark_klaviyo.runs.outputs.results import ResultKind, Results, result_batches
from spark_klaviyo.runs.run import Run, open_run
from spark_klaviyo.runs.spark.session import current_task
from spark_klaviyo.task.context import SendContextFactory
from spark_klaviyo.task.jobs import count_rejected
from spark_klaviyo.task.run import TaskEvent, run_task

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# Receipts and jobs of deletes have partition 1,000,003 where the task is partition 3.
DELETES = 1_000_000
UNKNOWN_KIND = "the column {!r} says none of insert, update, delete, nor a word of Delta's change feed"


def write_changes(df: DataFrame, options: Options, run_id: str) -> WriteReport:
    """Write change data; the report, or the error that the options ask for."""
    if options.state_path is not None:
        raise OptionError(
            "state_path: change data says itself what is new, and a delete would not be remembered; leave state_path "
            "or change_column out"
        )
    changes = tag_changes(df, options, run_id)
    if changes.guarded and changes.deletion is not None:
        template = f"{changes.deletion.template.name} (on_delete=delete)"
        changes = changes.with_deletes(read_confirmed(changes.deletes(), template, options))
    with open_run(changes.frame, changes.plan, options) as run:
        results = _send(run, changes)
        total = merge(results.reports)
        run.outputs.append_staged(total.rejected)
        run.outputs.append_ended(_follow(run, changes, results, total))
    return conclude(run, total)


def _send(run: Run, changes: TaggedChanges) -> Results:
    deletion = changes.deletion and replace(changes.deletion, workers=run.plan.workers)
    column, outputs = run.options.change_column or "", run.outputs
    task = ChangeTask(run.plan, deletion, run.contexts, outputs.kinds, column, outputs.crash_receipts)
    return run.run_tasks(run.df, task, sort=KIND)


def _follow(run: Run, changes: TaggedChanges, results: Results, total: TaskReport) -> list[JobEnded]:
    ends: list[JobEnded] = []
    for plan, is_deletion in ((run.plan, False), (changes.deletion, True)):
        jobs = [job for job in results.jobs if (job.partition_id >= DELETES) == is_deletion]
        if plan is not None:
            ends += follow_jobs(plan, jobs, total, run.contexts, run.outputs.add_reject)
    return ends


# --- inside a task --------------------------------------------------------------------------------


@dataclass(frozen=True)
class ChangeTask:
    """Sends the tagged rows of one partition, and yields result rows; picklable."""

    plan: WritePlan
    deletion: WritePlan | None
    contexts: SendContextFactory
    kinds: frozenset[ResultKind]
    change_column: str
    crash_receipts: CrashReceipts

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """What `mapInArrow` calls."""
        task = current_task()
        rows, stop = RowsByKind(batches), Stop()
        width = len(self.plan.columns)
        sending = [(self.plan, ChangeKind.UPSERT, 0, task.partition_id)]
        if self.deletion is not None:
            sending.append((self.deletion, ChangeKind.DELETE, width, task.partition_id + DELETES))
        for plan, kind, first, partition in sending:
            columns = list(range(first, first + len(plan.columns)))
            encoded = encode_batches((batch.select(columns) for batch in rows.of(kind)), plan)
            with self.contexts.open(plan, partition, task.attempt, stop) as context:
                events = self.crash_receipts.record(run_task(plan, encoded, context), context)
                yield from result_batches(events, plan.run_id, self.kinds)
            if stop.is_set():
                return
        yield from result_batches(self._count(rows, task.partition_id), self.plan.run_id, self.kinds)

    def _count(self, rows: RowsByKind, partition: int) -> Iterator[TaskEvent]:
        """The rows that are not sent: those of no known kind are rejected, the others skipped."""
        report = TaskReport()
        columns = list(range(len(self.plan.columns)))
        detail = UNKNOWN_KIND.format(self.change_column)
        for batch in rows.of(ChangeKind.UNKNOWN):
            for number, record in enumerate(record_texts(encode(batch.select(columns), self.plan)), report.rows):
                rejection = Rejection(number, record, RejectCode.BAD_VALUE, detail)
                yield count_rejected(self.plan, rejection, report, partition)
            report.rows += batch.num_rows
        for kind in ChangeKind:
            for batch in rows.of(kind) if kind.skipped_because else ():
                report.rows += batch.num_rows
                report.skip(batch.num_rows, kind.skipped_because)
        yield report


class RowsByKind:
    """Batches sorted by `KIND`, handed out a kind at a time; the kinds must be asked for in their order."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = iter(batches)
        self._rest: pa.RecordBatch | None = None

    def of(self, kind: ChangeKind) -> Iterator[pa.RecordBatch]:
        """The rows of this kind."""
        while True:
            batch = self._rest if self._rest is not None else next(self._batches, None)
            self._rest = None
            if batch is None:
                return
            kinds = batch.column(batch.num_columns - 1).to_numpy(zero_copy_only=False)
            if len(kinds) and kinds[0] < kind:
                raise AssertionError("the rows are not sorted by their kind")
            count = int(np.searchsorted(kinds, kind, side="right"))
            if count:
                yield batch.slice(0, count)
            if count < batch.num_rows:
                self._rest = batch.slice(count)
                return
