"""Follows the jobs of a run from the calling process, once its tasks have sent everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from spark_klaviyo.core.codes import ReceiptOutcome, StopCode, jobs_can_be_followed
from spark_klaviyo.deliver.jobs.poll import JobEnded, OpenJob
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.task.context import SendContextFactory, TaskContext
from spark_klaviyo.task.jobs import RejectedRow, poll_jobs

DRIVER = -1  # the partition number of what the calling process does


def follow_jobs(
    plan: WritePlan,
    jobs: Sequence[OpenJob],
    total: TaskReport,
    contexts: SendContextFactory,
    add_reject: Callable[[RejectedRow], None],
) -> list[JobEnded]:
    """Follow jobs to their end; counts go to `total`, rows that jobs refused to `add_reject`.

    Returns an end for each job. Jobs are left open, and their rows `accepted`, where the caller does not wait for them
    or where the write was stopped for a reason that also ends the following; `follow_klaviyo` settles them later.
    """
    ends: list[JobEnded] = []
    if jobs and plan.wait_for_jobs and jobs_can_be_followed(total.stopped and total.stopped[0]):
        with contexts.open(plan, DRIVER, 0) as context:
            ends = list(_follow(plan, jobs, total, context, add_reject))
            total.ended = context.clock.wall().timestamp()
    ended = {end.job.job_id for end in ends}
    for job in jobs:
        if job.job_id not in ended:
            total.record_job(job.job_id, "open", job.rows)
            ends.append(JobEnded(job, "open", 0, job.rows, ReceiptOutcome.ACCEPTED))
    return ends


def _follow(
    plan: WritePlan,
    jobs: Sequence[OpenJob],
    total: TaskReport,
    context: TaskContext,
    add_reject: Callable[[RejectedRow], None],
) -> Iterator[JobEnded]:
    try:
        for event in poll_jobs(plan, jobs, context, total):
            if isinstance(event, RejectedRow):
                add_reject(event)
            else:
                yield event
    except KeyboardInterrupt:  # the counts add up after every event
        total.stopped = (StopCode.INTERRUPTED, StopCode.INTERRUPTED.text)
