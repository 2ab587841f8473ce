"""Runs one partition: encoded batches in; rejected rows, receipts, jobs and a report out.

Opens what it sends through, runs the stages and polls jobs. Knows neither Spark nor who reads the events.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import pyarrow as pa

from spark_klaviyo.batching.assembler import BatchAssembler
from spark_klaviyo.core.capture import Capture
from spark_klaviyo.core.clock import Clock, Stop
from spark_klaviyo.core.codes import ReceiptOutcome, StopCode, jobs_can_be_followed
from spark_klaviyo.core.exact_json import get, try_loads
from spark_klaviyo.core.models import Batch, Batches, Receipt, RejectedRow, Rejection
from spark_klaviyo.deliver.delivery import Delivery, SendContext
from spark_klaviyo.deliver.jobs import JobEnded, OpenJob, RowsFailed, job_events
from spark_klaviyo.deliver.sender import deliver
from spark_klaviyo.http.headers import left_out
from spark_klaviyo.http.transport import Transport
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.ratelimit.limiter import LocalRateLimiter, RateLimiter
from spark_klaviyo.ratelimit.server import RateLimitAddress, RateLimitClient, RemoteRateLimiter
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.state.recorder import Recorder
from spark_klaviyo.task.denied import Denials
from spark_klaviyo.task.lookups import Lookups
from spark_klaviyo.task.resume import ResumeFilter, record_job_outcome
from spark_klaviyo.templates.model import Template

NO_JOB = "Klaviyo took it and offers no way to confirm"
SHARE_AFTER_ROWS = 1_000  # before which a share of rejects is not judged
SHOWN_COUNTS = ("delivered", "accepted", "requests", "bytes", "throttled")  # of a report, while it counts
NOTHING_TO_DELETE = "deletes of what Klaviyo does not know counted as delivered: there was nothing to delete"
# recorded: "An item with the id … does not exist.", the error of a catalog job
DOES_NOT_EXIST = re.compile(r"\bdoes not exist\b", re.IGNORECASE)
IDENTIFIERS = ("email", "phone_number", "external_id", "id")  # by which rejected rows are joined with the source
OPEN_JOB = "its job was not followed to the end"
ISOLATION = "requests were refused without naming a row, and were sent again in halves to find the bad rows"

TaskEvent: TypeAlias = "RejectedRow | Receipt | OpenJob | JobEnded | TaskReport"


def run_task(
    plan: WritePlan,
    encoded: Iterator[pa.RecordBatch],
    context: TaskContext,
    *,
    follows: bool = False,
    on_taken: Callable[[Batch], object] = lambda _: None,
) -> Iterator[TaskEvent]:
    """Send every row of a partition and yield events as they happen; the last one is the `TaskReport`.

    With `follows` the task follows its jobs itself, once everything is sent, as no other process will. Nothing is
    raised for a refused row, a refused key or a broken network: these are events, and the report's `stopped` says why
    sending ended early. `on_taken` is called with the rows that Klaviyo took, as each request ends.
    """
    yield from _Task(plan, context, follows, on_taken).run(encoded)


@dataclass
class _Task:
    plan: WritePlan
    context: TaskContext
    follows: bool
    on_taken: Callable[[Batch], object]
    report: TaskReport = field(default_factory=TaskReport)
    jobs: list[OpenJob] = field(default_factory=list)
    sending: bool = False  # whether a batch was handed out to be sent

    def run(self, encoded: Iterator[pa.RecordBatch]) -> Iterator[TaskEvent]:
        """All events of the task."""
        plan, context, report = self.plan, self.context, self.report
        report.started = context.clock.wall().timestamp()
        assembler = BatchAssembler(plan, report, context.stop)
        resume = ResumeFilter(plan, context.recorder, report) if context.recorder is not None else None
        reject, denials = assembler.rejections.append, Denials(plan)
        encoded = denials.read_first(encoded, context.stop)
        if resume is not None:
            encoded = resume.drop_delivered(encoded, reject)
        lookups = Lookups(plan, context, reject, report)
        made = denials.without_denied(assembler.batches(self._until_failure(encoded)), reject)
        batches = self._noted(lookups.checked(made))
        for delivery in deliver(plan, batches if resume is None else resume.record_intent(batches), context):
            if delivery is not None:
                if resume is not None:
                    resume.record(delivery)
                if delivery.batch is not None:
                    self.on_taken(delivery.batch)
                yield from self._count(delivery)
            yield from self._reject(assembler.taken_rejections())
            self._checkpoint()
        # after a stop: rows that were read and are still held; the assembler reads no further
        report.unsent += sum(batch.rows for batch in batches if batch is not None)
        yield from self._reject(assembler.taken_rejections())
        self._checkpoint()
        if resume is not None:
            yield from self._open_jobs_of_earlier_attempts(resume)
        if self.follows:
            yield from self._follow()
        if context.driver.overtaken():
            report.resent = max(report.resent, report.delivered + report.accepted)
        report.stopped = context.stop.reason
        report.ended = context.clock.wall().timestamp()
        yield report

    def _until_failure(self, encoded: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The batches; where they cannot be read any further once a task may have sent, sending stops.

        Raising would make Spark run the task, and send its rows, again.
        """
        failure = Capture(Exception)  # of a function of the DataFrame, of Spark or Arrow: any kind
        with failure:
            yield from encoded
        if failure.error is not None and not self.sending:
            failure.reraise()
        if failure.error is not None:
            kind = type(failure.error).__name__
            message = f"{StopCode.INPUT_FAILED.text} ({kind}); how many are left is unknown"
            self.context.stop.set(StopCode.INPUT_FAILED, message)

    def _noted(self, batches: Batches) -> Batches:
        for batch in batches:
            self.sending = self.sending or batch is not None
            yield batch

    def _count(self, delivery: Delivery) -> Iterator[TaskEvent]:
        """Add what became of one request to the report."""
        report, receipt = self.report, delivery.receipt
        report.delivered += delivery.delivered
        report.unsent += delivery.unsent
        report.resent += delivery.resent
        if receipt is None:
            return
        if delivery.accepted:
            report.accept(delivery.accepted, OPEN_JOB if receipt.job_id else delivery.reason or NO_JOB)
        if receipt.outcome is ReceiptOutcome.REFUSED and not delivery.rejections:
            report.warn(ISOLATION)
        taken = delivery.delivered + delivery.accepted
        partly = left_out(delivery.attempts[-1].reply)
        if partly:
            report.warn(partly, taken)
        for number, attempt in enumerate(delivery.attempts, 1):
            rows = taken if number == len(delivery.attempts) else 0
            report.record_reply(attempt.reply, at=attempt.at, rows=rows, size=receipt.bytes)
        report.record_receipt(receipt)
        yield receipt
        if receipt.job_id:
            job = OpenJob(receipt.job_id, delivery.accepted, receipt.sequence, self.context.partition_id)
            self.jobs.append(job)
            yield job
        yield from self._reject(delivery.rejections)

    def _reject(self, rejections: Iterable[Rejection]) -> Iterator[RejectedRow]:
        for rejection in rejections:
            yield count_rejected(self.plan, rejection, self.report, self.context.partition_id)

    def _checkpoint(self) -> None:
        """Show the progress, and stop sending once more rows are rejected than `max_rejects` allows."""
        report, most = self.report, self.plan.max_rejects
        settled = report.delivered + report.accepted + report.rejected + report.skipped
        self.context.counts.update({name: getattr(report, name) for name in SHOWN_COUNTS}, rows=settled)
        if most and too_many(most, report.faults, report.rows, final=False):
            message = f"more than {most} of the rows were rejected (max_rejects)"
            self.context.stop.set(StopCode.TOO_MANY_REJECTS, message)

    def _open_jobs_of_earlier_attempts(self, resume: ResumeFilter) -> Iterator[OpenJob]:
        for job_id, rows in resume.open_jobs.items():
            self.report.accept(rows, OPEN_JOB)
            yield OpenJob(job_id, rows, -1, self.context.partition_id)
        resume.report_unrecorded()

    def _follow(self) -> Iterator[TaskEvent]:
        """Follow the jobs of the task to their end, or report them as open."""
        if self.plan.wait_for_jobs and jobs_can_be_followed(self.context.stop.code):
            yield from poll_jobs(self.plan, self.jobs, self.context, self.report)
            self._checkpoint()
            return
        for job in self.jobs:
            self.report.record_job(job.job_id, "open", job.rows)


def too_many(most: str, rejected: int, rows: int, *, final: bool) -> bool:
    """Whether the rejects exceed `most`, a number or a percentage; a share is judged at the end or after 1,000 rows."""
    if most.endswith("%"):
        return (final or rows >= SHARE_AFTER_ROWS) and rejected * 100 > float(most[:-1]) * rows
    return rejected > int(most)


# --- rejected rows --------------------------------------------------------------------------------


def count_rejected(plan: WritePlan, rejection: Rejection, report: TaskReport, partition_id: int) -> RejectedRow:
    """Count a rejected row, and find the identifiers in its record."""
    identifiers = identifiers_of(plan.template, rejection.record)
    row = RejectedRow(run_id=plan.run_id, partition_id=partition_id, **identifiers, **vars(rejection))
    report.reject(row)
    return row


def identifiers_of(template: Template, record: str) -> dict[str, Any]:
    """The email, phone number, external id and id of a record (JSON text); None for those that it lacks."""
    value = try_loads(record)
    found: dict[str, Any] = {}
    for name in IDENTIFIERS:
        paths = [known.json_path for known in template.fields if known.name.rpartition(".")[2] == name]
        text = get(value, paths[0] if paths else (name,))
        found[name] = None if text in (None, "") else str(text)
    return found


# --- jobs -----------------------------------------------------------------------------------------


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


# --- what a task sends through --------------------------------------------------------------------


@dataclass(frozen=True)
class TaskContext(SendContext):
    """What a task sends through, and where it records what it delivered (None without a state)."""

    recorder: Recorder | None = None


@dataclass(frozen=True)
class SendContextFactory:
    """How the tasks of a run reach Klaviyo: picklable, nothing live in it.

    `rate_limit_server` grants the permits of the whole run, on classic Spark. Without it, or once it is lost, a task
    keeps to its `share` of the quota: 1.0 where it sends alone, 1/n where n tasks send, None where their number is
    unknown.
    """

    clock: Clock = field(default_factory=Clock)
    rate_limit_server: RateLimitAddress | None = None
    share: float | None = 1.0

    @contextmanager
    def open(self, plan: WritePlan, partition_id: int, attempt: int, stop: Stop | None = None) -> Iterator[TaskContext]:
        """The context of one task, closed when the block ends."""
        stop = stop or Stop()
        with ExitStack() as held:
            transport = Transport(
                plan.base_url,
                plan.headers,
                plan.credentials,
                key_in=plan.key_in,
                timeout_seconds=plan.policy.timeout_seconds,
                workers=plan.workers,
                proxy=plan.proxy,
                # only the driver is ever interrupted, and only its server can say so
                interrupted_by=stop if self.rate_limit_server is not None else None,
            )
            held.callback(transport.close)
            driver = RateLimitClient(self.rate_limit_server, partition_id)
            held.callback(driver.close)
            repeats = False
            if plan.state is None:  # a state knows what earlier attempts have sent, and lets one work at a time
                repeats = (partition_id >= 0 and driver.begin()) or attempt > 0
            counts: dict[str, int] = {}
            driver.start_heartbeat(f"{partition_id}.{attempt}", counts, stop)
            recorder = None
            if plan.state is not None:
                recorder = Recorder(plan.state, partition_id, attempt, stop.set)
                held.callback(recorder.close)
                recorder.open(stop.wait)
            limiter = self._limiter(plan, driver)
            yield TaskContext(
                transport, limiter, self.clock, stop, partition_id, attempt, counts, repeats, driver, recorder=recorder
            )

    def _limiter(self, plan: WritePlan, driver: RateLimitClient) -> RateLimiter:
        if not plan.quota.windows:
            return RateLimiter(self.clock)
        longest = plan.policy.longest_wait_seconds
        own = LocalRateLimiter(self.clock, share=self.share, learns=plan.learns_quota, longest_wait_seconds=longest)
        return RemoteRateLimiter(driver, own, self.clock)
