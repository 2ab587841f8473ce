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
from spark_klaviyo.core.clock import Stop
from spark_klaviyo.core.codes import RejectCode
from spark_klaviyo.core.models import Rejection
from spark_klaviyo.encode.encoder import encode, encode_batches
from spark_klaviyo.errors import OptionError
from spark_klaviyo.modes.change_data.change_feed import KIND, ChangeKind, tag_changes
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.report.report import WriteReport
from spark_klaviyo.runs.execute import conclude, finish, read_confirmed
from spark_klaviyo.runs.results import result_batches
from spark_klaviyo.runs.run import open_run
from spark_klaviyo.runs.session import current_task
from spark_klaviyo.runs.tasks import SendTask
from spark_klaviyo.task.run import TaskEvent, count_rejected

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
        deletion = changes.deletion and replace(changes.deletion, workers=run.plan.workers)
        results = run.run_tasks(run.df, ChangeTask(run.send_task(), deletion, options.change_column or ""), sort=KIND)
        upserts = [job for job in results.jobs if job.partition_id < DELETES]
        deletes = [job for job in results.jobs if job.partition_id >= DELETES]
        total = finish(run, results, (run.plan, upserts), (deletion or run.plan, deletes))
    return conclude(run, total)


# --- inside a task --------------------------------------------------------------------------------


@dataclass(frozen=True)
class ChangeTask:
    """Sends the tagged rows of one partition, and yields result rows; picklable."""

    task: SendTask
    deletion: WritePlan | None
    change_column: str

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """What `mapInArrow` calls."""
        own, rows, stop = self.task.plan, RowsByKind(batches), Stop()
        sending = [(own, ChangeKind.UPSERT, 0, 0)]
        if self.deletion is not None:
            sending.append((self.deletion, ChangeKind.DELETE, len(own.columns), DELETES))
        for plan, kind, first, first_partition in sending:
            columns = list(range(first, first + len(plan.columns)))
            encoded = encode_batches((batch.select(columns) for batch in rows.of(kind)), plan)
            yield from self.task.send(plan, encoded, first_partition, stop)
            if stop.is_set():
                return
        yield from result_batches(self._count(rows, own), self.task.kinds)

    def _count(self, rows: RowsByKind, plan: WritePlan) -> Iterator[TaskEvent]:
        """The rows that are not sent: those of no known kind are rejected, the others skipped."""
        report, partition = TaskReport(), current_task().partition_id
        columns = list(range(len(plan.columns)))
        detail = UNKNOWN_KIND.format(self.change_column)
        for batch in rows.of(ChangeKind.UNKNOWN):
            for number, record in enumerate(record_texts(encode(batch.select(columns), plan)), report.rows):
                rejection = Rejection(number, record, RejectCode.BAD_VALUE, detail)
                yield count_rejected(plan, rejection, report, partition)
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
