"""Every type, nested, with nulls, odd names and odd texts, becomes JSON that means the rows."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings

from spark_klaviyo.arrow.encoded import REPLACED, SPARK_ENCODED
from spark_klaviyo.core.arrow_types import ddl_of
from spark_klaviyo.encode.encoder import encode, encode_batches
from spark_klaviyo.encode.rows import arrow_batches
from spark_klaviyo.plan.types import Field, Type, read_schema
from spark_klaviyo.runs.tasks import encode_for_spark, sent_columns
from tests.encode.encoded import spark_schema
from tests.encode.plans import flat
from tests.encode.values import Value, batch_of, flag_of, meaning, read, spark_value, tables

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Rows = Sequence[Sequence[Value]]


@pytest.fixture(autouse=True, scope="module")
def _another_zone() -> Iterator[None]:
    """This process's own zone is not UTC: a mistake about it cannot hide."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "America/St_Johns"
    time.tzset()
    yield
    os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
    time.tzset()


def check(fields: Sequence[Field], rows: Rows, records: Sequence[str], flags: Sequence[int]) -> None:
    """The records mean the rows, and the flags tell of what JSON cannot hold."""
    whole = Type("struct", fields=tuple(fields))
    assert [read(fields, record) for record in records] == [meaning(whole, tuple(row)) for row in rows]
    assert [flag & (REPLACED - 1) for flag in flags] == [flag_of(fields, row) for row in rows]


def check_batches(fields: Sequence[Field], rows: Rows, batches: Sequence[pa.RecordBatch]) -> None:
    """The same of encoded batches."""
    records = [text for batch in batches for text in batch.column(0).to_pylist()]
    check(fields, rows, records, [flag for batch in batches for flag in batch.column(1).to_pylist()])


@given(tables())
@settings(max_examples=3 * settings().max_examples, suppress_health_check=[HealthCheck.too_slow])
def test_json_of_arrow_columns_and_of_rows_means_the_rows(table: tuple[tuple[Field, ...], Rows]) -> None:
    fields, rows = table
    plan = flat(fields)
    check_batches(fields, rows, [encode(batch_of(fields, rows), plan)])
    handed = [tuple(spark_value(f.type, v) for f, v in zip(fields, row, strict=True)) for row in rows]
    check_batches(fields, rows, list(encode_batches(arrow_batches(handed, fields), plan)))


@given(tables())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_a_slice_of_a_batch_is_encoded_like_its_rows(table: tuple[tuple[Field, ...], Rows]) -> None:
    fields, rows = table
    plan, batch = flat(fields), batch_of(fields, rows)
    for start in range(len(rows) + 1):
        check_batches(fields, rows[start : start + 3], [encode(batch.slice(start, 3), plan)])


@given(tables(rows=12, columns=9))
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_spark_itself_means_the_same_json_in_every_way(
    spark: SparkSession, table: tuple[tuple[Field, ...], Rows]
) -> None:
    fields, rows = table
    frame = spark.createDataFrame([tuple(row) for row in rows], schema=spark_schema(fields))
    assert read_schema(frame.schema.jsonValue()) == tuple(fields)
    plan = flat(fields)
    check_batches(fields, rows, list(encode_batches(arrow_batches(frame.collect(), fields), plan)))
    sent, plan = sent_columns(frame, plan)
    made = sent.mapInArrow(partial(encode_for_spark, plan), ddl_of(SPARK_ENCODED)).collect()
    check(fields, rows, [row["record"] for row in made], [row["verdict"] for row in made])
