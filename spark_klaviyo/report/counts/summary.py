"""What the reports of a task and of a run have in common: counters, the reasons behind them, bounded samples.

Each counter is defined once, with its meaning. Tasks count into them; reports, the progress bar and the runs dataset
show them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import chain, islice
from math import ceil
from typing import Any, TypeVar

from spark_klaviyo.core.codes import Outcome, RejectCode
from spark_klaviyo.core.models import Receipt, RejectedRow, RemovedMember

Name = TypeVar("Name", str, int)  # a reason, a state, a warning; an HTTP status

MAX_BUCKETS = 120  # as many as a plot shows, and few enough for the report of a task
SMALLEST_WIDTH = 0.25  # seconds: fine enough for a run of a second or two; 120 of them are half a minute

Counts = tuple[int, int, int]  # rows, requests, throttled replies
NOTHING = (0, 0, 0)
MAX_REJECTED = 20
MAX_SAMPLE_BYTES = 8_000  # of all rejected rows together: reports travel in Spark's commit messages
MAX_DETAIL_LENGTH = 300
MAX_SLOWEST = 5
MAX_RECEIPTS = 20
MAX_REMOVED = 1_000  # only the calling process removes members, so they do not travel
MAX_JOBS = 40
OTHER = "other"
OTHER_STATUS = -1
MAX_NAMES = 32
MAX_NAME_LENGTH = 200


# --- counters -------------------------------------------------------------------------------------


def _counter(text: str) -> int:
    return field(default=0, metadata={"text": text, "merge": sum})


@dataclass(kw_only=True)
class Counters:
    """Numbers of rows, requests and bytes; `COUNTERS` holds their meanings.

    `rows == delivered + accepted + rejected + skipped + unsent` once a task has ended.
    """

    rows: int = _counter("rows read")
    delivered: int = _counter(Outcome.DELIVERED.text)
    accepted: int = _counter(Outcome.ACCEPTED.text)
    rejected: int = _counter(Outcome.REJECTED.text)
    skipped: int = _counter(Outcome.SKIPPED.text)
    unsent: int = _counter(Outcome.UNSENT.text)
    requests: int = _counter("requests, each counted once however often it was tried")
    retries: int = _counter("further attempts of requests, throttled ones not counted")
    throttled: int = _counter("replies with status 429")
    resent: int = _counter("rows that may have arrived twice")
    bytes: int = _counter("bytes of request bodies")
    removed: int = _counter("members that a mirror took off the list; they are not rows")
    consent_reads: int = _counter("reads of who has opted out, beside the requests that write")

    @property
    def outcomes(self) -> dict[Outcome, int]:
        """The number of rows with each outcome."""
        return {outcome: getattr(self, outcome) for outcome in Outcome}

    def adds_up(self) -> bool:
        """Whether every row read has exactly one outcome."""
        return self.rows == sum(self.outcomes.values())


COUNTERS: dict[str, str] = {counter.name: counter.metadata["text"] for counter in fields(Counters)}


# --- what happened over time ----------------------------------------------------------------------


@dataclass
class Series:
    """Counts in buckets of `width` seconds; bucket `i` covers epoch seconds `i * width` to `(i + 1) * width`.

    Widths are `SMALLEST_WIDTH` times powers of two, so that two series always merge without splitting a bucket.
    """

    width: float = SMALLEST_WIDTH
    buckets: dict[int, Counts] = field(default_factory=dict)

    def add(self, at: float, rows: int = 0, requests: int = 0, throttled: int = 0) -> None:
        """Count what happened at epoch second `at`."""
        self._add_to(int(at // self.width), (rows, requests, throttled))
        self._widen()

    def during(self, started: float, ended: float) -> Series:
        """The series with empty buckets up to the start and the end of its run, where that takes few enough.

        So a run of seconds is shown whole, even if it made one request. A long run is not: waiting for jobs would leave
        no room for the requests. Nor is a time far off, which comes from another machine's clock.
        """
        whole = Series(self.width, dict(self.buckets))
        if self.buckets and 0 <= ended - started < MAX_BUCKETS * self.width:
            for time in (started, ended):
                bucket = int(time // self.width)
                if max(*self.buckets, bucket) - min(*self.buckets, bucket) < MAX_BUCKETS:
                    whole._add_to(bucket, NOTHING)
        return whole

    def points(self) -> list[tuple[float, Counts]]:
        """(epoch second of its start, counts) of every bucket from first to last, empty ones included."""
        if not self.buckets:
            return []
        covered = range(min(self.buckets), max(self.buckets) + 1)
        return [(bucket * self.width, self.buckets.get(bucket, NOTHING)) for bucket in covered]

    @staticmethod
    def merge(many: Iterable[Series]) -> Series:
        """The sum of several series, in buckets as wide as the widest."""
        several = list(many)
        merged = Series(max((series.width for series in several), default=SMALLEST_WIDTH))
        for series in several:
            for bucket, counts in series.buckets.items():
                merged._add_to(int(bucket * series.width // merged.width), counts)
        merged._widen()
        return merged

    def _add_to(self, bucket: int, counts: Counts) -> None:
        rows, requests, throttled = self.buckets.get(bucket, NOTHING)
        self.buckets[bucket] = (rows + counts[0], requests + counts[1], throttled + counts[2])

    def _widen(self) -> None:
        while max(self.buckets, default=0) - min(self.buckets, default=0) >= MAX_BUCKETS:
            narrow, self.buckets = self.buckets, {}
            self.width *= 2
            for bucket, counts in narrow.items():
                self._add_to(bucket // 2, counts)


# --- samples --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SlowRequest:
    """One of the slowest attempts: seconds until the reply, and the request id to quote to Klaviyo's support."""

    seconds: float
    status: int | None
    rows: int
    bytes: int
    request_id: str


@dataclass(frozen=True)
class Job:
    """An asynchronous job of Klaviyo and the state it was last seen in: `complete`, `processing`, ..."""

    job_id: str
    state: str
    rows: int


def sample_rejects(rows: Iterable[RejectedRow]) -> list[RejectedRow]:
    """At most `MAX_REJECTED` rows in at most `MAX_SAMPLE_BYTES`: the first of every code before the second of any."""
    seen: Counter[str] = Counter()
    ranked = []
    for row in rows:
        ranked.append((seen[row.code], row))
        seen[row.code] += 1
    ranked.sort(key=lambda pair: pair[0])
    return _within_bytes([row for _, row in ranked[:MAX_REJECTED]])


def _within_bytes(rows: list[RejectedRow]) -> list[RejectedRow]:
    left = MAX_SAMPLE_BYTES
    kept = []
    for row in rows:
        fitting = next((form for form in (row, replace(row, record="")) if _size(form) <= left), None)
        if fitting is not None:
            kept.append(fitting)
            left -= _size(fitting)
    return kept


def _size(row: RejectedRow) -> int:
    return len(json.dumps(row.as_dict()))


def sample_slowest(requests: Iterable[SlowRequest]) -> list[SlowRequest]:
    """The `MAX_SLOWEST` slowest requests, slowest first."""
    return sorted(requests, key=lambda request: -request.seconds)[:MAX_SLOWEST]


def sample_jobs(jobs: Iterable[Job]) -> list[Job]:
    """At most `MAX_JOBS` jobs, unfinished ones first."""
    return sorted(jobs, key=lambda job: job.state == "complete")[:MAX_JOBS]


# --- counts by name -------------------------------------------------------------------------------


def count(tally: dict[Name, int], name: Name, times: int = 1) -> Name:
    """Add to the count of a name, cut to `MAX_NAME_LENGTH`; past `MAX_NAMES` names all others share one.

    Returns:
        The name that was counted.
    """
    if isinstance(name, str):
        name = name[:MAX_NAME_LENGTH]
    if name not in tally and len(tally) >= MAX_NAMES:
        name = OTHER if isinstance(name, str) else OTHER_STATUS
    if times:
        tally[name] = tally.get(name, 0) + times
    return name


def total(tallies: Iterable[Mapping[Name, int]]) -> dict[Name, int]:
    """The sum of several tallies, largest counts first."""
    summed: dict[Name, int] = {}
    for tally in tallies:
        for name, times in tally.items():
            count(summed, name, times)
    return dict(sorted(summed.items(), key=lambda pair: -pair[1]))


# --- all of it ------------------------------------------------------------------------------------


def merged(start: Callable[[], Any], merge: Callable[[Sequence[Any]], Any], *, shown: bool = True, **more: Any) -> Any:
    """A field of a dataclass that starts so; `merge` makes one value of those of several tasks."""
    return field(default_factory=start, metadata={"merge": merge, **more}, repr=shown)


def sample_of(kind: type, pick: Callable[[Iterable[Any]], Iterable[Any]]) -> Any:
    """A list of things of this kind, of which `pick` keeps some; its repr would be long, or show a person's data."""
    return merged(list, lambda lists: list(pick(chain.from_iterable(lists))), shown=False, kind=kind)


def first_of_each(many: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The first text for each name."""
    return {name: text for texts in reversed(many) for name, text in texts.items()}


def largest(many: Sequence[float]) -> float:
    """The largest value; 0 without any."""
    return max(many, default=0.0)


@dataclass(kw_only=True)
class Summary(Counters):
    """Counters and what explains them; all collections are bounded, so that it stays a few kilobytes.

    `reasons` are rejected rows by code, `details` the first sentence of each code without values of rows, `examples`
    (partition, row) pairs by code, `statuses` replies by HTTP status (0: no answer came), `job_states` jobs by state,
    `warnings` texts without a value of a row. `stopped` is (code, message) when sending was stopped. Times are epoch
    seconds. `last_requests` are those that tasks made of what was left at the end of their partitions,
    `last_requests_fill` how full they were, 1 each at most, added up. `consent_seconds` are those that a task waited
    for its `consent_reads`, of the task that waited longest. `rejects_sample` and `removed_sample` alone hold people's
    data.
    """

    reasons: dict[str, int] = merged(dict, total)
    details: dict[str, str] = merged(dict, first_of_each)
    examples: dict[str, list[tuple[int, int]]] = merged(dict, lambda _: {})  # `task_report.merge` fills it
    statuses: dict[int, int] = merged(dict, total)
    accepted_because: dict[str, int] = merged(dict, total)
    skipped_because: dict[str, int] = merged(dict, total)
    warnings: dict[str, int] = merged(dict, total)
    job_states: dict[str, int] = merged(dict, total)
    jobs: list[Job] = sample_of(Job, sample_jobs)
    slowest: list[SlowRequest] = sample_of(SlowRequest, sample_slowest)
    series: Series = merged(Series, Series.merge, shown=False)
    rejects_sample: list[RejectedRow] = sample_of(RejectedRow, sample_rejects)
    receipts_sample: list[Receipt] = sample_of(Receipt, lambda receipts: islice(receipts, MAX_RECEIPTS))
    removed_sample: list[RemovedMember] = sample_of(RemovedMember, lambda members: islice(members, MAX_REMOVED))
    stopped: tuple[str, str] | None = merged(lambda: None, lambda many: next(filter(None, many), None))
    started: float = merged(float, lambda many: min(filter(None, many), default=0.0))
    ended: float = merged(float, largest)
    last_requests: int = merged(int, sum)
    last_requests_fill: float = merged(float, sum)
    consent_seconds: float = merged(float, largest)

    @property
    def faults(self) -> int:
        """The rejected rows that count for `on_reject` and `max_rejects`; who has opted out is no fault of the data."""
        return self.rejected - self.reasons.get(RejectCode.OPTED_OUT, 0)

    @property
    def may_have_sent(self) -> bool:
        """Whether any row may have arrived."""
        unknown = any(code in self.reasons for code in (RejectCode.IN_DOUBT, RejectCode.UNAVAILABLE))
        return self.delivered + self.accepted + self.resent > 0 or unknown or bool(self.job_states)

    @property
    def requests_in_excess(self) -> int:
        """How many requests fewer partitions would have saved; known where all rows may share requests."""
        return self.last_requests - ceil(self.last_requests_fill - 1e-9)

    @property
    def seconds(self) -> float:
        """From the start of the first task to the end of the last one."""
        return max(self.ended - self.started, 0.0)


TALLIES = tuple(one.name for one in fields(Summary) if one.metadata["merge"] is total)  # the names of counts by name
