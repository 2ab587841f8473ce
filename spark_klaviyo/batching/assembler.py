"""Groups encoded rows into requests, each as full as both limits allow, never a byte over.

Encoded rows are one buffer in which every row ends in the separator, so any run of rows is already the inside of a
request. Cutting it is a binary search in its offsets; no row becomes an object here.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spark_klaviyo.arrow.arrays import Mask, to_integers
from spark_klaviyo.batching.encoded_rows import gathered, params_of
from spark_klaviyo.batching.screening import rejected_as_too_large, screen
from spark_klaviyo.core.clock import Stop
from spark_klaviyo.core.exact_json import Json, get, get_object, try_loads
from spark_klaviyo.core.models import Batch, EncodedRows, Envelope, Rejection, Span
from spark_klaviyo.core.policy import Limits
from spark_klaviyo.plan.envelopes import envelope
from spark_klaviyo.plan.model import Checks, WritePlan, identifiers_of
from spark_klaviyo.report.counts.task_report import TaskReport

MOST_APART = 10  # more requests for people who share a phone; a number that more of them share is no personal one
MAX_OPEN = 500  # requests being filled at once, when rows go to many lists; the least recently used is sent as it is
MAX_REJECTIONS = 1_000  # held before the caller gets a chance to drain them
SUPERSEDED = "a later row of the same request has the same identifier"
SHARED_PHONE = (
    "rows share a phone number with a row of another email or external_id; they are sent in different requests, as two "
    "people until Klaviyo says otherwise"
)


def key_length(plan: WritePlan) -> int:
    """Bytes of the key that replaces its placeholder in a body; 0 without a key."""
    return len(plan.credentials.reveal().encode())


class Batcher:
    """Collects spans for one envelope and yields a batch whenever the next row would pass a limit.

    `room` is what the byte limit leaves for rows beside head and tail, `row_bytes` what a single record may have.
    `number` gives each batch its sequence.
    """

    def __init__(self, envelope: Envelope, limits: Limits, number: Callable[[], int], key_length: int = 0) -> None:
        self.envelope, self.limits, self._number = envelope, limits, number
        # n rows carry n separators, and the last one is not sent
        self.room = limits.max_bytes - envelope.length_around(key_length) + len(envelope.separator)
        alone = self.room - len(envelope.separator)
        self.row_bytes = min(alone, alone if limits.max_row_bytes is None else limits.max_row_bytes)
        self._spans, self._rows, self._bytes = list[Span](), 0, 0

    def too_large(self, encoded: EncodedRows) -> npt.NDArray[np.int64]:
        """Positions of the rows that no request, or no profile, could hold."""
        return np.flatnonzero(np.diff(encoded.offsets) > self.row_bytes + len(self.envelope.separator))

    def cut(self, encoded: EncodedRows) -> Iterator[Batch]:
        """Add rows, none of them too large; yield the batches that became full."""
        start, rows = 0, len(encoded)
        while start < rows:
            reach = int(encoded.offsets[start]) + self.room - self._bytes
            stop = int(encoded.offsets.searchsorted(reach, "right")) - 1
            stop = min(stop, start + self.limits.max_rows - self._rows, rows)
            if stop > start:
                span = Span(encoded, start, stop)
                self._spans.append(span)
                self._rows += len(span)
                self._bytes += span.size
                start = stop
            if start < rows:
                yield from self.flush()

    def fill(self) -> float:
        """How full the request of the rows that are held is, from 0 to 1."""
        return max(self._rows / self.limits.max_rows, self._bytes / self.room)

    def flush(self) -> Iterator[Batch]:
        """The batch of the rows that are held, if there are any."""
        if self._spans:
            yield Batch(self._number(), tuple(self._spans), self.envelope)
        self._spans, self._rows, self._bytes = [], 0, 0


class BatchAssembler:
    """Groups encoded rows into requests.

    Screens the rows, and yields one Batch per request, filled to the endpoint's row and byte limits. Rows with
    different request parameters never share a request. Knows neither HTTP nor Spark.
    """

    def __init__(self, plan: WritePlan, report: TaskReport, stop: Stop) -> None:
        self.plan, self.report, self.stop = plan, report, stop
        self.rejections: list[Rejection] = []
        self._batchers: OrderedDict[str, Batcher] = OrderedDict()
        self._number = count().__next__
        self._key_length = key_length(plan)

    def batches(self, encoded: Iterator[pa.RecordBatch]) -> Iterator[Batch | None]:
        """Every request to send, in order; None between them lets the caller drain the rejections."""
        for batch in encoded:
            for key, rows in screen(batch, self.plan, self.report, self.rejections):
                yield from self._cut(key, rows)
            if len(self.rejections) >= MAX_REJECTIONS:
                yield None
            if self.stop.is_set():
                break  # what was read is handed back as unsent
        if len(self._batchers) == 1 and (fill := next(iter(self._batchers.values())).fill()):
            self.report.last_requests, self.report.last_requests_fill = 1, fill
        for batcher in self._batchers.values():
            yield from self._deduplicated(batcher.flush())

    def taken_rejections(self) -> list[Rejection]:
        """The rejections since the last call."""
        taken = self.rejections.copy()
        self.rejections.clear()
        return taken

    def _cut(self, key: str, rows: EncodedRows) -> Iterator[Batch]:
        if key not in self._batchers:
            around = envelope(self.plan, params_of(key))
            self._batchers[key] = Batcher(around, self.plan.limits, self._number, self._key_length)
        batcher = self._batchers[key]
        self._batchers.move_to_end(key)
        large = batcher.too_large(rows)
        if len(large):
            self.rejections += rejected_as_too_large(rows, large, batcher.row_bytes)
            rows = gathered(rows, np.setdiff1d(np.arange(len(rows)), large))
        yield from self._deduplicated(batcher.cut(rows))
        if len(self._batchers) > MAX_OPEN:
            _, oldest = self._batchers.popitem(last=False)
            yield from self._deduplicated(oldest.flush())

    def _deduplicated(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The batches without rows that a later one replaces; rows that must not share a request come in later ones."""
        for batch in batches:
            if not self.plan.checks.key or self.plan.template.takes_away:
                yield batch
                continue
            repeats = repeats_in(self.plan.checks, batch, each_key_is_known=self.plan.state is not None)
            if repeats.superseded:
                self.report.skip(len(repeats.superseded), SUPERSEDED)
            if repeats.sharing:
                self.report.warn(SHARED_PHONE, repeats.sharing)
            gone = repeats.superseded | set(repeats.apart)
            yield batch.without(gone) if gone else batch
            for number in sorted(set(repeats.apart.values())):
                positions = [at for at, after in repeats.apart.items() if after == number]
                yield replace(batch.pick(np.array(positions, np.int64)), sequence=self._number())


# --- rows of one request that mean the same person, event or item, or that may --------------------

# A later row with the same identifier, or the same external id, replaces an earlier one. Rows that add to a profile
# replace nothing, and neither do people who share a phone alone: they go out in different requests, in their order.


@dataclass(frozen=True)
class Repeats:
    """Positions in a batch of rows that a later one replaces; of rows that are sent in a later request, with its number
    after this one; and how many rows share a phone."""

    superseded: set[int] = field(default_factory=set)
    apart: dict[int, int] = field(default_factory=dict)
    sharing: int = 0


def repeats_in(checks: Checks, batch: Batch, *, each_key_is_known: bool = False) -> Repeats:
    """The repeats of a batch.

    Equal keys, external ids and phones are candidates, found in whole columns; only those are compared by their
    identifiers. With `each_key_is_known` a state holds what was delivered for each key: rows of different keys with the
    same external id are sent apart, as the state would send again what a later row replaces.
    """
    spans = [(span.encoded_rows, slice(span.start, span.stop)) for span in batch.spans]
    keys = _repeated(pa.concat_arrays([rows.keys[where] for rows, where in spans]))
    ids = _repeated(pa.concat_arrays([_texts(rows.external_ids, where) for rows, where in spans]))
    phones = pa.concat_arrays([_texts(rows.phones, where) for rows, where in spans])
    named, sharing = keys | ids, _repeated(phones)
    candidates = np.flatnonzero(named | sharing)
    if not len(candidates):
        return Repeats()
    records = dict(zip(candidates.tolist(), map(try_loads, batch.pick(candidates).records()), strict=True))
    names = {at: found for at, record in records.items() if named[at] and (found := _names(checks, record))}
    adds = {at for at in names if any(get(records[at], path) is not None for path in checks.adds)}
    adding = {name for at in adds for name in names[at]}
    if each_key_is_known:
        adding |= {name for found in names.values() if len(found) > 1 for name in found}
    gone, sent = set[int](), set[tuple[str, ...]]()
    for at, found in reversed(names.items()):  # a row that is not sent itself replaces none
        if adding.isdisjoint(found):
            if sent.isdisjoint(found):
                sent |= set(found)
            else:
                gone.add(at)
    shared = {at: phones[at].as_py() for at in records if sharing[at] and at not in gone}
    counts = Counter(shared.values())
    shared = {at: phone for at, phone in shared.items() if counts[phone] > 1}
    apart = {at: found for at, found in names.items() if not adding.isdisjoint(found)}
    return Repeats(gone, _apart(apart, shared), len(shared))


def _apart(names: dict[int, list[tuple[str, ...]]], phones: dict[int, str]) -> dict[int, int]:
    """In which request after the first one each row goes, so that no two of a name, or of a phone, share one."""
    apart, taken = dict[int, int](), Counter[object]()
    for at in sorted({*names, *phones}):
        number = max((taken[name] for name in names.get(at, ())), default=0)
        number = max(number, min(taken[phones[at]], MOST_APART) if at in phones else 0)
        for token in (*names.get(at, ()), *([phones[at]] if at in phones else [])):
            taken[token] = number + 1
        if number:
            apart[at] = number
    return apart


def _repeated(texts: pa.Array) -> Mask:
    """Which texts occur more than once."""
    encoded = texts.dictionary_encode()
    if len(encoded.dictionary) + texts.null_count == len(texts):  # nearly always
        return np.zeros(len(texts), np.bool_)
    number = to_integers(encoded.indices, -1) + 1  # 0: none
    counts = np.bincount(number, minlength=1)
    counts[0] = 0
    repeated: Mask = counts[number] > 1
    return repeated


def _texts(column: pa.Array | None, where: slice) -> pa.Array:
    return pa.nulls(where.stop - where.start, pa.string()) if column is None else column[where]


def _names(checks: Checks, record: Json) -> list[tuple[str, ...]]:
    """A record's identifiers; consent to another channel replaces nothing."""
    names = identifiers_of(checks, record)
    if not names or not checks.channels_path:
        return names
    media = sorted(get_object(record, checks.channels_path))
    uses = ((medium, use) for medium in media for use in sorted(get_object(record, (*checks.channels_path, medium))))
    channels = [f"{medium}.{use}" for medium, use in uses]
    return [(*name, *channels) for name in names]
