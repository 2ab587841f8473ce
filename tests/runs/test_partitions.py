"""Partitions of the DataFrame: kept where they are few, merged down to `tasks`, warned about without a session."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from spark_klaviyo import klaviyo_partition_writer, write_klaviyo
from spark_klaviyo.entrypoints.read import options_at
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.plan.make import make_plan
from spark_klaviyo.plan.types import read_schema
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.runs.tasks import TaskWrite
from spark_klaviyo.simulator import KlaviyoSimulator

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

EMAIL = "concat('p', id, '@example.com') AS email"


@pytest.fixture
def options() -> Iterator[dict[str, Any]]:
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        yield {"template": "bulk_import_profiles", "api_key": "pk_test_0123456789", "base_url": klaviyo.url}


@pytest.mark.parametrize(
    ("frame", "partitions", "max_rows", "requests"),
    [
        pytest.param(lambda rows: rows.coalesce(1), 1, 5, 2, id="coalesce"),
        pytest.param(lambda rows: rows.coalesce(1).withColumnRenamed("email", "Email"), 1, 5, 2, id="renamed"),
        pytest.param(lambda rows: rows.repartition(2), 2, 10, 2, id="repartition"),
        pytest.param(lambda rows: rows.coalesce(2).limit(10).coalesce(1), 1, 5, 2, id="limit"),
        pytest.param(lambda rows: rows.repartition(9), 3, 10, 3, id="more-than-tasks"),
    ],
)
def test_few_partitions_are_kept_and_many_are_merged_down_to_tasks(
    frame: Callable[[DataFrame], DataFrame],
    partitions: int,
    max_rows: int,
    requests: int,
    spark: SparkSession,
    options: dict[str, Any],
) -> None:
    rows = spark.range(10).selectExpr(EMAIL)
    report = write_klaviyo(frame(rows), max_rows=max_rows, tasks=3, **options)
    assert report.delivered == 10
    assert len({receipt.partition_id for receipt in report.receipts_sample}) == partitions
    assert report.requests == requests


def test_many_small_partitions_are_warned_about_without_a_session(spark: SparkSession, options: dict[str, Any]) -> None:
    rows = spark.range(24).selectExpr(EMAIL).repartition(12)
    writer = klaviyo_partition_writer(schema=rows.schema, **options)
    rows.foreachPartition(writer)
    assert writer.report is not None
    said = "12 small partitions made 12 requests where 1 would do: df.coalesce(n) before the write saves 11"
    assert said in writer.report.warnings


@pytest.mark.parametrize(
    ("tasks", "fill", "warned"), [(40, 0.1, True), (40, 0.9, False), (11, 0.02, True), (8, 0.02, False)]
)
def test_a_commit_warns_of_requests_that_fewer_partitions_would_save(
    tasks: int,
    fill: float,
    warned: bool,
    spark: SparkSession,
    options: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    given = options_at(EntryPoint.SOURCE, options)
    schema = spark.range(1).selectExpr(EMAIL).schema
    write = TaskWrite(make_plan(given, read_schema(schema.jsonValue()), "run"), given)
    with caplog.at_level(logging.WARNING, "spark_klaviyo"):
        report = write.conclude(
            [TaskReport(requests=1, last_requests=1, last_requests_fill=fill) for _ in range(tasks)], "run"
        )
    assert any("small partitions" in text for text in caplog.messages) == warned
    assert any("small partitions" in text for text in report.warnings) == warned
