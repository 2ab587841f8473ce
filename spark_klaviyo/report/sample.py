"""The bounded samples that a report carries: rejected rows, slowest requests, jobs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace

from spark_klaviyo.core.models import Rejection

Who = Mapping[str, str | None]  # a row's identifiers: email, phone_number, external_id, id

MAX_REJECTED = 20
MAX_SAMPLE_BYTES = 8_000  # of all records in the sample together: reports travel in Spark's commit messages
MAX_DETAIL = 300
MAX_SLOWEST = 5
MAX_JOBS = 40


@dataclass(frozen=True)
class RejectSample:
    """A row of the sample of rejects: the columns of the rejects dataset, and its number there (`row`).

    Read it like a Spark row, by attribute or by name in brackets. It holds a person's data, for the caller's
    eyes; its repr does not. `record` is empty where it is too large for the sample.
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
    def of(cls, rejection: Rejection, partition_id: int, who: Who, run_id: str) -> RejectSample:
        """The sample's entry for a rejection; `who` holds the identifiers that the row has."""
        email, phone, external, own = map(who.get, ("email", "phone_number", "external_id", "id"))
        return cls(
            run_id, partition_id, rejection.row, rejection.record, email, phone, external, own,
            rejection.code, rejection.detail[:MAX_DETAIL], rejection.pointer[:MAX_DETAIL], rejection.status,
        )  # fmt: skip

    def as_dict(self) -> dict[str, str | int | None]:
        """Every column with its value, the person's data included."""
        return asdict(self)

    def __getitem__(self, column: str) -> str | int | None:
        if column not in COLUMNS:
            raise KeyError(column)
        value: str | int | None = getattr(self, column)
        return value

    def __repr__(self) -> str:
        return (
            f"RejectedRow(partition_id={self.partition_id}, row={self.row}, code={self.code!r}, "
            f"pointer={self.pointer!r}, status={self.status})"
        )


COLUMNS = tuple(column.name for column in fields(RejectSample))


@dataclass(frozen=True)
class SlowRequest:
    """One of the slowest attempts: how long the reply took, and what to quote to Klaviyo's support."""

    seconds: float
    status: int | None
    rows: int
    bytes: int
    request_id: str


@dataclass(frozen=True)
class Job:
    """An asynchronous job of Klaviyo's and the state it was last seen in: `complete`, `processing`, ..."""

    job_id: str
    state: str
    rows: int


def fair(rows: Iterable[RejectSample]) -> list[RejectSample]:
    """The rows worth keeping: the first of every code before the second of any, within count and bytes."""
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


def slowest(requests: Iterable[SlowRequest]) -> list[SlowRequest]:
    """The few slowest, slowest first."""
    return sorted(requests, key=lambda request: -request.seconds)[:MAX_SLOWEST]


def telling(jobs: Iterable[Job]) -> list[Job]:
    """The jobs worth keeping: those without an end first."""
    return sorted(jobs, key=lambda job: job.state == "complete")[:MAX_JOBS]
