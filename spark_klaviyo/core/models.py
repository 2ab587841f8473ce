"""The values that pass between folders: encoded rows, batches, replies, receipts and rejections.

EncodedRows -> Span -> Batch (one request) -> Reply -> Receipt and Rejections. All are frozen and picklable, and know
neither Spark nor HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Annotated, TypeAlias

import numpy as np
import numpy.typing as npt

from spark_klaviyo.core.codes import Failure

if TYPE_CHECKING:
    import pyarrow as pa

# Replaced in a body's head and tail by the API key and the time of sending. JSON never contains NUL.
KEY_PLACEHOLDER = b"\x00key\x00"
NOW_PLACEHOLDER = b"\x00now\x00"
BLOCK = 256 * 1024  # bytes
NOW_LENGTH = len("2026-01-01T00:00:00.000000Z")


@dataclass(frozen=True)
class Target:
    """Where a write goes, as far as the key may read it: the account's name and public id, and the list's name.

    `double_opt_in`: people whom the write subscribes to the list are on it once they have confirmed.
    """

    account: str = ""
    account_id: str = ""
    list_name: str = ""
    double_opt_in: bool = False

    @property
    def account_text(self) -> str:
        """`Acme (Xy12Ab)`."""
        return f"{self.account} ({self.account_id})" if self.account not in ("", self.account_id) else self.account_id

    def __str__(self) -> str:
        process = " (double opt-in)" if self.double_opt_in else ""
        list_text = f"list {self.list_name}{process}" if self.list_name else ""
        return ", ".join(filter(None, (self.account_text or ("unknown" if list_text else ""), list_text)))


@dataclass(frozen=True)
class StateLocation:
    """Where the tasks of one run record what they delivered (`state_path`).

    `scope` is a hash that keeps accounts, templates and their settings apart. A holder that shows no sign of life for
    `stale_seconds` counts as dead. `continues`: the number of the last run, if it was cut off; 0 otherwise. `removals`:
    the scope of removals from lists and erasures of the account; empty where the state can hold none. `known` and
    `removed`: the names of the files in which tasks look up what was delivered and removed; empty where nothing was.
    """

    path: str = field(repr=False)  # a URI may hold the secrets of a store
    scope: bytes
    run_id: str
    run_number: int = 0
    stale_seconds: float = 15.0
    continues: int = 0
    removals: bytes = b""
    known: str = ""
    removed: str = ""


@dataclass(frozen=True, repr=False)
class EncodedRows:
    """The encoded rows of one Arrow batch in one contiguous buffer; all arrays have one entry a row."""

    body: memoryview  # row i is body[offsets[i]:offsets[i + 1]]; it ends in the envelope's separator
    offsets: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]  # the row's number in its partition
    keys: pa.Array  # texts, equal for rows of the same profile, event or item; null: the row has no identifier
    fingerprints: npt.NDArray[np.uint8] | None = None  # as the state stores them; None without a state
    records: npt.NDArray[np.object_] | None = None  # as JSON, where `body` is in another format
    phones: pa.Array | None = None  # texts, of people who may share one; None where rows are no people
    external_ids: pa.Array | None = None  # texts, of rows that may have them beside another key

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Span:
    """Rows `start` to `stop` (exclusive) of some encoded rows."""

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
        """The bytes, separators included, without a copy."""
        offsets = self.encoded_rows.offsets
        return self.encoded_rows.body[int(offsets[self.start]) : int(offsets[self.stop])]


def _no_rows(records: Sequence[bytes], rests: Sequence[str]) -> list[list[int]]:  # noqa: ARG001
    return [[] for _ in rests]


@dataclass(frozen=True)
class Arrangement:
    """How records are arranged in a body, where they do not simply follow each other (see `plan.envelopes`)."""

    # The bytes between head and tail; None: the request has no body.
    inside: Callable[[Sequence[bytes]], bytes | None]
    # The positions of the records that each pointer names; it is given the part of a pointer behind the records' path.
    named: Callable[[Sequence[bytes], Sequence[str]], list[list[int]]] = _no_rows


@dataclass(frozen=True)
class Envelope:
    """Where a batch goes, and what its body holds around the rows; one for each value of the per-row parameters.

    `of_a_row`: path or query were filled with a row's values, so a 404 is about the row. `list_id`: the list that the
    request is about, if any. `resubscribes`: its rows say that people have signed up again.
    """

    path: str
    head: bytes
    tail: bytes
    separator: bytes = b","
    query: tuple[tuple[str, str], ...] = ()
    arrangement: Arrangement | None = None
    of_a_row: bool = False
    list_id: str = ""
    resubscribes: bool = False

    def length_around(self, key_length: int) -> int:
        """Bytes of head and tail once their placeholders hold a key of `key_length` bytes and the time."""
        around = self.head + self.tail
        longer = around.count(KEY_PLACEHOLDER) * (key_length - len(KEY_PLACEHOLDER))
        return len(around) + longer + around.count(NOW_PLACEHOLDER) * (NOW_LENGTH - len(NOW_PLACEHOLDER))


@dataclass(frozen=True)
class Batch:
    """The rows of one request; `sequence` numbers the batches of a partition."""

    sequence: int
    spans: tuple[Span, ...]
    envelope: Envelope

    @property
    def rows(self) -> int:
        """The number of rows."""
        return sum(map(len, self.spans))

    def parts(self) -> list[bytes | memoryview]:
        """The body in order: head, slices, tail; empty for a request without a body. Placeholders are not replaced."""
        if self.envelope.arrangement is not None:
            inside = self.envelope.arrangement.inside(list(self.records()))
            return [] if inside is None else [self.envelope.head, memoryview(inside), self.envelope.tail]
        views = [span.view() for span in self.spans]
        if views and self.envelope.separator:
            views[-1] = views[-1][: -len(self.envelope.separator)]
        return [self.envelope.head, *views, self.envelope.tail]

    def contains(self, text: bytes) -> bool:
        """Whether a part of the body holds these bytes; blocks that fit a processor's cache are the fastest to copy."""
        starts = ((part, start) for part in self.parts() for start in range(0, len(part), BLOCK))
        return any(text in bytes(part[start : start + BLOCK + len(text)]) for part, start in starts)

    def records(self) -> Iterator[bytes]:
        """The record of each row as JSON, without separator."""
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
        if not self.spans:
            return np.empty(0, np.int64)
        return np.concatenate([span.encoded_rows.rows[span.start : span.stop] for span in self.spans])

    def fingerprints(self) -> npt.NDArray[np.uint8]:
        """The rows' fingerprints, in order; empty without a state."""
        held = [(span.encoded_rows.fingerprints, span) for span in self.spans]
        found = [fingerprints[span.start : span.stop] for fingerprints, span in held if fingerprints is not None]
        return np.concatenate(found) if found else np.empty(0, np.uint8)

    def pick(self, positions: npt.NDArray[np.int64]) -> Batch:
        """A batch of only the rows at these positions (ascending, counted in this batch)."""
        return Batch(self.sequence, tuple(self._spans(positions)), self.envelope)

    def without(self, positions: set[int]) -> Batch:
        """A batch of all rows but those at these positions."""
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
    """The reply to one attempt; header names are lower case.

    Without a reply `status` is None, `failure` says why, and `sent` whether the request may have reached the server.
    """

    status: int | None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    seconds: float = 0.0
    failure: Failure | None = None
    sent: bool = True

    @property
    def answer_lost(self) -> bool:
        """Whether the request may have been carried out although no reply came."""
        return self.status is None and self.sent


@dataclass(frozen=True)
class Rejection:
    """One row that Klaviyo, or a check before sending, refused. It holds a person's data, like Batch.

    `row` is its number in the partition (-1 where a job named it), `record` the mapped row as JSON text. `code` is a
    `RejectCode` or Klaviyo's own.
    """

    row: int
    record: str = field(repr=False)
    code: str
    detail: str = field(repr=False)
    pointer: str = field(default="", repr=False)
    status: int | None = None


# Batches on their way to be sent; None among them is passed on, so that the caller can drain rejections.
Batches: TypeAlias = Iterator[Batch | None]
RejectRow: TypeAlias = Callable[[Rejection], None]  # what takes rows that are not sent

# Rows of datasets: each field says its type in Spark's DDL, what it holds, and whether it is a `KEY`, a column that
# every version has written (`datasets.schemas`).
KEY = True


@dataclass(frozen=True, kw_only=True)
class RejectedRow:
    """A rejected row with its identifiers: a row of the rejects dataset, and of the sample that a report holds.

    Read it like a Spark row, by attribute or by name in brackets. It holds a person's data, which its repr leaves
    out. In the sample `record` is empty where it is too large.
    """

    run_id: Annotated[str, "string", "names the run", KEY]
    partition_id: Annotated[int, "int", "Spark's partition the row belongs to"]
    record: Annotated[
        str,
        "string",
        "the row as it was mapped, as JSON; repair it and write it with record_column=record (of a row that a catalog "
        "or coupon job refused only the id is known)",
        KEY,
    ]
    email: Annotated[str | None, "string", "identifier, where the row has it"] = None
    phone_number: Annotated[str | None, "string", "identifier, where the row has it"] = None
    external_id: Annotated[str | None, "string", "identifier, where the row has it"] = None
    id: Annotated[str | None, "string", "Klaviyo's id, where the row has it"] = None
    code: Annotated[str, "string", "why, as one word: Klaviyo's or the package's", KEY]
    detail: Annotated[str, "string", "why, in words; may repeat a value of the row"]
    pointer: Annotated[str, "string", "JSON pointer of the offence"]
    status: Annotated[int | None, "int", "HTTP status of the refusal; null where none refused it"]
    row: int  # its number in the partition, as in `Rejection`; no column

    def as_dict(self) -> dict[str, str | int | None]:
        """Every column with its value, the person's data included."""
        return asdict(self)

    def __getitem__(self, column: str) -> str | int | None:
        return self.as_dict()[column]

    def __repr__(self) -> str:
        place = f"partition_id={self.partition_id}, row={self.row}"
        return f"RejectedRow({place}, code={self.code!r}, pointer={self.pointer!r}, status={self.status})"


@dataclass(frozen=True, repr=False)
class RemovedMember:
    """A member that a mirror took off its list, a row of the dataset of these; identifiers are as Klaviyo had them."""

    run_id: Annotated[str, "string", "names the run", KEY]
    list_id: Annotated[str, "string", "the list that the member was removed from", KEY]
    id: Annotated[str, "string", "Klaviyo's id of the profile", KEY]
    email: Annotated[str | None, "string", "identifier, where the profile has it"]
    phone_number: Annotated[str | None, "string", "identifier, where the profile has it"]
    external_id: Annotated[str | None, "string", "identifier, where the profile has it"]
    removed_at: Annotated[str, "timestamp", "when Klaviyo had confirmed it"]


@dataclass(frozen=True)
class Receipt:
    """What became of one request, a row of the receipts dataset; never a value of a row. Times are UTC, RFC 3339."""

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
