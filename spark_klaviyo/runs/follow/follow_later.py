"""Settling later the jobs that a run left open: receipts in, the report of those jobs out. Needs pyarrow, and no Spark.

A folder of receipts is appended to: each job that is settled gets a further row, the request's own with the outcome its
job came to. A row with another outcome than `accepted` replaces, for readers, the `accepted` one of the same `job_id`.
Rejected rows of a run that was cut off before it could write them are moved from its staging place to `rejects_path`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from uuid import uuid4

import pyarrow.compute as pc

from spark_klaviyo.core.choices import Api
from spark_klaviyo.datasets.parts import PartWriter
from spark_klaviyo.datasets.schemas import RECEIPTS, REJECTS
from spark_klaviyo.datasets.storage import Folder
from spark_klaviyo.deliver.jobs.follow import OpenJob
from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.addresses import is_table
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.make import make_plan
from spark_klaviyo.report.report import WriteReport
from spark_klaviyo.report.task_report import TaskReport, merge
from spark_klaviyo.runs.follow.open_receipts import OpenReceipts, Row, key_of
from spark_klaviyo.runs.outputs.outcome import ended
from spark_klaviyo.runs.outputs.results import reject_body
from spark_klaviyo.runs.outputs.task_outputs import TaskOutputs
from spark_klaviyo.task.context import SendContextFactory
from spark_klaviyo.task.jobs import OPEN_JOB, RejectedRow, poll_jobs

MOST_READ = 100_000  # run ids looked at in one go
NO_JOB = "no open job"
RECOVERED = "rejected rows of a run that was cut off were written to rejects_path"
WAITING = (
    "rejected rows of a run that was cut off stand in the staging place: follow with its rejects_path to keep them"
)


def settle_later(receipts: object, options: Options, contexts: SendContextFactory | None = None) -> WriteReport:
    """Follow every open job of these receipts to its end.

    Raises `OptionError` where the receipts cannot be read or were written elsewhere, `RowsRejected` with
    `on_reject=fail` where jobs refused rows.
    """
    _judge(options)
    found = OpenReceipts.of(receipts)
    rows = sorted(found.rows(), key=_run)
    _same_place(rows, options.base_url)
    run_id = uuid4().hex
    later = _Later(options, contexts or SendContextFactory(), found, run_id)
    totals = [later.settle(name, list(group)) for (name, _), group in groupby(rows, key=_run)]
    total = merge(totals)
    later.recover(total)
    later.close()
    names = {name for name, _ in map(_run, rows)}
    template = ", ".join(sorted(names)) or NO_JOB
    report = WriteReport.of(total, run_id=run_id, template=template)
    TaskOutputs(run_id, runs_path=options.runs_path).keep_run(report, options)
    return ended(report, options.on_reject)


def _judge(options: Options) -> None:
    if options.receipts_path:
        raise OptionError("receipts_path: what is settled is appended to the receipts that are given; leave it out")
    for name, place in (("rejects_path", options.rejects_path), ("runs_path", options.runs_path)):
        if place and is_table(place):
            raise OptionError(f"{name}: table: needs a Spark session, and following has none; give a path")


def _run(row: Row) -> tuple[str, str]:
    return str(row["template"]), str(row["run_id"])


def _same_place(rows: Iterable[Row], base_url: str) -> None:
    """A key is sent where the caller says, never where a file says."""
    elsewhere = {str(row["url"]).partition("/api/")[0] for row in rows} - {base_url.rstrip("/")}
    if elsewhere:
        raise OptionError(f"base_url: these receipts were written at {', '.join(sorted(elsewhere))}, not at {base_url}")


class _Later:
    """Follows one run's jobs after the other's."""

    def __init__(self, options: Options, contexts: SendContextFactory, found: OpenReceipts, run_id: str) -> None:
        self._options, self._contexts, self._found = options, contexts, found
        stem = f"part-{run_id}-follow"
        folder = found.folder
        place = options.rejects_path
        self._kept = Folder.at(place) if place else None
        self._rejects = PartWriter(self._kept, REJECTS, stem) if self._kept is not None else None
        # a settled job is never asked again, so the rows that it refused are on disk before its receipt is
        self._receipts = PartWriter(folder, RECEIPTS, stem, self._rejects) if folder is not None else None

    def settle(self, template: str, rows: list[Row]) -> TaskReport:
        """Follow the jobs of one run."""
        run_id = str(rows[0]["run_id"])
        plan = make_plan(replace(self._options, template=template, api=Api.CURRENT), (), run_id, schema_known=False)
        by_job: dict[str, list[Row]] = {}
        for row in rows:
            by_job.setdefault(str(row["job_id"]), []).append(row)
        jobs = list(_jobs(rows))
        report = TaskReport(rows=sum(job.rows for job in jobs))
        report.accept(report.rows, OPEN_JOB)
        with self._contexts.open(plan, 0, 0) as context:
            report.started = context.clock.wall().timestamp()
            for event in poll_jobs(plan, jobs, context, report):
                now = context.clock.now()
                if isinstance(event, RejectedRow):
                    self._refuse(reject_body(run_id, event.partition_id, event), now)
                    continue
                for row in by_job[event.job.job_id]:
                    self._keep({**row, "outcome": event.outcome, "detail": event.reason}, now)
            report.ended = context.clock.wall().timestamp()
        return report

    def recover(self, total: TaskReport) -> None:
        """Write down the rejected rows that stand in staging places; they are no rows of the report."""
        for run_id, rows in self._found.staged_rejects():
            if self._kept is not None and _holds(self._kept, run_id):
                continue  # a run writes them all at once, before it follows its jobs
            for row in rows:
                total.warn(RECOVERED if self._rejects is not None else WAITING)
                self._refuse(row, 0.0)

    def close(self) -> None:
        """Write out what is held; what stood in hidden places has its row by now."""
        for writer in filter(None, (self._rejects, self._receipts)):
            writer.flush()
        self._found.clear_hidden()

    def _refuse(self, row: Row, now: float) -> None:
        if self._rejects is not None:
            self._rejects.add(row, now)

    def _keep(self, row: Row, now: float) -> None:
        """A further row for a job that is settled, or that has none that readers see."""
        hidden = key_of(row) in self._found.hidden
        if self._receipts is not None and (hidden or row["outcome"] != "accepted"):
            self._receipts.add(row, now)


def _holds(rejects: Folder, run_id: str) -> bool:
    return any(
        pc.any(pc.equal(piece.column(0), run_id)).as_py()
        for name in rejects.names()
        for piece in rejects.read_batches(name, ["run_id"], MOST_READ)
    )


def _jobs(rows: Iterable[Row]) -> Iterator[OpenJob]:
    for row in rows:
        numbers = (int(str(row[name])) for name in ("rows", "sequence", "partition_id"))
        yield OpenJob(str(row["job_id"]), *numbers)
