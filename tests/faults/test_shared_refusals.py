"""One refused key, many tasks: the first that learns it stops those of its executor; state files and permissions."""

from __future__ import annotations

import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from spark_klaviyo import OptionError, write_klaviyo
from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.runs.session import SparkTask
from spark_klaviyo.runs.tasks import ExecutorStop
from spark_klaviyo.simulator import KlaviyoSimulator
from tests.entrypoints.driving import DRIVEN

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

KEY = "pk_test_key_of_the_simulator"
CORES = 2
TASKS = 6  # each starts a worker of its own, since one that stops early cannot be used again


def people(spark: SparkSession, count: int = 20, partitions: int = 1) -> DataFrame:
    return spark.range(0, count, 1, partitions).selectExpr("concat('p', id, '@example.com') email")


def test_a_stop_reaches_the_other_tasks_of_the_job_and_no_other_job(tmp_path: Path) -> None:
    one, other = (ExecutorStop(SparkTask(number, stage_id=7, executor_folder=str(tmp_path))) for number in (0, 1))
    one.set(StopCode.UNAUTHORIZED, "Klaviyo refuses this key")
    assert other.is_set()
    assert other.reason == (StopCode.UNAUTHORIZED, "Klaviyo refuses this key")
    assert ExecutorStop(SparkTask(2, stage_id=7, executor_folder=str(tmp_path))).is_set()
    assert not ExecutorStop(SparkTask(0, stage_id=8, executor_folder=str(tmp_path))).is_set()


@pytest.mark.parametrize("code", [StopCode.TOO_MANY_REJECTS, StopCode.UNREACHABLE, StopCode.CLOSED])
def test_what_concerns_one_task_is_its_own(tmp_path: Path, code: StopCode) -> None:
    one, other = (ExecutorStop(SparkTask(number, stage_id=7, executor_folder=str(tmp_path))) for number in (0, 1))
    one.set(code, "why")
    assert (one.is_set(), other.is_set()) == (True, False)


def test_without_a_folder_of_the_executor_each_task_stops_alone() -> None:
    stop = ExecutorStop(SparkTask())
    assert not stop.is_set()
    stop.set(StopCode.UNAUTHORIZED)
    assert stop.is_set()


@pytest.mark.parametrize("entry_point", [EntryPoint.SOURCE, EntryPoint.PARTITION])
def test_of_many_tasks_only_those_in_flight_try_a_refused_key(
    spark: SparkSession, tmp_path: Path, entry_point: EntryPoint
) -> None:
    options = {"template": "bulk_import_profiles", "rate_limit": "none"}
    with KlaviyoSimulator(api_keys=["pk_another"]) as klaviyo:
        options["base_url"] = klaviyo.url
        with pytest.raises(Exception, match="refuses this key"):
            DRIVEN[entry_point](people(spark, 10 * TASKS, TASKS), options, tmp_path)
        assert 1 <= sum(request.method == "POST" for request in klaviyo.requests) <= CORES
        assert klaviyo.profiles == []


# --- what a run leaves on disk --------------------------------------------------------------------


def test_the_key_is_in_no_file_of_pyspark_once_the_run_has_ended(
    spark: SparkSession, klaviyo: KlaviyoSimulator
) -> None:
    folder = Path(spark.sparkContext._temp_dir)
    before = set(folder.iterdir())
    seen = set[Path]()

    stopped = threading.Event()

    def look() -> None:
        while not stopped.wait(0.02):
            seen.update(set(folder.iterdir()) - before)

    body = '{"note":"' + "a" * 1_200_000 + '","rows":{rows}}'  # a plan too large to travel with tasks
    watcher = threading.Thread(target=look)
    watcher.start()
    url = f"{klaviyo.url}/__sink"
    write_klaviyo(people(spark, 3), url=url, body=body, api_key=KEY, on_reject="keep")
    stopped.set()
    watcher.join()
    assert seen  # the run's functions were in a file while it lasted
    assert not [file for file in folder.glob("*") if file.is_file() and KEY.encode() in file.read_bytes()]


def written(klaviyo: KlaviyoSimulator, frame: DataFrame, **paths: str) -> Any:
    return write_klaviyo(
        frame, template="create_or_update_profile", base_url=klaviyo.url, api_key=KEY, rate_limit="none", **paths
    )


@pytest.mark.parametrize(("folder", "file"), [(0o700, 0o600), (0o750, 0o640), (0o755, 0o644)])
def test_rejects_and_receipts_have_the_permissions_of_their_folder(
    spark: SparkSession, klaviyo: KlaviyoSimulator, tmp_path: Path, folder: int, file: int
) -> None:
    places = {f"{name}_path": tmp_path / name for name in ("rejects", "receipts")}
    for place in places.values():
        place.mkdir()
        place.chmod(folder)
    frame = people(spark, 3).selectExpr("if(email = 'p1@example.com', 'bad', email) email")
    written(klaviyo, frame, on_reject="keep", **{name: str(place) for name, place in places.items()})
    modes = {stat.S_IMODE(one.stat().st_mode) for place in places.values() for one in place.glob("*.parquet")}
    assert modes == {file}


def test_a_damaged_state_file_is_named_with_what_to_do(
    spark: SparkSession, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    written(klaviyo, people(spark, 3), state_path=str(state))
    damaged = sorted(state.glob("[!j_]*.parquet"))[0]
    damaged.write_bytes(damaged.read_bytes()[:40])
    before = len(klaviyo.requests)
    with pytest.raises(OptionError, match=rf"{damaged.name} is damaged; nothing was sent.*delete it"):
        written(klaviyo, people(spark, 3), state_path=str(state))
    assert len([one for one in klaviyo.requests[before:] if one.method == "POST"]) == 0
    damaged.unlink()
    again = written(klaviyo, people(spark, 3), state_path=str(state))
    assert again.delivered + again.skipped == 3


def test_the_seconds_of_a_report_include_the_comparison_with_the_state(
    spark: SparkSession, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    from pyspark.sql.functions import udf

    slow = udf(lambda text: __import__("time").sleep(1.0) or text, "string")  # rows are encoded and compared first
    report = written(klaviyo, people(spark, 1).select(slow("email").alias("email")), state_path=str(tmp_path / "state"))
    assert report.delivered == 1
    assert report.seconds >= 1.0
