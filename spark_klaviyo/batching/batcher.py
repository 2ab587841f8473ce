"""Encoded rows in, batches out: each as full as both limits allow, never a byte over.

Encoded rows are one buffer in which every row ends in the separator, so any run of rows is already the inside of a
request. Cutting it is a binary search in its offsets; no row becomes an object here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from spark_klaviyo.core.models import KEY_PLACEHOLDER, NOW_PLACEHOLDER, Batch, EncodedRows, Envelope, Limits, Span

NOW_LENGTH = len("2026-01-01T00:00:00.000000Z")


def filled_length(text: bytes, key_length: int) -> int:
    """Bytes of a head or tail once its marks are filled with a key of `key_length` bytes and the time."""
    length = len(text)
    length += text.count(KEY_PLACEHOLDER) * (key_length - len(KEY_PLACEHOLDER))
    return length + text.count(NOW_PLACEHOLDER) * (NOW_LENGTH - len(NOW_PLACEHOLDER))


@dataclass
class Batcher:
    """Collects spans for one envelope and yields a batch whenever the next row would pass a limit.

    `room` is what the byte limit leaves for rows beside head and tail. `number` gives each batch its sequence.
    """

    envelope: Envelope
    limits: Limits
    number: Callable[[], int]
    key_length: int = 0
    _spans: list[Span] = field(default_factory=list)
    _rows: int = 0
    _bytes: int = 0

    def __post_init__(self) -> None:
        around = filled_length(self.envelope.head, self.key_length)
        around += filled_length(self.envelope.tail, self.key_length)
        # n rows carry n separators, and the last one is not sent
        self.room = self.limits.max_bytes - around + len(self.envelope.separator)

    def too_large(self, encoded: EncodedRows) -> npt.NDArray[np.int64]:
        """Positions of the rows that no request, or no profile, could hold."""
        sizes = np.diff(encoded.offsets)
        largest = self.room
        if self.limits.max_row_bytes is not None:
            largest = min(largest, self.limits.max_row_bytes + len(self.envelope.separator))
        return np.flatnonzero(sizes > largest)

    def cut(self, encoded: EncodedRows) -> Iterator[Batch]:
        """Add rows, none of them too large; yield the batches that became full."""
        start, rows = 0, len(encoded)
        while start < rows:
            reach = int(encoded.offsets[start]) + self.room - self._bytes
            stop = int(encoded.offsets.searchsorted(reach, "right")) - 1
            stop = min(stop, start + self.limits.max_rows - self._rows, rows)
            if stop > start:
                self._add(Span(encoded, start, stop))
                start = stop
            if start < rows:
                yield from self.flush()

    def flush(self) -> Iterator[Batch]:
        """The batch of the rows that are held, if there are any."""
        if self._spans:
            yield Batch(self.number(), tuple(self._spans), self.envelope)
        self._spans, self._rows, self._bytes = [], 0, 0

    def _add(self, span: Span) -> None:
        self._spans.append(span)
        self._rows += len(span)
        self._bytes += span.size
