"""Follows the jobs that earlier runs left open: receipts in, the report of those jobs out. Needs pyarrow, and no Spark.

A folder of receipts is appended to: each job that ends adds a row, the request's own with the job's outcome. Such a row
replaces, for readers, the `accepted` one of the same `job_id`. Rejected rows of a run that was killed before it wrote
them are moved from its staging location to `rejects_path`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby
from uuid import uuid4

import pyarrow.compute as pc

from spark_klaviyo.core.choices import Api
from spark_klaviyo.datasets.parts import PartWriter
from spark_klaviyo.datasets.schemas import RECEIPTS, REJECTS
from spark_klaviyo.datasets.storage import Folder
from spark_klaviyo.deliver.jobs.poll import OpenJob
from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.addresses import is_table
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.make import make_plan
from spark_klaviyo.report.counts.task_report import TaskReport, merge
from spark_klaviyo.report.report import WriteReport
from spark_klaviyo.runs.follow.open_receipts import OpenReceipts, Row, key_of
from spark_klaviyo.runs.outputs.outcome import return_or_raise
from spark_klaviyo.runs.outputs.results import reject_row
from spark_klaviyo.runs.outputs.task_outputs import TaskOutputs
from spark_klaviyo.task.context import SendContextFactory
from spark_klaviyo.task.jobs import OPEN_JOB, RejectedRow, poll_jobs

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
    report = WriteReport(run_id, ", ".join(templates) or NO_JOB, **vars(total))
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
                    self._add_reject(reject_row(run_id, event), now)
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
