"""One measurement in a process of its own: warm up, wait for the word, run, say how long it took."""

from __future__ import annotations

import json
import os
import sys
import time


def main() -> None:
    """Arguments as JSON: way, path, url, partitions (0: as they lie)."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    from spark_klaviyo.runs.local import local_session
    from tests.bench.ways import WAYS

    asked = json.loads(sys.argv[1])
    conf = {"spark.ui.enabled": "false", "spark.driver.memory": "2g", "spark.sql.session.timeZone": "UTC"}
    spark = local_session("bench", "local[2]", **conf)
    spark.sparkContext.setLogLevel("ERROR")
    frame = spark.read.parquet(asked["path"])
    frame = frame.coalesce(asked["partitions"]) if asked["partitions"] else frame
    WAYS[asked["way"]](frame.limit(asked["warm_up"]), asked["url"])
    for word in ("ready", "done"):
        print(json.dumps({"word": word, "at": time.perf_counter()}), flush=True)
        sys.stdin.readline()
        if word == "ready":
            WAYS[asked["way"]](frame, asked["url"])
    spark.stop()


if __name__ == "__main__":
    main()
