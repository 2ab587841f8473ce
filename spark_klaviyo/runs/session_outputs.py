"""Rejects, receipts and the row of a run, written through Spark; this process never holds more than a chunk of them.

The one action that sends also stages the tasks' result rows; datasets are filled from there. Receipts of requests with
a job are written when the job has ended, so that every request has one row. A run that is killed before leaves them in
the staging location, or where its tasks wrote them at once (`crash_receipts`), for `follow_klaviyo`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from spark_klaviyo.core.models import Receipt, RejectedRow
from spark_klaviyo.datasets.schemas import RECEIPTS, REJECTS, RUNS, Column, ddl
from spark_klaviyo.datasets.spark_storage import Dataset, Staging, plain_rows, spark_errors
from spark_klaviyo.deliver.jobs.poll import JobEnded
from spark_klaviyo.options.addresses import is_table
from spark_klaviyo.options.model import Options
from spark_klaviyo.report.report import Reader, WriteReport
from spark_klaviyo.runs.results import RESULT_DDL, ResultKind, run_row
from spark_klaviyo.runs.task_write import CrashReceipts

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

CHUNK_ROWS, CHUNK_BYTES = 5_000, 16_000_000
NOT_REMOVED = "the staging location of this run could not be removed and holds rejected rows; delete it yourself: {}"


@dataclass
class SessionOutputs:
    """The datasets of one run. `failures`: those that could not be written after everything was sent."""

    run_id: str
    rejects: Dataset | None
    receipts: Dataset | None
    runs: Dataset | None
    staging: Staging | None
    crash_receipts: CrashReceipts
    failures: list[str] = field(default_factory=list)
    _empty: set[str] = field(default_factory=set)  # options of datasets without a file
    _chunk: list[tuple[object, ...]] = field(default_factory=list)
    _chunk_bytes: int = 0

    @staticmethod
    def open(spark: Any, options: Options, run_id: str) -> SessionOutputs:
        """What the options ask for. Raises `OptionError` where it cannot be written."""
        rejects = _dataset(spark, "rejects_path", options.rejects_path, REJECTS)
        receipts = _dataset(spark, "receipts_path", options.receipts_path, RECEIPTS)
        runs = _dataset(spark, "runs_path", options.runs_path, RUNS)
        locations = [one.location for one in (receipts, rejects) if one is not None]
        beside = min(locations, key=is_table, default=None)  # a path where there is one
        staging = Staging.beside(spark, beside, run_id) if beside is not None else None
        crash_receipts = CrashReceipts(
            run_id, receipts.location if receipts is not None and not receipts.table else None
        )
        outputs = SessionOutputs(run_id, rejects, receipts, runs, staging, crash_receipts)
        for dataset in (rejects, receipts, runs):
            if dataset is not None and not dataset.prepare():
                outputs._empty.add(dataset.option)
        outputs.crash_receipts = crash_receipts.if_usable()
        return outputs

    @property
    def kinds(self) -> frozenset[ResultKind]:
        """The result rows that the tasks have to hand back."""
        kinds = {ResultKind.REPORT, ResultKind.JOB}
        if self.rejects is not None:
            kinds.add(ResultKind.REJECT)
        if self.receipts is not None:
            kinds.add(ResultKind.RECEIPT)
        return frozenset(kinds)

    def stage(self, frame: DataFrame) -> DataFrame:
        """The result rows that the driver collects; the frame is evaluated once, here or when they are collected."""
        if self.staging is None:
            return frame
        self.staging.write(frame)
        kept = ResultKind.REJECT, ResultKind.RECEIPT
        return self._staged().where(f"kind NOT IN ('{kept[0]}', '{kept[1]}')")

    def append_staged(self, rejected: int, without_job: int = 1) -> None:
        """Append staged rows, but for receipts with a job; with no row of a kind nothing is read."""
        if self.rejects is not None and rejected:
            with self._writing(self.rejects):
                self.rejects.append(self._rows(ResultKind.REJECT, REJECTS))
        if self.receipts is not None and without_job:
            with self._writing(self.receipts):
                self.receipts.append(self._rows(ResultKind.RECEIPT, RECEIPTS).where("job_id IS NULL"))

    def append_receipts(self, receipts: Sequence[Receipt]) -> None:
        """Append receipts of requests that this process made."""
        if self.receipts is not None and receipts:
            with self._writing(self.receipts):
                self.receipts.append_rows([_receipt_row(receipt) for receipt in receipts])

    def add_reject(self, rejected: RejectedRow) -> None:
        """Add a row that its job refused; rows are appended in chunks."""
        if self.rejects is None:
            return
        self._chunk.append(tuple(getattr(rejected, column.name) for column in REJECTS))
        self._chunk_bytes += len(rejected.record)
        if len(self._chunk) >= CHUNK_ROWS or self._chunk_bytes >= CHUNK_BYTES:
            self._flush()

    def append_ended(self, ends: Sequence[JobEnded]) -> None:
        """Append the last chunk of rejects, and the receipts of requests with a job, with their job's outcome."""
        self._flush()
        if self.receipts is not None and ends:
            with self._writing(self.receipts):
                self.receipts.append(self._ended_receipts(self.receipts, ends))
        for dataset in (self.rejects, self.receipts):
            if dataset is not None and dataset.option in self._empty:
                with self._writing(dataset):
                    dataset.append_rows([])

    def append_run(self, report: WriteReport, options: Options) -> None:
        """Append the row of this run."""
        if self.runs is not None:
            row = run_row(report, options)
            with self._writing(self.runs):
                self.runs.append_rows([tuple(row[column.name] for column in RUNS)])

    def remove_staging(self) -> str:
        """Delete staged rows and crash receipts; a warning where that failed."""
        if self.staging is None or self.failures:  # what could not be written is still there
            return ""
        try:
            self.crash_receipts.remove()
            self.staging.remove()
        except spark_errors():
            return NOT_REMOVED.format(self.staging.shown)
        return ""

    def readers(self) -> tuple[Reader | None, Reader | None]:
        """What opens this run's rejects, and receipts, as DataFrames."""
        return _reader(self.rejects, self.run_id), _reader(self.receipts, self.run_id)

    # --- inside -------------------------------------------------------------------------------

    def _staged(self) -> DataFrame:
        if self.staging is None:
            raise AssertionError("nothing was staged")
        return self.staging.read(RESULT_DDL)

    def _rows(self, kind: ResultKind, columns: tuple[Column, ...]) -> DataFrame:
        from pyspark.sql.functions import col, from_json

        body = from_json(col("body"), ddl(columns)).alias("row")
        rows: DataFrame = self._staged().where(f"kind = '{kind}'").select(body).select("row.*")
        return rows

    def _ended_receipts(self, receipts: Dataset, ends: Sequence[JobEnded]) -> DataFrame:
        from pyspark.sql.functions import broadcast, coalesce, col

        ended = receipts.spark.createDataFrame(
            plain_rows((end.job.job_id, end.outcome, end.reason) for end in ends),
            "ended_job_id string, ended_outcome string, ended_detail string",
        )
        rows = self._rows(ResultKind.RECEIPT, RECEIPTS).where("job_id IS NOT NULL")
        joined = rows.join(broadcast(ended), col("job_id") == col("ended_job_id"), "left")
        replaced = {name: coalesce(col(f"ended_{name}"), col(name)).alias(name) for name in ("outcome", "detail")}
        return joined.select(*(replaced.get(column.name, col(column.name)) for column in RECEIPTS))

    def _flush(self) -> None:
        if self.rejects is not None and self._chunk:
            with self._writing(self.rejects):
                self.rejects.append_rows(self._chunk)
        self._chunk, self._chunk_bytes = [], 0

    @contextmanager
    def _writing(self, dataset: Dataset) -> Iterator[None]:
        """Keeps Spark's error as a failure: everything was sent by then, and the caller must still get the report."""
        self._empty.discard(dataset.option)
        try:
            yield
        except spark_errors():
            self.failures.append(f"{dataset.option}: {dataset.shown} could not be written after sending")


def _receipt_row(receipt: Receipt) -> tuple[object, ...]:
    row = asdict(receipt) | {"started_at": datetime.fromisoformat(receipt.started_at)}
    return tuple(row[column.name] for column in RECEIPTS)


def _dataset(spark: Any, option: str, location: str | None, columns: tuple[Column, ...]) -> Dataset | None:
    return Dataset(spark, location.rstrip("/") or "/", option, columns) if location else None


def _reader(dataset: Dataset | None, run_id: str) -> Reader | None:
    return None if dataset is None else lambda: dataset.rows().where(f"run_id = '{run_id}'")
