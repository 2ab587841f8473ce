"""What one task, or many merged, has to say at its end: counts that add up, and small samples."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace

from spark_klaviyo.core.models import Receipt, Rejection, Reply
from spark_klaviyo.report import serialize, tally
from spark_klaviyo.report.sample import Job, RejectSample, SlowRequest, Who, fair, slowest, telling
from spark_klaviyo.report.series import Series

NO_ANSWER = 0  # stands among the statuses for attempts that no reply came to
MAX_EXAMPLES = 5
MAX_RECEIPTS = 20
_CODE = re.compile(r"[\w.-]{1,64}", re.ASCII)


@dataclass
class TaskReport:
    """The counts of one task; `merge` adds them up. Pickles, and goes through JSON, in a few kilobytes.

    `rows == delivered + accepted + rejected + skipped + unsent` once the task has ended. `requests` counts
    batches, `retries` further attempts, `throttled` 429 replies, `resent` rows that may have arrived twice,
    `bytes` those of bodies, `removed` members that a mirror took off the list, which are no rows. Times are epoch
    seconds. `examples` are (partition, row) pairs by code. `rejects`
    alone holds a person's data; `bare()` is the report without it.
    """

    rows: int = 0
    delivered: int = 0
    accepted: int = 0
    rejected: int = 0
    skipped: int = 0
    unsent: int = 0
    requests: int = 0
    retries: int = 0
    throttled: int = 0
    resent: int = 0
    bytes: int = 0
    removed: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    statuses: dict[int, int] = field(default_factory=dict)
    accepted_because: dict[str, int] = field(default_factory=dict)
    skipped_because: dict[str, int] = field(default_factory=dict)
    warnings: dict[str, int] = field(default_factory=dict)
    rejects: list[RejectSample] = field(default_factory=list, repr=False)
    receipts: list[Receipt] = field(default_factory=list, repr=False)
    slowest: list[SlowRequest] = field(default_factory=list, repr=False)
    jobs: list[Job] = field(default_factory=list, repr=False)
    job_states: dict[str, int] = field(default_factory=dict)
    series: Series = field(default_factory=Series, repr=False)
    stopped: tuple[str, str] | None = None
    started: float = 0.0
    ended: float = 0.0

    def reject(self, rejection: Rejection, *, partition_id: int, who: Who, run_id: str = "") -> None:
        """Count a rejected row; the first few of each code go into the sample."""
        self.rejected += 1
        code = rejection.code if _CODE.fullmatch(rejection.code) else tally.OTHER
        code = tally.count(self.reasons, code)
        shown = self.examples.setdefault(code, [])
        if rejection.row >= 0 and len(shown) < MAX_EXAMPLES:  # a row that a job named has no number
            shown.append((partition_id, rejection.row))
        if self.reasons[code] <= MAX_EXAMPLES:
            self.rejects = fair([*self.rejects, RejectSample.of(rejection, partition_id, who, run_id)])

    def accept(self, rows: int, because: str) -> None:
        """Count rows that were taken but cannot be confirmed, with the reason as a phrase."""
        self.accepted += rows
        tally.count(self.accepted_because, because, rows)

    def take_back(self, rows: int, because: str) -> None:
        """Uncount rows accepted for this reason: their job has told more, and they are counted anew."""
        self.accepted -= rows
        name = because[: tally.MAX_NAME_LENGTH]
        name = name if name in self.accepted_because else tally.OTHER
        left = self.accepted_because.pop(name, 0) - rows
        if left > 0:
            self.accepted_because[name] = left

    def skip(self, rows: int, because: str) -> None:
        """Count rows that need no sending, with the reason as a phrase."""
        self.skipped += rows
        tally.count(self.skipped_because, because, rows)

    def warn(self, warning: str, times: int = 1) -> None:
        """Count a warning; its text holds no value of a row."""
        tally.count(self.warnings, warning, times)

    def reply(self, reply: Reply, *, at: float, rows: int, size: int, taken: bool) -> None:
        """Count one attempt of a request of `rows` rows and `size` bytes, over at epoch second `at`."""
        status = reply.status or NO_ANSWER
        hit = int(status == 429)
        tally.count(self.statuses, status)
        self.throttled += hit
        self.series.add(at, rows if taken else 0, 1, hit)
        mark = reply.headers.get("x-klaviyo-req-id", "")[:64]
        self.slowest = slowest([*self.slowest, SlowRequest(reply.seconds, reply.status, rows, size, mark)])

    def job(self, job_id: str, state: str, rows: int) -> None:
        """Note the state in which this run leaves a job; say it once a job."""
        tally.count(self.job_states, state)
        self.jobs = telling([*self.jobs, Job(job_id, state, rows)])

    def outcome(self, job_id: str, outcome: str, detail: str) -> None:
        """Put a job's end into the kept receipt of its request."""
        self.receipts = [
            replace(one, outcome=outcome, detail=detail) if one.job_id == job_id else one for one in self.receipts
        ]

    def receipt(self, receipt: Receipt) -> None:
        """Count a request by its receipt (a 429 is none of its attempts); the first few receipts are kept."""
        self.requests += 1
        self.retries += max(receipt.attempts - 1, 0)
        self.bytes += receipt.bytes
        if len(self.receipts) < MAX_RECEIPTS:
            self.receipts.append(receipt)

    def bare(self) -> TaskReport:
        """The same without rejected rows and receipts: what may stand in a commit message or a log."""
        return replace(self, rejects=[], receipts=[])

    def adds_up(self) -> bool:
        """Whether every row read is in exactly one count."""
        return self.rows == self.delivered + self.accepted + self.rejected + self.skipped + self.unsent

    def to_json(self) -> str:
        """All of it as JSON text, the sample of rejected rows included; `from_json` reads it."""
        return serialize.write({field.name: getattr(self, field.name) for field in fields(self)})

    @staticmethod
    def from_json(text: str) -> TaskReport:
        """The report that `to_json` wrote."""
        known = {field.name for field in fields(TaskReport)}
        return TaskReport(**{name: value for name, value in serialize.read(text).items() if name in known})


COUNTS = ("rows", "delivered", "accepted", "rejected", "skipped", "unsent",
          "requests", "retries", "throttled", "resent", "bytes", "removed")  # fmt: skip
TALLIES = ("reasons", "statuses", "accepted_because", "skipped_because", "warnings", "job_states")


def merge(reports: Iterable[TaskReport]) -> TaskReport:
    """One report of several tasks: counts added, samples drawn fairly, earliest start, latest end."""
    every = list(reports)
    merged = TaskReport(series=Series.merge(one.series for one in every))
    for name in COUNTS:
        setattr(merged, name, sum(getattr(one, name) for one in every))
    for name in TALLIES:
        setattr(merged, name, tally.total(getattr(one, name) for one in every))
    merged.examples = _examples(every, merged.reasons)
    merged.rejects = fair(row for one in every for row in one.rejects)
    merged.receipts = [receipt for one in every for receipt in one.receipts][:MAX_RECEIPTS]
    merged.slowest = slowest(request for one in every for request in one.slowest)
    merged.jobs = telling(job for one in every for job in one.jobs)
    merged.stopped = next((one.stopped for one in every if one.stopped), None)
    merged.started = min((one.started for one in every if one.started), default=0.0)
    merged.ended = max((one.ended for one in every), default=0.0)
    return merged


def _examples(every: list[TaskReport], reasons: Mapping[str, int]) -> dict[str, list[tuple[int, int]]]:
    found: dict[str, list[tuple[int, int]]] = {}
    for one in every:
        for code, pairs in one.examples.items():
            shown = found.setdefault(code if code in reasons else tally.OTHER, [])
            shown.extend(pairs[: MAX_EXAMPLES - len(shown)])
    return found
