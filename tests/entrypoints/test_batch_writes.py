"""Batch writes with real Spark and real HTTP: the same rows make the same requests at every entry point."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from spark_klaviyo import klaviyo_partition_writer, register, write_klaviyo
from spark_klaviyo.cli.demo import people, write_people
from spark_klaviyo.errors import OptionError
from spark_klaviyo.report.report import RowsRejected, WriteStopped
from spark_klaviyo.simulator import KlaviyoSimulator

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

KEY = "pk_test_0123456789abcdef"
ROWS, MAX_ROWS = 6_600, 1_000  # in three files, so that a task fills more than one request
BAD = 14


@pytest.fixture(scope="module")
def many(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> DataFrame:
    """Many made-up people, a few of them bad, in several partitions."""
    folder = tmp_path_factory.mktemp("people")
    write_people(folder, ROWS, files=3)
    return spark.read.parquet(str(folder))


def goal(klaviyo: KlaviyoSimulator, **options: str) -> dict[str, str]:
    """The options of the main job."""
    return {"template": "add_profiles_to_list", "list_id": "Y6nRLr", "base_url": klaviyo.url, "api_key": KEY, **options}


def through_function(df: DataFrame, options: dict[str, str]) -> None:
    write_klaviyo(df, **options)


def through_partition(df: DataFrame, options: dict[str, str]) -> None:
    df.foreachPartition(klaviyo_partition_writer(**options))


def through_source(df: DataFrame, options: dict[str, str]) -> None:
    pytest.importorskip("pyspark.sql.datasource")
    rest = dict(options)
    register(df.sparkSession, api_key=rest.pop("api_key"))
    df.write.format("klaviyo").mode("append").options(**rest).save()


WAYS = [
    pytest.param(through_function, id="write_klaviyo"),
    pytest.param(through_partition, id="foreachPartition"),
    pytest.param(through_source, id="df.write"),
]
Way = Callable[["DataFrame", dict[str, str]], None]


def arrived(klaviyo: KlaviyoSimulator) -> dict[str, Any]:
    """Every profile that was sent, by its external id, as JSON says it."""
    sent = [request.json() for request in klaviyo.requests if request.method == "POST"]
    rows = [row for body in sent for row in body["data"]["attributes"]["profiles"]["data"]]
    return {row["attributes"]["external_id"]: row for row in rows}


@pytest.mark.oldest
@pytest.mark.parametrize("way", WAYS)
def test_many_rows_arrive_identical_at_every_entry_point(way: Way, many: DataFrame, klaviyo: KlaviyoSimulator) -> None:
    way(many, goal(klaviyo, on_reject="keep", max_rows=str(MAX_ROWS)))

    found = arrived(klaviyo)
    assert len(found) == ROWS - BAD
    expected = {str(row["external_id"]): row for row in people(ROWS).to_pylist() if row["external_id"]}
    for number in range(0, ROWS, 97):
        sent, source = found.get(f"crm-{number}"), expected.get(f"crm-{number}")
        if sent is None or source is None:
            continue
        attributes = sent["attributes"]
        assert attributes.get("email") == source["Email"]
        assert attributes.get("first_name") == source["First Name"]
        assert attributes["location"] == source["location"]
        assert attributes["properties"]["interests"] == source["interests"]
        assert attributes["properties"]["lifetime_value"] == source["lifetime_value"]
        when = source["last_order_at"]
        shown = when.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if when else None
        assert attributes["properties"].get("last_order_at") == shown
    assert len(klaviyo.lists["Y6nRLr"]) > 0.99 * ROWS


@pytest.mark.oldest
def test_entry_points_send_the_same_records(many: DataFrame, klaviyo: KlaviyoSimulator) -> None:
    some = many.where("external_id is not null").limit(1_000).cache()
    found = []
    for way in (through_function, through_partition):
        klaviyo.reset()
        way(some, goal(klaviyo, on_reject="keep"))
        found.append(arrived(klaviyo))
    some.unpersist()
    assert found[0] == found[1]


@pytest.mark.oldest
def test_a_row_that_is_refused_raises_after_everything_sendable_was_sent(
    spark: SparkSession, klaviyo: KlaviyoSimulator
) -> None:
    frame = spark.createDataFrame([("a@b.co",), ("nobody",), ("c@d.ef",)], "email string")
    with pytest.raises(RowsRejected, match="1 rejected") as caught:
        write_klaviyo(frame, **goal(klaviyo))
    report = caught.value.report
    assert report is not None
    assert (report.rows, report.delivered, report.rejected) == (3, 2, 1)
    assert "nobody" not in str(caught.value)
    assert sorted(profile["email"] for profile in klaviyo.profiles) == ["a@b.co", "c@d.ef"]


@pytest.mark.oldest
def test_a_refused_key_costs_one_request_a_task(spark: SparkSession) -> None:
    frame = spark.range(0, 2_000, 1, 2).selectExpr("concat(id, '@b.co') as email")
    with KlaviyoSimulator(api_keys=["pk_another"]) as klaviyo, pytest.raises(WriteStopped) as caught:
        write_klaviyo(frame, **goal(klaviyo, max_rows="10"))
    assert 1 <= sum(request.method == "POST" for request in klaviyo.requests) <= 2
    assert KEY not in str(caught.value)
    report = caught.value.report
    assert report is not None
    assert report.rows == report.unsent
    assert report.delivered == report.accepted == 0


@pytest.mark.oldest
def test_an_empty_frame_sends_nothing_and_reports_zeros(spark: SparkSession, klaviyo: KlaviyoSimulator) -> None:
    report = write_klaviyo(spark.createDataFrame([], "email string"), **goal(klaviyo))
    assert report.to_dict()["rows"] == 0
    assert {request.method for request in klaviyo.requests} == {"GET"}  # the names of account and list


@pytest.mark.oldest
def test_the_frame_is_evaluated_exactly_once_without_a_shuffle(spark: SparkSession, klaviyo: KlaviyoSimulator) -> None:
    seen = spark.sparkContext.accumulator(0)

    from pyspark.sql.functions import udf

    counted = udf(lambda value: (seen.add(1), f"{value}@b.co")[1], "string")
    frame = spark.range(0, 500, 1, 20).select(counted("id").alias("email"))
    report = write_klaviyo(frame, **goal(klaviyo, tasks="3"))
    assert report.rows == 500
    assert seen.value == 500
    assert len([request for request in klaviyo.requests if request.method == "POST"]) <= 3


@pytest.mark.oldest
def test_the_partition_writer_reports_through_an_accumulator(spark: SparkSession, klaviyo: KlaviyoSimulator) -> None:
    writer = klaviyo_partition_writer(**goal(klaviyo))
    spark.createDataFrame([("a@b.co", 1.5), ("bad", 2.5)], "email string, score float").foreachPartition(writer)
    assert writer.report is not None
    assert (writer.report.rows, writer.report.rejected) == (2, 1)


@pytest.mark.oldest
def test_a_schema_gives_the_partition_writer_its_types(spark: SparkSession, klaviyo: KlaviyoSimulator) -> None:
    frame = spark.sql("select 'a@b.co' as email, float(0.1) as score, timestamp_ntz'2026-01-02 03:04:05' as seen")
    frame.foreachPartition(klaviyo_partition_writer(schema=frame.schema, **goal(klaviyo)))
    assert klaviyo.profiles[0]["properties"] == {"score": 0.1, "seen": "2026-01-02T03:04:05.000000"}


def test_a_complaint_at_df_write_begins_with_its_name(spark: SparkSession, klaviyo: KlaviyoSimulator) -> None:
    pytest.importorskip("pyspark.sql.datasource")
    frame = spark.createDataFrame([("a@b.co",)], "email string")
    register(spark, api_key=KEY)
    with pytest.raises(Exception, match=r"OptionError: .*did you mean add_profiles_to_list") as caught:
        frame.write.format("klaviyo").mode("append").options(
            template="add_profile_to_list", base_url=klaviyo.url
        ).save()
    assert KEY not in str(caught.value)
    with pytest.raises(Exception, match=r'OptionError: .*use mode\("append"\)'):
        frame.write.format("klaviyo").mode("overwrite").options(template="add_profiles_to_list").save()
    assert klaviyo.requests == []


@pytest.mark.oldest
def test_without_the_data_source_api_registering_says_what_to_use_instead(spark: SparkSession) -> None:
    try:
        import pyspark.sql.datasource  # noqa: F401  only whether it is there
    except ImportError:
        with pytest.raises(OptionError, match=r"use write_klaviyo.*klaviyo_partition_writer"):
            register(spark)
    else:
        register(spark)


def test_a_report_is_json(spark: SparkSession, klaviyo: KlaviyoSimulator, tmp_path: Path) -> None:
    report = write_klaviyo(spark.createDataFrame([("a@b.co",)], "email string"), **goal(klaviyo))
    assert json.loads(json.dumps(report.to_dict()))["rows"] == 1
    page = tmp_path / "report.html"
    report.to_html(str(page))
    assert "a@b.co" not in page.read_text()
