"""Writes of a few rows in a session of their own: prints the seconds and the Spark jobs of each as a line of JSON."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.bench.ways import KEY, no_work

BARE = "no work"
DATASETS = ("rejects_path", "receipts_path", "runs_path")


def count(df: Any, url: str, _: Path) -> None:
    """Spark hands Arrow batches to Python, which counts their rows."""
    no_work(df, url)


def writing(*paths: str) -> Callable[[Any, str, Path], None]:
    """A way to write, with these options set to folders of their own."""

    def write(df: Any, url: str, folder: Path) -> None:
        from spark_klaviyo import write_klaviyo

        report = write_klaviyo(df, **_options(url), **{path: str(folder / path) for path in paths})
        assert report.rows == report.delivered + report.accepted + report.rejected + report.skipped, report

    return write


SMALL_WAYS: Mapping[str, Callable[[Any, str, Path], None]] = {
    BARE: count,
    "plain": writing(),
    "with rejects, receipts and runs": writing(*DATASETS),
    "with a state": writing("state_path"),
    "with a state, rejects, receipts and runs": writing("state_path", *DATASETS),
}


def _options(url: str) -> dict[str, str]:
    return {
        "template": "bulk_import_profiles",
        "api_key": KEY,
        "base_url": url,
        "wait_for_jobs": "false",
        "on_reject": "keep",
    }


def main() -> None:
    """Arguments as JSON: way, files (of Parquet, one a write), url, folder."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    from spark_klaviyo.cli.local_spark import local_session

    asked = json.loads(sys.argv[1])
    conf = {"spark.ui.enabled": "false", "spark.sql.session.timeZone": "UTC"}
    spark = local_session("bench", "local[2]", **conf)
    spark.sparkContext.setLogLevel("ERROR")
    scheduler: Any = spark.sparkContext._jsc.sc().dagScheduler()
    for file in asked["files"]:
        frame = spark.read.parquet(file)
        jobs, start = scheduler.numTotalJobs(), time.perf_counter()
        SMALL_WAYS[asked["way"]](frame, asked["url"], Path(asked["folder"]))
        seconds = time.perf_counter() - start
        print(json.dumps({"seconds": seconds, "jobs": scheduler.numTotalJobs() - jobs}), flush=True)
    spark.stop()


if __name__ == "__main__":
    main()
