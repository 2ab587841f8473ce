"""The rules of opting out at every way to write, with real Spark: the same people are left alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from spark_klaviyo import check_klaviyo, preview_klaviyo
from spark_klaviyo.entrypoints.capabilities import WRITING
from spark_klaviyo.options.entrypoints import TASK_ENTRY_POINTS, EntryPoint
from spark_klaviyo.simulator import KlaviyoSimulator
from tests.entrypoints.driving import DRIVEN, KEY, KEY_VARIABLE
from tests.optout.people import consents, reads, writes

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LIST, OTHER = "Y6nRLr", "Lst1Aa"
ANN, BEN, CYD, DEE, EVE = (f"{name}@example.com" for name in ("ann", "ben", "cyd", "dee", "eve"))
EMAIL = "email.marketing"
SUBSCRIBE = {"template": "bulk_subscribe_profiles", "channels": "email", "list_id": LIST}
UNSUBSCRIBE = {"template": "bulk_unsubscribe_profiles", "channels": "email"}
LACKS_DATA_SOURCES = (EntryPoint.SOURCE, EntryPoint.STREAM)  # Spark 3.5
EVERY = pytest.mark.parametrize("entry", WRITING, ids=lambda point: point.value, indirect=True)


@pytest.fixture(autouse=True)
def key_in_the_environment() -> Iterator[None]:
    os.environ[KEY_VARIABLE] = KEY
    yield
    del os.environ[KEY_VARIABLE]


@pytest.fixture
def klaviyo() -> Iterator[KlaviyoSimulator]:
    with KlaviyoSimulator(job_polls=0) as simulator:
        simulator.add_profiles([{"email": email} for email in (ANN, BEN, CYD, EVE)])
        simulator.set_consent(ANN, "email", "UNSUBSCRIBED")
        simulator.suppress(BEN, "SPAM_COMPLAINT")
        simulator.set_consent(EVE, "email", "UNSUBSCRIBED")
        yield simulator


@pytest.fixture
def entry(request: pytest.FixtureRequest, spark: SparkSession) -> EntryPoint:
    """The way to write, where this Spark has it."""
    entry_point: EntryPoint = request.param
    if entry_point in LACKS_DATA_SOURCES and not hasattr(spark, "dataSource"):
        pytest.skip("Spark 3.5 has no data sources in Python")
    return entry_point


@EVERY
def test_nobody_is_brought_back_and_no_job_fails_for_it(
    entry: EntryPoint, spark: SparkSession, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    rows = [(ANN, "false", True), (BEN, None, True), (CYD, "no", True), (EVE, "true", True), (DEE, None, False)]
    df = spark.createDataFrame(rows, "email string, again string, accepts_marketing boolean").coalesce(1)
    options = {**SUBSCRIBE, "resubscribe": "column:again", "base_url": klaviyo.url}
    DRIVEN[entry](df.where(f"email <> '{DEE}'"), options, tmp_path)  # who has opted out fails no job
    DRIVEN[entry](df.where(f"email = '{DEE}'"), {**options, "on_reject": "keep"}, tmp_path)
    assert consents(klaviyo) == {
        (ANN, EMAIL): "UNSUBSCRIBED",
        (BEN, EMAIL): "NEVER_SUBSCRIBED",
        (CYD, EMAIL): "SUBSCRIBED",
        (EVE, EMAIL): "SUBSCRIBED",
    }


@EVERY
def test_a_row_that_says_no_counts_for_every_row_of_its_person(
    entry: EntryPoint, spark: SparkSession, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    rows = [(CYD, "yes"), (DEE, None), (CYD, None), (CYD, "no")]
    df = spark.createDataFrame(rows, "email string, accepts_marketing string").repartition(4)
    has_session = entry not in TASK_ENTRY_POINTS
    options: dict[str, Any] = {**SUBSCRIBE, "base_url": klaviyo.url, "on_reject": "keep"}
    DRIVEN[entry](df if has_session else df.coalesce(1), options, tmp_path)
    assert consents(klaviyo) == {
        (ANN, EMAIL): "UNSUBSCRIBED",
        (BEN, EMAIL): "NEVER_SUBSCRIBED",
        (EVE, EMAIL): "UNSUBSCRIBED",
        (DEE, EMAIL): "SUBSCRIBED",
    }
    if entry is EntryPoint.FUNCTION:
        assert [one.rows for one in preview_klaviyo(df, **options).requests] == [1]


@EVERY
def test_who_leaves_a_list_is_the_person_of_the_row_and_nobody_else(
    entry: EntryPoint, spark: SparkSession, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    phone = "+16175550100"
    klaviyo.add_profiles([{"email": ANN, "phone_number": phone}, {"email": EVE}], OTHER)
    klaviyo.set_consent(CYD, "email", "SUBSCRIBED")
    given = {"base_url": klaviyo.url, "list_id": OTHER, "on_reject": "keep"}
    leavers = spark.createDataFrame([(EVE,), (CYD,)], "email string").coalesce(1)
    DRIVEN[entry](leavers, {**UNSUBSCRIBE, **given}, tmp_path)
    assert [member["email"] for member in klaviyo.lists[OTHER]] == [ANN]
    assert consents(klaviyo)[CYD, EMAIL] == "SUBSCRIBED"  # who is not on the list is not unsubscribed from everything
    unknown = spark.createDataFrame([("unknown@example.com", phone)], "email string, phone_number string").coalesce(1)
    DRIVEN[entry](unknown, {"template": "remove_profiles_from_list", **given}, tmp_path)
    assert [member["email"] for member in klaviyo.lists[OTHER]] == [ANN]


@EVERY
@pytest.mark.parametrize(
    ("options", "word"),
    [(SUBSCRIBE, "profiles:read"), (UNSUBSCRIBE, "unsubscribed from everything")],
    ids=["a key without the scope", "no list"],
)
def test_refusals_come_before_anything_is_sent(
    entry: EntryPoint,
    spark: SparkSession,
    options: dict[str, str],
    word: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    df = spark.createDataFrame([(CYD,)], "email string")
    with KlaviyoSimulator(api_keys={KEY: ["lists:write", "profiles:write", "subscriptions:write"]}) as klaviyo:
        klaviyo.add_profiles([{"email": CYD}])
        with pytest.raises(Exception, match=r".") as error:
            DRIVEN[entry](df, {**options, "base_url": klaviyo.url}, tmp_path)
        said = f"{type(error.value).__name__} {error.value} {capsys.readouterr().err}"
        assert word in said
        assert "OptionError" in said or "exit status 2" in said
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
