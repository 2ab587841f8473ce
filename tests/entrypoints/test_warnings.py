"""Where users see what is not certain of their columns: each way to write, and the preview."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from spark_klaviyo import KlaviyoWarning, klaviyo_partition_writer, preview_klaviyo, write_klaviyo
from spark_klaviyo.simulator import KlaviyoSimulator

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

COLUMNS = "`Email Address` string, Phone string, id string, password_hash string, accepts_marketing string"
ROW = ("ann@example.com", "+16175551234", "7", "x", "yes")
SAID = {
    "Phone": 'fields={"properties.Phone":"Phone"}',
    "id": 'fields={"external_id":"id"}',
    "password_hash": "is not sent",
    "accepts_marketing": "subscribes nobody",
}


def all_said(texts: list[str]) -> bool:
    return all(any(repr(name) in text and said in text for text in texts) for name, said in SAID.items())


def test_each_way_to_write_says_what_is_not_certain(spark: SparkSession, caplog: pytest.LogCaptureFixture) -> None:
    df = spark.createDataFrame([ROW], COLUMNS).coalesce(1)
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        options: dict[str, Any] = {
            "template": "bulk_import_profiles",
            "api_key": "pk_test_0123456789",
            "base_url": klaviyo.url,
        }
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            report = write_klaviyo(df, **options)
        shown = [one for one in caught if one.category is KlaviyoWarning]
        with caplog.at_level(logging.WARNING, "spark_klaviyo"):
            writer = klaviyo_partition_writer(schema=df.schema, **options)
        df.foreachPartition(writer)
        preview = preview_klaviyo(df, **options)
        sent = klaviyo.profiles[0]
    assert all_said([str(one.message) for one in shown])
    assert all(one.filename == __file__ for one in shown)
    assert all_said(list(report.warnings))
    assert all_said(caplog.messages)
    assert writer.report is not None
    assert all_said(list(writer.report.warnings))
    assert all_said(list(preview.warnings))
    assert sent["email"] == "ann@example.com"
    assert sent["properties"] == {"id": "7", "accepts_marketing": "yes"}


def test_the_preview_says_of_each_column_its_field_how_sure_and_what_to_write_instead(spark: SparkSession) -> None:
    df = spark.createDataFrame([ROW], COLUMNS)
    preview = preview_klaviyo(df, template="bulk_import_profiles")
    assert {one.column: (one.becomes, one.sure) for one in preview.mapping} == {
        "Email Address": ("email", "certain"),
        "Phone": ("phone_number", "likely"),
        "id": ("custom property", "ask"),
        "password_hash": ("dropped", "secret"),
        "accepts_marketing": ("custom property", "no effect"),
    }
    page, text = preview.to_html(), preview.text()
    for instead in ('fields={"properties.Phone":"Phone"}', 'fields={"external_id":"id"}'):
        assert instead in text
        assert instead.replace('"', "&#34;") in page
