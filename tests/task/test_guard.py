"""Unsubscribing from a list: Klaviyo would unsubscribe people who are not on it from everything; they are rejected."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from spark_klaviyo.simulator import KlaviyoSimulator
from spark_klaviyo.simulator.faults import Fault
from tests.task.running import Ran, Row, run

LIST = "Lst1Aa"


@pytest.fixture
def klaviyo() -> Iterator[KlaviyoSimulator]:
    with KlaviyoSimulator() as simulator:
        simulator.add_profiles(
            [{"email": f"member+{n}@example.com", "phone_number": f"+1617555{n:04}"} for n in range(130)], LIST
        )
        simulator.add_profiles([{"email": "elsewhere@example.com", "phone_number": "+16175559999"}], "Y6nRLr")
        yield simulator


def unsubscribe(klaviyo: KlaviyoSimulator, rows: list[Row], **options: Any) -> Ran:
    return run(klaviyo, rows, template="bulk_unsubscribe_profiles", channels="email", **options)


def unsubscribed(klaviyo: KlaviyoSimulator) -> list[str]:
    return [str(row) for request in klaviyo.requests if request.method == "POST" for row in [request.body.decode()]]


def test_people_who_are_not_on_the_list_are_rejected(klaviyo: KlaviyoSimulator) -> None:
    rows: list[Row] = [{"email": f"Member+{n}@Example.com"} for n in range(130)]
    rows += [{"email": "elsewhere@example.com"}, {"email": "unknown@example.com"}]
    ran = unsubscribe(klaviyo, rows, list_id=LIST)
    assert (ran.report.accepted, ran.report.rejected) == (130, 2)
    assert ran.codes == ["not_on_list"] * 2
    assert {one.email for one in ran.rejected} == {"elsewhere@example.com", "unknown@example.com"}
    assert not any("elsewhere" in body or "unknown" in body for body in unsubscribed(klaviyo))


def test_phones_are_looked_up_as_well(klaviyo: KlaviyoSimulator) -> None:
    rows: list[Row] = [{"phone_number": "+16175550003"}, {"phone_number": "+16175559999"}]
    ran = run(klaviyo, rows, template="bulk_unsubscribe_profiles", channels="sms", list_id=LIST)
    assert (ran.report.accepted, ran.codes) == (1, ["not_on_list"])


def test_the_list_of_each_row_is_the_one_that_counts(klaviyo: KlaviyoSimulator) -> None:
    rows: list[Row] = [
        {"email": "member+1@example.com", "list": LIST},
        {"email": "elsewhere@example.com", "list": "Y6nRLr"},
        {"email": "member+2@example.com", "list": "Y6nRLr"},
    ]
    ran = unsubscribe(klaviyo, rows, list_id="column:list")
    assert (ran.report.accepted, ran.codes) == (2, ["not_on_list"])
    assert ran.rejected[0].row == 2


def test_without_a_list_no_members_are_read(klaviyo: KlaviyoSimulator) -> None:
    ran = unsubscribe(klaviyo, [{"email": "unknown@example.com"}], everywhere="true")
    assert ran.report.accepted == 1
    assert [request.method for request in klaviyo.requests] == ["POST"]


def test_a_list_that_may_not_be_read_stops_the_write_before_anything_is_sent(klaviyo: KlaviyoSimulator) -> None:
    klaviyo.inject(Fault("status", status=403, path="/api/lists/*"))
    ran = unsubscribe(klaviyo, [{"email": "member+1@example.com"}] * 3, list_id=LIST)
    assert ran.report.stopped is not None
    assert ran.report.stopped[0] == "forbidden"
    assert "lists:read" in ran.report.stopped[1]
    assert ran.report.unsent + ran.report.skipped == 3
    assert unsubscribed(klaviyo) == []


def test_rows_whose_membership_cannot_be_read_are_rejected(klaviyo: KlaviyoSimulator) -> None:
    klaviyo.inject(Fault("status", status=500, path="/api/lists/*"))
    ran = unsubscribe(klaviyo, [{"email": "member+1@example.com"}], list_id=LIST)
    assert ran.codes == ["unavailable"]
    assert unsubscribed(klaviyo) == []
