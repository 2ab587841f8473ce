"""Sends from the calling process, for compute whose tasks have no internet: the tasks' own function, over their rows.

The rows arrive as Arrow blocks: on classic Spark a partition at a time, under Connect as the partitions end. So memory
stays flat. This process counts as one task, with as many requests in flight as all tasks would have. Under Connect one
small task first tries to open a connection to the endpoint's host, and sends nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeAlias

import pyarrow as pa
from pyspark.sql import DataFrame

from spark_klaviyo.datasets.spark_storage import spark_errors
from spark_klaviyo.http.reachable import can_connect
from spark_klaviyo.options.choices import SendFrom
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.ratelimit.server import ResultRow
from spark_klaviyo.runs import session

Task: TypeAlias = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]
BLOCK_BYTES = 2_000_000  # Connect sends blocks of up to 4 MB
MOST_IN_FLIGHT = 64
STOP_SECONDS = 0.5  # within which `stopped` is set after a job was cancelled
_results: dict[tuple[str, str], bool] = {}  # by session and address: a stream tries once


def sends_from_driver(df: DataFrame, plan: WritePlan, options: Options) -> bool:
    """Whether the calling process sends: asked to, or under Connect where tasks cannot reach the endpoint."""
    if options.send_from is not SendFrom.AUTO:
        return options.send_from is SendFrom.DRIVER
    return session.context_of(df) is None and not tasks_can_connect(df.sparkSession, plan)


def run_in_driver(frame: DataFrame, task: Task, stopped: threading.Event) -> Iterator[ResultRow]:
    """The result rows of the task, run in this process over all rows of the frame, which is evaluated exactly once.

    `stopped` is set when the run is interrupted: an error of Spark's then ends the rows.
    """
    for batch in task(_until_stopped(arrow_batches(frame), stopped)):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def arrow_batches(frame: DataFrame) -> Iterator[pa.RecordBatch]:
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


def _until_stopped(batches: Iterator[pa.RecordBatch], stopped: threading.Event) -> Iterator[pa.RecordBatch]:
    try:
        yield from batches
    except spark_errors():
        if not stopped.wait(STOP_SECONDS):
            raise


# --- whether tasks can reach the endpoint ---------------------------------------------------------


def tasks_can_connect(spark: Any, plan: WritePlan) -> bool:
    """Whether a task of this session can connect to the plan's host, or to a proxy on the way."""
    key = (str(getattr(spark, "session_id", id(spark))), plan.base_url)
    if key not in _results:
        frame = spark.range(1, numPartitions=1)
        try:
            frame = frame.mapInArrow(partial(_connect, plan.base_url, plan.proxy), "connected boolean")
            _results[key] = bool(frame.collect()[0]["connected"])
        except spark_errors():  # a task that cannot even run sends nothing either
            _results[key] = False
    return _results[key]


def _connect(url: str, proxy: str | None, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Try the addresses from inside a task."""
    for _ in batches:
        yield pa.RecordBatch.from_pydict({"connected": [can_connect(url, proxy)]})
