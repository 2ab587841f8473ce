"""Polls accepted jobs until they are final: open jobs in, failed rows and ends out. No request bodies are held.

A job is complete or cancelled, or its end stays unknown: then its rows stay accepted, with the reason. Rows are called
delivered only where Klaviyo said complete and named, or counted as zero, every failure (docs: there is no state
"failed"). A job counts as gone only when Klaviyo itself, and not a gateway, answers 404 twice, some seconds apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from spark_klaviyo.core.codes import ReceiptOutcome, StopCode
from spark_klaviyo.core.models import Rejection
from spark_klaviyo.deliver.delivery import SendContext
from spark_klaviyo.deliver.isolate import FailedRows, count_of, why_unconfirmed
from spark_klaviyo.deliver.reads import Query, Reader, ReadFailed, ReadTarget, ResourceFields
from spark_klaviyo.plan.model import SendSpec
from spark_klaviyo.templates.model import Job, JobErrors

MOST_SINGLE_JOBS = 5  # open jobs that are read one by one; more are read as lists
MOST_SINGLE_READS = 20  # in one round, beside lists
MOST_FAILED_ROUNDS = 6  # in a row, before polling is given up
FIRST_WAIT, LONGEST_WAIT = 1.0, 15.0  # between rounds, seconds
GONE_AFTER_SECONDS = 10.0  # a job that is unknown for so long is gone; a new one may not be visible everywhere yet
OPEN_STATES, END_STATES = ("queued", "processing"), ("complete", "cancelled")

LATE = "their job was not finished within job_timeout_seconds"
STOPPED = "the write was stopped before their job was followed to its end"
CANCELLED = "Klaviyo cancelled their job: what of it was stored is unknown"
GONE = "Klaviyo no longer knows their job (it forgets jobs after seven days)"


@dataclass(frozen=True)
class OpenJob:
    """A job that Klaviyo accepted and that has to be polled."""

    job_id: str
    rows: int
    sequence: int
    partition_id: int = 0


@dataclass(frozen=True)
class RowsFailed:
    """A page of the rows that a job named as failed; their number in the partition is unknown (-1)."""

    job: OpenJob
    rejections: tuple[Rejection, ...]


@dataclass(frozen=True)
class JobEnded:
    """How a job ended, or how far it was polled: `delivered + accepted` and its failed rows are all of its rows.

    `state` is Klaviyo's, or `gone`. With the outcome `accepted` the job may be polled again later.
    """

    job: OpenJob
    state: str
    delivered: int
    accepted: int
    outcome: ReceiptOutcome
    reason: str = ""


JobEvent = RowsFailed | JobEnded


def job_events(
    jobs: Iterable[OpenJob], spec: SendSpec, context: SendContext, timeout_seconds: float
) -> Iterator[JobEvent]:
    """Poll until every job is final, within the status endpoint's own quota and `timeout_seconds` in all.

    Raises nothing for the network. Each job ends in exactly one `JobEnded`, its failed rows before it.
    """
    if spec.template.job is not None:
        yield from _JobPoller(jobs, spec, spec.template.job, context, timeout_seconds).events()


class _JobPoller:
    def __init__(
        self, jobs: Iterable[OpenJob], spec: SendSpec, kind: Job, context: SendContext, timeout_seconds: float
    ) -> None:
        self._open = _by_id(jobs)
        self._states: dict[str, str] = dict.fromkeys(self._open, OPEN_STATES[0])
        self._template, self._kind, self._context = spec.template, kind, context
        self._until = context.clock.now() + timeout_seconds
        self._unknown_since: dict[str, float] = {}  # jobs that Klaviyo says it does not know
        self._gone_after = min(GONE_AFTER_SECONDS, timeout_seconds / 2)
        self._reader = Reader(spec.policy, context, self._until)
        self._failed_reads = 0  # in a row
        self._lists_work = True
        self._given_up = ""

    def events(self) -> Iterator[JobEvent]:
        clock, wait = self._context.clock, FIRST_WAIT
        while self._open and not self._is_over():
            yield from self._round()
            if self._open and not self._is_over():
                clock.wait(min(wait, max(self._until - clock.now(), 0.0)), self._context.stop)
                wait = min(wait * 2, LONGEST_WAIT)
        for job in list(self._open.values()):
            yield self._ended(job, self._states[job.job_id], ReceiptOutcome.ACCEPTED, self._given_up or LATE)

    def _is_over(self) -> bool:
        if self._context.stop.is_set():
            self._given_up = self._given_up or STOPPED
        return bool(self._given_up) or self._context.clock.now() >= self._until

    # --- one round ----------------------------------------------------------------------------

    def _round(self) -> Iterator[JobEvent]:
        """Ask for every open job once, one by one or by list."""
        jobs = list(self._open.values())
        if len(jobs) > MOST_SINGLE_JOBS and self._lists_work:
            still_open = self._list(OPEN_STATES, frozenset(self._open))
            self._unknown_since = {known: at for known, at in self._unknown_since.items() if known not in still_open}
            ended = [job for job in jobs if job.job_id not in still_open]
            if len(ended) > MOST_SINGLE_JOBS and self._lists_work:
                for job_id, attributes in self._list(END_STATES, frozenset(job.job_id for job in ended)).items():
                    yield from self._read_state(self._open[job_id], attributes)
                ended = [job for job in ended if job.job_id in self._open]
            jobs = ended if self._lists_work else jobs
        jobs.sort(key=lambda job: self._unknown_since.get(job.job_id, 0.0))  # those that Klaviyo knows come first
        for job in islice(jobs, MOST_SINGLE_READS if self._lists_work else None):
            failed_reads = self._failed_reads
            yield from self._single(job)
            if self._is_over() or self._failed_reads > failed_reads:
                return  # the next read would probably fail as well: a round counts as one failure

    def _single(self, job: OpenJob) -> Iterator[JobEvent]:
        try:
            found = self._resource(job)
        except ReadFailed as failed:
            yield from self._not_read(job, failed)
            return
        self._failed_reads = 0
        self._unknown_since.pop(job.job_id, None)
        yield from self._read_state(job, found)

    def _resource(self, job: OpenJob) -> ResourceFields:
        answer = self._reader.read(ReadTarget(self._kind.list_path + "/{id}", self._kind.quota, id=job.job_id))
        for found in answer.resources:
            if found["id"] == job.job_id:
                return found
        raise ReadFailed(StopCode.UNAVAILABLE, "the answer was about another job")

    def _not_read(self, job: OpenJob, failed: ReadFailed) -> Iterator[JobEvent]:
        if failed.code is StopCode.NOT_FOUND and failed.error_code == "not_found":
            self._failed_reads = 0
            since = self._unknown_since.setdefault(job.job_id, self._context.clock.now())
            if self._context.clock.now() - since >= self._gone_after:
                yield self._ended(job, "gone", ReceiptOutcome.GONE, GONE)
            return
        self._failed_reads += 1
        self._open[job.job_id] = self._open.pop(job.job_id)  # the others come first, next time
        ends_all = failed.code.affects_every_request and failed.code is not StopCode.NOT_FOUND
        if ends_all or (self._failed_reads >= MOST_FAILED_ROUNDS and failed.code is not StopCode.LATE):
            self._given_up = f"their job's status could not be read: {failed}"

    def _list(self, states: Sequence[str], wanted: frozenset[str]) -> dict[str, ResourceFields]:
        """Attributes of wanted jobs in one of these states, by id."""
        found: dict[str, ResourceFields] = {}
        try:
            for query in _list_queries(self._kind, states):
                found |= self._listed(query, wanted - found.keys())
        except ReadFailed:
            self._lists_work = False  # single reads show whether it is the key or the list
        return found

    def _listed(self, query: Query, wanted: frozenset[str]) -> dict[str, ResourceFields]:
        """Attributes of wanted jobs on one list; reads as many pages as that should take."""
        found: dict[str, ResourceFields] = {}
        pages, most = self._reader.pages(ReadTarget(self._kind.list_path, self._kind.quota, query)), 5
        for number, page in enumerate(pages, 1):
            most = max(most, 5 + 3 * len(wanted) // max(len(page.resources), 1))
            found |= {str(job["id"]): job for job in page.resources if job["id"] in wanted}
            if len(found) == len(wanted) or number >= most:
                break
        return found

    # --- one job ------------------------------------------------------------------------------

    def _read_state(self, job: OpenJob, attributes: Mapping[str, object]) -> Iterator[JobEvent]:
        """The failed rows and the end of a job, if it is final."""
        state = str(attributes.get("status") or "")
        if state not in END_STATES:
            self._states[job.job_id] = state if state in OPEN_STATES else self._states[job.job_id]
            return
        failed_count = count_of(attributes, "failed")
        failed = FailedRows(self._template, job.rows if failed_count is None else min(job.rows, failed_count))
        read_error = ""
        try:
            for page in self._error_pages(job, attributes, failed_count):
                rejections = tuple(failed.add(page))
                if rejections:
                    yield RowsFailed(job, rejections)
        except ReadFailed as broken:
            read_error = f"their job's errors could not be read: {broken}"
        outcome, reason = ReceiptOutcome.DELIVERED, why_unconfirmed(attributes, job.rows, failed, self._kind.errors)
        if job.rows <= failed.named:
            outcome, reason = ReceiptOutcome.REJECTED, ""
        elif state == "cancelled":
            outcome, reason = ReceiptOutcome.CANCELLED, CANCELLED
        elif read_error:
            outcome, reason = ReceiptOutcome.ACCEPTED, read_error
        elif reason:
            outcome = ReceiptOutcome.UNNAMED
        yield self._ended(job, state, outcome, reason, failed.named)

    def _ended(self, job: OpenJob, state: str, outcome: ReceiptOutcome, reason: str, failed: int = 0) -> JobEnded:
        """The end of polling a job, whose rows are delivered where there is no reason against it."""
        del self._open[job.job_id]
        left = job.rows - failed
        if reason:
            return JobEnded(job, state, 0, left, outcome, reason)
        detail = f"{failed} of {job.rows} rows failed in the job" if failed else ""
        return JobEnded(job, state, left, 0, outcome, detail)

    def _error_pages(
        self, job: OpenJob, attributes: Mapping[str, object], failed: int | None
    ) -> Iterator[Sequence[Mapping[str, object]]]:
        inline = attributes.get("errors")
        if failed == 0 and not inline:
            return
        if self._kind.errors is JobErrors.INLINE:
            yield [entry for entry in inline if isinstance(entry, dict)] if isinstance(inline, list) else []
        if self._kind.errors is not JobErrors.PAGES:
            return
        route, query = self._kind.list_path + "/{id}/import-errors", (("page[size]", "100"),)
        target = ReadTarget(route, self._kind.quota, query, id=job.job_id)
        for page in islice(self._reader.pages(target), job.rows + 10):  # errors beyond name no further row
            yield page.resources


def _by_id(jobs: Iterable[OpenJob]) -> dict[str, OpenJob]:
    """Jobs by id; requests that were answered with the same id are one job, with the rows of all."""
    found: dict[str, OpenJob] = {}
    for job in jobs:
        first = found.get(job.job_id)
        found[job.job_id] = job if first is None else replace(first, rows=first.rows + job.rows)
    return found


def _list_queries(kind: Job, states: Sequence[str]) -> Iterator[Query]:
    """spec: import jobs filter by `any` and take a page size and a sort; all others by `equals` alone."""
    if kind.errors is JobErrors.PAGES:
        quoted = ",".join(f'"{state}"' for state in states)
        yield (("filter", f"any(status,[{quoted}])"), ("page[size]", "100"), ("sort", "-created_at"))
    else:
        for state in states:
            yield (("filter", f'equals(status,"{state}")'),)
