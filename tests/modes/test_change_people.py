"""Who a change is about: nobody who came back is erased, nobody who left stays, and what is unclear is rejected."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from spark_klaviyo import klaviyo_batch_writer, preview_klaviyo
from spark_klaviyo.cli.main import main
from spark_klaviyo.errors import OptionError, SchemaError
from spark_klaviyo.simulator import KlaviyoSimulator
from tests.modes.changing import LIST, OTHER_LIST, counts, emails, feed, on_list, written

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession

BYSTANDER = {"email": "eve@example.com", "external_id": "99", "phone_number": "+12025550199"}


@pytest.fixture
def klaviyo() -> Iterator[KlaviyoSimulator]:
    with KlaviyoSimulator(job_polls=0) as running:
        running.add_profiles([BYSTANDER], LIST)
        yield running


# --- every identifier of a person -----------------------------------------------------------------


def test_a_delete_erases_every_email_that_the_person_had(spark: SparkSession, klaviyo: KlaviyoSimulator) -> None:
    klaviyo.add_profiles([{"email": "a@example.com", "external_id": "1"}, {"email": "b@example.com"}], LIST)
    rows = feed(
        spark,
        "op at email external_id",
        ("insert", 1, "a@example.com", "1"),
        ("update_preimage", 2, "A@example.com ", "1"),
        ("update_postimage", 2, "b@example.com", "1"),
        ("delete", 3, "b@example.com", "1"),
    )
    report = written(rows, klaviyo, on_delete="delete", confirm_deletion=1)
    assert emails(klaviyo.deleted) == {"a@example.com", "b@example.com"}
    assert emails(klaviyo.profiles) == {"eve@example.com"}
    assert counts(report) == {"rows": 4, "accepted": 2, "skipped": 2}


def test_a_delete_without_an_email_takes_those_that_its_row_had(spark: SparkSession, klaviyo: KlaviyoSimulator) -> None:
    klaviyo.add_profiles([{"email": "a@example.com"}, {"email": "b@example.com"}], LIST)
    rows = [("u", 1, "a@example.com", "1"), ("u", 2, "b@example.com", "1"), ("d", 3, None, "1")]
    report = written(feed(spark, "op at email external_id", *rows), klaviyo, on_delete="remove")
    assert on_list(klaviyo) == {"eve@example.com"}
    assert counts(report) == {"rows": 3, "delivered": 2, "skipped": 1}


@pytest.mark.parametrize("means", ["delete", "remove", "suppress"])
def test_a_delete_without_any_email_goes_by_external_id_and_by_no_phone(
    spark: SparkSession, klaviyo: KlaviyoSimulator, means: str
) -> None:
    klaviyo.add_profiles([{"email": "a@example.com", "external_id": "1"}, {"email": "b@example.com"}], LIST)
    klaviyo.add_profiles([{"phone_number": "+12025550111", "email": "family@example.com"}], LIST)
    rows = [("d", 1, None, "1", None), ("d", 1, None, "2", "+12025550111")]
    given: dict[str, object] = {"on_delete": means} | ({"confirm_deletion": 2} if means == "delete" else {})
    frame = feed(spark, "op at email external_id phone_number", *rows)
    report = written(frame, klaviyo, on_reject="keep", **given)
    gone = {"a@example.com"}
    assert emails(klaviyo.deleted) == (gone if means == "delete" else set())
    assert klaviyo.suppressed == (gone if means == "suppress" else set())
    left = {"eve@example.com", "b@example.com", "family@example.com"} | (gone if means == "suppress" else set())
    assert on_list(klaviyo) == left
    assert report.rows == 2


def test_an_address_that_changes_ends_as_the_new_one(spark: SparkSession, klaviyo: KlaviyoSimulator) -> None:
    people = range(20)
    old = [{"email": f"old{n}@example.com", "external_id": str(n)} for n in people]
    klaviyo.add_profiles(old, LIST)
    rows = [("update_preimage", 2, f"old{n}@example.com", str(n)) for n in people]
    rows += [("update_postimage", 2, f"new{n}@example.com", str(n)) for n in people]
    rows += [("insert", 1, f"old{n}@example.com", str(n)) for n in people]
    frame = feed(spark, "op at email external_id", *rows, partitions=4)
    report = written(frame, klaviyo, on_delete="remove")
    assert on_list(klaviyo) == {"eve@example.com", *(f"new{n}@example.com" for n in people)}
    assert len(klaviyo.profiles) == 21
    assert counts(report) == {"rows": 60, "delivered": 20, "skipped": 40}
    assert report.warnings == {}


def test_somebody_who_comes_back_with_a_phone_is_not_erased(spark: SparkSession, klaviyo: KlaviyoSimulator) -> None:
    klaviyo.add_profiles([{"email": "a@example.com", "external_id": "1"}])
    rows = [("delete", 1, "a@example.com", "1", None), ("insert", 2, None, "1", "+12025550123")]
    frame = feed(spark, "op at email external_id phone_number", *rows)
    report = written(frame, klaviyo, on_delete="delete", confirm_deletion=0)
    assert klaviyo.deleted == []
    [ann] = [one for one in klaviyo.profiles if one["external_id"] == "1"]
    assert (ann["email"], ann["phone_number"]) == ("a@example.com", "+12025550123")
    assert counts(report) == {"rows": 2, "delivered": 1, "skipped": 1}


def test_words_for_no_value_are_no_key_and_no_person(spark: SparkSession, klaviyo: KlaviyoSimulator) -> None:
    klaviyo.add_profiles([{"email": "c@example.com"}], LIST)
    rows = [("u", 1, "a@example.com", "N/A"), ("u", 2, "mailto:b@example.com", "null"), ("d", 3, "c@example.com", "-")]
    report = written(feed(spark, "op at email external_id", *rows), klaviyo, on_delete="remove")
    assert on_list(klaviyo) == {"eve@example.com", "a@example.com", "b@example.com"}
    assert counts(report) == {"rows": 3, "delivered": 3}


@pytest.mark.parametrize("national", ["617-555-1234", "(617) 555 1234", "001 617 555 1234"])
def test_spellings_of_a_phone_are_one_person(spark: SparkSession, klaviyo: KlaviyoSimulator, national: str) -> None:
    klaviyo.add_profiles([{"phone_number": "+16175551234"}])
    country = "DE" if national.startswith("00") else "US"
    frame = feed(spark, "op at phone_number", ("delete", 1, national), ("insert", 2, "+16175551234"))
    report = written(frame, klaviyo, on_delete="delete", confirm_deletion=0, default_country=country)
    assert klaviyo.deleted == []
    assert counts(report) == {"rows": 2, "delivered": 1, "skipped": 1}


def test_a_country_from_a_column_reads_each_phone(spark: SparkSession, klaviyo: KlaviyoSimulator) -> None:
    klaviyo.add_profiles([{"phone_number": "+4915112345678"}, {"phone_number": "+16175551234"}], LIST)
    rows = [("d", 1, "015112345678", "DE"), ("d", 1, "617-555-1234", "US"), ("u", 2, "+16175551234", None)]
    frame = feed(spark, "op at phone_number list", *rows)
    written(frame, klaviyo, on_delete="remove", default_country="column:list")
    assert {one["phone_number"] for one in klaviyo.lists[LIST]} == {"+16175551234", "+12025550199"}


# --- order and ties -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("9", "10"),
        ("-1", "0"),
        ("1e2", " 101 "),
        ("99999999999999999999", "100000000000000000000"),
        ("2026-03-08 02:30:00", "2026-03-08 03:10:00"),  # the session's clocks are turned in between
        ("2026-01-01T12:00:00+02:00", "2026-01-01T11:00:00Z"),
        ("2026-01-09", "2026-01-10T00:00:00"),
    ],
)
def test_an_order_in_text_goes_by_number_or_time(
    spark: SparkSession, klaviyo: KlaviyoSimulator, earlier: str, later: str
) -> None:
    rows = [("u", later, "a@example.com", "new"), ("u", earlier, "a@example.com", "old")]
    written(feed(spark, "op at email first_name", *rows), klaviyo, on_delete="ignore")
    assert [one["first_name"] for one in klaviyo.profiles if one["email"] == "a@example.com"] == ["new"]


def test_orders_that_cannot_be_compared_reject_the_changes_but_not_a_lone_one(
    spark: SparkSession, klaviyo: KlaviyoSimulator
) -> None:
    klaviyo.add_profiles([{"email": "gone@example.com"}], LIST)
    rows = [
        ("u", "first", "a@example.com", "A"),
        ("u", "second", "a@example.com", "B"),
        ("u", "1", "b@example.com", "A"),
        ("u", "2026-01-01", "b@example.com", "B"),
        ("insert", None, "c@example.com", "A"),
        ("delete", None, "c@example.com", "A"),
        ("u", "same", "d@example.com", "D"),
        ("u", "same", "d@example.com", "D"),
        ("delete", "", "gone@example.com", None),
    ]
    frame = feed(spark, "op at email first_name", *rows)
    report = written(frame, klaviyo, on_delete="remove", on_reject="keep")
    assert on_list(klaviyo) == {"eve@example.com", "d@example.com"}
    assert counts(report) == {"rows": 9, "delivered": 2, "rejected": 6, "skipped": 1}
    assert report.reasons == {"ambiguous_change": 6}


INSERT, UPDATE, PRE, DELETE = "insert", "update_postimage", "update_preimage", "delete"


@pytest.mark.parametrize(
    ("tied", "name", "stays", "rejected"),
    [
        ([(DELETE, "Ann"), (INSERT, "Anna")], "Anna", True, 0),
        ([(INSERT, "Anna"), (DELETE, "Ann"), (INSERT, "Anna")], "Anna", True, 0),
        ([(INSERT, "Anna"), (INSERT, "Anna")], "Anna", True, 0),
        ([(UPDATE, "Anna"), (UPDATE, "Anna")], "Anna", True, 0),
        ([(DELETE, "Ann"), (DELETE, "Ann")], None, False, 0),
        ([(PRE, "Ann"), (UPDATE, "Anna")], "Anna", True, 0),
        ([(PRE, "Anna"), (DELETE, "Ann")], None, False, 0),
        ([(DELETE, "Ann"), (UPDATE, "Anna")], "Old", True, 2),
        ([(INSERT, "Ann"), (UPDATE, "Anna"), (UPDATE, "Anne")], "Old", True, 3),
        ([(DELETE, "Ann"), (INSERT, "Anna"), (INSERT, "Anne")], "Old", True, 3),
        ([(DELETE, "Ann"), (INSERT, "Anna"), (UPDATE, "Anna")], "Old", True, 3),
    ],
)
def test_changes_of_one_order_are_a_replacement_equal_or_rejected(
    spark: SparkSession,
    klaviyo: KlaviyoSimulator,
    tied: list[tuple[str, str]],
    name: str | None,
    stays: bool,
    rejected: int,
) -> None:
    klaviyo.add_profiles([{"email": "a@example.com", "first_name": "Old"}], LIST)
    rows = [(op, 5, "a@example.com", name) for op, name in tied]
    report = written(feed(spark, "op at email first_name", *rows), klaviyo, on_delete="remove", on_reject="keep")
    assert ("a@example.com" in on_list(klaviyo)) == stays
    if name is not None:
        assert [one["first_name"] for one in klaviyo.profiles if one["email"] == "a@example.com"] == [name]
    assert (report.rows, report.rejected) == (len(tied), rejected)
    assert report.reasons == ({"ambiguous_change": rejected} if rejected else {})


# --- rows of other keys ---------------------------------------------------------------------------


@pytest.mark.parametrize("means", ["delete", "remove", "suppress"])
def test_a_delete_of_somebody_whom_another_row_upserts_is_rejected(
    spark: SparkSession, klaviyo: KlaviyoSimulator, means: str
) -> None:
    klaviyo.add_profiles([{"email": "a@example.com"}, {"email": "c@example.com"}, {"email": "d@example.com"}], LIST)
    before = on_list(klaviyo)
    rows = [
        (1, "delete", 1, "a@example.com", "1", None),  # the same email under another key
        (2, "insert", 1, "A@example.com", "2", None),
        (3, "delete", 1, "c@example.com", "3", None),  # the same external_id under another key
        (4, "insert", 1, "new@example.com", "3", None),
        (5, "delete", 1, "d@example.com", "5", "+12025550111"),  # a phone may be a family's
        (6, "insert", 1, "e@example.com", "6", "+12025550111"),
    ]
    columns = "pk op at email external_id phone_number"
    given: dict[str, object] = {"on_delete": means, "change_key": "pk", "on_reject": "keep"}
    given |= {"confirm_deletion": 1} if means == "delete" else {}
    report = written(feed(spark, columns, *rows), klaviyo, **given)
    assert report.reasons == {"ambiguous_change": 2}
    rejected: Any = report.rejects
    assert {row["email"] for row in rejected} == {"a@example.com", "c@example.com"}
    assert emails(klaviyo.deleted) == ({"d@example.com"} if means == "delete" else set())
    assert klaviyo.suppressed == ({"d@example.com"} if means == "suppress" else set())
    gone = {"d@example.com"} if means != "suppress" else set()
    assert before - on_list(klaviyo) == gone
    assert report.rows == 6


def test_a_phone_that_another_row_upserts_is_not_deleted_by(spark: SparkSession, klaviyo: KlaviyoSimulator) -> None:
    klaviyo.add_profiles([{"phone_number": "+12025550111"}], LIST)
    rows = [(1, "delete", 1, None, "+12025550111"), (2, "insert", 1, "b@example.com", "+1 202 555 0111")]
    frame = feed(spark, "pk op at email phone_number", *rows)
    report = written(frame, klaviyo, on_delete="delete", change_key="pk", confirm_deletion=0, on_reject="keep")
    assert klaviyo.deleted == []
    assert counts(report) == {"rows": 2, "delivered": 1, "rejected": 1}


def test_an_email_that_went_to_another_person_is_taken_from_nobody(
    spark: SparkSession, klaviyo: KlaviyoSimulator
) -> None:
    klaviyo.add_profiles([{"email": "a@example.com"}, {"email": "b@example.com"}], LIST)
    rows = [
        (1, PRE, 1, "a@example.com"),
        (1, UPDATE, 1, "z@example.com"),
        (2, PRE, 1, "b@example.com"),
        (2, UPDATE, 1, "a@example.com"),
    ]
    report = written(feed(spark, "pk op at email", *rows), klaviyo, on_delete="remove", change_key="pk")
    assert on_list(klaviyo) == {"eve@example.com", "a@example.com", "z@example.com"}
    assert counts(report) == {"rows": 4, "delivered": 3, "skipped": 1}


# --- people who became somebody else --------------------------------------------------------------

BECAME = "shares no identifier with what its row became"


@pytest.mark.parametrize(
    ("means", "key", "warned"),
    [
        ("remove", "pk", False),
        ("suppress", "pk", False),
        ("delete", "pk", True),
        ("ignore", "pk", True),
        ("remove", None, True),
        ("suppress", None, True),
        ("delete", None, True),
    ],
)
def test_a_person_whose_email_changes_leaves_with_change_key_and_is_told_without(
    spark: SparkSession, klaviyo: KlaviyoSimulator, means: str, key: str | None, warned: bool
) -> None:
    klaviyo.add_profiles([{"email": "old@example.com"}], LIST)
    rows = [
        (1, PRE, 2, "old@example.com"),
        (1, UPDATE, 2, "new@example.com"),
        (1, PRE, 3, "new@example.com"),
        (1, UPDATE, 3, "New@example.com"),
        (1, PRE, 3, "OLD@example.com"),
    ]
    given: dict[str, object] = {"on_delete": means, **({"change_key": key} if key else {"other_columns": "drop"})}
    given |= {"confirm_deletion": 0} if means == "delete" else {}
    report = written(feed(spark, "pk op at email", *rows), klaviyo, **given)
    assert ("old@example.com" in on_list(klaviyo)) == (means != "remove" or warned)
    assert klaviyo.suppressed == ({"old@example.com"} if (means, key) == ("suppress", "pk") else set())
    assert "new@example.com" in on_list(klaviyo)
    assert klaviyo.deleted == []
    assert [times for text, times in report.warnings.items() if BECAME in text] == ([1] if warned else [])
    assert report.rows == 5


@pytest.mark.parametrize(("key", "leaves"), [("pk", True), (None, False)])
def test_a_person_who_changes_lists_leaves_the_old_one_with_change_key(
    spark: SparkSession, klaviyo: KlaviyoSimulator, key: str | None, leaves: bool
) -> None:
    klaviyo.add_profiles([{"email": "a@example.com", "external_id": "1"}, {"email": "stays@example.com"}], LIST)
    rows = [
        (1, PRE, 2, "a@example.com", "1", LIST),
        (1, UPDATE, 2, "a@example.com", "1", OTHER_LIST),
        (2, PRE, 2, "stays@example.com", "2", LIST),
        (2, UPDATE, 2, "stays@example.com", "2", LIST),
    ]
    frame = feed(spark, "pk op at email external_id list", *rows)
    given = {"change_key": key} if key else {}
    report = written(frame, klaviyo, on_delete="remove", list_id="column:list", **given)
    assert on_list(klaviyo, OTHER_LIST) == {"a@example.com"}
    assert ("a@example.com" in on_list(klaviyo)) != leaves
    assert "stays@example.com" in on_list(klaviyo)
    warned = [times for text, times in report.warnings.items() if "it stays on the old list" in text]
    assert warned == ([] if leaves else [1])


def test_a_person_on_two_lists_leaves_the_one_that_is_deleted(spark: SparkSession, klaviyo: KlaviyoSimulator) -> None:
    klaviyo.add_profiles([{"email": "a@example.com"}], LIST)
    klaviyo.add_profiles([{"email": "a@example.com"}], OTHER_LIST)
    rows = [("d", 1, "a@example.com", OTHER_LIST), ("u", 1, "a@example.com", LIST)]
    given = {"on_delete": "remove", "list_id": "column:list", "change_key": "email,list"}
    report = written(feed(spark, "op at email list", *rows), klaviyo, **given)
    assert (on_list(klaviyo), on_list(klaviyo, OTHER_LIST)) == ({"eve@example.com", "a@example.com"}, set())
    assert counts(report) == {"rows": 2, "delivered": 2}


def test_an_older_delete_of_somebody_else_is_told(spark: SparkSession, klaviyo: KlaviyoSimulator) -> None:
    klaviyo.add_profiles([{"email": "a@example.com"}])
    rows = [(1, "delete", 1, "a@example.com"), (1, "insert", 2, "b@example.com")]
    given = {"on_delete": "delete", "change_key": "pk", "confirm_deletion": 0}
    report = written(feed(spark, "pk op at email", *rows), klaviyo, **given)
    assert klaviyo.deleted == []
    assert [times for text, times in report.warnings.items() if "delete of somebody who shares no" in text] == [1]


# --- keys, and every way to write -----------------------------------------------------------------


def test_rows_without_a_key_are_rejected(spark: SparkSession, klaviyo: KlaviyoSimulator) -> None:
    rows = [(None, "u", 1, "a@example.com"), (1, "u", 1, "b@example.com"), (None, "d", 1, "eve@example.com")]
    frame = feed(spark, "pk op at email", *rows)
    report = written(frame, klaviyo, on_delete="remove", change_key="pk", on_reject="keep")
    assert on_list(klaviyo) == {"b@example.com", "eve@example.com"}
    assert report.reasons == {"missing_field": 2}


@pytest.mark.parametrize("key", [None, "email"])
def test_an_email_that_nobody_has_makes_no_one_person_of_several(
    spark: SparkSession, klaviyo: KlaviyoSimulator, key: str | None
) -> None:
    klaviyo.add_profiles([{"phone_number": "+12025550100"}, {"phone_number": "+12025550101"}], LIST)
    rows = [("u", 1, "no email", "+12025550100"), ("d", 2, "no email", "+12025550101")]
    given = {"change_key": key} if key else {}
    frame = feed(spark, "op at email phone_number", *rows)
    report = written(frame, klaviyo, on_delete="delete", confirm_deletion=0 if key else 1, on_reject="keep", **given)
    assert [one["phone_number"] for one in klaviyo.deleted] == ([] if key else ["+12025550101"])
    assert report.reasons == ({"missing_field": 2} if key else {"bad_email": 1})


@pytest.mark.parametrize("key", ["first_name", "list,first_name", "number"])
def test_rows_whose_key_is_blank_are_no_one_person(spark: SparkSession, klaviyo: KlaviyoSimulator, key: str) -> None:
    rows = [("", 1, "u", "a@example.com"), ("7", 1, "u", "b@example.com"), (" N/A", 2, "d", "eve@example.com")]
    frame = feed(spark, "first_name at op email", *rows, ("", 2, "d", "a@example.com"))
    frame = frame.selectExpr("*", "'x' list", "if(first_name = '7', 7D, double('NaN')) number")
    given = {"on_delete": "delete", "confirm_deletion": 0, "on_reject": "keep", "other_columns": "drop"}
    report = written(frame, klaviyo, change_key=key, **given)
    assert (klaviyo.deleted, report.reasons) == ([], {"missing_field": 3})
    assert on_list(klaviyo) == {"b@example.com", "eve@example.com"}


def test_columns_of_a_key_that_do_not_exist_are_refused(spark: SparkSession, klaviyo: KlaviyoSimulator) -> None:
    frame = feed(spark, "op at email", ("u", 1, "a@example.com"))
    with pytest.raises(SchemaError, match="change_key: the DataFrame has no column 'pk', 'no'"):
        written(frame, klaviyo, on_delete="ignore", change_key="pk,email,no")
    with pytest.raises(OptionError, match="change_key: needs change_column"):
        written(frame, klaviyo, change_column=None, change_order=None, change_key="email")
    assert {request.method for request in klaviyo.requests} <= {"GET"}


MIXED = [
    (1, PRE, 2, "old@example.com"),
    (1, UPDATE, 2, "new@example.com"),
    (2, "delete", 2, "b@example.com"),
    (3, "insert", 2, "B@example.com"),
    (4, "delete", 2, "c@example.com"),
    (4, "update", 2, "c@example.com"),
    (5, "insert", 1, "d@example.com"),
    (5, PRE, 2, "d@example.com"),
    (5, UPDATE, 2, "e@example.com"),
    (5, "delete", 3, "e@example.com"),
]


def test_a_preview_says_what_becomes_of_each_row(spark: SparkSession, klaviyo: KlaviyoSimulator) -> None:
    frame = feed(spark, "pk op at email", *MIXED)
    given: dict[str, Any] = {"template": "add_profiles_to_list", "list_id": LIST, "base_url": klaviyo.url}
    given |= {"change_column": "op"}
    given |= {"change_order": "at", "change_key": "pk"}
    seen = preview_klaviyo(frame, **given, on_delete="remove", api_key="pk_test")
    warned = [line for line in seen.warnings if not line.startswith("people are shown")]
    assert warned == [
        "deletes, which mean remove: 1",
        "other emails that deleted people had, which mean remove: 1",
        "pre-images of people who have other identifiers, or another list, now, which mean remove: 1",
        "changes of which none is the last, to be rejected: 2",
        "deletes of people whom another row inserts or updates, to be rejected: 1",
        "older changes, to be skipped: 2",
    ]
    assert seen.rows == 10
    warnings = preview_klaviyo(frame, **given, on_delete="delete", confirm_deletion=2).warnings
    assert any("confirm_deletion: 1 rows would be deleted" in warning for warning in warnings)
    assert {request.method for request in klaviyo.requests} <= {"GET"}


def test_a_batch_writer_and_the_command_line_do_the_same(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_test")
    frame = feed(spark, "pk op at email", *MIXED)
    frame.write.parquet(str(tmp_path / "changes"))
    for by_command in (False, True):
        with KlaviyoSimulator(job_polls=0) as klaviyo:
            klaviyo.add_profiles([{"email": f"{name}@example.com"} for name in ("old", "b", "c", "d", "e")], LIST)
            given = {"template": "add_profiles_to_list", "list_id": LIST, "base_url": klaviyo.url}
            given |= {"change_column": "op", "change_order": "at", "change_key": "pk", "on_delete": "remove"}
            if by_command:
                options = [f"--option={name}={value}" for name, value in given.items()]
                assert main(["write", "--input", str(tmp_path / "changes"), *options]) == 1
            else:
                writer = klaviyo_batch_writer(**given)
                writer(frame, 0)
                assert writer.report is not None
                assert counts(writer.report) == {"rows": 10, "delivered": 5, "rejected": 3, "skipped": 2}
            assert on_list(klaviyo) == {"new@example.com", "b@example.com", "c@example.com"}


def test_in_a_stream_the_confirmed_number_is_a_ceiling_of_people(
    spark: SparkSession, klaviyo: KlaviyoSimulator
) -> None:
    rows = [
        ("insert", 1, "a@example.com", "1"),
        ("delete", 2, "b@example.com", "1"),
        ("delete", 2, "c@example.com", "2"),
    ]
    frame = feed(spark, "op at email external_id", *rows)
    klaviyo.add_profiles([{"email": f"{name}@example.com"} for name in "abc"])
    given = {"template": "bulk_import_profiles", "base_url": klaviyo.url, "api_key": "pk_test", "change_column": "op"}
    given |= {"change_order": "at", "on_delete": "delete"}
    with pytest.raises(OptionError, match="2 rows would be deleted for good"):
        klaviyo_batch_writer(**given, confirm_deletion=1)(frame, 0)
    assert klaviyo.deleted == []
    klaviyo_batch_writer(**given, confirm_deletion=5)(frame, 1)
    assert emails(klaviyo.deleted) == {"a@example.com", "b@example.com", "c@example.com"}
