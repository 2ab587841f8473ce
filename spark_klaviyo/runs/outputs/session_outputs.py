"""Rejects, receipts and the line of a run, written through Spark: the calling process never holds more than a chunk.

The tasks' result rows are staged by the one action that sends; datasets are filled from there. Receipts of requests
with a job are written when the job has ended, so that every request has one row; a run that is cut off before leaves
them in the staging place, or where the tasks wrote them at once (`crash_receipts`), and `follow_klaviyo` finds them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from spark_klaviyo.core.models import Receipt
from spark_klaviyo.datasets.schemas import RECEIPTS, REJECTS, RUNS, Column, ddl
from spark_klaviyo.datasets.spark_storage import Dataset, Staging, spark_errors
from spark_klaviyo.deliver.jobs.follow import JobEnded
from spark_klaviyo.options.addresses import is_table
from spark_klaviyo.options.model import Options
from spark_klaviyo.report.report import Reader, WriteReport
from spark_klaviyo.runs.outputs.crash_receipts import EarlyReceipts
from spark_klaviyo.runs.outputs.results import JOB, RECEIPT, REJECT, REPORT, RESULT, reject_body
from spark_klaviyo.runs.outputs.run_row import run_row
from spark_klaviyo.task.jobs import RejectedRow

if TYPE_CHECKING:
    from pyspark.sql import Column as SparkColumn
    from pyspark.sql import DataFrame

CHUNK_ROWS, CHUNK_BYTES = 5_000, 16_000_000
LEFT_BEHIND = "the staging place of this run could not be removed and holds rejected rows; remove it by hand: {}"


@dataclass
class Outputs:
    """The datasets of one run. `troubles` gathers what could not be written after everything was sent."""

    run_id: str
    rejects: Dataset | None = None
    receipts: Dataset | None = None
    runs: Dataset | None = None
    staging: Staging | None = None
    early: EarlyReceipts = field(default_factory=EarlyReceipts)
    troubles: list[str] = field(default_factory=list)
    _chunk: list[tuple[object, ...]] = field(default_factory=list)
    _size: int = 0
    _bare: set[str] = field(default_factory=set)  # options of places that hold nothing yet

    @staticmethod
    def of(spark: Any, options: Options, run_id: str) -> Outputs:
        """What the options ask for."""
        rejects = _dataset(spark, "rejects_path", options.rejects_path, REJECTS)
        receipts = _dataset(spark, "receipts_path", options.receipts_path, RECEIPTS)
        runs = _dataset(spark, "runs_path", options.runs_path, RUNS)
        places = [one.location for one in (receipts, rejects) if one is not None]
        beside = next((place for place in places if not is_table(place)), next(iter(places), None))
        staging = Staging.beside(spark, beside, run_id) if beside is not None else None
        early = EarlyReceipts(run_id, receipts.location if receipts is not None and not receipts.table else None)
        return Outputs(run_id, rejects, receipts, runs, staging, early)

    @property
    def kinds(self) -> frozenset[str]:
        """The result rows that the tasks have to hand back."""
        wanted = {REPORT, JOB}
        return frozenset(wanted | ({REJECT} if self.rejects else set()) | ({RECEIPT} if self.receipts else set()))

    def prepare(self) -> None:
        """Before anything is sent: can all of it be written? Raises `OptionError`."""
        for dataset in (self.rejects, self.receipts, self.runs):
            if dataset is not None and not dataset.prepare():
                self._bare.add(dataset.option)
        self.early = self.early.checked()

    def ran(self, frame: DataFrame) -> DataFrame:
        """The result rows that the driver reads; the frame is evaluated exactly once, here or by who collects."""
        if self.staging is None:
            return frame
        self.staging.write(frame)
        return self._staged().where(f"kind NOT IN ('{REJECT}', '{RECEIPT}')")

    def keep_rows(self, rejected: int, without_job: int = 1) -> None:
        """Fill the datasets with what the tasks told, but for the receipts whose jobs are open; 0 rows cost nothing."""
        if self.rejects is not None and rejected:
            self._write(self.rejects, self._rows(REJECT, REJECTS))
        if self.receipts is not None and without_job:
            self._write(self.receipts, self._rows(RECEIPT, RECEIPTS).where("job_id IS NULL"))

    def keep_receipts(self, receipts: list[Receipt]) -> None:
        """Append receipts of requests that this process made."""
        if self.receipts is not None and receipts:
            told = [asdict(receipt) for receipt in receipts]
            with self._told(self.receipts):
                self.receipts.append_rows([tuple(_value(one, column) for column in RECEIPTS) for one in told])

    def keep_refused(self, refused: RejectedRow) -> None:
        """Take a row that its job refused; appended in chunks."""
        if self.rejects is None:
            return
        body = reject_body(self.run_id, refused.partition_id, refused)
        self._chunk.append(tuple(body[column.name] for column in REJECTS))
        self._size += len(refused.rejection.record)
        if len(self._chunk) >= CHUNK_ROWS or self._size >= CHUNK_BYTES:
            self._flush()

    def keep_ends(self, ends: list[JobEnded]) -> None:
        """Write the receipts of requests with a job, with the outcome their job came to, and the last chunk."""
        self._flush()
        if self.receipts is not None and ends:
            self._settled_receipts(self.receipts, ends)
        for dataset in (self.rejects, self.receipts):
            if dataset is not None and dataset.option in self._bare:
                with self._told(dataset):
                    dataset.append_rows([])

    def keep_run(self, report: WriteReport, options: Options) -> None:
        """Append the line of this run."""
        if self.runs is not None:
            row = run_row(report, options)
            with self._told(self.runs):
                self.runs.append_rows([tuple(row[column.name] for column in RUNS)])

    def remove_staging(self) -> str:
        """Clean up; what to tell the caller where that failed."""
        if self.staging is None or self.troubles:  # what could not be written is still there
            return ""
        try:
            self.early.remove()
            self.staging.remove()
        except spark_errors():
            return LEFT_BEHIND.format(self.staging.shown)
        return ""

    def readers(self) -> tuple[Reader | None, Reader | None]:
        """What opens this run's rejects, and receipts, as DataFrames."""
        return _reader(self.rejects, self.run_id), _reader(self.receipts, self.run_id)

    # --- inside -------------------------------------------------------------------------------

    def _staged(self) -> DataFrame:
        if self.staging is None:
            raise AssertionError("nothing was staged")
        return self.staging.read(RESULT)

    def _rows(self, kind: str, columns: tuple[Column, ...]) -> DataFrame:
        from pyspark.sql.functions import col, from_json

        body: SparkColumn = from_json(col("body"), ddl(columns)).alias("row")
        return self._staged().where(f"kind = '{kind}'").select(body).select("row.*")

    def _settled_receipts(self, receipts: Dataset, ends: list[JobEnded]) -> None:
        from pyspark.sql.functions import broadcast, coalesce, col

        known = [(end.job.job_id, end.outcome, end.reason) for end in ends]
        schema = "ended_job_id string, ended_outcome string, ended_detail string"
        told = receipts.spark.createDataFrame(known, schema)
        rows = self._rows(RECEIPT, RECEIPTS).where("job_id IS NOT NULL")
        joined = rows.join(broadcast(told), col("job_id") == col("ended_job_id"), "left")
        outcome = coalesce(col("ended_outcome"), col("outcome")).alias("outcome")
        detail = coalesce(col("ended_detail"), col("detail")).alias("detail")
        same = [column.name for column in RECEIPTS if column.name not in ("outcome", "detail")]
        self._write(receipts, joined.select(*same, outcome, detail))

    def _flush(self) -> None:
        if self.rejects is not None and self._chunk:
            with self._told(self.rejects):
                self.rejects.append_rows(self._chunk)
        self._chunk, self._size = [], 0

    def _write(self, dataset: Dataset, rows: DataFrame) -> None:
        with self._told(dataset):
            dataset.append(rows)

    def _told(self, dataset: Dataset) -> _Told:
        self._bare.discard(dataset.option)
        return _Told(self.troubles, dataset)


def _value(receipt: dict[str, object], column: Column) -> object:
    value = receipt[column.name]
    return datetime.fromisoformat(str(value).replace("Z", "+00:00")) if column.type == "timestamp" else value


class _Told:
    """Keeps Spark's error as a sentence: everything was sent by then, and the report must still reach the caller."""

    def __init__(self, troubles: list[str], dataset: Dataset) -> None:
        self._troubles, self._dataset = troubles, dataset

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, spark_errors()):
            return False
        self._troubles.append(f"{self._dataset.option}: {self._dataset.shown} could not be written after sending")
        return True


def _dataset(spark: Any, option: str, place: str | None, columns: tuple[Column, ...]) -> Dataset | None:
    return Dataset(spark, place.rstrip("/") or "/", option, columns) if place else None


def _reader(dataset: Dataset | None, run_id: str) -> Reader | None:
    return None if dataset is None else lambda: dataset.rows().where(f"run_id = '{run_id}'")
