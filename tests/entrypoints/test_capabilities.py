"""The table of capabilities, cell by cell, with real Spark and HTTP; a refusal names an entry point to use instead."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from spark_klaviyo.entrypoints.capabilities import CAPABILITIES, WRITING, Capability
from spark_klaviyo.entrypoints.read import options_at
from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.choices import OnReject
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.simulator import KlaviyoSimulator
from tests.entrypoints.driving import DRIVEN, KEY, KEY_VARIABLE, Options

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytest.importorskip("pyspark.sql.datasource")

EVERY = pytest.mark.parametrize("entry_point", WRITING, ids=lambda point: point.value)
WITH_SESSION = pytest.mark.parametrize(
    "entry_point", [EntryPoint.FUNCTION, EntryPoint.COMMAND, EntryPoint.BATCH], ids=lambda point: point.value
)
REFUSALS = [(point, one) for one in CAPABILITIES for point in WRITING if point not in one.supported]


@pytest.fixture(autouse=True)
def key_in_the_environment() -> Iterator[None]:
    os.environ[KEY_VARIABLE] = KEY
    yield
    del os.environ[KEY_VARIABLE]


@pytest.fixture(scope="module")
def three(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> DataFrame:
    """Two good rows and a bad one, in two partitions."""
    rows = spark.createDataFrame([("a@b.co", 1), ("nobody", 2), ("c@d.ef", 3)], "email string, tier int")
    folder = str(tmp_path_factory.mktemp("three"))
    rows.repartition(2, "tier").write.mode("overwrite").parquet(folder)
    return spark.read.parquet(folder)


def goal(klaviyo: KlaviyoSimulator, **options: str) -> Options:
    return {"template": "add_profiles_to_list", "list_id": "Y6nRLr", "base_url": klaviyo.url, **options}


def emails(klaviyo: KlaviyoSimulator) -> list[str]:
    return sorted(profile["email"] for profile in klaviyo.profiles)


def records(klaviyo: KlaviyoSimulator) -> list[str]:
    posted = [request.json() for request in klaviyo.requests if request.method == "POST"]
    return sorted(str(row) for body in posted for row in body["data"]["attributes"]["profiles"]["data"])


def writes(klaviyo: KlaviyoSimulator) -> int:
    return sum(request.method == "POST" for request in klaviyo.requests)


@pytest.mark.parametrize(
    ("entry_point", "capability"), REFUSALS, ids=[f"{point.value}-{one.name}" for point, one in REFUSALS]
)
def test_an_unsupported_capability_is_refused_naming_an_entry_point_that_has_it(
    entry_point: EntryPoint, capability: Capability
) -> None:
    base = {"template": "add_profiles_to_list", "list_id": "Y6nRLr", "api_key": f"env:{KEY_VARIABLE}"}
    with pytest.raises(OptionError) as caught:
        options_at(entry_point, {**base, **dict(capability.options)})
    assert "write_klaviyo" in str(caught.value) or "klaviyo_batch_writer" in str(caught.value)


@pytest.fixture(scope="module")
def sent_by_function(three: DataFrame, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        DRIVEN[EntryPoint.FUNCTION](three, goal(klaviyo, on_reject="keep"), tmp_path_factory.mktemp("function"))
        return records(klaviyo)


@EVERY
def test_bad_rows_fail_no_task_and_the_rest_arrives_as_the_same_records(
    entry_point: EntryPoint, three: DataFrame, sent_by_function: list[str], klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    DRIVEN[entry_point](three, goal(klaviyo, on_reject="keep"), tmp_path)
    assert emails(klaviyo) == ["a@b.co", "c@d.ef"]
    assert records(klaviyo) == sent_by_function


@EVERY
def test_a_refused_key_stops_after_one_request_a_task(
    entry_point: EntryPoint, three: DataFrame, tmp_path: Path
) -> None:
    with KlaviyoSimulator(api_keys=["pk_another"]) as klaviyo:
        with pytest.raises(Exception, match=r"(?i)refuse|key|status 3") as caught:
            DRIVEN[entry_point](three, goal(klaviyo, max_rows="1"), tmp_path)
        assert KEY not in str(caught.value)
        # a task that raises is run again only by clusters; here there is one attempt a task
        assert writes(klaviyo) <= 2
        assert klaviyo.profiles == []


@EVERY
def test_an_endpoint_that_cannot_be_reached_stops_the_write(
    entry_point: EntryPoint, three: DataFrame, tmp_path: Path
) -> None:
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        gone = klaviyo.url
    options = {"template": "add_profiles_to_list", "list_id": "Y6nRLr", "base_url": gone, "attempts": "2"}
    with pytest.raises(Exception, match=r"(?i)reach|connect|status 3"):
        DRIVEN[entry_point](three, options, tmp_path)


@pytest.mark.parametrize("entry_point", [point for point in WRITING if point is not EntryPoint.PARTITION])
def test_rejected_rows_raise_where_asked_once_all_is_sent(
    entry_point: EntryPoint, three: DataFrame, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    asked = {"on_reject": "fail"} if entry_point.default_on_reject is OnReject.KEEP else {}
    with pytest.raises(Exception, match=r"1 rejected|status 1"):
        DRIVEN[entry_point](three, goal(klaviyo, **asked), tmp_path)
    assert emails(klaviyo) == ["a@b.co", "c@d.ef"]


@EVERY
def test_rejects_and_receipts_are_written_as_parquet(
    entry_point: EntryPoint, three: DataFrame, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    rejects, receipts = str(tmp_path / "rejects"), str(tmp_path / "receipts")
    DRIVEN[entry_point](three, goal(klaviyo, on_reject="keep", rejects_path=rejects, receipts_path=receipts), tmp_path)
    spark = three.sparkSession
    refused = spark.read.parquet(rejects).collect()
    assert [(row["email"], row["code"]) for row in refused] == [("nobody", "bad_email")]
    # a job that was followed has a second receipt, with its end
    assert {row["rows"] for row in spark.read.parquet(receipts).collect()} <= {1, 2}


@WITH_SESSION
def test_a_table_takes_the_rejects(
    entry_point: EntryPoint, three: DataFrame, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    spark = three.sparkSession
    spark.sql("DROP TABLE IF EXISTS promised_rejects")
    DRIVEN[entry_point](three, goal(klaviyo, on_reject="keep", rejects_path="table:promised_rejects"), tmp_path)
    assert [row["code"] for row in spark.table("promised_rejects").collect()] == ["bad_email"]
    spark.sql("DROP TABLE promised_rejects")


@WITH_SESSION
def test_a_second_run_on_one_state_sends_nothing_again(
    entry_point: EntryPoint, three: DataFrame, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    options = goal(klaviyo, on_reject="keep", state_path=str(tmp_path / "state"))
    DRIVEN[entry_point](three, options, tmp_path)
    before = writes(klaviyo)
    DRIVEN[entry_point](three, options, tmp_path)
    assert writes(klaviyo) == before


@pytest.mark.parametrize("entry_point", [EntryPoint.FUNCTION, EntryPoint.COMMAND])
def test_a_mirror_takes_off_the_list_who_is_not_in_the_frame(
    entry_point: EntryPoint, three: DataFrame, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    klaviyo.add_profiles([{"email": "old@x.com"}], list_id="Y6nRLr")
    good = three.where("email like '%@%'")
    DRIVEN[entry_point](good, goal(klaviyo, list_mode="mirror", max_removals="100%"), tmp_path)
    assert sorted(member["email"] for member in klaviyo.lists["Y6nRLr"]) == ["a@b.co", "c@d.ef"]


@WITH_SESSION
def test_changes_are_routed_by_their_kind(
    entry_point: EntryPoint, spark: SparkSession, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    klaviyo.add_profiles([{"email": "gone@x.com"}], list_id="Y6nRLr")
    rows = [("new@x.com", "insert", 1), ("gone@x.com", "delete", 2)]
    changes = spark.createDataFrame(rows, "email string, _change_type string, _commit_version long")
    DRIVEN[entry_point](changes, goal(klaviyo, change_column="_change_type", on_delete="remove"), tmp_path)
    assert [member["email"] for member in klaviyo.lists["Y6nRLr"]] == ["new@x.com"]


@WITH_SESSION
def test_people_are_deleted_when_their_number_is_confirmed(
    entry_point: EntryPoint, spark: SparkSession, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    klaviyo.add_profiles([{"email": "a@b.co"}, {"email": "stays@b.co"}])
    options = {"template": "request_profile_deletion", "base_url": klaviyo.url, "confirm_deletion": "1"}
    DRIVEN[entry_point](spark.createDataFrame([("a@b.co",)], "email string"), options, tmp_path)
    assert emails(klaviyo) == ["stays@b.co"]


@WITH_SESSION
def test_the_calling_process_can_send(
    entry_point: EntryPoint, three: DataFrame, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    DRIVEN[entry_point](three, goal(klaviyo, on_reject="keep", send_from="driver"), tmp_path)
    assert emails(klaviyo) == ["a@b.co", "c@d.ef"]
