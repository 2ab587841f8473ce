"""The Spark job of the soak, in a process of its own: `python -m tests.soak.job OPTIONS-AS-JSON`.

Keys: master, rows, write (the options of the write). Prints the report as JSON.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_klaviyo import WriteStopped, write_klaviyo

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

REPOSITORY = str(Path(__file__).resolve().parents[2])
SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.memory": "1g",
    "spark.sql.shuffle.partitions": "8",
}
PEOPLE = ("concat('p', id, '@example.com') email", "cast(id as string) external_id", "concat('N', id) first_name")
EVENTS = (
    "concat('p', id % 1000, '@example.com') email",
    "'Soaked' metric",
    "concat('e', id) unique_id",
    "timestamp_seconds(1767225600 + id) time",
)


def rows_of(spark: SparkSession, template: str, rows: int) -> DataFrame:
    """So many people, or events of a thousand people."""
    made: DataFrame = spark.range(0, rows, 1, 8).selectExpr(*(EVENTS if "events" in template else PEOPLE))
    return made


def main(given: dict[str, Any]) -> None:
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"], os.environ["PYTHONPATH"] = sys.executable, REPOSITORY
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    builder = SparkSession.builder.master(given["master"]).appName("soak")
    for name, value in SETTINGS.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    write = given["write"]
    try:
        report = write_klaviyo(rows_of(spark, write["template"], given["rows"]), **write)
    except WriteStopped as stopped:
        if stopped.report is None:
            raise
        report = stopped.report
    sys.stdout.write("\nREPORT " + json.dumps(report.to_dict()) + "\n")
    sys.stdout.flush()
    spark.stop()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
