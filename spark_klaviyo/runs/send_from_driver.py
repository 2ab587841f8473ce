"""Sending from the calling process, for compute whose tasks have no internet: the tasks' own function, over their rows.

The rows come back as blocks of Arrow, as Spark made them: on classic Spark a partition at a time, under Connect as the
partitions end. So memory stays flat, and all of it counts as one task with as many requests in flight as all together.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

import pyarrow as pa

from spark_klaviyo.datasets.spark_storage import spark_errors
from spark_klaviyo.options.choices import SendFrom
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.runs import session
from spark_klaviyo.runs.connectivity import tasks_reach
from spark_klaviyo.runs.outputs.results import RECEIPT, REJECT, RESULT, Results
from spark_klaviyo.runs.outputs.session_outputs import Outputs

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Task: TypeAlias = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]
BLOCK_BYTES = 2_000_000  # Connect sends blocks of up to 4 MB
MOST_IN_FLIGHT = 64
STAGED_ROWS = 5_000
A_MOMENT = 0.5  # in which the word to stop follows a cancelled job


def sends_here(df: DataFrame, plan: WritePlan, options: Options) -> bool:
    """Whether the calling process sends: asked to, or under Connect where the tasks cannot reach the endpoint."""
    if options.send_from is not SendFrom.AUTO:
        return options.send_from is SendFrom.DRIVER
    return session.context_of(df) is None and not tasks_reach(session.session_of(df), plan)


def widened(df: DataFrame, plan: WritePlan, options: Options) -> WritePlan:
    """The plan with as many requests in flight as all tasks would have, where this process takes their place."""
    if not sends_here(df, plan, options):
        return plan
    return replace(plan, workers=min(options.workers * options.tasks, MOST_IN_FLIGHT))


def ran_here(frame: DataFrame, task: Task, outputs: Outputs, stopped: threading.Event) -> Results:
    """Run the task in this process over all rows of the frame, which is evaluated exactly once.

    `stopped` is set when the run is interrupted: rows that end in an error then have simply ended.
    """
    kept = _Kept(outputs)
    for told in task(_until(stopped, blocks(frame))):
        kept.add(told)
    kept.stage()
    return kept.results


def blocks(frame: DataFrame) -> Iterator[pa.RecordBatch]:
    """The rows of a frame as the Arrow batches that its tasks would see, streamed through this process."""
    for row in frame.mapInArrow(as_blocks, "block binary").toLocalIterator(prefetchPartitions=True):
        with pa.ipc.open_stream(row["block"]) as stream:
            yield from stream


def as_blocks(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Arrow batches as rows that hold them as bytes; what `mapInArrow` calls."""
    for batch in batches:
        pieces = -(-batch.nbytes // BLOCK_BYTES)
        step = max(-(-batch.num_rows // max(pieces, 1)), 1)
        for start in range(0, batch.num_rows, step):
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, batch.schema) as stream:
                stream.write_batch(batch.slice(start, step))
            yield pa.RecordBatch.from_pydict({"block": [sink.getvalue().to_pybytes()]})


def _until(stopped: threading.Event, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    try:
        yield from batches
    except spark_errors():
        if not stopped.wait(A_MOMENT):
            raise


@dataclass
class _Kept:
    """The result rows as tasks hand them back: read here, and staged where datasets are asked for."""

    outputs: Outputs
    results: Results = field(default_factory=Results)
    rows: list[tuple[str, str]] = field(default_factory=list)

    def add(self, told: pa.RecordBatch) -> None:
        """Take result rows."""
        rows = list(zip(*(column.to_pylist() for column in told.columns), strict=True))
        for kind, body in rows:
            if kind not in (REJECT, RECEIPT):
                self.results.add(kind, body)
        if self.outputs.staging is not None:
            self.rows += rows
            if len(self.rows) >= STAGED_ROWS:
                self.stage()

    def stage(self) -> None:
        """Write the held rows to the staging place."""
        if self.rows and self.outputs.staging is not None:
            self.outputs.staging.add(self.rows, RESULT)
        self.rows = []
