"""Following the jobs of a whole run from the calling process, once its tasks have sent everything."""

from __future__ import annotations

from collections.abc import Iterable

from spark_klaviyo.core.codes import ReceiptOutcome, jobs_can_be_followed
from spark_klaviyo.deliver.jobs.follow import JobEnded, OpenJob
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.report.task_report import TaskReport
from spark_klaviyo.runs.interrupt import CODE, MESSAGE
from spark_klaviyo.runs.outputs.session_outputs import Outputs
from spark_klaviyo.task.context import SendContextFactory
from spark_klaviyo.task.jobs import RejectedRow, poll_jobs


def follow_jobs(
    plan: WritePlan, jobs: Iterable[OpenJob], total: TaskReport, outputs: Outputs, contexts: SendContextFactory
) -> None:
    """Bring the run's jobs to their end: counts go to `total`, rows and receipts to `outputs`.

    Jobs are left open where the caller does not wait for them, or where the write was stopped for a reason that would
    meet the asking as well; their receipts stay `accepted`, and `follow_klaviyo` settles them later.
    """
    held = list(jobs)
    follows = plan.wait_for_jobs and jobs_can_be_followed(total.stopped and total.stopped[0])
    ends = _followed(plan, held, total, outputs, contexts) if follows and held else []
    ended = {end.job.job_id for end in ends}
    left = [job for job in held if job.job_id not in ended]
    for job in left:
        total.record_job(job.job_id, "open", job.rows)
    outputs.keep_ends(ends + [JobEnded(job, "open", 0, job.rows, ReceiptOutcome.ACCEPTED) for job in left])


def _followed(
    plan: WritePlan, jobs: list[OpenJob], total: TaskReport, outputs: Outputs, contexts: SendContextFactory
) -> list[JobEnded]:
    ends: list[JobEnded] = []
    with contexts.open(plan, -1, 0) as context:
        try:
            _keep(poll_jobs(plan, jobs, context, total), outputs, ends)
        except KeyboardInterrupt:  # the counts add up after every event
            total.stopped = (CODE, MESSAGE)
        total.ended = context.clock.wall().timestamp()
    return ends


def _keep(events: Iterable[RejectedRow | JobEnded], outputs: Outputs, ends: list[JobEnded]) -> None:
    for event in events:
        if isinstance(event, RejectedRow):
            outputs.keep_refused(event)
        else:
            ends.append(event)
