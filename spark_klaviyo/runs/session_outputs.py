"""Rejects, receipts and the row of a run; this process never holds more than a chunk of them.

The rows are staged, and datasets are filled from there. Where this process sees the folder that Spark sees, tasks write
the staged files, and this process fills the datasets from them, without a job of Spark's unless they are many rows.

Elsewhere Spark does both. On classic Spark the action that sends stages them: the driver has the counts of its tasks
before. Under Connect a failed write would make a task send again, so executors hold the rows and Spark writes those;
where it cannot hold any, they come through this process.

Receipts of requests with a job are written when the job has ended, so that every request has one row. A run that is
killed before leaves them in the staging location, or where its tasks wrote them at once (`CrashReceipts`), for
`follow_klaviyo`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame

from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.core.models import RejectedRow
from spark_klaviyo.datasets.schemas import RECEIPTS, REJECTS, REMOVED, RUNS, Column, arrow_schema, ddl
from spark_klaviyo.datasets.spark_storage import Dataset, NewRows, SparkLocation, checkpointed, jvm_of, spark_errors
from spark_klaviyo.datasets.storage import MOST_BYTES, MOST_ROWS, Folder
from spark_klaviyo.deliver.jobs import JobEnded
from spark_klaviyo.options.choices import ListMode
from spark_klaviyo.options.model import Options
from spark_klaviyo.ratelimit.server import ResultRow
from spark_klaviyo.report.report import Reader
from spark_klaviyo.runs.results import RESULT_DDL, RESULT_SCHEMA, STAGED_KINDS, ResultKind
from spark_klaviyo.runs.staged import Ends, TaskStaging, read_staged, staged_rows
from spark_klaviyo.runs.tasks import CrashReceipts

MOST_ROWS_HERE = 100_000  # staged rows that this process appends itself, in a second; for more Spark starts tasks
OTHER_KINDS = f"kind NOT IN {tuple(map(str, STAGED_KINDS))}"
BESIDE = "_removed"  # behind the location of the receipts: the members that a mirror removed
NOT_REMOVED = "the staging location of this run could not be removed and holds rejected rows; delete it yourself: {}"


class SessionOutputs:
    """The datasets of one run that the options ask for. Raises `OptionError` where one cannot be written.

    `removed` are the members that a mirror removed. `failures`: datasets that could not be written after everything was
    sent. `left_behind`: warnings about temporary data that could not be deleted.
    """

    def __init__(self, spark: Any, options: Options, run_id: str) -> None:
        self._spark, self.run_id = spark, run_id
        self.rejects = _dataset(spark, "rejects_path", options.rejects_path, REJECTS)
        self.receipts = _dataset(spark, "receipts_path", options.receipts_path, RECEIPTS)
        self.runs = _dataset(spark, "runs_path", options.runs_path, RUNS)
        self.removed: Dataset | None = None
        if self.receipts is not None and options.list_mode is ListMode.MIRROR:
            self.removed = _dataset(spark, "receipts_path", f"{self.receipts.location}{BESIDE}", REMOVED)
        self.failures: list[str] = []
        self.left_behind: list[str] = []
        self._chunk: list[dict[str, object]] = []
        self._chunk_bytes = 0
        for dataset in filter(None, (self.rejects, self.receipts, self.removed, self.runs)):
            dataset.prepare()
        kept_beside = self.receipts.location if self.receipts is not None and not self.receipts.table else None
        self.crash_receipts = CrashReceipts(run_id, kept_beside).if_usable()
        self.staging, self.task_staging = self._stagings()
        self._spark_staging = self.staging if self.task_staging.location is None else None
        self._staged_files: list[str] = []

    def results(self, frame: DataFrame) -> Iterator[ResultRow]:
        """Evaluate a frame of result rows, once, and stage them: those that the driver keeps."""
        staging = self._spark_staging
        if staging is not None and jvm_of(self._spark) is not None:
            staging.append_frame(frame)
            frame = staging.read(RESULT_SCHEMA)
        elif staging is not None and checkpointed(self._spark.range(1)) is None:
            yield from self.stage_rows(map(tuple, frame.toLocalIterator()))
            return
        elif staging is not None:
            frame = frame.localCheckpoint(eager=True)
            self._attempt(self.task_staging.shown, partial(staging.append_frame, frame))
        yield from map(tuple, frame.where(OTHER_KINDS).collect())

    def stage_rows(self, rows: Iterable[ResultRow]) -> Iterator[ResultRow]:
        """The rows that the driver keeps, of all rows; where Spark stages them, they are, a bounded number at a time.

        A failure is kept, as all of them have been sent.
        """
        chunk: list[ResultRow] = []
        for row in rows:
            chunk.append(row)
            if row[0] not in STAGED_KINDS:
                yield row
            if len(chunk) >= MOST_ROWS:
                self._stage(chunk)
                chunk = []
        self._stage(chunk)

    def append_staged(self, files: Sequence[str], rejected: int, without_job: int) -> None:
        """Append staged rows, but for receipts with a job; with no row of a kind nothing is read.

        `files`: those that tasks have written themselves. What else is there comes from attempts that failed.
        """
        self._staged_files = list(files)
        self._append_staged(self.rejects, ResultKind.REJECT, rejected, {})
        self._append_staged(self.receipts, ResultKind.RECEIPT, without_job, {})

    def append(self, dataset: Dataset | None, rows: Sequence[Mapping[str, object]]) -> None:
        """Append rows of this process, if there are any and the dataset was asked for."""
        if rows:
            self._append(dataset, lambda: rows)

    def add_reject(self, rejected: RejectedRow) -> None:
        """Add a row that its job refused; rows are appended in chunks."""
        if self.rejects is None:
            return
        self._chunk.append(vars(rejected))
        self._chunk_bytes += len(rejected.record)
        if len(self._chunk) >= MOST_ROWS or self._chunk_bytes >= MOST_BYTES:
            self._flush()

    def append_ended(self, ends: Sequence[JobEnded]) -> None:
        """Append the last chunk of rejects, and the receipts of requests with a job, with their job's outcome."""
        self._flush()
        by_job = {end.job.job_id: {"outcome": str(end.outcome), "detail": end.reason} for end in ends}
        self._append_staged(self.receipts, ResultKind.RECEIPT, len(ends), by_job)

    def remove_staging(self) -> None:
        """Delete staged rows and crash receipts; what could not be written is still there."""
        if self.staging is not None and not self.failures:
            with suppress(OSError):  # `follow_klaviyo` knows them by the receipts that are written
                self.crash_receipts.remove()
            self.remove(self.staging, NOT_REMOVED)

    def remove(self, location: SparkLocation, warning: str) -> None:
        """Delete rows that were kept for a while; where that fails the warning will say so."""
        try:
            location.remove()
        except spark_errors():
            self.left_behind.append(warning.format(location.shown))

    def readers(self, stopped: str | None) -> dict[str, Any]:
        """What opens this run's rejects, receipts, and removed members as DataFrames, as a report takes it.

        None for rejects and receipts that could not be written whole: a report then shows its own samples.
        """
        are_whole = not self.failures and stopped != StopCode.NOT_WRITTEN
        whole = {"rejects_reader": self.rejects, "receipts_reader": self.receipts} if are_whole else {}
        readers = {**whole, "removed_reader": self.removed}
        return {name: _reader(dataset, self.run_id) for name, dataset in readers.items()}

    # --- inside -------------------------------------------------------------------------------

    def _stage(self, rows: list[ResultRow]) -> None:
        staging = self._spark_staging
        if staging is not None and rows and not self.failures:
            frame = partial(self._spark.createDataFrame, rows, RESULT_DDL)
            self._attempt(self.task_staging.shown, lambda: staging.append_frame(frame()))

    def _stagings(self) -> tuple[SparkLocation | None, TaskStaging]:
        """Where Spark finds staged rows, and where tasks write them: beside a dataset that this process sees, too."""
        datasets = {ResultKind.RECEIPT: self.receipts, ResultKind.REJECT: self.rejects}
        kept = {kind: dataset for kind, dataset in datasets.items() if dataset is not None}
        if not kept:
            return None, TaskStaging(kinds=frozenset())
        beside = min(kept.values(), key=lambda dataset: (dataset.shared_folder is None, dataset.table != ""))
        staging = beside.staging(self.run_id)
        location = staging.location if beside.shared_folder is not None else None
        return staging, TaskStaging(location, f"{beside.option} ({beside.shown})", frozenset(kept))

    def _append_staged(self, dataset: Dataset | None, kind: ResultKind, count: int, ends: Ends) -> None:
        """Append the staged rows of a kind, about so many: a few from this process, which needs no job of Spark's."""
        staging, location = self.staging, self.task_staging.location
        if dataset is None or staging is None or not count:
            return
        typed = partial(staged_rows, kind, dataset.columns, ends)
        if location is not None and dataset.folder is not None and (count <= MOST_ROWS_HERE or dataset.through_arrow):
            self._append(dataset, lambda: typed(read_staged(Folder.at(location), self._staged_files)))
            return
        files = None if location is None else self._staged_files
        self._append(dataset, lambda: staging.read(RESULT_SCHEMA, files).mapInArrow(typed, ddl(dataset.columns)))

    def _flush(self) -> None:
        self.append(self.rejects, self._chunk)
        self._chunk, self._chunk_bytes = [], 0

    def _append(self, dataset: Dataset | None, rows: Callable[[], NewRows]) -> None:
        """Append rows, if the dataset was asked for.

        Spark's error is kept as a failure: everything was sent by then, and the caller must still get the report.
        """
        if dataset is not None:
            self._attempt(f"{dataset.option} ({dataset.shown})", lambda: dataset.append(rows()))

    def _attempt(self, shown: str, write: Callable[[], None]) -> None:
        try:
            write()
        except (*spark_errors(), pa.ArrowException):
            failure = f"{shown} could not be written after sending"
            self.failures += [failure] if failure not in self.failures else []


def _dataset(spark: Any, option: str, location: str | None, columns: tuple[Column, ...]) -> Dataset | None:
    return Dataset(spark, location.rstrip("/") or "/", option, columns) if location else None


def _reader(dataset: Dataset | None, run_id: str) -> Reader | None:
    if dataset is None:
        return None
    return lambda: dataset.read(arrow_schema(dataset.columns)).where(f"run_id = '{run_id}'")
