"""The bounded samples that a report carries: rejected rows, slow requests, jobs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from spark_klaviyo.core.models import Rejection

Identifiers = Mapping[str, str | None]  # of one row: email, phone_number, external_id, id

MAX_REJECTED = 20
MAX_SAMPLE_BYTES = 8_000  # of all rejected rows together: reports travel in Spark's commit messages
MAX_DETAIL_LENGTH = 300
MAX_SLOWEST = 5
MAX_JOBS = 40


@dataclass(frozen=True)
class RejectSample:
    """A sampled rejected row: the columns of the rejects dataset, and the row's number in its partition.

    Read it like a Spark row, by attribute or by name in brackets. It holds a person's data, which its repr leaves
    out. `record` is empty where it is too large for the sample.
    """

    run_id: str
    partition_id: int
    row: int
    record: str
    email: str | None
    phone_number: str | None
    external_id: str | None
    id: str | None
    code: str
    detail: str
    pointer: str
    status: int | None

    @classmethod
    def of(cls, rejection: Rejection, partition_id: int, identifiers: Identifiers, run_id: str) -> RejectSample:
        """The sample of a rejection."""
        known: dict[str, Any] = {name: identifiers.get(name) for name in ("email", "phone_number", "external_id", "id")}
        detail, pointer = rejection.detail[:MAX_DETAIL_LENGTH], rejection.pointer[:MAX_DETAIL_LENGTH]
        short = replace(rejection, detail=detail, pointer=pointer)
        return cls(run_id=run_id, partition_id=partition_id, **known, **vars(short))

    def as_dict(self) -> dict[str, str | int | None]:
        """Every column with its value, the person's data included."""
        return asdict(self)

    def __getitem__(self, column: str) -> str | int | None:
        return self.as_dict()[column]

    def __repr__(self) -> str:
        return (
            f"RejectSample(partition_id={self.partition_id}, row={self.row}, code={self.code!r}, "
            f"pointer={self.pointer!r}, status={self.status})"
        )


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


def sample_rejects(rows: Iterable[RejectSample]) -> list[RejectSample]:
    """At most `MAX_REJECTED` rows in at most `MAX_SAMPLE_BYTES`: the first of every code before the second of any."""
    seen: Counter[str] = Counter()
    ranked = []
    for row in rows:
        ranked.append((seen[row.code], row))
        seen[row.code] += 1
    ranked.sort(key=lambda pair: pair[0])
    return _within_bytes([row for _, row in ranked[:MAX_REJECTED]])


def _within_bytes(rows: list[RejectSample]) -> list[RejectSample]:
    left = MAX_SAMPLE_BYTES
    kept = []
    for row in rows:
        fitting = next((form for form in (row, replace(row, record="")) if _size(form) <= left), None)
        if fitting is not None:
            kept.append(fitting)
            left -= _size(fitting)
    return kept


def _size(row: RejectSample) -> int:
    return len(json.dumps(row.as_dict()))


def sample_slowest(requests: Iterable[SlowRequest]) -> list[SlowRequest]:
    """The `MAX_SLOWEST` slowest requests, slowest first."""
    return sorted(requests, key=lambda request: -request.seconds)[:MAX_SLOWEST]


def sample_jobs(jobs: Iterable[Job]) -> list[Job]:
    """At most `MAX_JOBS` jobs, unfinished ones first."""
    return sorted(jobs, key=lambda job: job.state == "complete")[:MAX_JOBS]
