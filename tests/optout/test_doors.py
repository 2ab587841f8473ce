"""The rules of opting out at every way to write, with real Spark: the same people are left alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from spark_klaviyo import (
    OptionError,
    check_klaviyo,
    klaviyo_batch_writer,
    klaviyo_partition_writer,
    preview_klaviyo,
    write_klaviyo,
)
from spark_klaviyo.simulator import KlaviyoSimulator
from tests.optout.people import consents, reads, writes

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

LIST = "Y6nRLr"
ANN, BEN, CYD, DEE = (f"{name}@example.com" for name in ("ann", "ben", "cyd", "dee"))
EMAIL = "email.marketing"
KEY = "pk_test_key_of_the_doors"
SUBSCRIBE = {"template": "bulk_subscribe_profiles", "channels": "email", "list_id": LIST}
Write = Callable[["DataFrame", dict[str, Any]], object]


def by_source(df: DataFrame, options: dict[str, Any]) -> None:
    df.write.format("klaviyo").mode("append").options(**options).save()


WAYS: dict[str, Write] = {
    "write_klaviyo": lambda df, options: write_klaviyo(df, **options),
    "df.write": by_source,
    "foreachPartition": lambda df, options: df.foreachPartition(klaviyo_partition_writer(df.schema, **options)),
    "foreachBatch": lambda df, options: klaviyo_batch_writer(**options)(df, 0),
}


@pytest.fixture
def klaviyo() -> Iterator[KlaviyoSimulator]:
    with KlaviyoSimulator() as simulator:
        simulator.add_profiles([{"email": email} for email in (ANN, BEN, CYD)])
        simulator.set_consent(ANN, "email", "UNSUBSCRIBED")
        simulator.suppress(BEN, "SPAM_COMPLAINT")
        yield simulator


@pytest.mark.parametrize("way", WAYS)
def test_nobody_is_brought_back_and_no_job_fails_for_it(
    spark: SparkSession, klaviyo: KlaviyoSimulator, way: str
) -> None:
    if way == "df.write" and not hasattr(spark, "dataSource"):
        pytest.skip("Spark 3.5 has no data sources in Python")
    rows = [(ANN, "false", True), (BEN, None, True), (CYD, "no", True), (DEE, None, False)]
    df = spark.createDataFrame(rows, "email string, again string, accepts_marketing boolean").coalesce(1)
    options = {**SUBSCRIBE, "resubscribe": "column:again", "api_key": KEY, "base_url": klaviyo.url}
    WAYS[way](df.where(f"email <> '{DEE}'"), options)  # who has opted out fails no job
    assert consents(klaviyo) == {
        (ANN, EMAIL): "UNSUBSCRIBED",
        (BEN, EMAIL): "NEVER_SUBSCRIBED",
        (CYD, EMAIL): "SUBSCRIBED",
    }
    WAYS[way](df.where(f"email = '{DEE}'"), {**options, "on_reject": "keep"})
    WAYS[way](df.where(f"email = '{ANN}'").withColumn("again", df.accepts_marketing), options)
    assert consents(klaviyo) == {
        (ANN, EMAIL): "SUBSCRIBED",
        (BEN, EMAIL): "NEVER_SUBSCRIBED",
        (CYD, EMAIL): "SUBSCRIBED",
    }


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("options", "word"),
    [
        (SUBSCRIBE, "profiles:read"),
        ({"template": "bulk_unsubscribe_profiles", "channels": "email"}, "unsubscribed from everything"),
    ],
)
def test_refusals_come_before_anything_is_sent(
    spark: SparkSession, way: str, options: dict[str, str], word: str
) -> None:
    if way == "df.write" and not hasattr(spark, "dataSource"):
        pytest.skip("Spark 3.5 has no data sources in Python")
    df = spark.createDataFrame([(CYD,)], "email string")
    with KlaviyoSimulator(api_keys={KEY: ["lists:write", "profiles:write", "subscriptions:write"]}) as klaviyo:
        klaviyo.add_profiles([{"email": CYD}])
        with pytest.raises(Exception, match=word) as error:
            WAYS[way](df, {**options, "api_key": KEY, "base_url": klaviyo.url})
        assert isinstance(error.value, OptionError) or "OptionError" in str(error.value)
        assert writes(klaviyo) == []
        assert consents(klaviyo) == {}


def test_a_preview_counts_the_reads(spark: SparkSession, klaviyo: KlaviyoSimulator) -> None:
    df = spark.range(1_000).selectExpr("concat('p', id, '@example.com') AS email", "'+16175550100' AS phone_number")
    options: dict[str, Any] = {**SUBSCRIBE, "api_key": KEY, "base_url": klaviyo.url}
    assert preview_klaviyo(df.select("email"), **options).requests_expected == 1 + 10
    assert preview_klaviyo(df, **{**options, "channels": "email,sms"}).requests_expected == 1 + 20
    assert preview_klaviyo(df, **options, resubscribe="true").requests_expected == 1
    million = preview_klaviyo(spark.range(1_000_000).selectExpr("concat('p', id, '@example.com') AS email"), **options)
    assert million.requests_expected == 1_000 + 10_000
    assert 12 < (million.minutes_expected or 0) < 15
    assert reads(klaviyo) <= 1  # whether the key may read consent


def test_the_check_tests_the_scope() -> None:
    scopes = ["lists:read", "lists:write", "profiles:write", "subscriptions:write", "accounts:read"]
    for more, ok in ((["profiles:read"], True), ([], False)):
        with KlaviyoSimulator(api_keys={KEY: [*scopes, *more]}) as klaviyo:
            result = check_klaviyo(**SUBSCRIBE, api_key=KEY, base_url=klaviyo.url)
            assert result.ok is ok
            assert "profiles:read" in str(result)
