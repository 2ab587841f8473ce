"""A list becomes exactly the DataFrame, over real Spark and real HTTP; no member is removed by mistake."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from spark_klaviyo import write_klaviyo
from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.errors import OptionError, SchemaError
from spark_klaviyo.modes.mirror import execute
from spark_klaviyo.report.report import RowsRejected, WriteReport, WriteStopped
from spark_klaviyo.simulator import Fault, KlaviyoSimulator

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import DataFrame, SparkSession

REMOVE = "/api/lists/Y6nRLr/relationships/profiles"


def emails(first: int, last: int) -> list[str]:
    return [f"person{number}@example.com" for number in range(first, last)]


def frame(spark: SparkSession, first: int, last: int) -> DataFrame:
    return spark.createDataFrame([(email.upper(),) for email in emails(first, last)], "Email string").repartition(2)


def mirrored(df: DataFrame, klaviyo: KlaviyoSimulator, **given: object) -> WriteReport:
    options = {
        "template": "add_profiles_to_list",
        "list_id": "Y6nRLr",
        "list_mode": "mirror",
        "base_url": klaviyo.url,
        "api_key": "pk_test",
        **given,
    }
    return write_klaviyo(df, **options)


def on_list(klaviyo: KlaviyoSimulator) -> set[str]:
    return {(profile["email"] or profile["id"]).lower() for profile in klaviyo.lists["Y6nRLr"]}


def test_the_list_becomes_exactly_the_dataframe(spark: SparkSession, tmp_path: Path) -> None:
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        klaviyo.add_profiles([{"email": email} for email in emails(0, 40)], "Y6nRLr")
        klaviyo.add_profiles([{"email": "elsewhere@example.com"}], "Lst1Aa")
        report = mirrored(frame(spark, 2, 50), klaviyo, receipts_path=str(tmp_path / "receipts"))
        assert on_list(klaviyo) == set(emails(2, 50))
        assert len(klaviyo.lists["Lst1Aa"]) == 1
        assert (report.rows, report.delivered, report.removed) == (48, 48, 2)
        assert "2 members removed from the list" in str(report)
        ways = [(request.method, request.path) for request in klaviyo.requests]
        assert ways.count(("DELETE", REMOVE)) == 1
        assert max(at for at, way in enumerate(ways) if way[0] == "POST") < ways.index(("DELETE", REMOVE))
        receipts = spark.read.parquet(str(tmp_path / "receipts"))
        assert receipts.where("method = 'DELETE'").count() == 1


def test_more_removals_than_allowed_stop_the_run_before_anybody_is_added(spark: SparkSession, tmp_path: Path) -> None:
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        klaviyo.add_profiles([{"email": email} for email in emails(0, 20)], "Y6nRLr")
        places = {name: str(tmp_path / name) for name in ("receipts_path", "rejects_path", "runs_path")}
        with pytest.raises(WriteStopped, match=r"3 of the list's 20 members .*=10% allows to remove 2 of 20") as raised:
            mirrored(frame(spark, 3, 22), klaviyo, **places)
        assert on_list(klaviyo) == set(emails(0, 20))
        assert {request.method for request in klaviyo.requests} == {"GET"}
        report = raised.value.report
        assert report is not None
        assert (report.rows, report.unsent, report.removed, report.warnings) == (19, 19, 0, {})
        assert spark.read.parquet(places["runs_path"]).first()["unsent"] == 19
        assert mirrored(frame(spark, 3, 22), klaviyo, max_removals=3).removed == 3
        assert on_list(klaviyo) == set(emails(3, 22))


def test_an_empty_dataframe_is_refused_and_nothing_is_written(spark: SparkSession) -> None:
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        klaviyo.add_profiles([{"email": "a@example.com"}], "Y6nRLr")
        with pytest.raises(SchemaError, match="no row"):
            mirrored(frame(spark, 0, 0), klaviyo, max_removals="100%")
        assert {request.method for request in klaviyo.requests} == {"GET"}


def test_a_member_whose_row_was_rejected_stays(spark: SparkSession) -> None:
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        people = [{"email": "ann@example.com", "external_id": "1"}, {"email": "bob@example.com", "external_id": "2"}]
        klaviyo.add_profiles([*people, {"email": "cat@example.com", "external_id": "3"}], "Y6nRLr")
        rows = [("ann@example.com", "1"), ("bob at example", "2")]
        with pytest.raises(RowsRejected) as raised:
            mirrored(spark.createDataFrame(rows, "email string, external_id string"), klaviyo, max_removals=5)
        assert on_list(klaviyo) == {"ann@example.com", "bob@example.com"}
        assert raised.value.report is not None
        assert (raised.value.report.rejected, raised.value.report.removed) == (1, 1)


def test_a_member_whose_row_klaviyo_refused_stays(spark: SparkSession) -> None:
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        klaviyo.add_profiles([{"email": email} for email in emails(0, 4)], "Y6nRLr")
        klaviyo.inject(Fault("job_row_errors", rate=1.0))
        with pytest.raises(RowsRejected):
            mirrored(frame(spark, 0, 3), klaviyo, max_removals=4)
        assert on_list(klaviyo) == set(emails(0, 3))


def test_any_identifier_keeps_a_member(spark: SparkSession) -> None:
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        people = [{"phone_number": "+12025550123"}, {"external_id": "77"}, {"email": "gone@example.com"}]
        klaviyo.add_profiles(people, "Y6nRLr")
        rows = [("(202) 555-0123", None), (None, 77)]
        report = mirrored(
            spark.createDataFrame(rows, "phone string, external_id long"),
            klaviyo,
            default_country="US",
            fields={"phone_number": "phone"},
            max_removals=1,
        )
        assert report.removed == 1
        assert len(klaviyo.lists["Y6nRLr"]) == 2


def test_a_write_that_stopped_removes_nobody(spark: SparkSession) -> None:
    with KlaviyoSimulator(api_keys={"pk_test": ["lists:read", "profiles:read"]}) as klaviyo:
        klaviyo.add_profiles([{"email": "a@example.com"}], "Y6nRLr")
        with pytest.raises(WriteStopped, match="lists:write"):
            mirrored(frame(spark, 0, 3), klaviyo, max_removals="100%")
        assert "DELETE" not in {request.method for request in klaviyo.requests}


def test_too_many_rejects_remove_nobody(spark: SparkSession) -> None:
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        klaviyo.add_profiles([{"email": "a@example.com"}], "Y6nRLr")
        rows = spark.createDataFrame([("b@example.com",), ("nobody",)], "email string")
        with pytest.raises(WriteStopped, match="max_rejects"):
            mirrored(rows, klaviyo, max_removals="100%", max_rejects=0)
        assert "a@example.com" in on_list(klaviyo)


def test_the_list_is_read_before_anything_is_sent(spark: SparkSession) -> None:
    scopes = ["lists:read", "lists:write", "profiles:write"]
    with KlaviyoSimulator(api_keys={"pk_test": scopes}) as klaviyo:
        with pytest.raises(WriteStopped, match="profiles:read"):
            mirrored(frame(spark, 0, 3), klaviyo)
        assert {request.method for request in klaviyo.requests} == {"GET"}
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        with pytest.raises(OptionError, match="no list with the id Nowhere"):
            mirrored(frame(spark, 0, 3), klaviyo, list_id="Nowhere")
        assert {request.method for request in klaviyo.requests} == {"GET"}


def test_members_that_cannot_be_read_to_the_end_are_not_removed(spark: SparkSession) -> None:
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        klaviyo.add_profiles([{"email": email} for email in emails(0, 250)], "Y6nRLr")
        klaviyo.inject(Fault("status", path="/api/lists/Y6nRLr/profiles", status=403, after=4))
        with pytest.raises(WriteStopped, match="nobody was added or removed"):
            mirrored(frame(spark, 0, 240), klaviyo)
        assert len(klaviyo.lists["Y6nRLr"]) == 250


def test_rows_without_a_comparable_identifier_remove_nobody_and_stop_after_the_additions(spark: SparkSession) -> None:
    shaped = '{"type":"profile","attributes":{"email":"ann@example.com"}}'
    bare = '{"email":"bob@example.com"}'
    cases = [
        ([("ann@example.com", None), (None, "kx1")], "email string, _kx string"),
        ([("ann@example.com", None), (None, "(202) 555-0123")], "email string, phone_number string"),
        ([(shaped,), (bare,)], "record string"),
        ([("ann@example.com", None), (None, 7), (" ", None)], "email string, dropped long"),
        ([("ann@example.com", None), (None, "Bob")], "email string, first_name string"),
        ([("new@example.com", None), (" ", "Bob")], "email string, first_name string"),
        ([("ann@example.com", None), ("zo\u0435@example.com", None)], "email string, first_name string"),
    ]
    for rows, schema in cases:
        with KlaviyoSimulator(job_polls=0) as klaviyo:
            people = [{"email": "ann@example.com"}, {"email": "bob@example.com"}, {"phone_number": "+12025550123"}]
            klaviyo.add_profiles(people, "Y6nRLr")
            given = {"record_column": "record"} if schema == "record string" else {}
            given |= {"other_columns": "drop"} if "dropped" in schema else {}
            before = on_list(klaviyo)
            with pytest.raises(WriteStopped, match="1 row may mean any member of the list") as raised:
                mirrored(spark.createDataFrame(rows, schema), klaviyo, max_removals=3, on_reject="keep", **given)
            report = raised.value.report
            assert report is not None
            assert report.stopped is not None
            assert (report.removed, report.stopped[0]) == (0, StopCode.UNIDENTIFIED_ROWS)
            assert report.delivered >= 1
            assert before <= on_list(klaviyo)
            assert {"DELETE"} & {request.method for request in klaviyo.requests} == set()


def test_rows_without_any_identifier_that_members_have_are_refused_before_anything_is_sent(
    spark: SparkSession,
) -> None:
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        klaviyo.add_profiles([{"email": "ann@example.com"}], "Y6nRLr")
        with pytest.raises(SchemaError, match="compares rows with members by id, email, phone_number, external_id"):
            mirrored(spark.createDataFrame([("x",)], "_kx string"), klaviyo, max_removals="100%")
        assert klaviyo.requests == []


def test_more_identifiers_than_can_be_compared_stop_the_run(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execute, "MOST_IDENTIFIERS", 4)
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        klaviyo.add_profiles([{"email": "gone@example.com"}], "Y6nRLr")
        with pytest.raises(WriteStopped, match="5 identifiers are more than the 4"):
            mirrored(frame(spark, 0, 5), klaviyo, max_removals="100%")
        assert on_list(klaviyo) == {"gone@example.com"}


def test_an_unreadable_list_stops_with_a_report(spark: SparkSession) -> None:
    with KlaviyoSimulator(api_keys=["pk_other"]) as klaviyo:
        with pytest.raises(WriteStopped, match="nothing was sent") as raised:
            mirrored(frame(spark, 0, 3), klaviyo)
        assert raised.value.report is not None
        assert raised.value.report.stopped is not None
        assert raised.value.report.stopped[0] == "unauthorized"


def read_once(spark: SparkSession, emails: list[str], folder: Path, wait_for: Path | None = None) -> DataFrame:
    """A source that leaves a file in the folder each time it is read, and is empty the second time.

    `wait_for`: a file that must be there before the rows come.
    """
    folder.mkdir(exist_ok=True)

    def rows(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            first = not list(folder.iterdir())
            (folder / uuid.uuid4().hex).touch()
            while wait_for is not None and not wait_for.exists():
                time.sleep(0.02)
            if first and batch.num_rows:
                yield pa.RecordBatch.from_pydict({"email": emails})

    return spark.range(0, 1, 1, 1).mapInArrow(rows, "email string")


@pytest.mark.parametrize("given", [{}, {"send_from": "driver"}, {"state_path": "state"}, {"receipts_path": "receipts"}])
def test_the_dataframe_is_read_once(spark: SparkSession, tmp_path: Path, given: dict[str, str]) -> None:
    given = {name: value if name == "send_from" else str(tmp_path / value) for name, value in given.items()}
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        klaviyo.add_profiles([{"email": "gone@example.com"}], "Y6nRLr")
        source = read_once(spark, emails(0, 20), tmp_path / "reads")
        report = mirrored(source, klaviyo, max_removals=1, **given)
        assert on_list(klaviyo) == set(emails(0, 20))
        assert (report.rows, report.delivered, report.removed) == (20, 20, 1)
        assert len(list((tmp_path / "reads").iterdir())) == 1
        assert spark.sparkContext._jsc.getPersistentRDDs().isEmpty(), "the held rows were freed"


def test_who_joins_while_the_dataframe_is_read_stays(spark: SparkSession, tmp_path: Path) -> None:
    joined = tmp_path / "joined"

    def join() -> None:
        while not list((tmp_path / "reads").iterdir()):
            time.sleep(0.02)
        klaviyo.add_profiles([{"email": "late@example.com"}], "Y6nRLr")
        joined.touch()

    with KlaviyoSimulator(job_polls=0) as klaviyo:
        klaviyo.add_profiles([{"email": "gone@example.com"}], "Y6nRLr")
        source = read_once(spark, ["new@example.com"], tmp_path / "reads", wait_for=joined)
        thread = threading.Thread(target=join, daemon=True)
        thread.start()
        assert mirrored(source, klaviyo, max_removals="100%").removed == 1
        thread.join()
        assert on_list(klaviyo) == {"new@example.com", "late@example.com"}


def test_whom_a_mirror_removed_can_be_read_afterwards(spark: SparkSession, tmp_path: Path) -> None:
    people = [{"email": "Gone@example.com", "external_id": "7"}, {"phone_number": "+12025550123"}]
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        klaviyo.add_profiles([*people, {"email": "person0@example.com"}], "Y6nRLr")
        held = {member["id"]: member for member in klaviyo.lists["Y6nRLr"] if member["email"] != "person0@example.com"}
        removed = {(one, held[one]["email"], held[one]["phone_number"], held[one]["external_id"]) for one in held}
        given = {"receipts_path": str(tmp_path / "receipts"), "max_removals": 2}
        report = mirrored(frame(spark, 0, 3), klaviyo, **given)
        found: Any = report.removed_people
        assert {tuple(row)[2:6] for row in found.collect()} == removed
        beside = spark.read.parquet(str(tmp_path / "receipts_removed"))
        assert [(row["run_id"], row["list_id"]) for row in beside.collect()] == [(report.run_id, "Y6nRLr")] * 2
        again: Any = mirrored(frame(spark, 0, 3), klaviyo, **given).removed_people
        assert again.count() == 0
        klaviyo.add_profiles(people, "Y6nRLr")
        without: Any = mirrored(frame(spark, 0, 3), klaviyo, max_removals=2).removed_people
        assert {(one.id, one.email, one.phone_number, one.external_id) for one in without} == removed
        assert pickle.loads(pickle.dumps(report)).removed == 2


def test_a_mirror_takes_a_list_name_and_a_state(spark: SparkSession, tmp_path: Path) -> None:
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        klaviyo.add_profiles([{"email": "gone@example.com"}], "Y6nRLr")
        given = {"list_id": "name:Newsletter", "state_path": str(tmp_path / "state"), "max_removals": 1}
        assert mirrored(frame(spark, 0, 5), klaviyo, **given).removed == 1
        again = mirrored(frame(spark, 0, 5), klaviyo, **given)
        assert (again.skipped, again.removed) == (5, 0)
        assert on_list(klaviyo) == set(emails(0, 5))


def test_who_has_left_the_list_is_added_again_whatever_the_state_knows(spark: SparkSession, tmp_path: Path) -> None:
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        given = {"state_path": str(tmp_path / "state")}
        mirrored(frame(spark, 0, 5), klaviyo, **given)
        for profile in klaviyo.lists["Y6nRLr"].members[:2]:
            klaviyo.lists["Y6nRLr"].remove(profile["id"])
        again = mirrored(frame(spark, 0, 5), klaviyo, **given)
        assert (again.skipped, again.delivered, again.removed) == (3, 2, 0)
        assert on_list(klaviyo) == set(emails(0, 5))


def test_a_mirror_that_was_cut_off_removes_nobody_and_the_next_one_ends_it(spark: SparkSession, tmp_path: Path) -> None:
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        klaviyo.add_profiles([{"email": "gone@example.com"}], "Y6nRLr")
        given = {"max_removals": 1, "receipts_path": str(tmp_path / "receipts")}
        klaviyo.inject(Fault("status", path=REMOVE, status=503))
        with pytest.raises(WriteStopped, match="1 member could not be removed"):
            mirrored(frame(spark, 0, 5), klaviyo, attempts=1, **given)
        assert on_list(klaviyo) == {"gone@example.com", *emails(0, 5)}
        klaviyo.clear_faults()
        assert mirrored(frame(spark, 0, 5), klaviyo, **given).removed == 1
        assert on_list(klaviyo) == set(emails(0, 5))


def test_the_calling_process_mirrors(spark: SparkSession) -> None:
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        klaviyo.add_profiles([{"email": email} for email in emails(0, 20)], "Y6nRLr")
        report = mirrored(frame(spark, 1, 22), klaviyo, send_from="driver")
        assert on_list(klaviyo) == set(emails(1, 22))
        assert (report.delivered, report.removed) == (21, 1)


def test_an_interruption_before_the_first_row_is_not_taken_for_an_empty_dataframe(
    spark: SparkSession, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"

    def slow(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        begun.touch()
        time.sleep(60)
        yield from batches

    def interrupt() -> None:
        while not begun.exists():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    with KlaviyoSimulator(job_polls=0) as klaviyo:
        klaviyo.add_profiles([{"email": "a@example.com"}], "Y6nRLr")
        threading.Thread(target=interrupt, daemon=True).start()
        rows = frame(spark, 0, 3).coalesce(1).mapInArrow(slow, "Email string")
        with pytest.raises(WriteStopped, match="the write was interrupted") as raised:
            mirrored(rows, klaviyo, send_from="driver", max_removals="100%")
        assert raised.value.report is not None
        assert len(klaviyo.lists["Y6nRLr"]) == 1
