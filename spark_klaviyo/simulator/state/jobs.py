"""Asynchronous jobs: their families, their first and later states, and how they end."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from spark_klaviyo.simulator.clock import iso
from spark_klaviyo.simulator.errors import JsonObject
from spark_klaviyo.simulator.switches import Switches

SEVEN_DAYS = 7 * 86_400
UNFINISHED_LOOKS = 60.0  # recorded 2026-09: usually 8-20 s; an older job is not counted as in progress


@dataclass(frozen=True)
class JobFamily:
    """What the jobs of one endpoint have in common."""

    kind: str
    first: str  # recorded 2026-09: import says "queued" at first, all others "processing"
    missing: str  # the sentence of the 404
    relation: str = ""  # the relationship that names what was written
    written: str = ""  # the type of what was written
    cap: int | None = None
    has_errors: bool = False  # errors inline in the attributes
    suppression: bool = False

    @property
    def path(self) -> str:
        """The collection's path."""
        return f"/api/{self.kind}s"


@dataclass
class Job:
    """One job. `work` is applied at once or at its end; it fills `written`, `failures` and the counts."""

    family: JobFamily
    id: str
    created: float
    total: int
    status: str
    lists: Sequence[str] = ()
    segments: Sequence[str] = ()
    written: Sequence[str] = ()
    failures: list[JsonObject] = field(default_factory=list)
    failed: int = 0
    skipped: int = 0
    completed: int = 0
    ended: float | None = None
    started: float | None = None
    looks: int = 0
    seconds: float | None = None
    ending: str = "complete"  # "complete" | "cancelled" | "never"
    work: Callable[[Job], None] | None = None

    @property
    def open(self) -> bool:
        """Whether the job may still change."""
        return self.status in ("queued", "processing")

    def do_work(self) -> None:
        """Apply the rows, once."""
        work, self.work = self.work, None
        if work is not None:
            work(self)

    def look(self, now: float, switches: Switches) -> None:
        """A status read: ends the job when its polls or its seconds are over."""
        if not self.open or self.ending == "never":
            return
        self.looks += 1
        seconds = self.seconds if self.seconds is not None else switches.job_seconds
        due = now >= self.created + seconds if seconds is not None else self.looks > switches.job_polls
        if due:
            self.end(now)
        elif self.looks > 1:  # recorded 2026-09: an import is still queued at the first poll
            self.status, self.started = "processing", self.started or now

    def end(self, now: float) -> None:
        """Finish: there is no `failed`; a job with every row failed is complete, too."""
        if self.ending == "cancelled":
            self.status, self.work, self.ended = "cancelled", None, now
            return
        self.do_work()
        self.status, self.started, self.ended = "complete", self.started or now, now
        self.completed = self.total - self.failed - self.skipped

    def settle(self, now: float, switches: Switches) -> None:
        """End a job whose seconds are over without anyone looking."""
        seconds = self.seconds if self.seconds is not None else switches.job_seconds
        if self.open and self.ending != "never" and seconds is not None and now >= self.created + seconds:
            self.end(now)

    def attributes(self, *, first: bool, full_counts_early: bool = False) -> JsonObject:
        """The attributes, in the order of the family's 202."""
        if self.family.suppression:
            return self._suppression_attributes()
        created = iso(self.created) if self.family.has_errors else self._import_created(first)
        early = full_counts_early and self.open and self.looks > 0
        shown: JsonObject = {
            "status": self.status,
            "created_at": created,
            "total_count": self.total,
            "completed_count": self.total - self.failed if early else self.completed,
            "failed_count": self.failed if early or not self.open else 0,
            "completed_at": iso(self.ended) if self.ended is not None else None,
        }
        if self.family.has_errors:
            return {**shown, "errors": [] if self.open else self.failures, "expires_at": iso(self.created + SEVEN_DAYS)}
        started = iso(self.started) if self.started is not None else None
        return {**shown, "expires_at": iso(self.created + SEVEN_DAYS, fraction=False), "started_at": started}

    def _import_created(self, first: bool) -> str:
        # recorded 2026-09: whole seconds in the 202, a fraction and one second later in reads
        return iso(self.created, fraction=False) if first else iso(self.created + 1.031525)

    def _suppression_attributes(self) -> JsonObject:
        # recorded 2026-09: completed_at is set at once, with all counts 0 and status processing
        done = not self.open
        return {
            "status": self.status,
            "created_at": iso(self.created),
            "total_count": self.total if done or self.skipped else 0,
            "completed_count": self.completed if done else 0,
            "completed_at": iso(self.created + 0.007985),
            "skipped_count": self.skipped,
        }


class JobBook:
    """Every job of the account, by id."""

    def __init__(self, account_id: str) -> None:
        self.by_id: dict[str, Job] = {}
        self.remember: int | None = None  # forget the oldest finished jobs beyond so many; None keeps all
        self._account_id = account_id
        self._made = 0
        self._forgotten: Counter[str] = Counter()

    def open(self, family: JobFamily, total: int, now: float) -> Job:
        """A new job in its family's first state."""
        self._forget()
        self._made += 1
        number = self._made
        if family.first == "queued":
            # recorded 2026-09: unpadded base64 of <account>_maintenance.<6>.<unix s>.<6>
            text = f"{self._account_id}_maintenance.{number:06d}.{int(now)}.SiMuLa"
            job_id = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
        else:
            job_id = f"01M2ZK7Q4J{number:016d}"
        job = Job(family, job_id, now, total, family.first)
        self.by_id[job_id] = job
        return job

    def _forget(self) -> None:
        while self.remember is not None and len(self.by_id) >= self.remember:
            oldest = next(iter(self.by_id.values()))
            if oldest.open:
                return
            del self.by_id[oldest.id]
            self._forgotten[oldest.status] += oldest.total

    def rows(self) -> Counter[str]:
        """How many rows all jobs took, by the job's status; those of forgotten jobs count, too."""
        rows = Counter(self._forgotten)
        for job in self.by_id.values():
            rows[job.status] += job.total
        return rows

    def get(self, family: JobFamily, job_id: str, now: float) -> Job | None:
        """A job that exists and has not expired (404 seven days after it was made)."""
        job = self.by_id.get(job_id)
        if job is None or job.family is not family:
            return None
        expires = not family.suppression and now >= job.created + SEVEN_DAYS
        return None if expires else job

    def of(self, family: JobFamily, now: float) -> Iterator[Job]:
        """The family's jobs that have not expired, oldest first."""
        for job_id in list(self.by_id):
            job = self.get(family, job_id, now)
            if job is not None:
                yield job

    def in_progress(self, family: JobFamily, now: float) -> int:
        """How many jobs count against the family's cap."""
        return sum(job.open and now - job.created < UNFINISHED_LOOKS for job in self.of(family, now))
