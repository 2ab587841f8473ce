"""What a run does in its tasks: with a session they hand result rows back, without one they write their own datasets.

Receipts of requests with an open job are in a hidden folder until the job has ended, so that every request has one row
in the end, and a task that is killed leaves them for `follow_klaviyo`; with a session, too (`CrashReceipts`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pyarrow as pa

from spark_klaviyo.arrow.encoded import SPARK_ENCODED
from spark_klaviyo.batching.screening import plan_warnings
from spark_klaviyo.core.clock import Stop
from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.core.models import Receipt, RejectedRow
from spark_klaviyo.datasets.schemas import RECEIPTS, REJECTS, RUNS, Column
from spark_klaviyo.datasets.storage import Folder, PartWriter
from spark_klaviyo.deliver.delivery import SendContext
from spark_klaviyo.deliver.jobs import JobEnded
from spark_klaviyo.encode.encoder import encode_batches
from spark_klaviyo.encode.keys import with_phones_as_sent
from spark_klaviyo.options.addresses import shown_place
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.shape import leaves_of
from spark_klaviyo.report.counts.task_report import TaskReport, merge
from spark_klaviyo.report.report import WriteReport
from spark_klaviyo.runs.results import judge_run, result_batches, return_or_raise, run_row
from spark_klaviyo.runs.session import SparkTask, current_task, log_warnings, with_json_text
from spark_klaviyo.runs.staged import WRITE_ERRORS, TaskStaging, attempt
from spark_klaviyo.state.fingerprints import row_hashes
from spark_klaviyo.task.run import SendContextFactory, TaskEvent, run_task

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

OPEN_RECEIPTS = "_open"  # a folder inside the receipts; hidden from Spark's readers, like all names that begin so
SMALL_PARTITIONS = "{} small partitions made {} requests where {} would do: df.coalesce(n) before the write saves {}"
FEWEST_SAVED = 10  # requests that fewer partitions must save for a warning
UNWRITTEN = "job ids could not be written to receipts_path at once: a run that was killed could not be followed"
# Refusals that every task of the job would meet, and that no retry would change.
SHARED = frozenset({StopCode.UNAUTHORIZED, StopCode.FORBIDDEN, StopCode.RETIRED, StopCode.REDIRECTED})

Encode: TypeAlias = Callable[[Iterator[pa.RecordBatch], WritePlan], Iterator[pa.RecordBatch]]


class TaskWrite:
    """A write whose entry point has no session: each task sends a partition and writes its own datasets.

    Picklable: connections are opened in the tasks, and closed there. Raises `OptionError` for a path that no installed
    file system can open.
    """

    def __init__(self, plan: WritePlan, options: Options) -> None:
        self.plan, self.options = plan, options
        self.contexts = SendContextFactory(share=None)  # how many tasks share the quota is unknown
        for path in filter(None, (options.rejects_path, options.receipts_path, options.runs_path)):
            Folder.at(path)
        log_warnings(plan.warnings)

    def send(self, encoded: Iterator[pa.RecordBatch], plan: WritePlan) -> TaskReport:
        """Send one partition, in the task that this code runs in, and follow its jobs."""
        task = current_task()
        with self.contexts.open(plan, task.partition_id, task.attempt, ExecutorStop(task)) as context:
            writer = TaskWriter(self.options.rejects_path, self.options.receipts_path, plan.run_id, context)
            return writer.write_all(run_task(plan, encoded, context, follows=True))

    def report_of(self, total: TaskReport, run_id: str) -> WriteReport:
        """The report of a task, or of a whole run, with the warnings of its plan."""
        warned = dict.fromkeys(plan_warnings(self.plan, total.warnings), 1)
        total = replace(total, warnings=warned | total.warnings | dict.fromkeys(small_partitions(total), 1))
        return WriteReport(run_id, self.plan.template.name, target=self.plan.target, **vars(total))

    def conclude(self, reports: Iterable[TaskReport], run_id: str) -> WriteReport:
        """The report of a run, appended to the runs; raises `WriteStopped` or `RowsRejected` where that is due."""
        total = judge_run(merge(reports), self.plan)
        log_warnings(small_partitions(total))
        return return_or_raise(append_run(self.report_of(total, run_id), self.options), self.options.on_reject)


def small_partitions(total: TaskReport) -> list[str]:
    """What to say of partitions so small that they made many more requests than their rows need."""
    saved = total.requests_in_excess
    if saved < FEWEST_SAVED or 2 * saved < total.requests:
        return []
    return [SMALL_PARTITIONS.format(total.last_requests, total.requests, total.requests - saved, saved)]


def append_run(report: WriteReport, options: Options) -> WriteReport:
    """Append a row to the runs; the report, which says so where it could not be written."""

    def append() -> None:
        runs = _part_writer(options.runs_path, RUNS, f"part-{report.run_id}")
        runs.add(run_row(report, options), 0.0)
        runs.flush()

    failure = attempt(append, f"runs_path ({shown_place(str(options.runs_path))})", Stop())
    return replace(report, stopped=report.stopped or (StopCode.NOT_WRITTEN, failure)) if failure else report


class ExecutorStop(Stop):
    """A stop that the tasks of one job share on their executor, where no code of the run is in the driver to stop them.

    The first task that learns that the key is refused tells the others, through a file in the folder that Spark keeps
    for the executor's files and deletes with it. So at most the requests in flight at that moment are refused.
    """

    def __init__(self, task: SparkTask) -> None:
        super().__init__()
        self._folder = Folder.at(task.executor_folder) if task.executor_folder else None
        # A stage's number is new with every job, so that a later one with a corrected key is not stopped by it.
        self._name = f"klaviyo-stopped-{task.stage_id}.json"
        self.is_set()

    def set(self, code: StopCode, message: str = "") -> None:
        """Stop, and tell the other tasks where that concerns them."""
        super().set(code, message)
        if self._folder is not None and self.code in SHARED:
            with suppress(OSError):  # each task then learns it by itself
                self._folder.write_json(self._name, {"code": self.code, "message": self.message})

    def is_set(self) -> bool:
        """Whether it has been set, here or by another task."""
        if not super().is_set() and self._folder is not None:
            with suppress(OSError):
                found = self._folder.read_json(self._name)
                if found:
                    super().set(StopCode(found["code"]), found["message"])
        return super().is_set()


class TaskWriter:
    """Writes the events of one task. A failed write stops the task's sending, and its report says so.

    Raises OSError, before anything is sent, where a folder cannot be made.
    """

    def __init__(self, rejects_path: str | None, receipts_path: str | None, run_id: str, context: SendContext) -> None:
        self._context = context
        places = {"rejects_path": rejects_path, "receipts_path": receipts_path}
        self._shown = " or ".join(f"{name} ({shown_place(place)})" for name, place in places.items() if place)
        stem = part_stem(run_id, context)
        self._rejects = _part_writer(rejects_path, REJECTS, stem)
        # a receipt says that a job has ended and need not be followed, so the rows that it refused are written first
        self._receipts = _part_writer(receipts_path, RECEIPTS, stem, before=self._rejects)
        self._open_receipts = _part_writer(receipts_path, RECEIPTS, stem, OPEN_RECEIPTS)
        self._held: dict[str, list[Receipt]] = {}  # by the job that is open
        self._failure = ""

    def write_all(self, events: Iterable[TaskEvent]) -> TaskReport:
        """Write every rejected row and receipt; the task's report, which is the last event."""
        report = TaskReport()
        try:
            for event in events:
                if isinstance(event, TaskReport):
                    report = event
                else:
                    self._attempt(partial(self._write, event))
            self._attempt(self._finish)
        finally:
            self._attempt(self._flush)  # also where the task fails: what was sent is on record
        if self._failure and report.stopped is None:
            report.stopped = (StopCode.NOT_WRITTEN, self._failure)
        return report

    def _attempt(self, write: Callable[[], None]) -> None:
        self._failure = attempt(write, self._shown, self._context.stop) or self._failure

    def _write(self, event: TaskEvent) -> None:
        now = self._context.clock.now()
        if isinstance(event, RejectedRow):
            self._rejects.add(vars(event), now)
        elif isinstance(event, Receipt) and event.job_id is None:
            self._receipts.add(vars(event), now)
        elif isinstance(event, Receipt):
            self._held.setdefault(str(event.job_id), []).append(event)
            self._open_receipts.add(vars(event), now)
            self._open_receipts.flush()  # at once: a task that is killed runs no more code
        elif isinstance(event, JobEnded):
            for held in self._held.pop(event.job.job_id, ()):
                self._receipts.add({**vars(held), "outcome": event.outcome, "detail": event.reason}, now)

    def _finish(self) -> None:
        """Write the receipts whose jobs stay open as they are, and delete the hidden ones."""
        for receipt in chain.from_iterable(self._held.values()):
            self._receipts.add(vars(receipt), self._context.clock.now())
        self._rejects.write_schema()
        self._receipts.write_schema()
        self._open_receipts.undo()

    def _flush(self) -> None:
        for writer in (self._rejects, self._receipts, self._open_receipts):
            writer.flush()


def _part_writer(
    path: str | None, columns: tuple[Column, ...], stem: str, inside: str = "", before: PartWriter | None = None
) -> PartWriter:
    if path is None:
        return PartWriter(None, columns, stem)
    folder = Folder.at(path)
    folder.make()
    return PartWriter(folder.child(inside) if inside else folder, columns, stem, before)


# --- where Spark writes the datasets --------------------------------------------------------------


def part_stem(run_id: str, context: SendContext) -> str:
    """How the names of the files of one attempt of a task begin."""
    return f"part-{run_id}-{context.partition_id:05d}-{context.attempt}"


@dataclass(frozen=True)
class CrashReceipts:
    """Receipts of accepted jobs, written by the tasks at once, in case the run is killed before it writes its datasets.

    Spark hands the tasks' results over only when all tasks have ended, so the job ids of a killed run would be lost. A
    run that ends deletes its own. That takes a location that pyarrow or fsspec can open: no catalog table, and no path
    without a scheme where Spark's default file system is not this machine's. Picklable. `location`: the receipts'
    folder, None for nowhere.
    """

    run_id: str = ""
    location: str | None = None

    def if_usable(self) -> CrashReceipts:
        """The same, or nowhere if this process cannot open the location: it could not delete them at the end."""
        try:
            if self.location is not None:
                self._folder().names()
        except WRITE_ERRORS:
            return replace(self, location=None)
        return self

    def record(self, events: Iterator[TaskEvent], context: SendContext) -> Iterator[TaskEvent]:
        """The events of a task, passed on; the receipt of a job is on disk before."""
        writer: PartWriter | None = None
        failed = self.location is None
        for event in events:
            if isinstance(event, Receipt) and event.job_id is not None and not failed:
                try:
                    writer = writer or PartWriter(self._folder(), RECEIPTS, part_stem(self.run_id, context))
                    writer.add(vars(event), 0.0)
                    writer.flush()
                except WRITE_ERRORS:  # sending goes on: a run that ends has its receipts all the same
                    failed = True
            elif isinstance(event, TaskReport) and failed and self.location is not None:
                event.warn(UNWRITTEN)
            yield event

    def remove(self) -> None:
        """Delete them: the run has written its receipts. Raises OSError."""
        if self.location is not None:
            folder = self._folder()
            folder.delete(*folder.names_with(f"part-{self.run_id}-"))

    def _folder(self) -> Folder:
        """The hidden folder. OSError where Spark, which has made the location by now, uses another file system."""
        folder = Folder.at(self.location or "")
        if folder.is_local and not Path(folder.path).is_dir():
            raise FileNotFoundError(folder.path)
        return folder.child(OPEN_RECEIPTS)


# --- tasks of a run with a session ----------------------------------------------------------------


@dataclass(frozen=True)
class SendTask:
    """Sends the rows of one partition, and yields result rows; picklable.

    `encode`: what makes encoded rows of the task's batches, by the plan.
    """

    plan: WritePlan
    contexts: SendContextFactory
    crash_receipts: CrashReceipts
    staging: TaskStaging
    encode: Encode = encode_batches

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """What `mapInArrow` calls."""
        yield from self.send(self.plan, self.encode(batches, self.plan))

    def send(
        self, plan: WritePlan, encoded: Iterator[pa.RecordBatch], first_partition: int = 0, stop: Stop | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Send encoded rows. Receipts and jobs have the task's partition number after `first_partition`."""
        task = current_task()
        with self.contexts.open(plan, first_partition + task.partition_id, task.attempt, stop) as context:
            earlier = context.driver.handed_over()
            if earlier:
                deque(encoded, 0)
                yield from result_batches(self.staging.again(earlier, context.stop))
                return
            events = self.crash_receipts.record(run_task(plan, encoded, context), context)
            stem = part_stem(plan.run_id, context)
            yield from result_batches(self.staging.keep(events, context.stop, stem, context.driver.hand_over))


def encode_for_spark(plan: WritePlan, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The encoded rows of one partition, with the types that Spark reads, and with a state their hashes."""
    for batch in encode_batches(batches, plan):
        encoded = with_phones_as_sent(batch, plan) if plan.state else batch
        hashes = row_hashes(encoded, plan, plan.state.scope) if plan.state else [pa.nulls(encoded.num_rows)] * 2
        made = map(pa.Array.cast, [*encoded.columns, *hashes], SPARK_ENCODED.types)
        yield pa.RecordBatch.from_arrays(list(made), schema=SPARK_ENCODED)


def sent_columns(df: DataFrame, plan: WritePlan) -> tuple[DataFrame, WritePlan]:
    """The DataFrame with the columns that the plan uses, and the plan for these; others, of any type, stay in Spark.

    Plain, distinct names are kept, as new ones cost a copy of every row of a wide table. Others become c0, c1, ...: two
    names may differ in case alone, and `mapInArrow` fails on a dot. The encoder goes by position.
    """
    leaves = [param.leaf for param in plan.params] + [check.leaf for check in plan.checks.fields if check.leaf]
    leaves += leaves_of(plan.record) if plan.record is not None else ()
    used = {leaf.source[0] for leaf in leaves} | {plan.record_column}
    if plan.body_text:  # the header of CSV, and the types of placeholders, come from all columns
        used |= {column.name for column in plan.columns}
    kept = [number for number, column in enumerate(plan.columns) if column.name in used] or [0]
    columns, names = tuple(plan.columns[number] for number in kept), list(df.columns)
    if len({name.lower() for name in names if name.isascii() and name.isidentifier()}) < len(names):
        names = [f"c{number}" for number in range(len(names))]
        df = df.toDF(*names)
    sent = [with_json_text(names[n], column.type, plan.json_mark) for n, column in zip(kept, columns, strict=True)]
    return df.select(*sent), replace(plan, columns=columns)
