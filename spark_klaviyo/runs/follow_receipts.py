"""Follows the jobs that earlier runs left open: receipts in, the report of those jobs out. Needs pyarrow, and no Spark.

Receipts are read from a folder, hidden files of killed runs included, or given as rows. A folder is appended to: each
job that ends adds a row, the request's own with the job's outcome. Such a row replaces, for readers, the `accepted` one
of the same `job_id`. Rejected rows of a run that was killed before it wrote them are moved from its staging location to
`rejects_path`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc

from spark_klaviyo.core.choices import Api
from spark_klaviyo.core.codes import ReceiptOutcome
from spark_klaviyo.core.models import Receipt, RejectedRow
from spark_klaviyo.datasets.schemas import RECEIPTS, REJECTS, missing_keys
from spark_klaviyo.datasets.spark_storage import STAGING
from spark_klaviyo.datasets.storage import Folder, PartWriter
from spark_klaviyo.deliver.jobs.poll import OpenJob
from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.addresses import is_table
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.make import make_plan
from spark_klaviyo.report.counts.task_report import TaskReport, merge
from spark_klaviyo.report.report import WriteReport
from spark_klaviyo.runs.results import ResultKind, return_or_raise
from spark_klaviyo.runs.task_write import OPEN_RECEIPTS, TaskOutputs
from spark_klaviyo.task.context import SendContextFactory
from spark_klaviyo.task.run import OPEN_JOB, poll_jobs

Row = Mapping[str, object]
Key = tuple[object, ...]  # names a request
NAMES = [column.name for column in RECEIPTS]
STAGED_ROWS = 2_000  # result rows held at a time
MOST_READ = 100_000  # run ids read at a time
NO_JOB = "no open job"
RECOVERED = "rejected rows of a run that was killed were written to rejects_path"
WAITING = "rejected rows of a run that was killed are still in its staging location: give its rejects_path to keep them"


def follow_receipts(receipts: object, options: Options, contexts: SendContextFactory | None = None) -> WriteReport:
    """Follow every open job of these receipts to its end; the report of those jobs.

    Raises `OptionError` where the receipts cannot be read or were written at another address, `RowsRejected` with
    `on_reject=fail` where jobs refused rows.
    """
    _refuse_options(options)
    open_receipts = OpenReceipts.of(receipts)
    rows = sorted(open_receipts.rows(), key=_run_of)
    _refuse_other_hosts(rows, options.base_url)
    run_id = uuid4().hex
    follower = _Follower(options, contexts or SendContextFactory(), open_receipts, f"part-{run_id}-follow")
    total = merge([follower.follow(template, list(group)) for (template, _), group in groupby(rows, key=_run_of)])
    follower.recover_rejects(total)
    follower.close()
    templates = sorted({template for template, _ in map(_run_of, rows)})
    report = WriteReport.of(total, run_id=run_id, template=", ".join(templates) or NO_JOB)
    TaskOutputs(runs_path=options.runs_path).append_run(report, options)
    return return_or_raise(report, options.on_reject)


def _refuse_options(options: Options) -> None:
    if options.receipts_path:
        raise OptionError("receipts_path: outcomes are appended to the receipts that are given; leave it out")
    for name, location in (("rejects_path", options.rejects_path), ("runs_path", options.runs_path)):
        if location and is_table(location):
            raise OptionError(f"{name}: table: needs a Spark session, and following has none; give a path")


def _run_of(row: Row) -> tuple[str, str]:
    return str(row["template"]), str(row["run_id"])


def _refuse_other_hosts(rows: Iterable[Row], base_url: str) -> None:
    """A key is sent to the address that the caller gives, never to one that a file holds."""
    others = {str(row["url"]).partition("/api/")[0] for row in rows} - {base_url.rstrip("/")}
    if others:
        raise OptionError(f"base_url: these receipts were written at {', '.join(sorted(others))}, not at {base_url}")


class _Follower:
    """Follows the jobs of one run after another, and writes what became of them."""

    def __init__(self, options: Options, contexts: SendContextFactory, open_receipts: OpenReceipts, stem: str) -> None:
        self._options, self._contexts, self._open_receipts = options, contexts, open_receipts
        path, receipts = options.rejects_path, open_receipts.folder
        self._rejects_folder = Folder.at(path) if path else None
        self._rejects = PartWriter(self._rejects_folder, REJECTS, stem) if self._rejects_folder is not None else None
        # a job that has ended is never followed again, so the rows that it refused are written before its receipt
        self._receipts = PartWriter(receipts, RECEIPTS, stem, self._rejects) if receipts is not None else None

    def follow(self, template: str, rows: list[Row]) -> TaskReport:
        """Follow the jobs of one run."""
        run_id = str(rows[0]["run_id"])
        plan = make_plan(replace(self._options, template=template, api=Api.CURRENT), (), run_id, schema_known=False)
        by_job: dict[str, list[Row]] = {}
        for row in rows:
            by_job.setdefault(str(row["job_id"]), []).append(row)
        jobs = [_open_job(row) for row in rows]
        report = TaskReport(rows=sum(job.rows for job in jobs))
        report.accept(report.rows, OPEN_JOB)
        with self._contexts.open(plan, 0, 0) as context:
            report.started = context.clock.wall().timestamp()
            for event in poll_jobs(plan, jobs, context, report):
                now = context.clock.now()
                if isinstance(event, RejectedRow):
                    self._add_reject(asdict(event), now)
                    continue
                for row in by_job[event.job.job_id]:
                    self._add_receipt({**row, "outcome": event.outcome, "detail": event.reason}, now)
            report.ended = context.clock.wall().timestamp()
        return report

    def recover_rejects(self, total: TaskReport) -> None:
        """Write the rejected rows that killed runs left in staging locations; they are no rows of the report."""
        for run_id, rows in self._open_receipts.staged_rejects():
            if self._rejects_folder is not None and _holds_run(self._rejects_folder, run_id):
                continue  # a run writes all of them at once, before it follows its jobs
            for row in rows:
                total.warn(RECOVERED if self._rejects is not None else WAITING)
                self._add_reject(row, 0.0)

    def close(self) -> None:
        """Write what is held, and delete the hidden files, whose rows are in the dataset by then."""
        for writer in filter(None, (self._rejects, self._receipts)):
            writer.flush()
        self._open_receipts.clear_hidden()

    def _add_reject(self, row: Row, now: float) -> None:
        if self._rejects is not None:
            self._rejects.add(row, now)

    def _add_receipt(self, row: Row, now: float) -> None:
        """A further row for a job that has ended, and for a request that readers do not see yet."""
        is_hidden = key_of(row) in self._open_receipts.hidden
        if self._receipts is not None and (is_hidden or row["outcome"] != "accepted"):
            self._receipts.add(row, now)


def _holds_run(rejects: Folder, run_id: str) -> bool:
    return any(
        pc.any(pc.equal(piece.column(0), run_id)).as_py()
        for name in rejects.names()
        for piece in rejects.read_batches(name, ["run_id"], MOST_READ)
    )


def _open_job(row: Row) -> OpenJob:
    numbers = (int(str(row[name])) for name in ("rows", "sequence", "partition_id"))
    return OpenJob(str(row["job_id"]), *numbers)


# --- the receipts of open jobs --------------------------------------------------------------------


@dataclass
class OpenReceipts:
    """Receipts of open jobs.

    `folder`: where further rows are appended, if anywhere. `hidden`: requests whose receipts readers do not see yet.
    """

    folder: Folder | None = None
    given: tuple[Row, ...] = ()
    hidden: set[Key] = field(default_factory=set)
    _hidden_names: list[str] = field(default_factory=list)

    @staticmethod
    def of(receipts: object) -> OpenReceipts:
        """A path or URI; a DataFrame of receipts, or `report.receipts`, for which no further rows are written."""
        if isinstance(receipts, str | Path):
            if is_table(str(receipts)):
                raise OptionError("receipts: a table needs a Spark session: give the DataFrame, spark.table(...)")
            return OpenReceipts(Folder.at(str(receipts)))
        if hasattr(receipts, "where") and hasattr(receipts, "collect"):
            rows = receipts.where("job_id IS NOT NULL").collect()
            return OpenReceipts(given=tuple(row.asDict() for row in rows))
        if isinstance(receipts, Iterable):
            return OpenReceipts(given=tuple(asdict(one) for one in receipts if isinstance(one, Receipt)))
        raise OptionError("receipts: must be the path of a receipts dataset, a DataFrame of it, or report.receipts")

    def rows(self) -> list[Row]:
        """One row for each request whose job is open; files are read twice, so that few rows are held."""
        if self.folder is None:
            return list(_open_rows(self.given, self.given, {}).values())
        names = self.folder.names()
        folders = {folder.path.rpartition("/")[2]: folder for folder in self.folder.folders()}
        if not names and not folders:
            raise OptionError(f"receipts: there are none at {self.folder.path}")
        hidden = {key_of(row): row for row in self._hidden_rows(folders)}
        visible = _open_rows(_read(self.folder, names), _read(self.folder, names), hidden)
        self.hidden = set(hidden)
        return [*hidden.values(), *visible.values()]

    def staged_rejects(self) -> Iterator[tuple[str, Iterator[Row]]]:
        """By run, the rejected rows of runs that were killed before they wrote any dataset."""
        staging = self.folder.child(STAGING) if self.folder is not None else None
        for run in staging.folders() if staging is not None else ():
            yield run.path.rpartition("/")[2], _staged_rows(run, ResultKind.REJECT)

    def clear_hidden(self) -> None:
        """Delete the hidden files of killed tasks: their rows are in the dataset by now."""
        for name in self._hidden_names:
            if self.folder is not None:
                self.folder.child(OPEN_RECEIPTS).delete(name)

    def _hidden_rows(self, folders: Mapping[str, Folder]) -> Iterator[Row]:
        """Receipts with a job that killed tasks have left, and runs that were killed while they followed their jobs."""
        if OPEN_RECEIPTS in folders:
            self._hidden_names = folders[OPEN_RECEIPTS].names()
            yield from _read(folders[OPEN_RECEIPTS], self._hidden_names)
        for run in folders[STAGING].folders() if STAGING in folders else ():
            yield from (row for row in _staged_rows(run, ResultKind.RECEIPT) if row.get("job_id"))


def _read(folder: Folder, names: Iterable[str]) -> Iterator[Row]:
    """Receipts with a job, a file at a time."""
    for name in names:
        try:
            table = folder.read(name, NAMES)
        except (pa.ArrowException, OSError, KeyError) as error:
            raise OptionError(f"receipts: {name} cannot be read as receipts: is this their folder?") from error
        missing = missing_keys(RECEIPTS, table.column_names)
        if missing:
            raise OptionError(f"receipts: {name} holds something else: it has no column {', '.join(missing)}")
        yield from (row for row in table.to_pylist() if row["job_id"])


def _staged_rows(run: Folder, kind: ResultKind) -> Iterator[Row]:
    for name in run.names():
        for piece in run.read_batches(name, ["kind", "body"], STAGED_ROWS):
            kinds, bodies = (column.to_pylist() for column in piece.columns)
            yield from (json.loads(body) for one, body in zip(kinds, bodies, strict=True) if one == kind)


def key_of(row: Row) -> Key:
    """What names a receipt's request; several requests may have been answered with the same job."""
    return tuple(row[name] for name in ("job_id", "run_id", "partition_id", "sequence"))


def _open_rows(rows: Iterable[Row], again: Iterable[Row], hidden: dict[Key, Row]) -> dict[Key, Row]:
    """Accepted rows by request, without those that a later row replaces. Takes visible requests out of `hidden`."""
    found = {key_of(row): row for row in rows if row["outcome"] == ReceiptOutcome.ACCEPTED and row["job_id"]}
    for row in again:
        hidden.pop(key_of(row), None)
        if row["outcome"] != ReceiptOutcome.ACCEPTED:
            found.pop(key_of(row), None)
    return found
