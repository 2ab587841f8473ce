"""Micro-batches with a state: seconds of each from the first to the last, whether they grow, and the state's files."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.bench.profiles import write_profiles
from tests.bench.speed import sink
from tests.bench.stored import store
from tests.bench.ways import KEY

SETTLED = 20  # micro-batches before which a session is still warming up


def run(folder: Path, url: str, rows: int, batches: int) -> list[float]:
    """Seconds of each micro-batch of a query that reads a file a time, every row of them new to the state."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    from spark_klaviyo import klaviyo_batch_writer
    from spark_klaviyo.cli.local_spark import local_session

    write_profiles(folder / "rows", rows * batches, files=batches)
    conf = {"spark.sql.session.timeZone": "UTC", "spark.sql.streaming.numRecentProgressUpdates": str(batches + 10)}
    spark = local_session("bench", "local[2]", **conf)
    spark.sparkContext.setLogLevel("ERROR")
    schema = spark.read.parquet(str(folder / "rows")).schema
    source = spark.readStream.schema(schema).option("maxFilesPerTrigger", 1).parquet(str(folder / "rows"))
    writer = klaviyo_batch_writer(
        template="bulk_import_profiles",
        api_key=KEY,
        base_url=url,
        wait_for_jobs="false",
        rate_limit="none",
        state_path=str(folder / "state"),
    )
    options = {"checkpointLocation": str(folder / "checkpoint")}
    query = source.writeStream.foreachBatch(writer).options(**options).trigger(availableNow=True).start()
    query.awaitTermination()
    done = [one for one in query.recentProgress if one["numInputRows"]]
    spark.stop()
    assert len(done) == batches, f"{len(done)} micro-batches instead of {batches}"
    return [one["durationMs"]["triggerExecution"] / 1_000 for one in done]


def slope(seconds: Sequence[float]) -> float:
    """Seconds by which a micro-batch takes longer than the one before: the line of least squares."""
    return float(np.polyfit(np.arange(len(seconds)), seconds, 1)[0]) if len(seconds) > 1 else 0.0


def main(arguments: Sequence[str]) -> int:
    """`python -m tests.bench stream [--rows N] [--batches N] [--store]`."""
    parser = argparse.ArgumentParser(prog="tests.bench stream", description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000, help="of a micro-batch")
    parser.add_argument("--batches", type=int, default=200)
    parser.add_argument("--store", action="store_true", help="store the table for README.md")
    given = parser.parse_args(arguments)
    with sink() as url, tempfile.TemporaryDirectory() as place:
        seconds = run(Path(place), url, given.rows, given.batches)
        files = sum(one.is_file() for one in (Path(place) / "state").rglob("*"))
    settled = min(SETTLED, len(seconds) // 2)
    later = seconds[settled:]
    tenth = max(len(later) // 10, 1)
    first, last = statistics.median(later[:tenth]), statistics.median(later[-tenth:])
    text = (
        f"A stream of {given.batches} micro-batches of {given.rows:,} new profiles each through "
        f"`klaviyo_batch_writer` with a state, which has {files} files at the end. From number {settled} on:\n\n"
        "| median micro-batch, s | longest, s | median of the first tenth, s | of the last tenth, s "
        "| growth, ms per micro-batch |\n|---|---|---|---|---|\n"
        f"| {statistics.median(later):.2f} | {max(later):.2f} | {first:.2f} | {last:.2f} | {slope(later) * 1e3:+.2f} |"
    )
    print(text)
    if given.store:
        store("stream", text)
    return 0
