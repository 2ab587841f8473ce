"""Tasks that run again without a state, and records that are refused because they are there from before."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from spark_klaviyo.core.clock import Stop
from spark_klaviyo.encode.encoder import encode_batches
from spark_klaviyo.simulator import Fault, KlaviyoSimulator
from spark_klaviyo.task.run import SendContextFactory, run_task
from tests.core.scaled_clock import ScaledClock
from tests.task.running import Ran, Row, batches_of, people, plan_for

ANN: Row = {"email": "ann@example.com", "first_name": "Ann"}
COUPON: Row = {"external_id": "SPRING", "description": "ten percent"}
ITEM: Row = {"external_id": "I1", "title": "Tea", "description": "green", "url": "https://x.com/tea"}


def attempt(klaviyo: KlaviyoSimulator, rows: list[Row], number: int, **options: object) -> Ran:
    """What one attempt of a task does."""
    plan, ran = plan_for(klaviyo, list(rows[0]), **options), Ran()
    with SendContextFactory(ScaledClock(60.0)).open(plan, 0, number, Stop()) as context:
        for event in run_task(plan, encode_batches(batches_of(rows, 100), plan), context, follows=True):
            ran.add(event)
    assert ran.report.adds_up()
    return ran


def test_an_attempt_above_0_counts_as_resent_what_the_first_may_have_sent() -> None:
    with KlaviyoSimulator() as klaviyo:
        first, second = (attempt(klaviyo, people(30), number, max_rows=10) for number in (0, 1))
    assert (first.report.resent, second.report.resent) == (0, 30)
    assert (first.report.delivered, second.report.delivered) == (30, 30)


def test_rows_that_are_refused_again_were_not_sent_twice() -> None:
    with KlaviyoSimulator() as klaviyo:
        rows: list[Row] = [{"email": "bad", "first_name": "x"}]
        assert attempt(klaviyo, rows, 1, validate="off").report.resent == 0


CREATIONS = [("create_profile", ANN, "first_name"), ("create_coupon", COUPON, "description")]
CREATIONS += [("create_catalog_item", ITEM, "title")]


@pytest.mark.parametrize("template", CREATIONS, ids=lambda case: case[0])
def test_what_the_first_attempt_created_is_delivered_and_never_a_conflict(template: tuple[str, Row, str]) -> None:
    name, row, _ = template
    with KlaviyoSimulator() as klaviyo:
        assert attempt(klaviyo, [row], 0, template=name).report.delivered == 1
        again = attempt(klaviyo, [row], 1, template=name)
    assert (again.report.delivered, again.codes) == (1, [])


@pytest.mark.parametrize("template", CREATIONS, ids=lambda case: case[0])
def test_another_record_of_that_identifier_leaves_the_row_in_doubt(template: tuple[str, Row, str]) -> None:
    name, row, field = template
    with KlaviyoSimulator() as klaviyo:
        attempt(klaviyo, [row], 0, template=name)
        again = attempt(klaviyo, [{**row, field: "another"}], 1, template=name)
    assert (again.report.delivered, again.codes) == (0, ["in_doubt"])


@pytest.mark.parametrize("resend", ["auto", "always", "never"])
@pytest.mark.parametrize("template", CREATIONS, ids=lambda case: case[0])
def test_a_409_on_a_first_send_is_a_rejection(template: tuple[str, Row, str], resend: str) -> None:
    name, row, _ = template
    with KlaviyoSimulator() as klaviyo:
        attempt(klaviyo, [row], 0, template=name)
        again = attempt(klaviyo, [row], 0, template=name, resend=resend)
    assert again.report.rejected == 1
    assert again.codes[0] in ("conflict", "duplicate_profile")


@pytest.mark.parametrize(("there", "codes"), [(ANN, []), ({**ANN, "first_name": "Another"}, ["in_doubt"])])
def test_after_a_lost_answer_the_record_that_is_there_decides(there: Row, codes: list[str]) -> None:
    with KlaviyoSimulator() as klaviyo:
        klaviyo.add_profiles([_profile(there)])
        klaviyo.inject(Fault("reset_before", path="/api/profiles", method="POST", times=1))
        ran = attempt(klaviyo, [ANN], 0, template="create_profile", resend="always")
    assert (ran.codes, ran.report.delivered) == (codes, 1 - len(codes))


def test_a_key_that_may_not_read_leaves_it_in_doubt() -> None:
    with KlaviyoSimulator(faults=[Fault("status", path="/api/profiles/*", method="GET", status=403)]) as klaviyo:
        attempt(klaviyo, [ANN], 0, template="create_profile")
        again = attempt(klaviyo, [ANN], 1, template="create_profile")
    assert (again.codes, again.report.stopped) == (["in_doubt"], None)


def test_in_manual_mode_nothing_is_read_and_a_repeat_is_in_doubt() -> None:
    with KlaviyoSimulator() as klaviyo:
        call = {"template": None, "url": f"{klaviyo.url}/api/profiles", "batch_mode": False, "resend": "always"}
        call["body"] = '{"data":{"type":"profile","attributes":{row}}}'
        first, again = (attempt(klaviyo, [ANN], number, **call) for number in (0, 1))
        assert [request.method for request in klaviyo.requests] == ["POST", "POST"]
    assert (first.report.delivered, again.codes) == (1, ["in_doubt"])


def _profile(row: Mapping[str, object]) -> dict[str, object]:
    return dict(row)
