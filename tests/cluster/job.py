"""A job on a standalone cluster, run as a program: what it reports, and what its workers have, as JSON.

`job.py MASTER URL ROWS OPTIONS CONF`: options of the write and settings of Spark as JSON objects. Besides options of
the write, `partitions` says how many there are, and `rest` for how many seconds the last one rests midway.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

from pyspark.sql import SparkSession

from spark_klaviyo import write_klaviyo


def places_of(_: int) -> str:
    """Where a worker has the package, and its compiled parts, from."""
    import arro3.io
    import orjson

    import spark_klaviyo

    return json.dumps([str(module.__file__) for module in (spark_klaviyo, arro3.io, orjson)])


def resting(partition: int, seconds: float) -> Callable[[Iterator[Any]], Iterator[Any]]:
    """A function that rests before the last of a partition's four batches, unless its task runs a second time."""

    def passed(batches: Iterator[Any]) -> Iterator[Any]:
        import time

        from pyspark import TaskContext

        task: Any = TaskContext.get()
        for number, batch in enumerate(batches):
            if (number, task.partitionId(), task.attemptNumber()) == (3, partition, 0):
                time.sleep(seconds)
            yield batch

    return passed


def main(master: str, url: str, rows: int, options: dict[str, Any], conf: dict[str, str]) -> dict[str, object]:
    builder = SparkSession.builder.master(master).appName("cluster").config("spark.ui.enabled", "false")
    for name, value in conf.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    for name in spark.sparkContext.parallelize(range(2), 2).map(places_of).distinct().collect():
        sys.stdout.write(f"PLACES {name}\n")
    sys.stdout.flush()
    partitions, seconds = int(options.pop("partitions")), float(options.pop("rest", 0))
    people = spark.range(0, rows, 1, partitions).selectExpr("concat('p', id, '@example.com') AS email")
    if seconds:  # rows long enough that no buffer between the processes holds a batch back
        long = people.selectExpr("email", "repeat('x', 300) AS note")
        people = long.mapInArrow(resting(partitions - 1, seconds), "email string, note string")
    goal = {"template": "add_profiles_to_list", "list_id": "Y6nRLr", "api_key": "pk_test", "on_reject": "keep"}
    report = write_klaviyo(people, base_url=url, **goal, **options)
    spark.stop()
    return report.to_dict()


if __name__ == "__main__":
    found = main(sys.argv[1], sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4]), json.loads(sys.argv[5]))
    sys.stdout.write("REPORT " + json.dumps(found) + "\n")
