"""Unsubscribing: from a list, on several channels, and from everything only where that is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from spark_klaviyo.errors import OptionError
from spark_klaviyo.simulator import KlaviyoSimulator
from tests.optout.people import consents, writes
from tests.task.running import Ran, Row, plan_for, run

LIST, OTHER = "Lst1Aa", "Y6nRLr"
ANN, BEN, PHONE = "ann@example.com", "ben@example.com", "+16175550100"
TEMPLATE = "bulk_unsubscribe_profiles"


@pytest.fixture
def klaviyo() -> Iterator[KlaviyoSimulator]:
    with KlaviyoSimulator() as simulator:
        simulator.add_profiles([{"email": ANN, "phone_number": PHONE}], LIST)
        simulator.add_profiles([{"email": BEN}])
        yield simulator


def unsubscribe(klaviyo: KlaviyoSimulator, rows: list[Row], **options: Any) -> Ran:
    return run(klaviyo, rows, template=TEMPLATE, **{"channels": "email", **options})


# --- from a list ----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["UNSUBSCRIBED", "UNSUBSCRIBE", "of the list"])
def test_who_is_off_the_list_and_has_opted_out_is_delivered(klaviyo: KlaviyoSimulator, how: str) -> None:
    if how == "UNSUBSCRIBED":
        klaviyo.set_consent(BEN, "email", how)
    else:
        klaviyo.suppress(BEN, "UNSUBSCRIBE", LIST if how == "of the list" else "")
    ran = unsubscribe(klaviyo, [{"email": BEN}, {"email": ANN}], list_id=LIST)
    assert (ran.report.delivered, ran.report.accepted, ran.codes) == (1, 1, [])
    assert BEN not in "".join(writes(klaviyo))
    ran.whole()


@pytest.mark.parametrize("consent", ["SUBSCRIBED", None])
def test_who_is_off_the_list_and_may_still_be_mailed_is_not_on_list(
    klaviyo: KlaviyoSimulator, consent: str | None
) -> None:
    if consent:
        klaviyo.set_consent(BEN, "email", consent)
    klaviyo.suppress(BEN, "UNSUBSCRIBE", OTHER)
    assert unsubscribe(klaviyo, [{"email": BEN}], list_id=LIST).codes == ["not_on_list"]
    assert writes(klaviyo) == []


def test_a_row_is_sent_twice_and_both_times_settled(klaviyo: KlaviyoSimulator) -> None:
    first = unsubscribe(klaviyo, [{"email": ANN}], list_id=LIST)
    second = unsubscribe(klaviyo, [{"email": ANN}], list_id=LIST)
    assert (first.report.accepted, second.report.delivered) == (1, 1)


def test_a_list_that_does_not_exist_holds_back_only_the_rows_that_name_it(klaviyo: KlaviyoSimulator) -> None:
    rows: list[Row] = [{"email": BEN, "list": "Nowher"}, {"email": ANN, "list": LIST}]
    ran = unsubscribe(klaviyo, rows, list_id="column:list")
    assert (ran.report.stopped, ran.codes, ran.report.accepted) == (None, ["unavailable"], 1)
    stopped = unsubscribe(klaviyo, rows, list_id="Nowher", other_columns="drop").report
    assert (stopped.stopped is not None, stopped.unsent) == (True, 2)


# --- several channels -----------------------------------------------------------------------------


def test_one_person_in_several_rows_leaves_each_channel(klaviyo: KlaviyoSimulator) -> None:
    for channel in ("email", "sms"):
        klaviyo.set_consent(ANN, channel, "SUBSCRIBED")
    rows: list[Row] = [
        {"email": ANN, "phone_number": PHONE, "words": "email"},
        {"email": ANN, "phone_number": PHONE, "words": "sms"},
        {"email": ANN, "phone_number": "no phone", "words": "email"},
    ]
    ran = unsubscribe(klaviyo, rows, channels="column:words", everywhere="true")
    assert (ran.report.accepted, ran.report.skipped, ran.codes) == (3, 0, [])
    assert set(consents(klaviyo).values()) == {"UNSUBSCRIBED"}


def test_an_identifier_that_no_channel_needs_holds_nobody_back(klaviyo: KlaviyoSimulator) -> None:
    ran = unsubscribe(klaviyo, [{"email": ANN, "phone_number": "DNC 617"}], everywhere="true")
    assert (ran.report.accepted, ran.codes) == (1, [])
    assert "phone" not in writes(klaviyo)[0]


# --- everywhere -----------------------------------------------------------------------------------


def test_without_a_list_everywhere_has_to_be_asked_for(klaviyo: KlaviyoSimulator) -> None:
    for more in ({}, {"everywhere": "false"}):
        with pytest.raises(OptionError, match="everybody in the DataFrame would be unsubscribed from everything"):
            plan_for(klaviyo, ["email"], template=TEMPLATE, channels="email", **more)
    with pytest.raises(OptionError, match="everywhere: list_id names"):
        plan_for(klaviyo, ["email"], template=TEMPLATE, channels="email", list_id=LIST, everywhere="true")
    assert plan_for(klaviyo, ["email"], template=TEMPLATE, channels="email", list_id=LIST)


def test_a_row_without_a_list_is_rejected_unless_everywhere_is_asked_for(klaviyo: KlaviyoSimulator) -> None:
    rows: list[Row] = [{"email": ANN, "list": LIST}, {"email": BEN, "list": " "}]
    ran = unsubscribe(klaviyo, rows, list_id="column:list")
    assert ran.codes == ["missing_field"]
    assert "everywhere" in ran.rejected[0].detail
    assert (BEN, "email.marketing") not in consents(klaviyo)
    ran = unsubscribe(klaviyo, rows[1:], list_id="column:list", everywhere="true")
    assert ran.report.accepted == 1
    assert consents(klaviyo)[BEN, "email.marketing"] == "UNSUBSCRIBED"
