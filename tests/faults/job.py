"""A Spark job of its own process, to be killed: writes so many people and prints the report as JSON.

`python -m tests.faults.job MASTER URL PLACES-AS-JSON ROWS MAX_ROWS`; the places are options: state_path and so on.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from spark_klaviyo import WriteReport, write_klaviyo

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def send(spark: SparkSession, url: str, places: Mapping[str, str], rows: int, max_rows: int) -> WriteReport:
    """Write so many people."""
    people = spark.range(rows).selectExpr("concat('p', id, '@example.com') email", "concat('N', id) first_name")
    return write_klaviyo(
        people,
        template="bulk_import_profiles",
        base_url=url,
        api_key="pk_key_of_the_killed",
        max_rows=max_rows,
        rate_limit="none",
        **places,
    )


def main(master: str, url: str, places: str, rows: str, max_rows: str) -> None:
    from pyspark.sql import SparkSession

    repository = str(Path(__file__).resolve().parents[2])
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["PYTHONPATH"] = repository  # executors of their own process inherit it
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.adaptive.coalescePartitions.enabled": "false",
        "spark.executorEnv.PYTHONPATH": repository,
        "spark.executor.extraJavaOptions": os.environ.get("SPARK_SUBMIT_OPTS", ""),
    }
    builder = SparkSession.builder.master(master).appName("to be killed")
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    report = send(spark, url, json.loads(places), int(rows), int(max_rows))
    sys.stdout.write("\nREPORT " + json.dumps(report.to_dict()) + "\n")
    sys.stdout.flush()
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
