"""One measurement in a process of its own: warm up, then for each size wait for a line on standard input, run, print
the time.

A JVM compiles what it runs often, which costs as much as sending a million rows. So each way warms up twice over half
of the files before it is measured.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

WARM_UPS = 2


def main() -> None:
    """Arguments as JSON: way, path (a folder of Parquet files), sizes (how many of the files each run reads), url,
    partitions (0: as they lie), conf of Spark."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    from spark_klaviyo.cli.local_spark import local_session
    from tests.bench.ways import UNCHANGED, WAYS

    asked = json.loads(sys.argv[1])
    conf = {"spark.ui.enabled": "false", "spark.driver.memory": "2g", "spark.sql.session.timeZone": "UTC"}
    conf |= asked["conf"]
    spark = local_session("bench", "local[2]", **conf)
    spark.sparkContext.setLogLevel("ERROR")
    files = sorted(map(str, Path(asked["path"]).glob("*.parquet")))
    run = WAYS[asked["way"]]

    def frame(size: int) -> DataFrame:
        found = spark.read.parquet(*files[:size])
        return found.coalesce(asked["partitions"]) if asked["partitions"] else found

    frames = {size: frame(size) for size in asked["sizes"]}
    for _ in range(WARM_UPS):
        run(frame(-(-len(files) // 2)), asked["url"])
    if asked["way"] == UNCHANGED:
        run(frame(len(files)), asked["url"])
    for step in ("ready", *asked["sizes"]):
        if step != "ready":
            run(frames[step], asked["url"])
        print(json.dumps({"reached": step, "at": time.perf_counter()}), flush=True)
        sys.stdin.readline()
    spark.stop()


if __name__ == "__main__":
    main()
