"""Polls the jobs of a task, or of a whole run, and recounts their rows by what the jobs say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from spark_klaviyo.core import exact_json
from spark_klaviyo.core.clock import Stop
from spark_klaviyo.core.codes import jobs_can_be_followed
from spark_klaviyo.core.json_paths import get
from spark_klaviyo.core.models import RejectedRow, Rejection
from spark_klaviyo.deliver.jobs.poll import JobEnded, OpenJob, RowsFailed, job_events
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.task.context import TaskContext
from spark_klaviyo.task.resume import record_job_outcome
from spark_klaviyo.templates.model import Template

NOTHING_TO_DELETE = "deletes of what Klaviyo does not know counted as delivered: there was nothing to delete"
# recorded: "An item with the id … does not exist.", the error of a catalog job
DOES_NOT_EXIST = re.compile(r"\bdoes not exist\b", re.IGNORECASE)
IDENTIFIERS = ("email", "phone_number", "external_id", "id")  # they join a rejected row with its source
OPEN_JOB = "its job was not followed to the end"


def count_rejected(plan: WritePlan, rejection: Rejection, report: TaskReport, partition_id: int) -> RejectedRow:
    """Count a rejected row, and find the identifiers in its record."""
    identifiers = identifiers_of(plan.template, rejection.record)
    report.reject(rejection, partition_id=partition_id, identifiers=identifiers, run_id=plan.run_id)
    return RejectedRow(run_id=plan.run_id, partition_id=partition_id, **identifiers, **vars(rejection))


def identifiers_of(template: Template, record: str) -> dict[str, Any]:
    """The email, phone number, external id and id of a record (JSON text); None for those that it lacks."""
    try:
        value = exact_json.loads(record)
    except (ValueError, RecursionError):
        return dict.fromkeys(IDENTIFIERS)
    found: dict[str, Any] = {}
    for name in IDENTIFIERS:
        paths = [known.json_path for known in template.fields if known.name.rpartition(".")[2] == name]
        text = get(value, paths[0] if paths else (name,))
        found[name] = None if text in (None, "") else str(text)
    return found


def poll_jobs(
    plan: WritePlan, jobs: Iterable[OpenJob], context: TaskContext, report: TaskReport
) -> Iterator[RejectedRow | JobEnded]:
    """Follow jobs whose rows the report counts as accepted (`OPEN_JOB`), and recount them as they end.

    The counts add up after every item, so an interruption loses nothing.
    """
    if context.stop.is_set() and jobs_can_be_followed(context.stop.code):
        context = replace(context, stop=Stop())
    for piece in job_events(jobs, plan, context, plan.job_timeout_seconds):
        record_job_outcome(plan, piece, context.recorder)
        if isinstance(piece, JobEnded):
            _count_end(piece, report)
            yield piece
        else:
            yield from _reject_failed(plan, piece, report)


def _reject_failed(plan: WritePlan, failed: RowsFailed, report: TaskReport) -> list[RejectedRow]:
    """Count the rows that a job refused; what was to be deleted and does not exist counts as delivered."""
    report.uncount_accepted(len(failed.rejections), OPEN_JOB)
    gone = [one for one in failed.rejections if plan.missing_counts_as_deleted and DOES_NOT_EXIST.search(one.detail)]
    report.delivered += len(gone)
    if gone:
        report.warn(NOTHING_TO_DELETE, len(gone))
    return [count_rejected(plan, one, report, failed.job.partition_id) for one in failed.rejections if one not in gone]


def _count_end(end: JobEnded, report: TaskReport) -> None:
    """Count the rows that a job has brought to an end, or left open for good."""
    report.uncount_accepted(end.delivered + end.accepted, OPEN_JOB)
    report.delivered += end.delivered
    if end.accepted:
        report.accept(end.accepted, end.reason)
    report.record_job(end.job.job_id, end.state, end.job.rows)
    report.record_job_outcome(end.job.job_id, end.outcome, end.reason)
