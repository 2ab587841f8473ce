"""Following the jobs of a task or of a whole run, and counting anew what their ends say about the rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from spark_klaviyo.core.codes import jobs_can_be_followed
from spark_klaviyo.core.models import Rejection
from spark_klaviyo.core.stop import Stop
from spark_klaviyo.deliver.delivery import SendContext
from spark_klaviyo.deliver.jobs.poll import JobEnded, OpenJob, RowsFailed, poll_jobs
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.report.task_report import TaskReport
from spark_klaviyo.task.identifiers import who
from spark_klaviyo.task.resume import record_job_outcome

GONE = "deletes of what Klaviyo does not know counted as delivered: there was nothing to delete"
# recorded: "An item with the id … does not exist.", the error of a catalog job
NOT_THERE = re.compile(r"\bdoes not exist\b", re.IGNORECASE)
OPEN_JOB = "its job was not followed to the end"


@dataclass(frozen=True)
class RejectedRow:
    """A rejected row with what the rejects dataset keeps of it."""

    rejection: Rejection
    who: dict[str, str | None]
    partition_id: int

    def __repr__(self) -> str:
        return f"Refused({self.rejection!r})"


def refuse(plan: WritePlan, rejection: Rejection, report: TaskReport, partition_id: int) -> RejectedRow:
    """Count a rejected row, and find the identifiers in its record."""
    refused = RejectedRow(rejection, who(plan.template, rejection.record), partition_id)
    report.reject(rejection, partition_id=partition_id, identifiers=refused.who, run_id=plan.run_id)
    return refused


def settle(
    plan: WritePlan, jobs: Iterable[OpenJob], context: SendContext, report: TaskReport
) -> Iterator[RejectedRow | JobEnded]:
    """Follow jobs whose rows the report counts as accepted (`OPEN_JOB`), and count them as they end.

    The counts add up after every item, so an interruption loses nothing.
    """
    if context.stop.is_set() and jobs_can_be_followed(context.stop.code):
        context = replace(context, stop=Stop())
    for piece in poll_jobs(jobs, plan, context, plan.job_timeout_seconds):
        if context.recorder is not None:
            record_job_outcome(plan, piece, context.recorder)
        if isinstance(piece, RowsFailed):
            report.uncount_accepted(len(piece.rejections), OPEN_JOB)
            refused = [one for one in piece.rejections if not _is_done(plan, one, report)]
            yield from [refuse(plan, one, report, piece.job.partition_id) for one in refused]
        else:
            count_end(piece, report)
            yield piece


def _is_done(plan: WritePlan, failed: Rejection, report: TaskReport) -> bool:
    """Whether a failed row was to go and was not there; it then counts as delivered."""
    done = plan.missing_counts_as_deleted and NOT_THERE.search(failed.detail) is not None
    report.delivered += done
    if done:
        report.warn(GONE)
    return done


def count_end(end: JobEnded, report: TaskReport) -> None:
    """Count the rows that a job has brought to an end, or left open for good."""
    report.uncount_accepted(end.delivered + end.accepted, OPEN_JOB)
    report.delivered += end.delivered
    if end.accepted:
        report.accept(end.accepted, end.reason)
    report.record_job(end.job.job_id, end.state, end.job.rows)
    report.record_job_outcome(end.job.job_id, end.outcome, end.reason)
