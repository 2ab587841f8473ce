"""Runs the stages for one partition: encoded batches in; rejections, receipts and one report out, as they happen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

import pyarrow as pa

from spark_klaviyo.deliver.delivery import Delivery, Line
from spark_klaviyo.deliver.jobs import JobEnded, OpenJob
from spark_klaviyo.deliver.sender import deliver
from spark_klaviyo.pipeline.feed import Feed
from spark_klaviyo.pipeline.guard import guarded
from spark_klaviyo.pipeline.remembered import Remembered
from spark_klaviyo.pipeline.resolve import resolved
from spark_klaviyo.pipeline.settle import OPEN_JOB, STILL_WORTH_ASKING, Refused, refuse, settle
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.records import Receipt, Rejection
from spark_klaviyo.report.task import TaskReport

NO_JOB = "Klaviyo took it and offers no way to confirm"
SHARE_AFTER = 1_000  # rows after which a share of rejects is judged


Happened: TypeAlias = "Refused | Receipt | OpenJob | JobEnded | TaskReport"


def run_task(
    plan: WritePlan, encoded: Iterator[pa.RecordBatch], line: Line, *, follows: bool = False
) -> Iterator[Happened]:
    """Send every row of a partition; yield what happened as it happens, the `TaskReport` last.

    `follows`: nobody follows the jobs after the task, so it does that itself once all is sent. Raises nothing for a
    refused row, a refused key or a broken network: they are told, and the report's `stopped` says why sending ended
    early.
    """
    report = TaskReport(started=line.clock.wall().timestamp())
    remembered = Remembered(line.recorder, not plan.policy.harmless) if line.recorder is not None else None
    feed = Feed(plan, report, line.stop, remembered)
    batches = feed.batches(encoded)
    if plan.template.resolve:
        batches = resolved(plan, batches, line, feed.reject, report)
    if plan.template.consent == "UNSUBSCRIBED":
        batches = guarded(plan, batches, line, feed.reject)
    jobs: list[OpenJob] = []
    announced = remembered.announced(batches) if remembered is not None and remembered.careful else batches
    for delivery in deliver(plan, announced, line):
        if delivery is not None:
            if remembered is not None:
                remembered.record(delivery)
            yield from _count(plan, delivery, report, line)
            jobs += _open_jobs(delivery, line)
        yield from _refuse(plan, feed.taken_rejections(), report, line)
        _judge_rejects(plan, report, line)
        _show(report, line)
    # after a stop: rows that were read and are still held; the feed reads no further
    report.unsent += sum(batch.rows for batch in batches if batch is not None)
    yield from _refuse(plan, feed.taken_rejections(), report, line)
    _judge_rejects(plan, report, line)
    if remembered is not None:
        yield from _resumed(remembered, report, line)
    if follows and plan.wait_for_jobs and line.stop.code in STILL_WORTH_ASKING:
        yield from settle(plan, jobs, line, report)
        _judge_rejects(plan, report, line)
    elif follows:
        for job in jobs:
            report.job(job.job_id, "open", job.rows)
    if line.stop.is_set():
        report.stopped = (line.stop.code, line.stop.message)
    report.ended = line.clock.wall().timestamp()
    yield report


def _count(plan: WritePlan, delivery: Delivery, report: TaskReport, line: Line) -> Iterator[Happened]:
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
        report.reply(attempt.reply, at=attempt.at, rows=taken if last else 0, size=size, taken=last and taken > 0)
    if delivery.receipt is not None:
        report.receipt(delivery.receipt)
        yield delivery.receipt
        yield from _open_jobs(delivery, line)
    yield from _refuse(plan, delivery.rejections, report, line)


def _resumed(remembered: Remembered, report: TaskReport, line: Line) -> Iterator[OpenJob]:
    """The jobs that an earlier attempt of the task has left open, and a word on what could not be written down."""
    for job_id, rows in remembered.jobs.items():
        report.accept(rows, OPEN_JOB)
        yield OpenJob(job_id, rows, -1, line.partition_id)
    remembered.confess(report)


def _open_jobs(delivery: Delivery, line: Line) -> list[OpenJob]:
    if delivery.receipt is None or not delivery.job_id:
        return []
    return [OpenJob(delivery.job_id, delivery.accepted, delivery.receipt.sequence, line.partition_id)]


def _refuse(plan: WritePlan, rejections: Iterable[Rejection], report: TaskReport, line: Line) -> Iterator[Refused]:
    for rejection in rejections:
        yield refuse(plan, rejection, report, line.partition_id)


def _show(report: TaskReport, line: Line) -> None:
    """Let whoever watches see how far the task is."""
    settled = report.delivered + report.accepted + report.rejected + report.skipped
    line.counts.update(rows=settled, requests=report.requests, bytes=report.bytes, throttled=report.throttled)


def _judge_rejects(plan: WritePlan, report: TaskReport, line: Line) -> None:
    """Stop sending once more rows are rejected than `max_rejects` bears."""
    if plan.max_rejects and too_many(plan.max_rejects, report.rejected, report.rows, settled=False):
        line.stop.set("too_many_rejects", f"more than {plan.max_rejects} of the rows were rejected (max_rejects)")


def too_many(most: str, rejected: int, rows: int, *, settled: bool) -> bool:
    """Whether the rejects pass `most`, a number or a percentage; a share is judged after 1,000 rows or when settled."""
    if most.endswith("%"):
        return (settled or rows >= SHARE_AFTER) and rejected * 100 > float(most[:-1]) * rows
    return rejected > int(most)
