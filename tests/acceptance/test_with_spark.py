"""Manual mode and bad input with real Spark, at the ways to write."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import pytest

from spark_klaviyo import klaviyo_partition_writer, write_klaviyo
from spark_klaviyo.errors import OptionError, SchemaError
from spark_klaviyo.simulator import KlaviyoSimulator
from tests.acceptance.sending import KEY, LIST, SINK, Options

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.oldest
COLUMNS = "sku string, price decimal(10,2), tags array<string>"


@pytest.fixture(scope="module")
def items(spark: SparkSession) -> DataFrame:
    """Three items, one without tags."""
    from decimal import Decimal

    rows = [("a/1", Decimal("12.50"), ["x", "y"]), ("b,2", Decimal("0.10"), []), ("c", None, None)]
    return spark.createDataFrame(rows, COLUMNS).coalesce(1)


def test_every_way_to_write_fills_the_url_and_the_body_from_each_row_alike(
    items: DataFrame, klaviyo: KlaviyoSimulator
) -> None:
    options: Options = {
        "url": f"{klaviyo.url}{SINK}/{{sku}}?api_key={KEY}",
        "method": "PUT",
        "body": '{"price":{price},"tags":{tags},"row":{row}}',
    }
    report = write_klaviyo(items, **options)
    by_function = sorted((request.path, request.json()["row"], str(request.body)) for request in klaviyo.requests)
    klaviyo.requests.clear()
    items.foreachPartition(klaviyo_partition_writer(**options))
    by_partition = sorted((request.path, request.json()["row"], str(request.body)) for request in klaviyo.requests)
    assert report.delivered == 3
    assert by_function == by_partition
    assert [path for path, _, _ in by_function] == [f"{SINK}/a%2F1", f"{SINK}/b%2C2", f"{SINK}/c"]
    assert '"price":12.50,"tags":["x","y"]' in by_function[0][2]
    assert '"price":null,"tags":null' in by_function[2][2]


def test_spark_rows_arrive_as_csv(items: DataFrame, klaviyo: KlaviyoSimulator) -> None:
    write_klaviyo(items, url=f"{klaviyo.url}{SINK}", content_format="csv", api_key=KEY)
    [request] = klaviyo.requests
    rows = list(csv.reader(io.StringIO(request.body.decode(), newline="")))
    assert rows == [["sku", "price", "tags"], ["a/1", "12.50", '["x","y"]'], ["b,2", "0.10", "[]"], ["c", "", ""]]


def test_an_empty_dataframe_is_no_request_and_a_report_of_zeros(spark: SparkSession, klaviyo: KlaviyoSimulator) -> None:
    empty = spark.createDataFrame([], "email string")
    for options in ({"template": "add_profiles_to_list", "list_id": LIST, "base_url": klaviyo.url}, _manual(klaviyo)):
        report = write_klaviyo(empty, api_key=KEY, **options)
        assert (report.rows, report.requests, report.delivered, report.rejected, report.unsent) == (0, 0, 0, 0, 0)
    assert {request.method for request in klaviyo.requests} == {"GET"}  # the names of account and list


def _manual(klaviyo: KlaviyoSimulator) -> Options:
    return {"url": f"{klaviyo.url}{SINK}"}


@pytest.mark.parametrize("column", ["interval '1' day", "map(array(1), 'x')"])
def test_a_type_that_cannot_be_sent_is_refused_before_anything_is_sent(
    spark: SparkSession, klaviyo: KlaviyoSimulator, column: str
) -> None:
    frame = spark.sql(f"SELECT 'ann@example.com' AS email, {column} AS odd")
    for options in ({"template": "bulk_import_profiles", "base_url": klaviyo.url}, _manual(klaviyo)):
        with pytest.raises(SchemaError, match=r"column 'odd'.*has no JSON form"):
            write_klaviyo(frame, api_key=KEY, **options)
    assert klaviyo.requests == []


def test_overwriting_is_refused_before_anything_is_sent(
    spark: SparkSession, klaviyo: KlaviyoSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyspark.sql.datasource")
    from pyspark.errors import PySparkException

    from spark_klaviyo import register

    monkeypatch.setenv("KLAVIYO_API_KEY", KEY)
    register(spark, api_key=KEY, **{"Base-Url": "https://nowhere.example.com"})
    frame = spark.createDataFrame([("ann@example.com",)], "email string")
    writer = frame.write.format("klaviyo").options(template="bulk_import_profiles", base_url=klaviyo.url)
    with pytest.raises(PySparkException, match=r"OptionError.*overwrite.*is not possible"):
        writer.mode("overwrite").save()
    assert klaviyo.requests == []
    writer.mode("append").save()  # given options take precedence over bound ones, however they are spelled
    assert len(klaviyo.profiles) == 1


def test_bad_options_are_refused_before_spark_has_done_anything(items: DataFrame) -> None:
    with pytest.raises(OptionError, match="plain http would show the key"):
        write_klaviyo(items, url="http://a.klaviyo.com/api/x", api_key=KEY)
    with pytest.raises(OptionError, match="did you mean bulk_import_profiles"):
        klaviyo_partition_writer(template="bulk_import_profile", api_key=KEY)
