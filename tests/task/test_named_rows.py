"""Refusals that name rows by their ids, or as not found, instead of by a pointer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from spark_klaviyo.simulator import Fault, KlaviyoSimulator
from tests.task.running import Row, people, run

NEWSLETTER = "Y6nRLr"


@pytest.fixture
def klaviyo() -> Iterator[KlaviyoSimulator]:
    with KlaviyoSimulator(job_polls=0, lists={NEWSLETTER: "Newsletter"}) as simulator:
        yield simulator


def ids(klaviyo: KlaviyoSimulator, count: int) -> list[str]:
    run(klaviyo, people(count))
    return [profile["id"] for profile in klaviyo.profiles]


def categories(klaviyo: KlaviyoSimulator, items: list[str]) -> None:
    rows: list[Row] = [
        {"external_id": item, "title": item, "description": item, "url": f"https://shop.example.com/{item}"}
        for item in items
    ]
    run(klaviyo, rows, template="bulk_create_catalog_items")
    run(klaviyo, [{"external_id": "C1", "name": "Shoes"}], template="bulk_create_catalog_categories")


@pytest.mark.parametrize("template", ["add_profile_ids_to_list", "remove_profile_ids_from_list"])
def test_unknown_ids_of_a_list_call_are_rejected_by_name_and_the_others_arrive(
    klaviyo: KlaviyoSimulator, template: str
) -> None:
    known = ids(klaviyo, 200)
    unknown = [f"01UNKNOWN0{n:04d}" for n in range(25)]
    mixed = [*known[:150], *unknown, *known[150:]]
    before = len(klaviyo.requests)
    ran = run(klaviyo, [{"id": one} for one in mixed], template=template, list_id=NEWSLETTER)
    assert (ran.report.delivered, ran.report.rejected) == (200, 25)
    assert sorted(one.id or "" for one in ran.rejected) == unknown
    assert len(klaviyo.requests) - before <= 6  # a sentence is cut short, so not all are named at once


def test_an_unknown_item_among_links_is_rejected_alone(klaviyo: KlaviyoSimulator) -> None:
    categories(klaviyo, ["I1", "I2"])
    rows: list[Row] = [{"id": one} for one in ("I1", "NOPE", "I2")]
    ran = run(klaviyo, rows, template="add_items_to_catalog_category", category_id="C1")
    assert (ran.report.delivered, ran.report.rejected, ran.report.stopped) == (2, 1, None)
    assert [one.row for one in ran.rejected] == [1]


def test_an_unknown_category_stops_the_write_at_once(klaviyo: KlaviyoSimulator) -> None:
    categories(klaviyo, ["I1", "I2"])
    before = len(klaviyo.requests)
    rows: list[Row] = [{"id": "I1"}, {"id": "I2"}]
    ran = run(klaviyo, rows, template="add_items_to_catalog_category", category_id="NOPE")
    assert (ran.report.stopped or ("",))[0] == "not_found"
    assert (ran.report.unsent, len(klaviyo.requests) - before) == (2, 1)


def test_an_unknown_data_source_of_some_rows_does_not_affect_the_others(klaviyo: KlaviyoSimulator) -> None:
    ran = run(klaviyo, [{"title": "Orders"}], template="create_data_source")
    assert ran.report.delivered == 1
    [source] = klaviyo.data_sources
    rows: list[Row] = [{"order": "1", "ds": "01NOPE"}, {"order": "2", "ds": source}, {"order": "3", "ds": "01NOPE"}]
    ran = run(klaviyo, rows, template="bulk_create_data_source_records", data_source_id="column:ds")
    assert (ran.report.accepted, ran.report.rejected, ran.report.stopped) == (1, 2, None)


# --- conflicts after a lost answer ----------------------------------------------------------------


def test_a_conflict_after_a_lost_answer_of_an_upsert_is_a_refusal(klaviyo: KlaviyoSimulator) -> None:
    run(klaviyo, [{"email": "ann@example.com"}], template="create_or_update_profile")
    run(klaviyo, [{"phone_number": "+16175550100"}], template="create_or_update_profile")
    both: list[Row] = [{"email": "ann@example.com", "phone_number": "+16175550100"}]
    klaviyo.inject(Fault("status", status=502, body="html", times=1))
    ran = run(klaviyo, both, template="create_or_update_profile")
    assert ran.report.retries == 1
    assert (ran.report.delivered, ran.codes) == (0, ["duplicate_profile"])


def test_a_conflict_after_a_lost_answer_of_a_creation_means_that_it_arrived(klaviyo: KlaviyoSimulator) -> None:
    klaviyo.inject(Fault("reset_after", times=1))
    ran = run(klaviyo, [{"email": "ann@example.com"}], template="create_profile", resend="always")
    assert (ran.report.delivered, ran.report.resent, len(klaviyo.profiles)) == (1, 0, 1)


# --- rows that a check repaired -------------------------------------------------------------------


def test_spellings_of_one_identifier_mean_one_person(klaviyo: KlaviyoSimulator) -> None:
    spellings = ["617 555 1234", "+16175551234", "(617) 555-1234"]
    rows: list[Row] = [{"phone_number": phone, "first_name": f"N{n}"} for n, phone in enumerate(spellings)]
    ran = run(klaviyo, rows, default_country="US")
    assert (ran.report.delivered, ran.report.skipped) == (1, 2)
    assert [profile["first_name"] for profile in klaviyo.profiles] == ["N2"]


def test_of_an_event_sent_twice_in_two_spellings_of_its_person_the_last_counts(klaviyo: KlaviyoSimulator) -> None:
    rows: list[Row] = [
        {"email": email, "unique_id": "o-1", "metric": "Placed Order", "note": note}
        for email, note in (("ann@example.com", "first"), ("\tann@example.com", "last"))
    ]
    ran = run(klaviyo, rows, template="bulk_create_events", event_time="now")
    assert (ran.report.accepted, ran.report.skipped, ran.report.rejected) == (1, 1, 0)
    assert [event["properties"]["note"] for event in klaviyo.events] == ["last"]


# --- records that come ready made -----------------------------------------------------------------


@pytest.mark.parametrize(
    "record",
    [
        "[" * 100_000,
        '{"type":"profile","attributes":{"email":"deep@example.com","properties":{"a":'
        + "[" * 5000
        + "]" * 5000
        + "}}}",
        "{",
        "7",
    ],
    ids=["brackets", "deep", "cut", "number"],
)
def test_a_broken_record_is_one_rejected_row(klaviyo: KlaviyoSimulator, record: str) -> None:
    good = '{"type":"profile","attributes":{"email":"good@example.com"}}'
    ran = run(klaviyo, [{"record": record}, {"record": good}], record_column="record")
    assert (ran.report.rows, ran.report.delivered, ran.report.rejected) == (2, 1, 1)
    assert ran.codes == ["bad_record"]


@pytest.mark.parametrize("count", [0, 2])
def test_a_record_of_no_event_or_of_two_is_refused_before_it_is_sent(klaviyo: KlaviyoSimulator, count: int) -> None:
    event = (
        '{"type":"event","attributes":{"properties":{},"metric":{"data":{"type":"metric","attributes":{"name":"M"}}}}}'
    )
    person = '{"data":{"type":"profile","attributes":{"email":"ann@example.com"}}}'
    made = '{"type":"event-bulk-create","attributes":{"profile":%s,"events":{"data":[%s]}}}'
    rows: list[Row] = [{"record": made % (person, ",".join([event] * many))} for many in (count, 1)]
    ran = run(klaviyo, rows, template="bulk_create_events", record_column="record", event_time="now")
    assert [one.row for one in ran.rejected] == [0]
    assert (ran.report.accepted, ran.report.rejected, len(klaviyo.events)) == (1, 1, 1)


# --- checks that are turned off -------------------------------------------------------------------


def test_a_large_profile_is_sent_where_checks_are_off_and_rejected_where_they_are_not() -> None:
    rows: list[Row] = [{"email": "big@example.com", "note": "x" * 150_000}]
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        assert run(klaviyo, rows).codes == ["too_large"]
        assert klaviyo.requests == []
        for validate in ("off", "warn"):
            ran = run(klaviyo, rows, validate=validate)
            assert (len(ran.receipts), ran.codes) == (1, ["invalid"])  # Klaviyo has the last word
            assert bool(ran.report.warnings) == (validate == "warn")


# --- people who are looked up ---------------------------------------------------------------------


def test_a_row_whose_person_was_looked_up_is_rejected_with_its_own_identifiers(klaviyo: KlaviyoSimulator) -> None:
    run(klaviyo, people(2), list_id=NEWSLETTER)
    klaviyo.inject(Fault("status", method="DELETE", status=503))
    rows: list[Row] = [{"email": f"p{n}@example.com"} for n in range(2)]
    ran = run(klaviyo, rows, template="remove_profiles_from_list", list_id=NEWSLETTER, attempts=2)
    assert ran.codes == ["unavailable"] * 2
    assert [one.email for one in ran.rejected] == ["p0@example.com", "p1@example.com"]
