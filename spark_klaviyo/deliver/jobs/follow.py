"""Following accepted jobs to their end: open jobs in, failed rows and endings out. No bodies are held.

A job is complete or cancelled, or nobody can say: then its rows stay accepted, with the reason. It is never called
delivered unless Klaviyo said complete and named, or counted as zero, every failure (docs: there is no state "failed").
Nor is a job given up for a 404 that a gateway says, or that passes: Klaviyo itself has to say it, and to say it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from urllib.parse import quote

from spark_klaviyo.core.codes import ReceiptOutcome, StopCode
from spark_klaviyo.core.models import Rejection
from spark_klaviyo.deliver.delivery import SendContext, SendSpec
from spark_klaviyo.deliver.jobs.counts import UNCOUNTED, Counts
from spark_klaviyo.deliver.jobs.errors import Failures
from spark_klaviyo.deliver.reads import Document, Reader, ReadTarget, Unread
from spark_klaviyo.templates.model import Job, JobErrors

HANDFUL = 5  # open jobs that are asked one by one; more are asked by list
SINGLES = 20  # most single reads in one round
MOST_MISSES = 6  # rounds in a row whose reads fail before following is given up
FIRST_WAIT, LONGEST_WAIT = 1.0, 15.0  # between rounds, seconds
SURE_SECONDS = 10.0  # a job that is unknown for so long is gone; a new one may not be everywhere yet
OPEN_STATES, END_STATES = ("queued", "processing"), ("complete", "cancelled")

LATE = "their job was not finished within job_timeout_seconds"
CANCELLED = "Klaviyo cancelled their job: what of it was stored is unknown"
GONE = "Klaviyo no longer knows their job (it forgets jobs after seven days)"


@dataclass(frozen=True)
class OpenJob:
    """A job that Klaviyo accepted and that somebody has to follow; no bodies, so that many stay cheap."""

    job_id: str
    rows: int
    sequence: int
    partition_id: int = 0


@dataclass(frozen=True)
class RowsFailed:
    """Rows of a job that Klaviyo named as failed, a page of them; their number in the partition is not known (-1)."""

    job: OpenJob
    rejections: tuple[Rejection, ...]


@dataclass(frozen=True)
class JobEnded:
    """How a job ended, or how far it was followed.

    `delivered + accepted` and its failed rows make up its rows. `state` is Klaviyo's word, or gone. The outcome
    `accepted` means that following it later may tell more.
    """

    job: OpenJob
    state: str
    delivered: int
    accepted: int
    outcome: ReceiptOutcome
    reason: str = ""


Piece = RowsFailed | JobEnded


def follow(jobs: Iterable[OpenJob], order: SendSpec, context: SendContext, timeout_seconds: float) -> Iterator[Piece]:
    """Ask until every job has ended, within the status endpoint's own quota and `timeout_seconds` in all.

    Raises nothing for the network. Each job ends in exactly one `JobEnded`, its failed rows before it.
    """
    if order.template.job is not None:
        yield from _Following(jobs, order, context, timeout_seconds).pieces(order.template.job)


class _Following:
    def __init__(self, jobs: Iterable[OpenJob], order: SendSpec, context: SendContext, timeout_seconds: float) -> None:
        self._open = _by_id(jobs)
        self._states: dict[str, str] = dict.fromkeys(self._open, "queued")
        self._order, self._context = order, context
        self._until = context.clock.now() + timeout_seconds
        self._unknown: dict[str, float] = {}  # jobs that Klaviyo says it does not know, and since when
        self._sure = min(SURE_SECONDS, timeout_seconds / 2)
        self._reader = Reader(order.policy, context, self._until)
        self._misses = 0
        self._lists = True
        self._given_up = ""

    def pieces(self, job: Job) -> Iterator[Piece]:
        wait = FIRST_WAIT
        while self._open and not self._over():
            yield from self._round(job)
            if self._open and not self._over():
                left = max(self._until - self._context.clock.now(), 0.0)
                self._context.clock.wait(min(wait, left), self._context.stop)
                wait = min(wait * 2, LONGEST_WAIT)
        reason = self._given_up or LATE
        for held in list(self._open.values()):
            yield self._left(held, self._states[held.job_id], ReceiptOutcome.ACCEPTED, reason)

    def _over(self) -> bool:
        if self._context.stop.is_set() and not self._given_up:
            self._given_up = "the write was stopped before their job was followed to its end"
        return bool(self._given_up) or self._context.clock.now() >= self._until

    # --- one round ----------------------------------------------------------------------------

    def _round(self, job: Job) -> Iterator[Piece]:
        """Ask for every open job once, one by one or by list."""
        asked = list(self._open.values())
        if len(asked) > HANDFUL and self._lists:
            still = self._listed(job, OPEN_STATES, frozenset(self._open))
            self._unknown = {job_id: since for job_id, since in self._unknown.items() if job_id not in still}
            ended = [held for held in asked if held.job_id not in still]
            if len(ended) > HANDFUL and self._lists:
                yield from self._ended_by_list(job, frozenset(held.job_id for held in ended))
                ended = [held for held in ended if held.job_id in self._open]
            asked = ended if self._lists else asked
        asked = sorted(filter(self._due, asked), key=lambda held: self._unknown.get(held.job_id, 0.0))
        for held in islice(asked, SINGLES if self._lists else None):
            misses = self._misses
            yield from self._single(job, held)
            if self._over() or self._misses > misses:  # what ails one read may ail them all: a round costs one miss
                return

    def _ended_by_list(self, job: Job, wanted: frozenset[str]) -> Iterator[Piece]:
        found = self._listed(job, END_STATES, wanted)
        for job_id, attributes in found.items():
            yield from self._settled(job, self._open[job_id], attributes)

    def _single(self, job: Job, held: OpenJob) -> Iterator[Piece]:
        path = job.path.replace("{job_id}", quote(held.job_id, safe=""))
        answer = self._reader.read(ReadTarget(job.path, path, job.quota))
        if isinstance(answer, Unread):
            yield from self._unread(held, answer)
            return
        self._misses = 0
        self._unknown.pop(held.job_id, None)
        attributes = next((_attributes(one) for one in answer.resources), {})
        yield from self._settled(job, held, attributes)

    def _unread(self, held: OpenJob, answer: Unread) -> Iterator[Piece]:
        if answer.code is StopCode.NOT_FOUND and answer.word == "not_found":
            self._misses = 0
            since = self._unknown.setdefault(held.job_id, self._context.clock.now())
            if self._context.clock.now() - since >= self._sure:
                yield self._left(held, "gone", ReceiptOutcome.GONE, GONE)
            return
        self._misses += 1
        self._open[held.job_id] = self._open.pop(held.job_id)  # the others come first, next time
        ends_all = answer.code.affects_every_request and answer.code is not StopCode.NOT_FOUND
        if ends_all or (self._misses >= MOST_MISSES and answer.code is not StopCode.LATE):
            self._given_up = f"their job's status could not be read: {answer.detail}"

    def _due(self, held: OpenJob) -> bool:
        """Whether to ask for it now: a job that was unknown a moment ago is given time to appear."""
        since = self._unknown.get(held.job_id)
        return since is None or self._context.clock.now() - since >= self._sure

    def _listed(self, job: Job, states: Sequence[str], wanted: frozenset[str]) -> dict[str, Mapping[str, object]]:
        """Attributes of wanted jobs in one of these states, by id; as many pages as that should take, and some more."""
        found: dict[str, Mapping[str, object]] = {}
        for query in _queries(job, states):
            most = 5
            for number, page in enumerate(
                self._reader.pages(ReadTarget(job.list_path, job.list_path, job.quota, query), 10**6)
            ):
                if isinstance(page, Unread):
                    self._lists = False  # one by one, then; that says whether it is the key or the list
                    return found
                listed = page.resources
                most = max(most, 5 + 3 * len(wanted) // max(len(listed), 1))
                found |= {_id(one): _attributes(one) for one in listed if _id(one) in wanted}
                if len(found) == len(wanted) or number + 1 >= most:
                    break
        return found

    # --- one job ------------------------------------------------------------------------------

    def _settled(self, job: Job, held: OpenJob, attributes: Mapping[str, object]) -> Iterator[Piece]:
        """The end of a job, if this is one."""
        state = str(attributes.get("status") or "")
        if state not in END_STATES:
            self._states[held.job_id] = state if state in OPEN_STATES else self._states[held.job_id]
            return
        counts = Counts.of(attributes)
        failures = Failures(self._order.template, held.rows if counts.failed is None else min(held.rows, counts.failed))
        trouble = ""
        for page in self._errors(job, held, attributes, counts.failed):
            if isinstance(page, Unread):
                trouble = f"their job's errors could not be read: {page.detail}"
                continue
            rejections = tuple(failures.take(page))
            if rejections:
                yield RowsFailed(held, rejections)
        silent = (
            job.errors is JobErrors.INLINE and counts.failed is None and not isinstance(attributes.get("errors"), list)
        )
        doubt = UNCOUNTED if silent else counts.doubt(held.rows, failures, complete=job.errors is not JobErrors.NONE)
        yield self._ending(held, state, failures.named, doubt, trouble)

    def _ending(self, held: OpenJob, state: str, named: int, doubt: str, trouble: str) -> JobEnded:
        rest = held.rows - named
        if rest and (state == "cancelled" or doubt or trouble):
            reason = CANCELLED if state == "cancelled" else trouble or doubt
            outcome = ReceiptOutcome.ACCEPTED if trouble else ReceiptOutcome.UNNAMED
            if state == "cancelled":
                outcome = ReceiptOutcome.CANCELLED
            return self._left(held, state, outcome, reason, named)
        del self._open[held.job_id]
        said = f"{named} of {held.rows} rows failed in the job" if named else ""
        outcome = ReceiptOutcome.DELIVERED if rest else ReceiptOutcome.REJECTED
        return JobEnded(held, state, rest, 0, outcome, said)

    def _left(self, held: OpenJob, state: str, outcome: ReceiptOutcome, reason: str, named: int = 0) -> JobEnded:
        """Nobody can say more: the rows stay accepted."""
        del self._open[held.job_id]
        return JobEnded(held, state, 0, held.rows - named, outcome, reason)

    def _errors(
        self, job: Job, held: OpenJob, attributes: Mapping[str, object], failed: int | None
    ) -> Iterator[list[Mapping[str, object]] | Unread]:
        """Every page of the job's errors."""
        if failed == 0 and not attributes.get("errors"):
            return
        if job.errors is JobErrors.INLINE:
            yield _entries(attributes.get("errors"))
        if job.errors is not JobErrors.PAGES:
            return
        path = f"{job.path.replace('{job_id}', quote(held.job_id, safe=''))}/import-errors"
        place = ReadTarget(f"{job.path}/import-errors", path, job.quota, (("page[size]", "100"),))
        for page in self._reader.pages(place, held.rows + 10):
            if isinstance(page, Document):
                yield [{"id": _id(one), **_attributes(one)} for one in page.resources]
            else:
                yield page


def _by_id(jobs: Iterable[OpenJob]) -> dict[str, OpenJob]:
    """Jobs by their ids; what was answered with the same id is followed as one job, with the rows of all."""
    found: dict[str, OpenJob] = {}
    for job in jobs:
        first = found.get(job.job_id)
        found[job.job_id] = job if first is None else replace(first, rows=first.rows + job.rows)
    return found


def _queries(job: Job, states: Sequence[str]) -> Iterator[tuple[tuple[str, str], ...]]:
    """spec: import jobs filter by `any` and take a page size and a sort; all others by `equals` alone."""
    if job.errors is JobErrors.PAGES:
        named = ",".join(f'"{state}"' for state in states)
        yield (("filter", f"any(status,[{named}])"), ("page[size]", "100"), ("sort", "-created_at"))
    else:
        for state in states:
            yield (("filter", f'equals(status,"{state}")'),)


def _id(resource: Mapping[str, object]) -> str:
    return str(resource.get("id") or "")


def _attributes(resource: Mapping[str, object]) -> Mapping[str, object]:
    held = resource.get("attributes")
    return held if isinstance(held, dict) else {}


def _entries(value: object) -> list[Mapping[str, object]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
