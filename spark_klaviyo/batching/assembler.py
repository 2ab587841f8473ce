"""Slabs in, batches out for every value of the per-row settings, with duplicates inside a batch taken out."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import numpy as np
import pyarrow as pa

from spark_klaviyo.batching import columns
from spark_klaviyo.batching.batcher import Batcher
from spark_klaviyo.batching.dedupe import superseded
from spark_klaviyo.batching.screening import rejected_as_too_large, route_values, screen
from spark_klaviyo.core.models import Batch, EncodedRows, Rejection
from spark_klaviyo.core.stop import Stop
from spark_klaviyo.plan.manual import formats
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.report.task_report import TaskReport

MOST_OPEN = 500  # requests being filled at once, when rows go to many lists; the longest unused is sent as it is
PAUSE = 1_000  # rejections held before the pipeline is given the word to pass them on
SUPERSEDED = "a later row of the same request has the same identifier"


class BatchAssembler:
    """Reads encoded batches and hands out requests to send; rejections gather in `rejections` until taken."""

    def __init__(self, plan: WritePlan, report: TaskReport, stop: Stop) -> None:
        self.plan, self.report, self.stop = plan, report, stop
        self.rejections: list[Rejection] = []
        self._batchers: OrderedDict[str, Batcher] = OrderedDict()
        self._number = count().__next__
        self._key_length = key_length(plan)
        self._separator = formats.separator(plan.content_format)

    def batches(self, encoded: Iterator[pa.RecordBatch]) -> Iterator[Batch | None]:
        """Every request to send, in order; None now and then, so that many rejections never pile up."""
        for batch in encoded:
            yield from self._read(batch)
            if self.stop.is_set():
                break  # what was read is handed back as unsent
        for batcher in self._batchers.values():
            yield from self._thinned(batcher.flush())

    def reject(self, rejection: Rejection) -> None:
        """Take a row that a later stage refused before it was sent."""
        self.rejections.append(rejection)

    def taken_rejections(self) -> list[Rejection]:
        """The rejections since the last call."""
        taken, self.rejections = self.rejections, []
        return taken

    def _read(self, batch: pa.RecordBatch) -> Iterator[Batch | None]:
        first = self.report.rows
        self.report.rows += batch.num_rows
        taken = screen(self.plan, batch, self._separator, first)
        self.rejections += taken.rejections
        for warning in taken.warnings:
            self.report.warn(warning)
        for route, encoded_rows in taken.encoded_groups:
            yield from self._cut(route, encoded_rows)
        if len(self.rejections) >= PAUSE:
            yield None

    def _cut(self, route: str, encoded_rows: EncodedRows) -> Iterator[Batch]:
        batcher = self._batchers.get(route) or self._open(route)
        self._batchers.move_to_end(route)
        large = batcher.too_large(encoded_rows)
        if len(large):
            separator = batcher.envelope.separator
            room = batcher.room - len(separator)  # of the one record, after which no separator is sent
            most = min(room, self.plan.limits.max_row_bytes or room)
            self.rejections += rejected_as_too_large(encoded_rows, large, separator, most)
            encoded_rows = columns.gathered(encoded_rows, np.setdiff1d(np.arange(len(encoded_rows)), large))
        yield from self._thinned(batcher.cut(encoded_rows))
        if len(self._batchers) > MOST_OPEN:
            _, oldest = self._batchers.popitem(last=False)
            yield from self._thinned(oldest.flush())

    def _open(self, route: str) -> Batcher:
        envelope = self.plan.envelope(route_values(route))
        self._batchers[route] = Batcher(envelope, self.plan.limits, self._number, self._key_length)
        return self._batchers[route]

    def _thinned(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The batches without the rows that a later row of the same batch replaces."""
        for batch in batches:
            gone = superseded(self.plan.checks, batch) if self.plan.checks.key else set()
            if gone:
                self.report.skip(len(gone), SUPERSEDED)
            yield batch.without(gone) if gone else replace(batch)


def key_length(plan: WritePlan) -> int:
    """Bytes of the key that takes the place of its mark in a body; 0 without a key."""
    key = plan.credentials.api_key or plan.credentials.access_token
    return len(key.reveal().encode()) if key is not None else 0
