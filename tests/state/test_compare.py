"""Fingerprints depend neither on the version of Spark, nor on its time zone, nor on the order of the columns."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from spark_klaviyo.arrow.encoded import CONTENT, ROW_KEY, SPARK_ENCODED
from spark_klaviyo.core.arrow_types import ddl_of
from spark_klaviyo.core.models import StateLocation
from spark_klaviyo.entrypoints.read import options_at
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.plan.make import make_plan
from spark_klaviyo.plan.types import read_schema
from spark_klaviyo.runs.tasks import encode_for_spark, sent_columns

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
DIGEST = "57b9fcf6e92dde94b4fa"


@pytest.mark.oldest
@pytest.mark.parametrize("columns", [COLUMNS, COLUMNS[::-1]])
def test_fingerprints_are_the_same_everywhere(spark: SparkSession, tmp_path: Path, columns: tuple[str, ...]) -> None:
    df = spark.range(200).selectExpr(*columns)
    options = options_at(EntryPoint.FUNCTION, {"template": "bulk_import_profiles", "api_key": "pk_x"})
    state = StateLocation(str(tmp_path), b"s" * 16, "r", 1)
    frame, plan = sent_columns(df, replace(make_plan(options, read_schema(df.schema.jsonValue()), "r"), state=state))
    rows = frame.mapInArrow(partial(encode_for_spark, plan), ddl_of(SPARK_ENCODED)).select(ROW_KEY, CONTENT).collect()
    assert hashlib.sha256(b"".join(sorted(bytes(row[0]) + bytes(row[1]) for row in rows))).hexdigest()[:20] == DIGEST
