"""Runs the stages for one partition: encoded batches in; rejections, receipts and one report out, as they happen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

import pyarrow as pa

from spark_klaviyo.core.codes import StopCode, jobs_can_be_followed
from spark_klaviyo.core.models import Receipt, Rejection
from spark_klaviyo.deliver.delivery import Delivery, SendContext
from spark_klaviyo.deliver.jobs.follow import JobEnded, OpenJob
from spark_klaviyo.deliver.sender import deliver
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.report.task_report import TaskReport
from spark_klaviyo.task.assembler import BatchAssembler
from spark_klaviyo.task.jobs import OPEN_JOB, RejectedRow, refuse, settle
from spark_klaviyo.task.list_guard import guarded
from spark_klaviyo.task.resolve import resolved
from spark_klaviyo.task.resume import ResumeFilter

NO_JOB = "Klaviyo took it and offers no way to confirm"
SHARE_AFTER = 1_000  # rows after which a share of rejects is judged


TaskEvent: TypeAlias = "RejectedRow | Receipt | OpenJob | JobEnded | TaskReport"


def run_task(
    plan: WritePlan, encoded: Iterator[pa.RecordBatch], context: SendContext, *, follows: bool = False
) -> Iterator[TaskEvent]:
    """Send every row of a partition; yield what happened as it happens, the `TaskReport` last.

    `follows`: nobody follows the jobs after the task, so it does that itself once all is sent. Raises nothing for a
    refused row, a refused key or a broken network: they are told, and the report's `stopped` says why sending ended
    early.
    """
    report = TaskReport(started=context.clock.wall().timestamp())
    remembered = (
        ResumeFilter(context.recorder, not plan.resend.allows_every_request) if context.recorder is not None else None
    )
    assembler = BatchAssembler(plan, report, context.stop, remembered)
    batches = assembler.batches(encoded)
    if plan.template.sends_profile_ids:
        batches = resolved(plan, batches, context, assembler.reject, report)
    if plan.template.consent is not None and plan.template.consent.withdraws:
        batches = guarded(plan, batches, context, assembler.reject)
    jobs: list[OpenJob] = []
    record_intent = remembered.record_intent(batches) if remembered is not None and remembered.careful else batches
    for delivery in deliver(plan, record_intent, context):
        if delivery is not None:
            if remembered is not None:
                remembered.record(delivery)
            yield from _count(plan, delivery, report, context)
            jobs += _open_jobs(delivery, context)
        yield from _refuse(plan, assembler.taken_rejections(), report, context)
        _judge_rejects(plan, report, context)
        _show(report, context)
    # after a stop: rows that were read and are still held; the feed reads no further
    report.unsent += sum(batch.rows for batch in batches if batch is not None)
    yield from _refuse(plan, assembler.taken_rejections(), report, context)
    _judge_rejects(plan, report, context)
    if remembered is not None:
        yield from _resumed(remembered, report, context)
    if follows and plan.wait_for_jobs and jobs_can_be_followed(context.stop.code):
        yield from settle(plan, jobs, context, report)
        _judge_rejects(plan, report, context)
    elif follows:
        for job in jobs:
            report.record_job(job.job_id, "open", job.rows)
    report.stopped = context.stop.reason
    report.ended = context.clock.wall().timestamp()
    yield report


def _count(plan: WritePlan, delivery: Delivery, report: TaskReport, context: SendContext) -> Iterator[TaskEvent]:
    """Add what became of one request to the report."""
    report.delivered += delivery.delivered
    report.unsent += delivery.unsent
    report.resent += delivery.resent
    if delivery.accepted:
        report.accept(delivery.accepted, OPEN_JOB if delivery.job_id else NO_JOB)
    taken = delivery.delivered + delivery.accepted
    for number, attempt in enumerate(delivery.attempts, 1):
        last = number == len(delivery.attempts)
        size = delivery.receipt.bytes if delivery.receipt else 0
        report.record_reply(attempt.reply, at=attempt.at, rows=taken if last else 0, size=size)
    if delivery.receipt is not None:
        report.record_receipt(delivery.receipt)
        yield delivery.receipt
        yield from _open_jobs(delivery, context)
    yield from _refuse(plan, delivery.rejections, report, context)


def _resumed(remembered: ResumeFilter, report: TaskReport, context: SendContext) -> Iterator[OpenJob]:
    """The jobs that an earlier attempt of the task has left open, and a word on what could not be written down."""
    for job_id, rows in remembered.jobs.items():
        report.accept(rows, OPEN_JOB)
        yield OpenJob(job_id, rows, -1, context.partition_id)
    remembered.report_unrecorded(report)


def _open_jobs(delivery: Delivery, context: SendContext) -> list[OpenJob]:
    if delivery.receipt is None or not delivery.job_id:
        return []
    return [OpenJob(delivery.job_id, delivery.accepted, delivery.receipt.sequence, context.partition_id)]


def _refuse(
    plan: WritePlan, rejections: Iterable[Rejection], report: TaskReport, context: SendContext
) -> Iterator[RejectedRow]:
    for rejection in rejections:
        yield refuse(plan, rejection, report, context.partition_id)


def _show(report: TaskReport, context: SendContext) -> None:
    """Let whoever watches see how far the task is."""
    settled = report.delivered + report.accepted + report.rejected + report.skipped
    context.counts.update(rows=settled, requests=report.requests, bytes=report.bytes, throttled=report.throttled)


def _judge_rejects(plan: WritePlan, report: TaskReport, context: SendContext) -> None:
    """Stop sending once more rows are rejected than `max_rejects` bears."""
    if plan.max_rejects and too_many(plan.max_rejects, report.rejected, report.rows, settled=False):
        context.stop.set(
            StopCode.TOO_MANY_REJECTS, f"more than {plan.max_rejects} of the rows were rejected (max_rejects)"
        )


def too_many(most: str, rejected: int, rows: int, *, settled: bool) -> bool:
    """Whether the rejects pass `most`, a number or a percentage; a share is judged after 1,000 rows or when settled."""
    if most.endswith("%"):
        return (settled or rows >= SHARE_AFTER) and rejected * 100 > float(most[:-1]) * rows
    return rejected > int(most)
