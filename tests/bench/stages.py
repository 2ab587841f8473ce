"""Where the CPU of a write goes, by stage, in seconds per million rows: what to make faster next.

Spark's stages are differences of whole runs. Those of this package are measured in this process, over the same rows.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq

from spark_klaviyo.batching.assembler import BatchAssembler
from spark_klaviyo.core.clock import Stop
from spark_klaviyo.encode import encoder
from spark_klaviyo.entrypoints.read import options_at
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.plan.make import make_plan
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.types import columns_of
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.screen.evaluate import verdicts
from spark_klaviyo.task.run import SendContextFactory, run_task
from tests.bench.processes import cpu_seconds
from tests.bench.profiles import write_profiles
from tests.bench.speed import sink
from tests.bench.ways import function, no_work, sink_options

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

BATCH_ROWS = 10_000  # of an Arrow batch of Spark's


def noop(df: DataFrame, url: str) -> None:  # noqa: ARG001  every way has the same signature
    """Spark reads every row and drops it."""
    df.write.format("noop").mode("append").save()


def in_spark(df: DataFrame, url: str, rounds: int) -> dict[str, float]:
    """CPU seconds of the whole tree for each way, warmed up, in alternating rounds."""
    ways: Mapping[str, Callable[[Any, str], None]] = {"noop": noop, "no work": no_work, "write": function}
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(2 + rounds):
        for name, way in ways.items():
            before = cpu_seconds(os.getpid())
            way(df, url)
            found[name].append(cpu_seconds(os.getpid()) - before)
    return {name: statistics.median(spent[2:]) for name, spent in found.items()}


def in_task(table: pa.Table, plan: WritePlan) -> dict[str, float]:
    """CPU seconds of the stages of one task that sends the whole table."""
    spent = {"checks": 0.0}

    def timed(*given: Any) -> pa.Array:
        began = time.thread_time()
        found = verdicts(*given)
        spent["checks"] += time.thread_time() - began
        return found

    def encoded() -> Iterator[pa.RecordBatch]:
        return encoder.encode_batches(iter(table.to_batches(max_chunksize=BATCH_ROWS)), plan)

    def send() -> None:
        with SendContextFactory().open(plan, 0, 0) as context:
            deque(run_task(plan, encoded(), context), 0)

    send()  # once to warm up
    with patch.object(encoder, "verdicts", timed):
        all_of_encoding = cpu_of(lambda: deque(encoded(), 0))
    assembled = cpu_of(lambda: deque(BatchAssembler(plan, TaskReport(), Stop()).batches(encoded()), 0))
    spent["records"] = all_of_encoding - spent["checks"]
    spent["checks"] += assembled - all_of_encoding
    spent["HTTP"] = cpu_of(send) - assembled
    return spent


def cpu_of(work: Callable[[], object]) -> float:
    """CPU seconds of this process, all its threads, for some work."""
    before = time.process_time()
    work()
    return time.process_time() - before


def main(arguments: Sequence[str]) -> int:
    """`python -m tests.bench --profile [--rows N] [--rounds N]`."""
    parser = argparse.ArgumentParser(prog="tests.bench --profile", description=__doc__)
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(arguments)
    os.environ["PYSPARK_PYTHON"] = sys.executable
    from spark_klaviyo.cli.local_spark import local_session

    with sink() as url, tempfile.TemporaryDirectory() as place:
        write_profiles(Path(place) / "rows", given.rows)
        spark = local_session("bench", "local[2]", **{"spark.sql.session.timeZone": "UTC"})
        spark.sparkContext.setLogLevel("ERROR")
        frame = spark.read.parquet(f"{place}/rows")
        whole = in_spark(frame, url, given.rounds)
        plan = make_plan(options_at(EntryPoint.SOURCE, dict(sink_options(url))), columns_of(frame), "bench")
        spark.stop()
        table = pq.read_table(f"{place}/rows")
        runs = [in_task(table, replace(plan, base_url=url)) for _ in range(given.rounds)]
    task = {name: statistics.median(one[name] for one in runs) for name in runs[0]}
    stages = {
        "Spark reads the rows": whole["noop"],
        "Arrow batches to Python": whole["no work"] - whole["noop"],
        "records": task["records"],
        "checks": task["checks"],
        "HTTP": task["HTTP"],
        "results, planning and the rest": whole["write"] - whole["no work"] - sum(task.values()),
        "write_klaviyo": whole["write"],
    }
    print(
        "\n".join(
            f"{name:32}{seconds / given.rows * 1e6:6.2f} CPU-s per million rows" for name, seconds in stages.items()
        )
    )
    return 0
