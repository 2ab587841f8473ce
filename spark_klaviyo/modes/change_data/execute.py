"""A run of change data: one evaluation of the DataFrame sends inserts and updates one way and deletes another.

The tagged rows pass through each task once, sorted by what becomes of them: first those of the template, then those of
its counterpart, then those that are only counted. One report covers all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from spark_klaviyo.arrow.encoded import record_texts
from spark_klaviyo.core.models import Rejection
from spark_klaviyo.core.stop import Stop
from spark_klaviyo.deliver.jobs.poll import JobEnded
from spark_klaviyo.encode.encoder import encode, encode_batches
from spark_klaviyo.errors import OptionError
from spark_klaviyo.modes.change_data.change_feed import (
    DELETE,
    IGNORED,
    OLDER,
    PREIMAGE,
    UNKNOWN,
    UPSERT,
    WHAT,
    Changes,
    read_changes,
)
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.report.report import WriteReport
from spark_klaviyo.report.task_report import TaskReport, merge
from spark_klaviyo.runs import session
from spark_klaviyo.runs.execute import conclude
from spark_klaviyo.runs.follow.follow_jobs import follow_jobs
from spark_klaviyo.runs.outputs.crash_receipts import CrashReceipts
from spark_klaviyo.runs.outputs.results import ResultKind, Results, result_batches
from spark_klaviyo.runs.outputs.session_outputs import SessionOutputs
from spark_klaviyo.runs.rate_limit_session import rate_limit_session
from spark_klaviyo.runs.run_tasks import run_tasks
from spark_klaviyo.runs.send_from_driver import with_all_workers
from spark_klaviyo.runs.session import current_task
from spark_klaviyo.task.context import SendContextFactory
from spark_klaviyo.task.jobs import count_rejected
from spark_klaviyo.task.run import TaskEvent, run_task

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# Receipts and jobs of the counterpart are those of partition 1,000,003 where the task is partition 3.
COUNTERPART = 1_000_000
BECAUSE = {
    OLDER: "a later change of the same identifier was sent instead",
    PREIMAGE: "a pre-image: what a row was before its update",
    IGNORED: "a delete, and on_delete=ignore",
}
STRANGE = "the column {!r} says none of insert, update, delete, nor what Delta's change feed says"


def write_changes(df: DataFrame, options: Options, run_id: str) -> WriteReport:
    """Write change data; the report, or the error that the options ask for."""
    if options.state_path is not None:
        raise OptionError(
            "state_path: change data says itself what is new, and a delete would not be remembered; leave state_path "
            "or change_column out"
        )
    changes = read_changes(df, options, run_id)
    session.choose_worker_python(df)
    if changes.guarded:
        changes = _confirmed(changes, options)
    outputs = SessionOutputs.open(session.session_of(df), options, changes.plan.run_id)
    with rate_limit_session(df, changes.plan, options) as contexts:
        results = _send(changes, options, outputs, contexts)
        total, ends = merge(results.reports), list[JobEnded]()
        outputs.append_staged(total.rejected)
        for plan, is_deletion in ((changes.plan, False), (changes.deletion, True)):
            jobs = [job for job in results.jobs if (job.partition_id >= COUNTERPART) == is_deletion]
            ends += follow_jobs(plan, jobs, total, contexts, outputs.add_reject) if plan is not None else []
        outputs.append_ended(ends)
    return conclude(total, changes.plan, options, outputs)


def _confirmed(changes: Changes, options: Options) -> Changes:
    """The changes with the very deletes that were counted, if they are as many as was confirmed.

    The deletes, at most so many, are read and held here; only the other rows are read again, for sending. A source
    that says something else the second time can so delete nobody who was not counted.
    """
    most = options.confirm_deletion or 0
    held = changes.deletes().limit(most + 1).collect()
    found = len(held) if len(held) <= most else changes.counts().get(DELETE, 0)
    enough = len(held) == most or (len(held) < most and options.entry_point is EntryPoint.BATCH)
    if held and not enough:
        told = f"not {most:,}" if options.confirm_deletion is not None else "and nothing confirms that"
        raise OptionError(
            f"confirm_deletion: {found:,} rows would be deleted for good (on_delete=delete), {told}; nothing was sent"
        )
    return changes.with_deletes(held)


def _send(changes: Changes, options: Options, outputs: SessionOutputs, contexts: SendContextFactory) -> Results:
    plan, deletion = with_all_workers(changes.frame, changes.plan, options), changes.deletion
    if deletion is not None:
        deletion = replace(deletion, workers=plan.workers)
    task = ChangeTask(plan, deletion, contexts, outputs.kinds, options.change_column or "", outputs.crash_receipts)
    return run_tasks(changes.frame, task, changes.plan, options, outputs, contexts, sort=WHAT)


# --- inside a task --------------------------------------------------------------------------------


@dataclass(frozen=True)
class ChangeTask:
    """Tagged rows of one partition in, result rows out; picklable, nothing live in it."""

    plan: WritePlan
    deletion: WritePlan | None
    contexts: SendContextFactory
    kinds: frozenset[ResultKind]
    change_column: str
    crash_receipts: CrashReceipts

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """What `mapInArrow` calls."""
        task = current_task()
        partition, attempt = task.partition_id, task.attempt
        rows, stop = Runs(batches), Stop()
        width = len(self.plan.columns)
        sending = [(self.plan, UPSERT, range(width), partition)]
        if self.deletion is not None:
            columns = range(width, width + len(self.deletion.columns))
            sending.append((self.deletion, DELETE, columns, partition + COUNTERPART))
        for plan, what, columns, number in sending:
            encoded = encode_batches((batch.select(list(columns)) for batch in rows.of(what)), plan)
            with self.contexts.open(plan, number, attempt, stop) as context:
                events = self.crash_receipts.record(run_task(plan, encoded, context), context)
                yield from result_batches(events, plan.run_id, self.kinds)
            if stop.is_set():
                return
        yield from result_batches(self._counted(rows, partition), self.plan.run_id, self.kinds)

    def _counted(self, rows: Runs, partition: int) -> Iterator[TaskEvent]:
        """The rows that are not sent: those of no known kind are rejected, the others skipped."""
        report = TaskReport()
        for batch in rows.of(UNKNOWN):
            first = report.rows
            report.rows += batch.num_rows
            encoded = encode(batch.select(list(range(len(self.plan.columns)))), self.plan)
            yield from (count_rejected(self.plan, one, report, partition) for one in self._strange(encoded, first))
        for what, because in sorted(BECAUSE.items()):
            for batch in rows.of(what):
                report.rows += batch.num_rows
                report.skip(batch.num_rows, because)
        yield report

    def _strange(self, encoded: pa.RecordBatch, first: int) -> Iterator[Rejection]:
        for number, record in enumerate(record_texts(encoded), first):
            yield Rejection(number, record, "bad_value", STRANGE.format(self.change_column))


class Runs:
    """Batches sorted by `WHAT`, handed out a kind at a time; the kinds must be asked for in their order."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = iter(batches)
        self._held: pa.RecordBatch | None = None

    def of(self, what: int) -> Iterator[pa.RecordBatch]:
        """The rows of this kind."""
        while True:
            batch = self._held if self._held is not None else next(self._batches, None)
            self._held = None
            if batch is None:
                return
            kinds = batch.column(batch.num_columns - 1).to_numpy(zero_copy_only=False)
            if len(kinds) and kinds[0] < what:
                raise AssertionError("the rows are not sorted by what becomes of them")
            mine = int(np.searchsorted(kinds, what, side="right"))
            if mine:
                yield batch.slice(0, mine)
            if mine < batch.num_rows:
                self._held = batch.slice(mine)
                return
