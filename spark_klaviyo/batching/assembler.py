"""Groups encoded rows into requests."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from itertools import count

import numpy as np
import pyarrow as pa

from spark_klaviyo.batching.batcher import Batcher
from spark_klaviyo.batching.dedupe import superseded
from spark_klaviyo.batching.encoded_rows import gathered
from spark_klaviyo.batching.groups import params_of
from spark_klaviyo.batching.screening import rejected_as_too_large, screen
from spark_klaviyo.core.clock import Stop
from spark_klaviyo.core.models import Batch, EncodedRows, Rejection
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.request.envelopes import envelope
from spark_klaviyo.report.counts.task_report import TaskReport

MAX_OPEN = 500  # requests being filled at once, when rows go to many lists; the least recently used is sent as it is
MAX_REJECTIONS = 1_000  # held before the caller gets a chance to drain them
SUPERSEDED = "a later row of the same request has the same identifier"


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
            yield from self._read(batch)
            if self.stop.is_set():
                break  # what was read is handed back as unsent
        for batcher in self._batchers.values():
            yield from self._deduplicated(batcher.flush())

    def reject(self, rejection: Rejection) -> None:
        """Add a row that a later stage refused before it was sent."""
        self.rejections.append(rejection)

    def taken_rejections(self) -> list[Rejection]:
        """The rejections since the last call."""
        taken, self.rejections = self.rejections, []
        return taken

    def _read(self, batch: pa.RecordBatch) -> Iterator[Batch | None]:
        first = self.report.rows
        self.report.rows += batch.num_rows
        screened = screen(batch, self.plan, first)
        self.rejections += screened.rejections
        for warning in screened.warnings:
            self.report.warn(warning)
        for key, rows in screened.groups:
            yield from self._cut(key, rows)
        if len(self.rejections) >= MAX_REJECTIONS:
            yield None

    def _cut(self, key: str, rows: EncodedRows) -> Iterator[Batch]:
        batcher = self._batchers.get(key) or self._open(key)
        self._batchers.move_to_end(key)
        large = batcher.too_large(rows)
        if len(large):
            room = batcher.room - len(batcher.envelope.separator)  # no separator is sent after a single record
            most = min(room, self.plan.limits.max_row_bytes or room)
            self.rejections += rejected_as_too_large(rows, large, most)
            rows = gathered(rows, np.setdiff1d(np.arange(len(rows)), large))
        yield from self._deduplicated(batcher.cut(rows))
        if len(self._batchers) > MAX_OPEN:
            _, oldest = self._batchers.popitem(last=False)
            yield from self._deduplicated(oldest.flush())

    def _open(self, key: str) -> Batcher:
        self._batchers[key] = Batcher(
            envelope(self.plan, params_of(key)), self.plan.limits, self._number, self._key_length
        )
        return self._batchers[key]

    def _deduplicated(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The batches without the rows that a later row of the same batch replaces."""
        for batch in batches:
            positions = superseded(self.plan.checks, batch) if self.plan.checks.key else set()
            if positions:
                self.report.skip(len(positions), SUPERSEDED)
            yield batch.without(positions) if positions else batch


def key_length(plan: WritePlan) -> int:
    """Bytes of the key that replaces its placeholder in a body; 0 without a key."""
    key = plan.credentials.api_key or plan.credentials.access_token
    return len(key.reveal().encode()) if key is not None else 0
