"""The first rows of a DataFrame, encoded as by a write, and what would become of them; nothing is sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from spark_klaviyo.core.models import Batch, Rejection
from spark_klaviyo.core.stop import Stop
from spark_klaviyo.encode.encoder import encode_batches
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.report.task_report import TaskReport
from spark_klaviyo.runs.columns import sent_columns
from spark_klaviyo.runs.send_from_driver import arrow_batches
from spark_klaviyo.runs.session import choose_worker_python
from spark_klaviyo.task.assembler import BatchAssembler

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

ROWS = 200  # rows that are looked at for rejections and sizes


@dataclass(frozen=True)
class Sample:
    """Encoded rows. `whole`: the DataFrame has no more."""

    encoded: tuple[pa.RecordBatch, ...]
    whole: bool

    def __len__(self) -> int:
        return sum(batch.num_rows for batch in self.encoded)

    def first(self, rows: int) -> Iterator[pa.RecordBatch]:
        """The first rows of it."""
        for batch in self.encoded:
            yield batch.slice(0, rows)
            rows = max(rows - batch.num_rows, 0)


@dataclass(frozen=True)
class Cut:
    """What rows come to: requests, rejections, and warnings about single rows."""

    batches: tuple[Batch, ...]
    rejections: tuple[Rejection, ...]
    skipped: int
    warnings: tuple[str, ...]

    @property
    def rows(self) -> int:
        """Rows that would be sent."""
        return sum(batch.rows for batch in self.batches)

    @property
    def record_bytes(self) -> int:
        """Bytes of the records that would be sent, separators included."""
        return sum(span.size for batch in self.batches for span in batch.spans)


def take(df: DataFrame, plan: WritePlan, rows: int) -> Sample:
    """Collect and encode the first `rows` rows; Spark reads no more of the DataFrame than that takes."""
    choose_worker_python(df)
    frame, plan = sent_columns(df, plan)
    encoded = tuple(encode_batches(arrow_batches(frame.limit(rows)), plan))
    return Sample(encoded, sum(batch.num_rows for batch in encoded) < rows)


def cut(plan: WritePlan, encoded: Iterator[pa.RecordBatch]) -> Cut:
    """The requests and rejections that these rows come to, by the very stages of a write."""
    report = TaskReport()
    assembler = BatchAssembler(plan, report, Stop())
    batches = tuple(batch for batch in assembler.batches(encoded) if batch is not None)
    return Cut(batches, tuple(assembler.taken_rejections()), report.skipped, tuple(report.warnings))


def routes(made: Cut) -> int:
    """To how many different places the rows go."""
    return len({(batch.envelope.path, batch.envelope.head, batch.envelope.tail) for batch in made.batches})


def numbers(made: Cut) -> list[int]:
    """The numbers of the rows that would be sent."""
    return [int(row) for batch in made.batches for row in np.sort(batch.numbers())]
