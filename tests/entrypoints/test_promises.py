"""The door table, cell by cell: what is held holds with real Spark and HTTP, what is refused names another door."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from spark_klaviyo.entrypoints.capabilities import CAPABILITIES, DOOR_NAMES, HELD, REFUSED
from spark_klaviyo.entrypoints.read import options_at
from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.simulator import KlaviyoSimulator
from tests.entrypoints.driving import DRIVEN, KEEPS, KEY, KEY_VARIABLE, Options

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytest.importorskip("pyspark.sql.datasource")

EVERY_DOOR = pytest.mark.parametrize("door", DOOR_NAMES)
REFUSALS = [(door, promise) for promise in CAPABILITIES for door, cell in promise.cells.items() if cell == REFUSED]
SESSION_HELD = pytest.mark.parametrize("door", ["function", "command", "batch"])


@pytest.fixture(autouse=True)
def key_in_the_environment() -> Iterator[None]:
    os.environ[KEY_VARIABLE] = KEY
    yield
    del os.environ[KEY_VARIABLE]


@pytest.fixture
def klaviyo() -> Iterator[KlaviyoSimulator]:
    with KlaviyoSimulator() as simulator:
        yield simulator


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


def test_every_cell_is_held_or_refused() -> None:
    assert {cell for promise in CAPABILITIES for cell in promise.cells.values()} == {HELD, REFUSED}
    assert all(set(promise.cells) == set(DOOR_NAMES) for promise in CAPABILITIES)


@pytest.mark.parametrize(("door", "promise"), REFUSALS, ids=[f"{door}-{promise.name}" for door, promise in REFUSALS])
def test_what_a_door_cannot_keep_it_refuses_naming_another(door: str, promise: object) -> None:
    asked = next(p for p in CAPABILITIES if p is promise)
    base = {"template": "add_profiles_to_list", "list_id": "Y6nRLr", "api_key": f"env:{KEY_VARIABLE}"}
    with pytest.raises(OptionError) as caught:
        options_at(EntryPoint(door), {**base, **dict(asked.asked)})
    assert "write_klaviyo" in str(caught.value) or "klaviyo_batch_writer" in str(caught.value)


@EVERY_DOOR
def test_bad_rows_fail_no_task_and_the_rest_arrives(
    door: str, three: DataFrame, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    DRIVEN[door](three, goal(klaviyo, on_reject="keep"), tmp_path)
    assert emails(klaviyo) == ["a@b.co", "c@d.ef"]


@pytest.fixture(scope="module")
def sent_by_function(three: DataFrame, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    with KlaviyoSimulator() as klaviyo:
        DRIVEN["function"](three, goal(klaviyo, on_reject="keep"), tmp_path_factory.mktemp("function"))
        return records(klaviyo)


@EVERY_DOOR
def test_the_same_rows_make_the_same_records(
    door: str, three: DataFrame, sent_by_function: list[str], klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    DRIVEN[door](three, goal(klaviyo, on_reject="keep"), tmp_path)
    assert records(klaviyo) == sent_by_function


@EVERY_DOOR
def test_a_refused_key_stops_after_one_request_a_task(door: str, three: DataFrame, tmp_path: Path) -> None:
    with KlaviyoSimulator(api_keys=["pk_another"]) as klaviyo:
        with pytest.raises(Exception, match=r"(?i)refuse|key|status 3") as caught:
            DRIVEN[door](three, goal(klaviyo, max_rows="1"), tmp_path)
        assert KEY not in str(caught.value)
        # a task that raises is run again only by clusters; here there is one attempt a task
        assert writes(klaviyo) <= 2
        assert klaviyo.profiles == []


@EVERY_DOOR
def test_an_endpoint_that_cannot_be_reached_stops_the_write(door: str, three: DataFrame, tmp_path: Path) -> None:
    with KlaviyoSimulator() as klaviyo:
        gone = klaviyo.url
    options = {"template": "add_profiles_to_list", "list_id": "Y6nRLr", "base_url": gone, "attempts": "2"}
    with pytest.raises(Exception, match=r"(?i)reach|connect|status 3"):
        DRIVEN[door](three, options, tmp_path)


@pytest.mark.parametrize("door", sorted(set(DOOR_NAMES) - {"partition"}))
def test_rejected_rows_raise_where_asked_once_all_is_sent(
    door: str, three: DataFrame, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    asked = {"on_reject": "fail"} if door in KEEPS else {}
    with pytest.raises(Exception, match=r"1 rejected|status 1"):
        DRIVEN[door](three, goal(klaviyo, **asked), tmp_path)
    assert emails(klaviyo) == ["a@b.co", "c@d.ef"]


@EVERY_DOOR
def test_rejects_and_receipts_are_written_as_parquet(
    door: str, three: DataFrame, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    rejects, receipts = str(tmp_path / "rejects"), str(tmp_path / "receipts")
    DRIVEN[door](three, goal(klaviyo, on_reject="keep", rejects_path=rejects, receipts_path=receipts), tmp_path)
    spark = three.sparkSession
    refused = spark.read.parquet(rejects).collect()
    assert [(row["email"], row["code"]) for row in refused] == [("nobody", "bad_email")]
    # a job that was followed has a second receipt, with its end
    assert {row["rows"] for row in spark.read.parquet(receipts).collect()} <= {1, 2}


@SESSION_HELD
def test_a_table_takes_the_rejects(door: str, three: DataFrame, klaviyo: KlaviyoSimulator, tmp_path: Path) -> None:
    spark = three.sparkSession
    spark.sql("DROP TABLE IF EXISTS promised_rejects")
    DRIVEN[door](three, goal(klaviyo, on_reject="keep", rejects_path="table:promised_rejects"), tmp_path)
    assert [row["code"] for row in spark.table("promised_rejects").collect()] == ["bad_email"]
    spark.sql("DROP TABLE promised_rejects")


@SESSION_HELD
def test_a_second_run_on_one_state_sends_nothing_again(
    door: str, three: DataFrame, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    options = goal(klaviyo, on_reject="keep", state_path=str(tmp_path / "state"))
    DRIVEN[door](three, options, tmp_path)
    before = writes(klaviyo)
    DRIVEN[door](three, options, tmp_path)
    assert writes(klaviyo) == before


@SESSION_HELD
def test_a_mirror_takes_off_the_list_who_is_not_in_the_frame(
    door: str, three: DataFrame, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    klaviyo.add_profiles([{"email": "old@x.com"}], list_id="Y6nRLr")
    good = three.where("email like '%@%'")
    DRIVEN[door](good, goal(klaviyo, list_mode="mirror", max_removals="100%"), tmp_path)
    assert sorted(member["email"] for member in klaviyo.lists["Y6nRLr"]) == ["a@b.co", "c@d.ef"]


@SESSION_HELD
def test_changes_are_routed_by_their_kind(
    door: str, spark: SparkSession, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    klaviyo.add_profiles([{"email": "gone@x.com"}], list_id="Y6nRLr")
    rows = [("new@x.com", "insert", 1), ("gone@x.com", "delete", 2)]
    changes = spark.createDataFrame(rows, "email string, _change_type string, _commit_version long")
    DRIVEN[door](changes, goal(klaviyo, change_column="_change_type", on_delete="remove"), tmp_path)
    assert [member["email"] for member in klaviyo.lists["Y6nRLr"]] == ["new@x.com"]


@SESSION_HELD
def test_people_are_deleted_when_their_number_is_confirmed(
    door: str, spark: SparkSession, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    klaviyo.add_profiles([{"email": "a@b.co"}, {"email": "stays@b.co"}])
    options = {"template": "request_profile_deletion", "base_url": klaviyo.url, "confirm_deletion": "1"}
    DRIVEN[door](spark.createDataFrame([("a@b.co",)], "email string"), options, tmp_path)
    assert emails(klaviyo) == ["stays@b.co"]


@SESSION_HELD
def test_the_calling_process_can_send(door: str, three: DataFrame, klaviyo: KlaviyoSimulator, tmp_path: Path) -> None:
    DRIVEN[door](three, goal(klaviyo, on_reject="keep", send_from="driver"), tmp_path)
    assert emails(klaviyo) == ["a@b.co", "c@d.ef"]
