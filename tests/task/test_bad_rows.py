"""Bad rows among good ones: the good rows arrive, the bad ones are rejected by themselves, in few requests."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from spark_klaviyo.simulator import KlaviyoSimulator
from spark_klaviyo.simulator.faults import Fault
from tests.task.running import Ran, Row, people, run


@pytest.fixture
def hesitant() -> Iterator[KlaviyoSimulator]:
    """Names only the first bad row in a refusal."""
    with KlaviyoSimulator(name_every_bad_row=False) as simulator:
        yield simulator


def with_bad(rows: list[Row], every: int) -> list[Row]:
    return [{**row, "email": f"bad {n}"} if n % every == every // 2 else row for n, row in enumerate(rows)]


def stored(klaviyo: KlaviyoSimulator) -> set[str]:
    return {str(profile["email"]) for profile in klaviyo.profiles}


def sent(klaviyo: KlaviyoSimulator) -> int:
    return sum(request.method == "POST" for request in klaviyo.requests)


def named(ran: Ran) -> set[int]:
    return {one.row for one in ran.rejected}


@pytest.mark.parametrize("validate", ["strict", "off"])
def test_ten_thousand_rows_with_a_hundred_bad_ones_take_a_few_requests(
    klaviyo: KlaviyoSimulator, validate: str
) -> None:
    rows = with_bad(people(10_000), 100)
    ran = run(klaviyo, rows, encoded_rows=4_000, validate=validate)
    assert (ran.report.delivered, ran.report.rejected) == (9_900, 100)
    assert named(ran) == {n for n in range(10_000) if n % 100 == 50}
    assert all(one.code in ("bad_email", "invalid") and one.detail for one in ran.rejected)
    assert len(stored(klaviyo)) == 9_900
    assert len(klaviyo.requests) <= 20


def test_half_of_the_rows_bad(klaviyo: KlaviyoSimulator) -> None:
    ran = run(klaviyo, with_bad(people(500), 2), validate="off", max_rows=100)
    assert (ran.report.delivered, ran.report.rejected) == (250, 250)
    assert len(stored(klaviyo)) == 250


@pytest.mark.parametrize("validate", ["strict", "off"])
def test_all_rows_bad(klaviyo: KlaviyoSimulator, validate: str) -> None:
    rows: list[Row] = [{"email": f"bad {n}", "first_name": "x"} for n in range(300)]
    ran = run(klaviyo, rows, validate=validate)
    assert (ran.report.delivered, ran.report.rejected, ran.report.unsent) == (0, 300, 0)
    assert stored(klaviyo) == set()
    assert sent(klaviyo) == (1 if validate == "off" else 0)


def test_the_same_bad_row_a_thousand_times_is_named_a_thousand_times(klaviyo: KlaviyoSimulator) -> None:
    rows: list[Row] = [{"email": "not an address", "first_name": "x"}] * 1_000
    ran = run(klaviyo, rows)
    assert named(ran) == set(range(1_000))
    assert len(ran.report.rejects_sample) <= 20


def test_a_refusal_that_names_only_the_first_bad_row_is_repeated_within_bounds(hesitant: KlaviyoSimulator) -> None:
    ran = run(hesitant, with_bad(people(90), 30), validate="off")
    assert (ran.report.delivered, named(ran)) == (87, {15, 45, 75})
    assert sent(hesitant) == 4


def test_every_bad_row_is_found_however_many_refusals_that_takes(hesitant: KlaviyoSimulator) -> None:
    rows: list[Row] = [{"email": f"bad {n}", "first_name": "x"} for n in range(150)]
    ran = run(hesitant, [*rows, *people(1)], validate="off", rate_limit="none")
    assert (ran.report.rejected, ran.report.delivered) == (150, 1)
    assert sent(hesitant) == 151
    assert set(ran.codes) == {"invalid"}


def test_a_request_refused_without_a_pointer_is_halved_down_to_the_bad_row(klaviyo: KlaviyoSimulator) -> None:
    klaviyo.inject(Fault("status", status=400, times=4, method="POST"))
    ran = run(klaviyo, people(8))
    assert ran.report.rejected == 1
    assert ran.report.delivered == 7
    assert len(stored(klaviyo)) == 7


def test_a_refusal_of_the_list_rejects_the_whole_request_at_once(klaviyo: KlaviyoSimulator) -> None:
    ran = run(klaviyo, people(64), list_id="Nobody")
    assert ran.report.rejected == 64
    assert sent(klaviyo) == 1
    assert {one.detail for one in ran.rejected} == {"List ID Nobody does not exist."}


def test_of_rows_with_one_identifier_the_last_is_sent_and_the_others_are_superseded(klaviyo: KlaviyoSimulator) -> None:
    rows: list[Row] = [{"email": f"{name}@example.com", "first_name": f"{n}"} for n, name in enumerate("abABcAa")]
    ran = run(klaviyo, rows)
    held = {profile["email"].lower(): profile["first_name"] for profile in klaviyo.profiles}
    assert held == {"a@example.com": "6", "b@example.com": "3", "c@example.com": "4"}
    assert (ran.report.delivered, ran.report.skipped) == (3, 4)
    assert ran.report.skipped_because == {"a later row of the same request has the same identifier": 4}


def test_equal_rows_in_different_requests_are_both_sent(klaviyo: KlaviyoSimulator) -> None:
    rows: list[Row] = [{"email": "a@example.com", "first_name": f"{n}"} for n in range(4)]
    ran = run(klaviyo, rows, max_rows=1)
    assert (ran.report.delivered, ran.report.skipped) == (4, 0)


def test_a_rejected_row_carries_its_record_and_its_identifiers(klaviyo: KlaviyoSimulator) -> None:
    rows: list[Row] = [{"email": "bad", "external_id": "crm-1", "phone_number": "+16175551234", "tier": "gold"}]
    ran = run(klaviyo, rows)
    refused = ran.rejected[0]
    assert (refused.email, refused.phone_number) == ("bad", "+16175551234")
    assert (refused.external_id, refused.id) == ("crm-1", None)
    assert json.loads(refused.record)["attributes"]["properties"] == {"tier": "gold"}
    assert "gold" not in repr(refused)


@pytest.mark.parametrize(("most", "expected"), [("10", "too_many_rejects"), ("60", None)])
def test_max_rejects_stops_sending(klaviyo: KlaviyoSimulator, most: str, expected: str | None) -> None:
    rows = with_bad(people(500), 10)
    ran = run(klaviyo, rows, encoded_rows=100, max_rows=20, workers=1, max_rejects=most)
    assert (ran.report.stopped or (None,))[0] == expected
    assert ran.report.adds_up()
    assert len(stored(klaviyo)) == ran.report.delivered
    if expected:
        assert ran.report.rejected <= 30
        assert sent(klaviyo) < 15


def test_rows_that_jobs_refuse_count_for_max_rejects(klaviyo: KlaviyoSimulator) -> None:
    klaviyo.inject(Fault("job_row_errors"))
    ran = run(klaviyo, people(50), max_rejects="10")
    assert ran.report.rejected == 50
    assert ran.report.stopped is not None
    assert ran.report.stopped[0] == "too_many_rejects"
