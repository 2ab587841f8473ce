"""Jobs over real HTTP: what each end of a job, and each failure of its status endpoint, means for its rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from spark_klaviyo.deliver.jobs import JobEnded, job_events
from spark_klaviyo.simulator import KlaviyoSimulator
from spark_klaviyo.simulator.faults import Fault
from spark_klaviyo.task.run import SendContextFactory
from tests.core.scaled_clock import ScaledClock
from tests.task.running import Ran, Row, people, plan_for, run

ONE = "get_bulk_import_profiles_job"
LIST = "get_bulk_import_profiles_jobs"
ERRORS = "get_errors_for_bulk_import_profiles_job"


@pytest.fixture
def klaviyo() -> Iterator[KlaviyoSimulator]:
    with KlaviyoSimulator() as simulator:
        yield simulator


def asked(klaviyo: KlaviyoSimulator, operation: str) -> int:
    return sum(times for (name, _), times in klaviyo.request_counts.items() if name == operation)


def outcomes(ran: Ran) -> set[str]:
    return {end.outcome for end in ran.ends}


def test_a_finished_job_delivers_its_rows(klaviyo: KlaviyoSimulator) -> None:
    ran = run(klaviyo, people(30), max_rows=10)
    assert (ran.report.delivered, ran.report.accepted) == (30, 0)
    assert ran.report.job_states == {"complete": 3}
    assert {one.outcome for one in ran.report.receipts_sample} == {"delivered"}


def test_rows_that_a_job_names_are_rejected_alone(klaviyo: KlaviyoSimulator) -> None:
    klaviyo.inject(Fault("job_row_errors", identifiers=("p3@example.com", "p17@example.com"), detail="No such thing"))
    ran = run(klaviyo, people(20), max_rows=10)
    assert (ran.report.delivered, ran.report.rejected) == (18, 2)
    assert {one.email for one in ran.rejected} == {"p3@example.com", "p17@example.com"}
    assert {one.detail for one in ran.rejected} == {"No such thing"}
    record = json.loads(ran.rejected[0].record)
    assert record["type"] == "profile"
    assert record["attributes"]["first_name"].startswith("N")


def test_all_pages_of_import_errors_are_read(klaviyo: KlaviyoSimulator) -> None:
    klaviyo.inject(Fault("job_row_errors"), Fault("import_errors_pages", page_size=2))
    ran = run(klaviyo, people(700), encoded_rows=700, rate_limit="none")
    assert (ran.report.delivered, ran.report.rejected) == (0, 700)
    assert len({one.email for one in ran.rejected}) == 700
    assert asked(klaviyo, ERRORS) == 350
    assert outcomes(ran) == {"rejected"}


@pytest.mark.parametrize(
    "fault", [Fault("job_counts_only", share=0.5), Fault("job_row_errors", share=0.5, original_payload=False)]
)
def test_rows_of_a_job_that_names_no_failure_are_accepted_with_the_reason(
    klaviyo: KlaviyoSimulator, fault: Fault
) -> None:
    klaviyo.inject(fault)
    ran = run(klaviyo, people(20))
    assert (ran.report.delivered, ran.report.accepted, ran.report.rejected) == (0, 20, 0)
    assert list(ran.report.accepted_because) == [
        "their job says that some rows failed or were skipped, without naming them"
    ]
    assert outcomes(ran) == {"unnamed"}


def test_named_failures_are_rejected_beside_unnamed_ones(klaviyo: KlaviyoSimulator) -> None:
    klaviyo.inject(
        Fault("job_row_errors", identifiers=("p1@example.com",)),
        Fault("job_counts_only", identifiers=("p2@example.com",)),
    )
    ran = run(klaviyo, people(5))
    assert (ran.report.rejected, ran.report.accepted, ran.report.delivered) == (1, 4, 0)


def test_a_cancelled_job_never_counts_as_delivered(klaviyo: KlaviyoSimulator) -> None:
    klaviyo.inject(Fault("job_cancelled", times=1))
    ran = run(klaviyo, people(20), max_rows=10)
    assert (ran.report.delivered, ran.report.accepted) == (10, 10)
    assert outcomes(ran) == {"delivered", "cancelled"}
    assert ran.report.job_states == {"cancelled": 1, "complete": 1}


def asking(kind: str, **more: Any) -> Fault:
    """A fault of the reads of a job's status."""
    return Fault(kind, method="GET", path="/api/profile-bulk-import-jobs*", **more)


@pytest.mark.parametrize(
    ("fault", "outcome", "said"),
    [
        (Fault("status_refused"), "accepted", "lists:read"),
        (asking("status", status=403, body="html"), "accepted", "could not be read"),
        (Fault("job_gone"), "gone", "no longer knows"),
        (asking("status", status=404, body="html"), "accepted", "could not be read"),
        (asking("status", status=200, body="empty"), "accepted", "no JSON document"),
        (asking("status", status=204, body="empty"), "accepted", "no JSON document"),
        (Fault("html_status"), "accepted", "a page came instead"),
        (asking("status", status=500, body="html"), "accepted", "HTTP 500"),
        (asking("reset_before"), "accepted", "could not be read"),
        (asking("truncated"), "accepted", "no JSON document"),
        (asking("status", status=429, retry_after=3_600), "accepted", "asks to wait"),
        (asking("redirect"), "accepted", "could not be read"),
        (Fault("job_never_ends"), "accepted", "job_timeout_seconds"),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else None,
)
@pytest.mark.parametrize("jobs", [2, 12])
def test_a_status_that_cannot_be_read_leaves_rows_accepted_with_the_reason(
    klaviyo: KlaviyoSimulator, fault: Fault, outcome: str, said: str, jobs: int
) -> None:
    klaviyo.inject(fault)
    ran = run(klaviyo, people(5 * jobs), max_rows=5, job_timeout_seconds=120, rate_limit="none")
    assert (ran.report.accepted, ran.report.delivered) == (5 * jobs, 0)
    assert ran.report.stopped is None
    assert said in next(iter(ran.report.accepted_because))
    assert outcomes(ran) == {outcome}
    assert len(klaviyo.requests) < 130


@pytest.mark.parametrize("jobs", [2, 12])
def test_a_hanging_status_endpoint_is_given_up_at_the_job_timeout(klaviyo: KlaviyoSimulator, jobs: int) -> None:
    klaviyo.inject(asking("hang"))
    clock = ScaledClock(60.0)
    ran = run(klaviyo, people(5 * jobs), clock=clock, max_rows=5, job_timeout_seconds=60, timeout_seconds=1)
    assert (ran.report.accepted, ran.report.delivered) == (5 * jobs, 0)
    assert "job_timeout_seconds" in next(iter(ran.report.accepted_because))
    assert outcomes(ran) == {"accepted"}


@pytest.mark.parametrize("page", ["jsonapi", "html"])
@pytest.mark.parametrize(("jobs", "times"), [(2, 1), (2, 2), (12, 5)])
def test_a_job_that_is_unknown_at_first_is_followed(
    klaviyo: KlaviyoSimulator, page: str, jobs: int, times: int
) -> None:
    klaviyo.inject(asking("status", status=404, body=page, times=times))
    ran = run(klaviyo, people(5 * jobs), max_rows=5, rate_limit="none")
    assert (ran.report.delivered, outcomes(ran)) == (5 * jobs, {"delivered"})


def test_a_job_that_stays_unknown_is_gone_and_others_are_followed(klaviyo: KlaviyoSimulator) -> None:
    klaviyo.inject(Fault("job_never_ends", times=1))
    ran = run(klaviyo, people(10), max_rows=5, job_timeout_seconds=1, workers=1)
    forgotten = next(end.job for end in ran.ends if end.outcome == "accepted")
    del klaviyo.account.jobs.by_id[forgotten.job_id]
    klaviyo.clear_faults()
    plan = plan_for(klaviyo, ["email", "first_name"])
    with SendContextFactory(ScaledClock(60.0)).open(plan, 0, 0) as context:
        ends = list(job_events([end.job for end in ran.ends], plan, context, 60.0))
    assert {end.outcome for end in ends if isinstance(end, JobEnded)} == {"gone", "delivered"}


def test_endless_throttling_is_bounded(klaviyo: KlaviyoSimulator) -> None:
    klaviyo.inject(asking("status", status=429, retry_after=1))
    ran = run(klaviyo, people(5), job_timeout_seconds=60, longest_wait_seconds=10)
    assert (ran.report.accepted, ran.report.delivered) == (5, 0)
    assert asked(klaviyo, ONE) < 60


def test_a_temporary_failure_of_the_status_endpoint_changes_nothing(klaviyo: KlaviyoSimulator) -> None:
    klaviyo.inject(
        asking("status", status=429, retry_after=1, times=2),
        asking("status", status=503, times=2),
        Fault("html_status", times=1),
        asking("reset_before", times=1),
    )
    assert run(klaviyo, people(20), max_rows=4).report.delivered == 20


def test_many_open_jobs_are_polled_by_list(klaviyo: KlaviyoSimulator) -> None:
    ran = run(klaviyo, people(400), max_rows=1, workers=8, rate_limit="none")
    assert ran.report.delivered == 400
    assert asked(klaviyo, LIST) <= 20
    assert asked(klaviyo, ONE) <= 5


def test_import_errors_that_may_not_be_read_leave_the_rest_accepted(klaviyo: KlaviyoSimulator) -> None:
    klaviyo.inject(
        Fault("job_row_errors", share=0.5), Fault("status", status=403, path="/api/*/import-errors", method="GET")
    )
    ran = run(klaviyo, people(20))
    assert (ran.report.accepted, ran.report.delivered, ran.report.rejected) == (20, 0, 0)
    assert "errors could not be read" in next(iter(ran.report.accepted_because))


def test_jobs_are_left_open_when_the_caller_does_not_wait_for_them(klaviyo: KlaviyoSimulator) -> None:
    ran = run(klaviyo, people(20), max_rows=10, wait_for_jobs=False)
    assert (ran.report.accepted, ran.report.delivered) == (20, 0)
    assert ran.report.job_states == {"open": 2}
    assert [request.method for request in klaviyo.requests] == ["POST", "POST"]


def test_jobs_are_polled_within_the_published_quota() -> None:
    with KlaviyoSimulator(limits="published", speed=60.0, job_seconds=40.0) as klaviyo:
        ran = run(klaviyo, people(60), clock=ScaledClock(60.0), max_rows=1, workers=4)
        assert ran.report.delivered == 60
        assert asked(klaviyo, ONE) + asked(klaviyo, LIST) < 60


URL = "https://shop.example.com/x"
ITEMS: list[Row] = [{"external_id": f"I{n}", "title": f"T{n}", "description": "d", "url": URL} for n in range(6)]


def test_rows_that_a_catalog_job_names_by_id_are_rejected(klaviyo: KlaviyoSimulator) -> None:
    klaviyo.inject(Fault("job_row_errors", identifiers=("$custom:::$default:::I2",), detail="An item exists."))
    ran = run(klaviyo, ITEMS, template="bulk_create_catalog_items")
    assert (ran.report.delivered, ran.report.rejected) == (5, 1)
    refused = ran.rejected[0]
    assert (refused.id, refused.external_id) == ("$custom:::$default:::I2", "I2")
    assert refused.detail == "An item exists."


def test_many_catalog_jobs_are_polled_by_list_too(klaviyo: KlaviyoSimulator) -> None:
    klaviyo.inject(Fault("job_row_errors", identifiers=("$custom:::$default:::I2",)))
    rows: list[Row] = [{**ITEMS[0], "external_id": f"I{n}"} for n in range(30)]
    ran = run(klaviyo, rows, template="bulk_create_catalog_items", max_rows=1)
    assert (ran.report.delivered, ran.report.rejected) == (29, 1)
    assert asked(klaviyo, "get_bulk_create_catalog_items_job") <= 5


def test_a_suppression_that_skips_people_does_not_count_as_delivered(klaviyo: KlaviyoSimulator) -> None:
    emails: list[Row] = [{"email": f"p{n}@example.com"} for n in range(5)]
    assert run(klaviyo, emails, template="bulk_suppress_profiles").report.delivered == 5
    klaviyo.inject(Fault("job_never_ends"))
    ran = run(klaviyo, emails, template="bulk_suppress_profiles", job_timeout_seconds=30)
    assert (ran.report.delivered, ran.report.accepted) == (0, 5)
