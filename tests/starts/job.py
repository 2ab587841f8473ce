"""What each way to start Spark runs: three ways to write a person; of each a line says `sent`, or what was raised."""

import os
import sys
from collections.abc import Callable

from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
people = spark.range(1).selectExpr("'ann@example.com' AS email")
goal = {"template": "bulk_import_profiles", "base_url": os.environ["SIMULATOR_URL"]}
said: dict[str, str] = {}


def by_name() -> None:
    people.write.format("klaviyo").mode("append").options(**goal).save()


def by_function() -> None:
    from spark_klaviyo import write_klaviyo

    assert write_klaviyo(people, **goal).delivered == 1


def registered() -> None:
    from spark_klaviyo import register

    register(spark)
    by_name()


def attempt(way: Callable[[], None]) -> None:
    try:
        way()
        said[way.__name__] = "sent"
    except Exception as error:
        said[way.__name__] = f"{type(error).__name__}: {error}".replace("\n", " ")
    sys.stdout.write(f"\nWAY {way.__name__} {said[way.__name__]}\n")


for way in (by_name, by_function):
    attempt(way)

if said["by_name"] != "sent":
    attempt(registered)

spark.stop()
