"""A run of change data: one evaluation of the DataFrame sends inserts and updates one way and deletes another.

Each task reads its tagged rows once, and sends those of the template first, then those of its deletes; then it counts
the others. One report covers all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from itertools import chain
from tempfile import SpooledTemporaryFile
from typing import IO

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, Row

from spark_klaviyo.arrow.encoded import record_texts
from spark_klaviyo.core.clock import Stop
from spark_klaviyo.core.codes import RejectCode
from spark_klaviyo.core.models import RejectedRow, Rejection
from spark_klaviyo.encode.encoder import encode, encode_batches
from spark_klaviyo.modes.change_data.change_feed import TaggedChanges, tag_changes
from spark_klaviyo.modes.change_data.kinds import DELETES, KIND, WARNED, ChangeKind
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.report.report import WriteReport
from spark_klaviyo.runs.execute import conclude, finish, require_confirmed
from spark_klaviyo.runs.results import result_batches
from spark_klaviyo.runs.run import open_run
from spark_klaviyo.runs.session import current_task
from spark_klaviyo.runs.tasks import SendTask
from spark_klaviyo.task.denied import MOST_HELD_BYTES
from spark_klaviyo.task.run import TaskEvent, count_rejected

# Receipts and jobs of deletes have partition 1,000,003 where the task is partition 3.
FIRST_OF_DELETES = 1_000_000


def write_changes(df: DataFrame, options: Options, run_id: str, began: float) -> WriteReport:
    """Write change data; the report, or the error that the options ask for."""
    changes = tag_changes(df, options, run_id)
    if changes.guarded:
        changes = changes.with_deletes(_confirmed(changes, options))
    with open_run(changes.frame, changes.plan, options, began) as run:
        deletion = changes.deletion and replace(changes.deletion, workers=run.plan.workers)
        names = {"change_column": options.change_column or "", "change_order": options.change_order}
        results = run.run_tasks(run.df, partial(send_changes, run.send_task(), deletion, names))
        upserts = [job for job in results.jobs if job.partition_id < FIRST_OF_DELETES]
        deletes = [job for job in results.jobs if job.partition_id >= FIRST_OF_DELETES]
        total = finish(run, results, (run.plan, upserts), (deletion or run.plan, deletes))
    return conclude(run, total)


def _confirmed(changes: TaggedChanges, options: Options) -> list[Row]:
    """The deletes, if they are of as many people as the caller confirmed (`runs.execute.read_confirmed`).

    Each email of a person has its row, and a person counts once.
    """
    deletes, people = changes.tagged_deletes(), 0
    rows: list[Row] = []
    for row in deletes.toLocalIterator():
        rows.append(row)
        people += row[KIND] == ChangeKind.DELETE
        if people > (options.confirm_deletion or 0):
            break
    template = changes.deletion.template.name if changes.deletion is not None else ""
    counted = deletes.where(f"{KIND} = {ChangeKind.DELETE:d}")
    require_confirmed(people, counted, f"{template} (on_delete=delete)", options)
    return rows


# --- inside a task --------------------------------------------------------------------------------


def send_changes(
    task: SendTask, deletion: WritePlan | None, names: Mapping[str, str], batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Send the tagged rows of one partition: those of the template, then its deletes; count the others.

    What `mapInArrow` calls; yields result rows. `names`: of columns, for the reasons of rejections.
    """
    stop, width = Stop(), len(task.plan.columns)
    sending: list[tuple[WritePlan, Sequence[ChangeKind], int, int]] = [(task.plan, (ChangeKind.UPSERT,), 0, 0)]
    if deletion is not None:
        sending.append((deletion, DELETES, width, FIRST_OF_DELETES))
    with closing(RowsByKind(batches)) as rows:
        for plan, kinds, first, first_partition in sending:
            columns = list(range(first, first + len(plan.columns)))
            own = (batch.select(columns) for batch in chain.from_iterable(map(rows.of, kinds)))
            yield from task.send(plan, encode_batches(own, plan), first_partition, stop)
            if stop.is_set():
                return
        counted = f"part-{task.plan.run_id}-{current_task().partition_id:05d}-counted"
        yield from result_batches(task.staging.keep(_count(rows, task.plan, names), stop, counted))


def _count(rows: RowsByKind, plan: WritePlan, names: Mapping[str, str]) -> Iterator[TaskEvent]:
    """The rows that are not sent are rejected or skipped, as their kind says."""
    report = TaskReport()
    for kind in (kind for kind in ChangeKind if kind.reason):
        for batch in rows.of(kind):
            if kind.code is not None:
                yield from _reject(kind.code, kind.reason.format(**names), batch, plan, report)
            else:
                report.skip(batch.num_rows, kind.reason)
            if kind in WARNED:
                report.warn(kind.reason, batch.num_rows)
            report.rows += batch.num_rows
    yield report


def _reject(
    code: RejectCode, detail: str, batch: pa.RecordBatch, plan: WritePlan, report: TaskReport
) -> Iterator[RejectedRow]:
    records = record_texts(encode(batch.select(list(range(len(plan.columns)))), plan))
    for number, record in enumerate(records, report.rows):
        rejection = Rejection(number, record, code, detail)
        yield count_rejected(plan, rejection, report, current_task().partition_id)


class RowsByKind:
    """The rows of a partition, read once and kept by their kind, in files without a name where they are large.

    They come in any order: engines may drop a sort that stands before a function in Python.
    """

    def __init__(self, batches: Iterable[pa.RecordBatch]) -> None:
        self._files: dict[int, IO[bytes]] = {}
        self._open = ExitStack()
        writers: dict[int, pa.RecordBatchStreamWriter] = {}
        for batch in batches:
            kinds = batch.column(batch.num_columns - 1).to_numpy(zero_copy_only=False)
            for kind in np.unique(kinds).tolist():
                if kind not in writers:
                    file = self._open.enter_context(SpooledTemporaryFile(MOST_HELD_BYTES))  # noqa: SIM115  `close`
                    self._files[kind] = file
                    writers[kind] = pa.ipc.new_stream(self._files[kind], batch.schema)
                writers[kind].write_batch(batch.filter(pa.array(kinds == kind)))
        for writer in writers.values():
            writer.close()

    def of(self, kind: ChangeKind) -> Iterator[pa.RecordBatch]:
        """The rows of this kind."""
        if kind in self._files:
            self._files[kind].seek(0)
            yield from pa.ipc.open_stream(self._files[kind])

    def close(self) -> None:
        """Delete the rows."""
        self._open.close()
