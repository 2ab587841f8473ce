"""The nouns that travel between the rooms: frozen, picklable, and without any knowledge of Spark or HTTP.

Slab -> Span -> Batch (one request) -> Reply -> Receipt and Rejections.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Protocol

import numpy as np
import numpy.typing as npt

# Stand for the key and the moment of sending in a body's head or tail, until the request leaves. NUL is never in JSON.
KEY_MARK = b"\x00key\x00"
NOW_MARK = b"\x00now\x00"


@dataclass(frozen=True)
class Limits:
    """What one request may hold: rows, bytes of the whole body, bytes of one row (None: no limit known)."""

    max_rows: int
    max_bytes: int
    max_row_bytes: int | None = None


@dataclass(frozen=True)
class Quota:
    """The fixed windows of an endpoint: (requests, seconds) each, shortest first. Empty: no limit."""

    windows: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class StateLocation:
    """Where the tasks of one run record what they delivered (`state_path`).

    `scope` is a hash that keeps accounts, templates and their settings apart. A holder that shows no sign of life for
    `stale_seconds` counts as dead.
    """

    path: str = field(repr=False)  # a URI may hold the secrets of a store
    scope: bytes
    run_id: str
    run_number: int = 0
    stale_seconds: float = 15.0


@dataclass(frozen=True)
class EncodedRows:
    """Encoded rows of one Arrow batch in one contiguous buffer.

    Row i is `body[offsets[i]:offsets[i + 1]]` and ends in the separator. `rows[i]` is its number in the partition;
    `keys[i]` a hash of its identifier (0: none), equal for rows that mean the same profile, event or item;
    `fingerprints[i]` what a state compares it by (None without a state); `records` the rows as JSON where `body` has
    another format.
    """

    body: memoryview
    offsets: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]
    keys: npt.NDArray[np.int64]
    fingerprints: npt.NDArray[np.uint8] | None = None
    records: npt.NDArray[np.object_] | None = None

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Span:
    """Rows `start` to `stop` (exclusive) of a slab."""

    encoded_rows: EncodedRows
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def size(self) -> int:
        """Bytes, separators included."""
        return int(self.encoded_rows.offsets[self.stop] - self.encoded_rows.offsets[self.start])

    def view(self) -> memoryview:
        """The bytes, separators included, not copied."""
        return self.encoded_rows.body[
            int(self.encoded_rows.offsets[self.start]) : int(self.encoded_rows.offsets[self.stop])
        ]


class Arrangement(Protocol):
    """How rows become the inside of a body where they do not simply follow each other (`plan.arrange`)."""

    def inside(self, records: Sequence[bytes]) -> bytes | None:
        """The bytes between head and tail; None: the request has no body."""

    def named(self, records: Sequence[bytes], rests: Sequence[str]) -> list[list[int]]:
        """Positions of the rows that each pointer means; given is what follows the place of the rows in it."""


@dataclass(frozen=True)
class Envelope:
    """Where a batch goes and what stands around its rows: one value of the per-row settings.

    `of_a_row`: its path or query is made of a row's values, so that "not found" means the row.
    """

    path: str
    head: bytes
    tail: bytes
    separator: bytes = b","
    query: tuple[tuple[str, str], ...] = ()
    arrangement: Arrangement | None = None
    of_a_row: bool = False


@dataclass(frozen=True)
class Batch:
    """The rows of one request. `sequence` counts the batches of a partition."""

    sequence: int
    spans: tuple[Span, ...]
    envelope: Envelope

    @property
    def rows(self) -> int:
        """How many rows."""
        return sum(map(len, self.spans))

    @property
    def inside(self) -> list[memoryview]:
        """The rows' bytes as slices, the last separator dropped."""
        views = [span.view() for span in self.spans]
        if views and self.envelope.separator:
            views[-1] = views[-1][: -len(self.envelope.separator)]
        return views

    def parts(self) -> list[bytes | memoryview]:
        """The body in order: head, slices, tail; nothing without a body. The marks in head and tail are not filled."""
        if self.envelope.arrangement is not None:
            inside = self.envelope.arrangement.inside(list(self.records()))
            return [] if inside is None else [self.envelope.head, memoryview(inside), self.envelope.tail]
        return [self.envelope.head, *self.inside, self.envelope.tail]

    def records(self) -> Iterator[bytes]:
        """Each row's record as JSON, without separator."""
        cut = len(self.envelope.separator)
        for span in self.spans:
            if span.encoded_rows.records is not None:
                yield from span.encoded_rows.records[span.start : span.stop]
                continue
            offsets, body = span.encoded_rows.offsets, span.encoded_rows.body
            for row in range(span.start, span.stop):
                yield bytes(body[int(offsets[row]) : int(offsets[row + 1]) - cut])

    def numbers(self) -> npt.NDArray[np.int64]:
        """The rows' numbers in the partition, in order."""
        return (
            np.concatenate([s.encoded_rows.rows[s.start : s.stop] for s in self.spans])
            if self.spans
            else np.empty(0, np.int64)
        )

    def fingerprints(self) -> npt.NDArray[np.uint8] | None:
        """What a state compares the rows by, in order; None without a state."""
        held = [
            span.encoded_rows.fingerprints[span.start : span.stop]
            for span in self.spans
            if span.encoded_rows.fingerprints is not None
        ]
        return np.concatenate(held) if held else None

    def pick(self, positions: npt.NDArray[np.int64]) -> Batch:
        """The batch that holds only the rows at these positions (ascending, counted in this batch)."""
        return Batch(self.sequence, tuple(self._spans(positions)), self.envelope)

    def without(self, positions: set[int]) -> Batch:
        """The batch without the rows at these positions."""
        return self.pick(np.array([p for p in range(self.rows) if p not in positions], dtype=np.int64))

    def halves(self) -> tuple[Batch, Batch]:
        """Two batches of about half the rows each."""
        middle, every = self.rows // 2, np.arange(self.rows, dtype=np.int64)
        return self.pick(every[:middle]), self.pick(every[middle:])

    def _spans(self, positions: npt.NDArray[np.int64]) -> Iterator[Span]:
        base = 0
        for span in self.spans:
            inside = positions[(positions >= base) & (positions < base + len(span))] - base + span.start
            if len(inside):
                for run in np.split(inside, np.flatnonzero(np.diff(inside) != 1) + 1):
                    yield Span(span.encoded_rows, int(run[0]), int(run[-1]) + 1)
            base += len(span)


@dataclass(frozen=True)
class Reply:
    """What came back for one attempt. `status` is None when no answer came; then `failure` says why.

    `sent` tells whether the request may have reached the server; header names are lower case.
    """

    status: int | None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    seconds: float = 0.0
    failure: str = ""
    sent: bool = True

    @property
    def answer_lost(self) -> bool:
        """Sent, and nobody knows what became of it."""
        return self.status is None and self.sent


@dataclass(frozen=True)
class Rejection:
    """One row that Klaviyo, or a check before sending, refused; the only noun besides Batch that holds a person's data.

    `record` is the mapped row as JSON text; `row` its number in the partition; `position` its place in its batch, -1
    when it never was in one.
    """

    row: int
    record: str
    code: str
    detail: str
    pointer: str = ""
    status: int | None = None

    def __repr__(self) -> str:
        return f"Rejection(row={self.row}, code={self.code!r}, status={self.status})"


KEY = True  # marks a column of the receipts


@dataclass(frozen=True)
class Receipt:
    """What became of one request; never holds a value of a row. Times are UTC, RFC 3339.

    It is a row of the receipts dataset as well: each field says its type in Spark's DDL, what it holds, and whether it
    is a `KEY`, one that every version has written (`datasets.schemas`).
    """

    run_id: Annotated[str, "string", "names the run", KEY]
    partition_id: Annotated[int, "int", "Spark's partition the request belongs to", KEY]
    sequence: Annotated[
        int, "bigint", "number of the request in its partition; parts of batch 7 are 1000007, 2000007, ...", KEY
    ]
    template: Annotated[str, "string", "the endpoint template, or manual", KEY]
    method: Annotated[str, "string", "HTTP method"]
    url: Annotated[str, "string", "URL before anything is filled in, without query", KEY]
    status: Annotated[int | None, "int", "HTTP status of the last attempt; null where no answer came"]
    attempts: Annotated[int, "int", "how often it was tried; throttled attempts are not counted"]
    rows: Annotated[int, "bigint", "rows in it", KEY]
    bytes: Annotated[int, "bigint", "bytes of its body"]
    started_at: Annotated[str, "timestamp", "when its first attempt began"]
    seconds: Annotated[float, "double", "until its last answer, waits included"]
    job_id: Annotated[str | None, "string", "Klaviyo's asynchronous job, where there is one", KEY]
    outcome: Annotated[
        str,
        "string",
        "delivered, accepted, rejected, refused (sent again without its bad rows, or in parts), in_doubt, unavailable, "
        "unsent; of a job also cancelled, gone, unnamed (some rows failed, without being named); accepted with a "
        "job_id is an open job",
        KEY,
    ]
    detail: Annotated[str, "string", "why, in words; never a value of a row"]
