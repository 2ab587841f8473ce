"""What becomes of a run's results: rows that tasks hand back through Spark, rows of datasets, and how the run ends.

Result rows are (kind, body) with a JSON body.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from enum import StrEnum
from itertools import islice

import pyarrow as pa

from spark_klaviyo.arrow.arrays import from_texts
from spark_klaviyo.core.arrow_types import ddl_of
from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.core.models import Receipt, RejectedRow
from spark_klaviyo.deliver.jobs import OpenJob
from spark_klaviyo.options.choices import OnReject
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.ratelimit.server import ResultRow
from spark_klaviyo.report.counts.summary import COUNTERS
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.report.counts.text import lines
from spark_klaviyo.report.report import RowsRejected, WriteReport, WriteStopped
from spark_klaviyo.task.run import TaskEvent, too_many

MOST_ROWS = 2_000  # result rows of one Arrow batch, and that are held at a time


class ResultKind(StrEnum):
    """What a result row holds."""

    REPORT = "report"  # counts of a task
    REJECT = "reject"  # a row of the rejects dataset
    RECEIPT = "receipt"  # a row of the receipts dataset
    JOB = "job"  # an asynchronous job that is still open
    STAGED = "staged"  # the name of a file with rejected rows and receipts


RESULT_SCHEMA = pa.schema([("kind", pa.string()), ("body", pa.string())])
RESULT_DDL = ddl_of(RESULT_SCHEMA)


STAGED_KINDS = frozenset({ResultKind.REJECT, ResultKind.RECEIPT})  # kept until everything is sent
# A JobEnded has no kind: entry points with a session follow jobs after the tasks.
RESULT_KINDS: dict[type, ResultKind] = {
    TaskReport: ResultKind.REPORT,
    RejectedRow: ResultKind.REJECT,
    Receipt: ResultKind.RECEIPT,
    OpenJob: ResultKind.JOB,
}


def result_row(event: TaskEvent) -> ResultRow:
    """An event that has a kind as a result row."""
    text = event.to_json() if isinstance(event, TaskReport) else json.dumps(asdict(event), ensure_ascii=False)
    return RESULT_KINDS[type(event)], text


def result_batches(rows: Iterable[ResultRow]) -> Iterator[pa.RecordBatch]:
    """Result rows as Arrow batches, handed over as the rows come."""
    left = iter(rows)
    while some := list(islice(left, MOST_ROWS)):
        yield pa.RecordBatch.from_arrays(list(map(from_texts, zip(*some, strict=True))), schema=RESULT_SCHEMA)


@dataclass
class Results:
    """What the driver keeps of a run: a report a task, the open jobs, and the staged files."""

    reports: list[TaskReport] = field(default_factory=list)
    jobs: list[OpenJob] = field(default_factory=list)
    staged: list[str] = field(default_factory=list)

    def add(self, kind: str, body: str) -> None:
        """Read one result row."""
        if kind == ResultKind.REPORT:
            self.reports.append(TaskReport.from_json(body))
        elif kind == ResultKind.JOB:
            self.jobs.append(OpenJob(**json.loads(body)))
        elif kind == ResultKind.STAGED:
            self.staged.append(body)


# --- rows of datasets -----------------------------------------------------------------------------


def run_row(report: WriteReport, options: Options) -> dict[str, object]:
    """A row of the runs dataset."""
    return {
        **{name: getattr(report, name) for name in ("run_id", "template", *COUNTERS, "seconds")},
        **{name: getattr(report, name) or None for name in ("account", "account_id", "list_name")},
        "started_at": _time(report.started),
        "ended_at": _time(report.ended),
        "stopped": ": ".join(report.stopped) if report.stopped else None,
        "options": dict(options.shown),
    }


def _time(epoch_seconds: float) -> datetime | None:
    return datetime.fromtimestamp(epoch_seconds, timezone.utc) if epoch_seconds else None


# --- how a run ends -------------------------------------------------------------------------------


def judge_run(total: TaskReport, plan: WritePlan, failures: Sequence[str] = ()) -> TaskReport:
    """The counts of all tasks, stopped where only the whole run shows the reason.

    That is more rejects than `max_rejects`, or `failures`: datasets that could not be written.
    """
    if total.stopped is not None:
        return total
    if plan.max_rejects and too_many(plan.max_rejects, total.faults, total.rows, final=True):
        reason = f"more than {plan.max_rejects} of the rows were rejected (max_rejects)"
        return replace(total, stopped=(StopCode.TOO_MANY_REJECTS, reason))
    return replace(total, stopped=(StopCode.NOT_WRITTEN, "; ".join(failures))) if failures else total


def return_or_raise(report: WriteReport, on_reject: OnReject) -> WriteReport:
    """The report; raises `WriteStopped` or, with `on_reject=fail`, `RowsRejected`, which carry it."""
    if report.stopped is not None:
        raise WriteStopped(f"{report.stopped[1]} (run {report.run_id}): {report.summary}", report)
    if report.faults and on_reject is OnReject.FAIL:
        first = f"{report.summary} (run {report.run_id}); on_reject=keep only reports"
        raise RowsRejected("\n".join([first, *lines(report)]), report)
    return report
