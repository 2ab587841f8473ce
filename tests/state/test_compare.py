"""What a state knows rows by does not depend on the Spark, its time zone, or the order of the columns."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from spark_klaviyo.arrow.encoded import FINGERPRINT
from spark_klaviyo.entrypoints.read import options_at
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.plan.make import make_plan
from spark_klaviyo.plan.types import read_schema
from spark_klaviyo.runs.columns import sent_columns
from spark_klaviyo.state.compare import encoded_in_tasks, for_spark, standing
from spark_klaviyo.state.format import StatePlace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

COLUMNS = (
    "concat('P', id, '@x.com ') email",
    "id / 7.0 d",
    "cast(id / 3 as float) f",
    "cast(id as decimal(20, 3)) dec",
    "timestamp_micros(1700000000123456 + id) t",
    "date_add(date'2024-02-27', cast(id as int)) dt",
    "array(id, null) a",
    "map('k', id) m",
    "named_struct('b', id, 'c', cast(null as string)) s",
    "id % 2 = 0 flag",
    "cast(concat('é', id) as binary) bin",
    "'ü\u2028\"\\\\' txt",
)
# Seen alike on Spark 3.5.9 in UTC and on 4.3.0 in Newfoundland: another digest means that every state sends all again.
DIGEST = "be6d353eb3e01d6cb8e3"


@pytest.mark.oldest
@pytest.mark.parametrize("columns", [COLUMNS, COLUMNS[::-1]])
def test_marks_are_the_same_everywhere(spark: SparkSession, tmp_path: Path, columns: tuple[str, ...]) -> None:
    df = spark.range(200).selectExpr(*columns)
    options = options_at(EntryPoint.FUNCTION, {"template": "bulk_import_profiles", "api_key": "pk_x"})
    place = StatePlace(str(tmp_path), b"s" * 16, "r", 1)
    plan = replace(make_plan(options, read_schema(df.schema.jsonValue()), "r"), state=place)
    encoded = encoded_in_tasks(*sent_columns(df, plan))
    rows = standing(encoded, plan, place, jobs=False).select(FINGERPRINT).collect()
    assert hashlib.sha256(b"".join(sorted(bytes(row[FINGERPRINT]) for row in rows))).hexdigest()[:20] == DIGEST


@pytest.mark.parametrize(
    ("place", "spoken"),
    [
        ("/data/state", "file:///data/state"),
        ("file:/data/state", "file:///data/state"),
        ("/Volumes/main/x/state", "/Volumes/main/x/state"),
        ("dbfs:/state", "dbfs:/state"),
        ("/dbfs/state", "dbfs:/state"),
        ("s3a://bucket/state", "s3a://bucket/state"),
        ("abfss://c@a.dfs.core.windows.net/state", "abfss://c@a.dfs.core.windows.net/state"),
        ("hdfs://name/state", "hdfs://name/state"),
    ],
)
def test_a_place_is_called_as_spark_calls_it(place: str, spoken: str) -> None:
    assert for_spark(place) == spoken
