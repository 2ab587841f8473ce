"""Rows that name people otherwise are sent with Klaviyo's ids; whoever is unknown is named."""

from __future__ import annotations

import pytest

from spark_klaviyo.simulator import KlaviyoSimulator
from tests.templates.examples import ANN, BEA, NEWSLETTER, Example
from tests.templates.made import write

REMOVE = "remove_profiles_from_list"
TO = {"list_id": NEWSLETTER}


def _reads(klaviyo: KlaviyoSimulator) -> list[str]:
    return [request.query["filter"] for request in klaviyo.requests if request.path == "/api/profiles"]


def test_people_are_looked_up_a_hundred_at_a_time_and_removed_in_one_request() -> None:
    emails = [f"p+{number}@example.com" for number in range(250)]
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        write(klaviyo, "add_profiles_to_list", Example({"email": emails}, TO))
        report = write(klaviyo, REMOVE, Example({"email": [email.upper() for email in emails[:201]]}, TO))
        assert len(klaviyo.lists[NEWSLETTER]) == 49
        assert [read.count("@") for read in _reads(klaviyo)] == [100, 100, 1]
        removals = [request for request in klaviyo.requests if request.method == "DELETE"]
    assert len(removals) == 1
    assert (report.delivered, report.rejected) == (201, 0)


def test_whoever_klaviyo_does_not_know_is_rejected_by_row_with_what_the_row_said() -> None:
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        write(klaviyo, "add_profiles_to_list", Example({"email": [ANN]}, TO))
        report = write(klaviyo, REMOVE, Example({"email": [BEA, ANN, "odd'one@example.com"]}, TO))
        assert len(klaviyo.lists[NEWSLETTER]) == 0
    assert report.reasons == {"not_found": 2}
    assert (report.delivered, report.rejected, report.rows) == (1, 2, 3)
    assert {row.row for row in report.rejects_sample} == {0, 2}


def test_a_person_named_twice_in_different_ways_is_removed_and_both_rows_count() -> None:
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        write(klaviyo, "add_profiles_to_list", Example({"email": [ANN], "external_id": ["7"]}, TO))
        report = write(klaviyo, REMOVE, Example({"email": [ANN, None], "external_id": [None, 7]}, TO))
        assert len(klaviyo.lists[NEWSLETTER]) == 0
    assert (report.delivered, report.skipped) == (2, 0)


def test_the_next_identifier_never_counts_where_the_first_is_unknown() -> None:
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        write(klaviyo, "add_profiles_to_list", Example({"phone_number": ["+16175550100"]}, TO))
        rows = Example({"email": [BEA], "phone_number": ["+1 617 555 0100"]}, TO)
        report = write(klaviyo, REMOVE, rows)
        assert len(klaviyo.lists[NEWSLETTER]) == 1
    assert (report.delivered, report.rejected) == (0, 1)


@pytest.mark.parametrize(("scopes", "code"), [(["lists:write", "profiles:write"], "forbidden"), (None, "unauthorized")])
def test_a_key_that_may_not_read_stops_before_anything_is_removed(scopes: list[str] | None, code: str) -> None:
    keys = {"pk_test": scopes} if scopes is not None else {"pk_other": ["lists:write"]}
    with KlaviyoSimulator(api_keys=keys) as klaviyo:
        report = write(klaviyo, REMOVE, Example({"email": [ANN]}, TO))
        assert not [request for request in klaviyo.requests if request.method == "DELETE"]
    assert report.stopped is not None
    assert report.stopped[0] == code
    assert (report.unsent, report.rows) == (1, 1)
