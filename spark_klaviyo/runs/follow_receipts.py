"""Follows the jobs that earlier runs left open: receipts in, the report of those jobs out. Needs pyarrow, and no Spark.

Receipts are read from a folder, hidden files of killed runs included, or given as rows. A folder is appended to: each
job that ends adds a row, the request's own with the job's outcome. Such a row replaces, for readers, the `accepted` one
of the same `job_id`. Rejected rows of a run that was killed before it wrote them are moved from its staging location to
`rejects_path`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from itertools import groupby
from pathlib import Path
from uuid import uuid4

import pyarrow as pa

from spark_klaviyo.account.target import read_target, require_account
from spark_klaviyo.core.codes import Api, ReceiptOutcome
from spark_klaviyo.core.models import Receipt, RejectedRow
from spark_klaviyo.datasets.schemas import RECEIPTS, REJECTS, missing_keys
from spark_klaviyo.datasets.spark_storage import STAGING
from spark_klaviyo.datasets.storage import MOST_ROWS, Folder, PartWriter
from spark_klaviyo.deliver.jobs import OpenJob
from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.addresses import is_table
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.make import make_plan
from spark_klaviyo.report.counts.task_report import TaskReport, merge
from spark_klaviyo.report.report import WriteReport
from spark_klaviyo.runs.results import ResultKind, return_or_raise
from spark_klaviyo.runs.staged import read_staged, rows_of
from spark_klaviyo.runs.tasks import OPEN_RECEIPTS, append_run
from spark_klaviyo.task.run import OPEN_JOB, SendContextFactory, poll_jobs

Row = Mapping[str, object]
Key = tuple[object, ...]  # names a request
NAMES = [column.name for column in RECEIPTS]
NO_JOB = "no open job"
RECOVERED = "rejected rows of a run that was killed were written to rejects_path"
WAITING = "rejected rows of a run that was killed are still in its staging location: give its rejects_path to keep them"


def follow_receipts(receipts: object, options: Options, contexts: SendContextFactory | None = None) -> WriteReport:
    """Follow every open job of these receipts to its end; the report of those jobs.

    Raises `OptionError` where the receipts cannot be read or were written at another address, `RowsRejected` with
    `on_reject=fail` where jobs refused rows.
    """
    _refuse_locations(receipts, options)
    require_account(options)
    run_id = uuid4().hex
    follower = _Follower(receipts, options, contexts or SendContextFactory(), f"part-{run_id}-follow")
    rows = sorted(follower.open_rows(), key=_run_of)
    _refuse_other_hosts(rows, options.base_url)
    total = merge([follower.follow(template, list(group)) for (template, _), group in groupby(rows, key=_run_of)])
    follower.recover_rejects(total)
    follower.close()
    templates = sorted({template for template, _ in map(_run_of, rows)})
    report = WriteReport(run_id, ", ".join(templates) or NO_JOB, target=read_target(options), **vars(total))
    return return_or_raise(append_run(report, options), options.on_reject)


def _refuse_locations(receipts: object, options: Options) -> None:
    if isinstance(receipts, str | Path) and is_table(str(receipts)):
        raise OptionError("receipts: a table needs a Spark session: give the DataFrame, spark.table(...)")
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
    """Follows the jobs of one run after another, and writes what became of them.

    Further receipts are appended to the folder of the given ones, if they are in one. `_hidden`: requests whose
    receipts readers do not see yet.
    """

    def __init__(self, receipts: object, options: Options, contexts: SendContextFactory, stem: str) -> None:
        self._options, self._contexts = options, contexts
        self._folder = Folder.at(str(receipts)) if isinstance(receipts, str | Path) else None
        self._given = _rows_of(receipts) if self._folder is None else []
        self._rejects_folder = Folder.at(options.rejects_path) if options.rejects_path else None
        self._rejects = PartWriter(self._rejects_folder, REJECTS, stem)
        # a job that has ended is never followed again, so the rows that it refused are written before its receipt
        self._receipts = PartWriter(self._folder, RECEIPTS, stem, self._rejects)
        self._hidden: set[Key] = set()
        self._hidden_names: list[str] = []

    def open_rows(self) -> list[Row]:
        """One row for each request whose job is open; files are read twice, so that few rows are held."""
        folder = self._folder
        if folder is None:
            return list(_open_rows(self._given, self._given, {}).values())
        names = folder.names()
        if not names and not folder.folders():
            raise OptionError(f"receipts: none were found at {folder.path}: give the receipts_path of the write")
        hidden = {key_of(row): row for row in self._hidden_rows(folder)}
        visible = _open_rows(_read(folder, names), _read(folder, names), hidden)
        self._hidden = set(hidden)
        return [*hidden.values(), *visible.values()]

    def _hidden_rows(self, folder: Folder) -> Iterator[Row]:
        """Receipts with a job that killed tasks have left, and runs that were killed while they followed their jobs."""
        self._hidden_names = folder.child(OPEN_RECEIPTS).names()
        yield from _read(folder.child(OPEN_RECEIPTS), self._hidden_names)
        for run in folder.child(STAGING).folders():
            yield from (row for row in _staged_rows(run, ResultKind.RECEIPT) if row.get("job_id"))

    def follow(self, template: str, rows: list[Row]) -> TaskReport:
        """Follow the jobs of one run."""
        run_id = str(rows[0]["run_id"])
        plan = make_plan(replace(self._options, template=template, api=Api.CURRENT), (), run_id, schema_known=False)
        by_job: dict[str, list[Row]] = {}
        for row in rows:
            by_job.setdefault(str(row["job_id"]), []).append(row)
        of_a_job = ("rows", "sequence", "partition_id")
        jobs = [OpenJob(str(row["job_id"]), *(int(str(row[name])) for name in of_a_job)) for row in rows]
        report = TaskReport(rows=sum(job.rows for job in jobs))
        report.accept(report.rows, OPEN_JOB)
        with self._contexts.open(plan, 0, 0) as context:
            report.started = context.clock.wall().timestamp()
            for event in poll_jobs(plan, jobs, context, report):
                now = context.clock.now()
                if isinstance(event, RejectedRow):
                    self._rejects.add(vars(event), now)
                    continue
                # a further row for a job that has ended, and for a request that readers do not see yet
                is_open = event.outcome is ReceiptOutcome.ACCEPTED
                for row in (row for row in by_job[event.job.job_id] if not is_open or key_of(row) in self._hidden):
                    self._receipts.add({**row, "outcome": event.outcome, "detail": event.reason}, now)
            report.ended = context.clock.wall().timestamp()
        return report

    def recover_rejects(self, total: TaskReport) -> None:
        """Write the rejected rows that killed runs left in staging locations; they are no rows of the report."""
        for run in self._folder.child(STAGING).folders() if self._folder is not None else ():
            if self._rejects_folder is not None and _holds_run(self._rejects_folder, run.path.rpartition("/")[2]):
                continue  # a run writes all of them at once, before it follows its jobs
            for row in _staged_rows(run, ResultKind.REJECT):
                total.warn(WAITING if self._rejects_folder is None else RECOVERED)
                self._rejects.add(row, 0.0)

    def close(self) -> None:
        """Write what is held, and delete the hidden files of killed tasks, whose rows are in the dataset by then."""
        self._rejects.flush()
        self._receipts.flush()
        if self._folder is not None:
            self._folder.child(OPEN_RECEIPTS).delete(*self._hidden_names)


def _holds_run(rejects: Folder, run_id: str) -> bool:
    pieces = (piece for name in rejects.names() for piece in rejects.read_batches(name, ["run_id"], MOST_ROWS))
    return any(run_id in piece.column(0).to_pylist() for piece in pieces)


# --- the receipts of open jobs --------------------------------------------------------------------


def _rows_of(receipts: object) -> list[Row]:
    """The rows of a DataFrame of receipts, or of `report.receipts`."""
    if hasattr(receipts, "where") and hasattr(receipts, "collect"):
        return [row.asDict() for row in receipts.where("job_id IS NOT NULL").collect()]
    if isinstance(receipts, Iterable):
        return [asdict(one) for one in receipts if isinstance(one, Receipt)]
    raise OptionError("receipts: must be the path of a receipts dataset, a DataFrame of it, or report.receipts")


def _read(folder: Folder, names: Iterable[str]) -> Iterator[Row]:
    """Receipts with a job, a file at a time."""
    for name in names:
        try:
            table = folder.read(name, NAMES)
        except (pa.ArrowException, OSError, KeyError) as error:
            wanted = "give the receipts_path of the write"
            raise OptionError(f"receipts: {name} cannot be read as receipts: {wanted}") from error
        missing = missing_keys(RECEIPTS, table.column_names)
        if missing:
            raise OptionError(f"receipts: {name} holds something else: it has no column {', '.join(missing)}")
        yield from (row for row in table.to_pylist() if row["job_id"])


def _staged_rows(run: Folder, kind: ResultKind) -> Iterator[Row]:
    for batch in read_staged(run, run.names()):
        yield from rows_of(kind, batch)


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
