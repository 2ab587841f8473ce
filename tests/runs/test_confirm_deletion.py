"""Deleting: only as many rows as the caller has confirmed, counted before anything is sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from spark_klaviyo import OptionError, write_klaviyo
from spark_klaviyo.simulator import KlaviyoSimulator

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

EMAILS = [f"p{n}@example.com" for n in range(9)]


@pytest.fixture
def klaviyo() -> Iterator[KlaviyoSimulator]:
    with KlaviyoSimulator(job_polls=0) as simulator:
        simulator.add_profiles([{"email": email} for email in EMAILS])
        yield simulator


def frame(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame([(email,) for email in EMAILS[:6]], "email string").repartition(3)


def delete(df: DataFrame, klaviyo: KlaviyoSimulator, **options: object) -> int:
    given: dict[str, Any] = {"template": "request_profile_deletion", "api_key": "pk_test_key", "base_url": klaviyo.url}
    return write_klaviyo(df, **{**given, **options}).accepted


def test_as_many_rows_as_were_confirmed_are_deleted(spark: SparkSession, klaviyo: KlaviyoSimulator) -> None:
    from pyspark.sql.functions import udf

    seen = spark.sparkContext.accumulator(0)

    counted = frame(spark).withColumn("email", udf(lambda email: (seen.add(1), email)[1], "string")("email"))
    assert delete(counted, klaviyo, confirm_deletion=6) == 6
    assert {profile["email"] for profile in klaviyo.profiles} == set(EMAILS[6:])
    assert seen.value == 6


@pytest.mark.parametrize("confirmed", [0, 5, 7, 600])
def test_any_other_number_of_rows_deletes_nothing(
    spark: SparkSession, klaviyo: KlaviyoSimulator, confirmed: int
) -> None:
    with pytest.raises(OptionError, match=rf"6 rows would be deleted .*, not {confirmed}; nothing was sent"):
        delete(frame(spark), klaviyo, confirm_deletion=confirmed)
    assert {request.method for request in klaviyo.requests} == {"GET"}  # the account is named


def test_deleting_without_a_number_says_why(spark: SparkSession, klaviyo: KlaviyoSimulator) -> None:
    with pytest.raises(OptionError, match="cannot be brought back: give the exact number of rows"):
        delete(frame(spark), klaviyo)
