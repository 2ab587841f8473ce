"""Change data over real Spark and real HTTP: the latest change of each person, deletes routed, every row counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from spark_klaviyo.errors import OptionError, SchemaError
from spark_klaviyo.report.report import RowsRejected
from spark_klaviyo.simulator import KlaviyoSimulator
from tests.modes.changing import counts, on_list, written

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import DataFrame, SparkSession

FEED = "email string, first_name string, _change_type string, _commit_version long, _commit_timestamp timestamp"


@pytest.fixture(scope="module")
def changes(spark: SparkSession) -> DataFrame:
    rows = [
        ("ann@example.com", "Ann", "insert", 1, None),
        ("ann@example.com", "Ann", "update_preimage", 2, None),
        ("Ann@Example.com", "Anna", "update_postimage", 2, None),
        ("bob@example.com", "Bob", "insert", 1, None),
        ("bob@example.com", "Bob", "delete", 3, None),
        ("cat@example.com", "Cat", "delete", 2, None),
        ("dan@example.com", "Dan", "delete", 4, None),
        ("dan@example.com", "Dan", "insert", 4, None),
    ]
    return spark.createDataFrame(rows, FEED).repartition(3)


def test_only_the_latest_change_is_sent_and_deletes_leave_the_list(changes: DataFrame) -> None:
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        people = [{"email": "bob@example.com"}, {"email": "cat@example.com"}, {"email": "eve@example.com"}]
        klaviyo.add_profiles(people, "Y6nRLr")
        report = written(changes, klaviyo, on_delete="remove")
        assert on_list(klaviyo) == {"ann@example.com", "dan@example.com", "eve@example.com"}
        assert counts(report) == {"rows": 8, "delivered": 4, "skipped": 4}
        assert sorted(report.skipped_because.values()) == [1, 3]
        ann = next(profile for profile in klaviyo.profiles if profile["email"].lower() == "ann@example.com")
        assert ann["first_name"] == "Anna"
        assert ann["properties"] == {}


def test_a_delete_of_an_unknown_profile_is_no_failure_but_a_removal_alone_rejects_it(
    spark: SparkSession,
) -> None:
    rows = [
        ("new@example.com", "New", "insert", 1, None),
        ("new@example.com", "New", "delete", 2, None),
        ("off@example.com", "Off", "delete", 2, None),
        ("on@example.com", "On", "delete", 2, None),
    ]
    frame = spark.createDataFrame(rows, FEED)
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        klaviyo.add_profiles([{"email": "off@example.com"}])
        klaviyo.add_profiles([{"email": "on@example.com"}], "Y6nRLr")
        report = written(frame, klaviyo, on_delete="remove")
        assert on_list(klaviyo) == set()
        assert counts(report) == {"rows": 4, "delivered": 3, "skipped": 1}
        assert [times for text, times in report.warnings.items() if "does not know" in text] == [1]
        removed = {"template": "remove_profiles_from_list", "change_column": None}
        with pytest.raises(RowsRejected, match="not_found"):
            written(frame.select("email").limit(1), klaviyo, **removed)


def test_a_delete_of_an_unknown_item_is_no_failure(spark: SparkSession) -> None:
    schema = "external_id string, title string, description string, url string, op string, at int"
    rows = [("A", "t", "d", "https://example.com", "insert", 1), ("A", "t", "d", "https://example.com", "delete", 2)]
    given = {"template": "bulk_create_catalog_items", "list_id": None, "change_column": "op", "change_order": "at"}
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        frame = spark.createDataFrame(rows, schema)
        report = written(frame, klaviyo, **given, on_delete="delete", confirm_deletion=1)
        assert counts(report) == {"rows": 2, "delivered": 1, "skipped": 1}


def test_deletes_may_suppress(changes: DataFrame) -> None:
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        report = written(changes, klaviyo, on_delete="suppress")
        assert klaviyo.suppressed == {"bob@example.com", "cat@example.com"}
        assert on_list(klaviyo) == {"ann@example.com", "dan@example.com"}
        assert report.rows == 8
        assert report.delivered + report.accepted == 4
        assert len(report.jobs) == 2


def test_deletes_may_be_ignored_and_are_counted(changes: DataFrame) -> None:
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        klaviyo.add_profiles([{"email": "cat@example.com"}], "Y6nRLr")
        report = written(changes, klaviyo, on_delete="ignore")
        assert on_list(klaviyo) == {"ann@example.com", "cat@example.com", "dan@example.com"}
        assert counts(report) == {"rows": 8, "delivered": 2, "skipped": 6}
        assert report.skipped_because["a delete, and on_delete=ignore"] == 2


def test_irreversible_deletes_are_confirmed_with_their_number(changes: DataFrame) -> None:
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        klaviyo.add_profiles([{"email": "bob@example.com"}, {"email": "cat@example.com"}])
        for wrong, said in ((None, "confirm_deletion: is required by on_delete"), (3, "2 rows would be deleted")):
            with pytest.raises(OptionError, match=said):
                written(changes, klaviyo, on_delete="delete", confirm_deletion=wrong)
        assert {request.method for request in klaviyo.requests} <= {"GET"}  # the account is named
        report = written(changes, klaviyo, on_delete="delete", confirm_deletion=2)
        assert {person["email"] for person in klaviyo.deleted} == {"bob@example.com", "cat@example.com"}
        assert counts(report) == {"rows": 8, "delivered": 2, "accepted": 2, "skipped": 4}


def test_a_source_that_gives_other_rows_the_second_time_deletes_only_the_counted_ones(
    spark: SparkSession, tmp_path: Path
) -> None:
    from pyspark.sql.functions import udf

    seen = tmp_path / "seen"

    def kind(email: str) -> str:
        with seen.open("a+") as book:
            book.write(email + "\n")
            book.seek(0)
            return "delete" if email.startswith("ann") or len(book.readlines()) > 3 else "insert"

    people = [("ann@example.com", 1), ("bob@example.com", 1), ("cat@example.com", 1)]
    frame = spark.createDataFrame(people, "email string, at int").coalesce(1)
    frame = frame.withColumn("op", udf(lambda email: kind(str(email)), "string").asNondeterministic()("email"))
    given = {"change_column": "op", "change_order": "at", "on_delete": "delete", "confirm_deletion": 1}
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        klaviyo.add_profiles([{"email": email} for email, _ in people])
        written(frame, klaviyo, **given)
        assert len(seen.read_text().splitlines()) == 6
        assert [person["email"] for person in klaviyo.deleted] == ["ann@example.com"]


def test_two_spellings_of_a_phone_are_one_profile(spark: SparkSession) -> None:
    rows = [("+1 202-555-0123", "Ann", "insert", 1), ("+12025550123", "Anna", " Update_PostImage ", 2)]
    frame = spark.createDataFrame(rows, "phone_number string, first_name string, op string, at int").repartition(2)
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        report = written(frame, klaviyo, change_column="op", change_order="at", on_delete="ignore")
        assert counts(report) == {"rows": 2, "delivered": 1, "skipped": 1}
        assert [person["first_name"] for person in klaviyo.profiles] == ["Anna"]


def test_a_person_is_deleted_by_one_identifier(spark: SparkSession) -> None:
    schema = "email string, phone_number string, external_id string, op string, at int"
    rows = [
        ("ann@example.com", "+12025550123", "7", "D", 1),
        (None, "+12025550124", "8", "D", 1),
        (None, "+12025550125", None, "D", 1),
        (None, "+12025550126", "9", "D", 1),
    ]
    people = [{"email": "ann@example.com"}, {"external_id": "7"}, {"external_id": "8"}]
    people += [{"phone_number": f"+1202555012{number}"} for number in range(3, 7)]
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        klaviyo.add_profiles(people)
        given = {"change_column": "op", "change_order": "at", "on_delete": "delete", "confirm_deletion": 4}
        report = written(spark.createDataFrame(rows, schema), klaviyo, **given)
        left = {person["phone_number"] or person["external_id"] for person in klaviyo.profiles}
        assert left == {"7", *(f"+1202555012{number}" for number in (3, 4, 6))}
        assert counts(report) == {"rows": 4, "accepted": 4}


def test_words_and_letters_of_other_feeds_are_known_and_others_rejected(spark: SparkSession) -> None:
    rows = [
        ("a@example.com", "I", 1),
        ("b@example.com", " u ", 1),
        ("c@example.com", "x", 1),
        ("d@example.com", None, 2),
    ]
    frame = spark.createDataFrame(rows, "email string, op string, at int")
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        given = {"change_column": "op", "change_order": "at", "on_delete": "ignore"}
        with pytest.raises(RowsRejected) as raised:
            written(frame, klaviyo, **given)
        report = raised.value.report
        assert report is not None
        assert on_list(klaviyo) == {"a@example.com", "b@example.com"}
        assert counts(report) == {"rows": 4, "delivered": 2, "rejected": 2}
        assert report.reasons == {"bad_value": 2}
        assert {row["email"] for row in report.rejects} == {"c@example.com", "d@example.com"}  # type: ignore[attr-defined]


def test_the_dataframe_is_evaluated_once(spark: SparkSession) -> None:
    from pyspark.sql.functions import udf

    evaluated = spark.sparkContext.accumulator(0)
    counted = udf(lambda number: (evaluated.add(1), f"p{number}@example.com")[1], "string")
    frame = spark.range(40).select(counted("id").alias("email"), "id")
    kind = "CASE WHEN id % 4 = 0 THEN 'delete' ELSE 'insert' END AS op"
    frame = frame.selectExpr("email", "CAST(id AS string) AS external_id", kind, "CAST(id AS string) AS at")
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        klaviyo.add_profiles([{"email": f"p{number}@example.com"} for number in range(0, 40, 4)], "Y6nRLr")
        report = written(frame, klaviyo, change_column="op", change_order="at", on_delete="remove")
        assert counts(report) == {"rows": 40, "delivered": 40}
        assert len(on_list(klaviyo)) == 30
    assert evaluated.value == 40


def test_a_refused_key_stops_upserts_and_deletes(changes: DataFrame) -> None:
    from spark_klaviyo.report.report import WriteStopped

    with KlaviyoSimulator(api_keys=["pk_other"]) as klaviyo:
        with pytest.raises(WriteStopped) as raised:
            written(changes.coalesce(1), klaviyo, on_delete="suppress")
        assert raised.value.report is not None
        assert raised.value.report.delivered == 0
        sent = {request.path for request in klaviyo.requests if request.method == "POST"}
        assert sent == {"/api/profile-bulk-import-jobs"}


def test_ready_made_records_can_be_change_data(spark: SparkSession) -> None:
    record = '{"type":"profile","attributes":{"email":"%s"}}'
    rows = [(record % "ann@example.com", "insert", 1), (record % "bob@example.com", "delete", 2)]
    frame = spark.createDataFrame(rows, "record string, _change_type string, _commit_version long")
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        klaviyo.add_profiles([{"email": "bob@example.com"}], "Y6nRLr")
        report = written(frame, klaviyo, record_column="record", on_delete="remove")
        assert on_list(klaviyo) == {"ann@example.com"}
        assert counts(report) == {"rows": 2, "delivered": 2}


def test_catalog_items_are_deleted_with_their_own_template(spark: SparkSession) -> None:
    schema = (
        "external_id string, title string, description string, url string, _change_type string, _commit_version long"
    )
    rows = [("A", "t", "d", "https://example.com", "insert", 1), ("B", "t", "d", "https://example.com", "delete", 1)]
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        frame = spark.createDataFrame(rows, schema)
        new = {"template": "bulk_create_catalog_items", "list_id": None, "on_delete": "ignore"}
        written(frame.where("external_id = 'B'").replace("delete", "insert"), klaviyo, **new)
        report = written(frame, klaviyo, **{**new, "on_delete": "delete", "confirm_deletion": 1})
        assert {item["external_id"] for item in klaviyo.items.values()} == {"A"}
        assert report.rows == 2


def test_wrong_options_are_refused_before_anything_is_sent(changes: DataFrame, tmp_path: Path) -> None:
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        with pytest.raises(OptionError, match="on_delete: is required"):
            written(changes, klaviyo)
        with pytest.raises(SchemaError, match="change_column: the DataFrame has no column 'op'"):
            written(changes, klaviyo, change_column="op", on_delete="ignore")
        with pytest.raises(SchemaError, match="change_order"):
            written(changes.drop("_commit_version"), klaviyo, on_delete="ignore")
        with pytest.raises(OptionError, match="names several"):
            written(changes, klaviyo, list_id="Y6nRLr,Lst1Aa", on_delete="remove")
        with pytest.raises(OptionError, match="state_path"):
            written(changes, klaviyo, on_delete="ignore", state_path=str(tmp_path))
        assert klaviyo.requests == []


def test_the_calling_process_sends_upserts_and_deletes(changes: DataFrame) -> None:
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        klaviyo.add_profiles([{"email": "bob@example.com"}, {"email": "cat@example.com"}], "Y6nRLr")
        report = written(changes, klaviyo, on_delete="remove", send_from="driver")
        assert on_list(klaviyo) == {"ann@example.com", "dan@example.com"}
        assert counts(report) == {"rows": 8, "delivered": 4, "skipped": 4}
