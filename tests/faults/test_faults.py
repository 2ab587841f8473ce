"""Every fault of a server and of the network, over real HTTP: what arrived, how often, and what the report says."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import pytest

from spark_klaviyo.simulator import Fault, KlaviyoSimulator
from tests.core.scaled_clock import ScaledClock
from tests.task.running import KEY, Ran, people, run

IMPORTS = "/api/profile-bulk-import-jobs"
PROFILES = "/api/profiles"
ROWS = 4


@dataclass(frozen=True)
class Expected:
    """What is to be seen. `arrived`: how often each row was carried out; `requests`: what the server met, in all."""

    arrived: int
    requests: int
    delivered: int = 0
    accepted: int = 0
    codes: tuple[str, ...] = ()
    unsent: int = 0
    stopped: str = ""
    resent: int = 0
    retries: int = 0
    throttled: int = 0


@dataclass(frozen=True)
class Case:
    """A fault met by four rows in one request (bulk import, idempotent)."""

    name: str
    fault: Fault
    expected: Expected
    options: Mapping[str, Any] = field(default_factory=dict)


def status(code: int, **more: object) -> Fault:
    return Fault("status", path=IMPORTS, method="POST", status=code, **{"times": 1, **more})  # type: ignore[arg-type]


def once(kind: str, **more: object) -> Fault:
    return Fault(kind, path=IMPORTS, method="POST", **{"times": 1, **more})  # type: ignore[arg-type]


DELIVERED = Expected(arrived=1, requests=2, delivered=ROWS, retries=1)
DELIVERED_MAYBE_TWICE = Expected(arrived=1, requests=2, delivered=ROWS, retries=1, resent=ROWS)
TWICE = Expected(arrived=2, requests=2, delivered=ROWS, retries=1, resent=ROWS)
WAITED = Expected(arrived=1, requests=2, delivered=ROWS, throttled=1)
UNAVAILABLE = Expected(arrived=0, requests=2, codes=("unavailable",) * ROWS, retries=1)


def stopped(code: str, requests: int = 1, throttled: int = 0, retries: int = 0) -> Expected:
    return Expected(0, requests, unsent=ROWS, stopped=code, throttled=throttled, retries=retries)


QUICK = {"timeout_seconds": 1}
CASES = [
    Case("reset before the server has done it", once("reset_before"), DELIVERED_MAYBE_TWICE),
    Case("reset after the server has done it", once("reset_after"), TWICE),
    Case("slower than the caller waits", once("slow", seconds=3.0), TWICE, QUICK),
    Case("slow, but in time", once("slow", seconds=0.1), Expected(arrived=1, requests=1, delivered=ROWS)),
    Case("hanging", once("hang"), DELIVERED_MAYBE_TWICE, QUICK),
    Case("truncated answer", once("truncated"), Expected(arrived=1, requests=1, accepted=ROWS)),
    Case("a page instead of the answer", status(202, body="html"), DELIVERED_MAYBE_TWICE),
    Case("500 with Klaviyo's document", status(500), DELIVERED_MAYBE_TWICE),
    Case("500 with a page", status(500, body="html"), DELIVERED_MAYBE_TWICE),
    Case("502", status(502, body="html"), DELIVERED_MAYBE_TWICE),
    Case("503", status(503), DELIVERED),
    Case("503 without a body", status(503, body="empty"), DELIVERED),
    Case("504", status(504, body="html"), DELIVERED_MAYBE_TWICE),
    Case("524", status(524, body="html"), DELIVERED_MAYBE_TWICE),
    Case("408", status(408, body="empty"), DELIVERED),
    Case("503 without end", status(503, times=None), UNAVAILABLE, {"attempts": 2}),
    Case("429 without Retry-After", status(429), WAITED),
    Case("429 with Retry-After 0", status(429, retry_after=0), WAITED),
    Case("429 with Retry-After 1", status(429, retry_after=1), WAITED),
    Case("429 with a broken Retry-After", status(429, retry_after="soon"), WAITED),
    Case("429 with a page", status(429, body="html", retry_after=1), WAITED),
    Case("429 with an hour", status(429, retry_after=3600), stopped("throttled", throttled=1)),
    Case("429 is no attempt", status(429, times=3, retry_after=1), Expected(1, 4, ROWS, throttled=3), {"attempts": 1}),
    Case("a redirect", once("redirect"), stopped("redirected")),
    Case("a challenge page", once("cdn_403"), DELIVERED),
    Case(
        "challenge pages without end",
        once("cdn_403", times=None),
        stopped("unreachable", 2, retries=1),
        {"attempts": 2},
    ),
    Case("403", status(403), stopped("forbidden")),
    Case("401", status(401), stopped("unauthorized")),
    Case("404 without end", status(404, times=None), stopped("not_found", requests=3)),
    Case("404 once", status(404), Expected(arrived=2, requests=3, delivered=ROWS)),
    Case("404 with a page", status(404, body="html"), stopped("not_found")),
    Case("410", status(410), stopped("retired")),
    Case("405", status(405), stopped("refused")),
    Case("415", status(415), stopped("refused")),
    Case("an unknown status", status(418, body="text"), Expected(0, 1, codes=("refused",) * ROWS)),
]


def check(klaviyo: KlaviyoSimulator, ran: Ran, expected: Expected, arrived: int, path: str) -> None:
    report = ran.report
    assert report.adds_up()
    sent = [request for request in klaviyo.requests if request.path.rstrip("/") == path and request.method == "POST"]
    assert {
        "arrived": arrived,
        "requests": len(sent),
        "delivered": report.delivered,
        "accepted": report.accepted,
        "codes": tuple(ran.codes),
        "unsent": report.unsent,
        "stopped": (report.stopped or ("",))[0],
        "resent": report.resent,
        "retries": report.retries,
        "throttled": report.throttled,
    } == vars(expected)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_fault_of_an_idempotent_request_ends_as_the_report_says(case: Case) -> None:
    with KlaviyoSimulator(faults=[case.fault]) as klaviyo:
        ran = run(klaviyo, people(ROWS), **case.options)
        check(klaviyo, ran, case.expected, len(klaviyo.jobs), IMPORTS)
        assert len(klaviyo.profiles) == (ROWS if case.expected.arrived else 0)


# One row a request, not idempotent: creating a profile that exists is refused.
NOT_IDEMPOTENT = [
    (once("reset_before"), "auto", Expected(0, 1, codes=("in_doubt",))),
    (once("reset_after"), "auto", Expected(1, 1, codes=("in_doubt",))),
    (once("hang"), "auto", Expected(0, 1, codes=("in_doubt",))),
    (once("slow", seconds=3.0), "auto", Expected(1, 1, codes=("in_doubt",))),
    (status(502, body="html"), "auto", Expected(0, 1, codes=("in_doubt",))),
    (status(504, body="html"), "auto", Expected(0, 1, codes=("in_doubt",))),
    (status(524, body="html"), "auto", Expected(0, 1, codes=("in_doubt",))),
    (status(500, body="html"), "auto", Expected(0, 1, codes=("in_doubt",))),
    (status(200, body="html"), "auto", Expected(0, 1, codes=("in_doubt",))),
    (status(500), "auto", Expected(1, 2, delivered=1, retries=1, resent=1)),
    (status(503), "auto", Expected(1, 2, delivered=1, retries=1)),
    (status(429, retry_after=1), "auto", Expected(1, 2, delivered=1, throttled=1)),
    (once("truncated"), "auto", Expected(1, 1, delivered=1)),
    (once("reset_before"), "always", Expected(1, 2, delivered=1, retries=1, resent=1)),
    (
        once("reset_after"),
        "always",
        Expected(1, 2, delivered=1, retries=1),
    ),  # refused as a duplicate that is this very row
    (once("reset_before"), "never", Expected(0, 1, codes=("in_doubt",))),
]


@pytest.mark.parametrize(
    ("fault", "resend", "expected"), NOT_IDEMPOTENT, ids=lambda value: getattr(value, "kind", None)
)
def test_a_lost_reply_of_a_request_that_is_not_idempotent_leaves_the_row_in_doubt(
    fault: Fault, resend: str, expected: Expected
) -> None:
    with KlaviyoSimulator(faults=[replace(fault, path=PROFILES)]) as klaviyo:
        ran = run(klaviyo, people(1), template="create_profile", resend=resend, timeout_seconds=1)
        check(klaviyo, ran, expected, len(klaviyo.profiles), PROFILES)


def test_with_resend_never_rows_of_idempotent_requests_are_in_doubt_too() -> None:
    with KlaviyoSimulator(faults=[once("reset_after")]) as klaviyo:
        ran = run(klaviyo, people(ROWS), resend="never")
        check(klaviyo, ran, Expected(1, 1, codes=("in_doubt",) * ROWS), len(klaviyo.jobs), IMPORTS)


def test_a_lost_reply_does_not_affect_other_requests() -> None:
    with KlaviyoSimulator(faults=[once("reset_after", after=3)]) as klaviyo:
        ran = run(klaviyo, people(50), max_rows=5, rate_limit="none")
    assert (ran.report.delivered, ran.report.resent, ran.report.retries) == (50, 5, 1)
    assert len(klaviyo.profiles) == 50
    assert len(klaviyo.jobs) == 11


def test_a_wrong_key_costs_one_request_and_no_row() -> None:
    with KlaviyoSimulator(api_keys=["pk_another_key"]) as klaviyo:
        ran = run(klaviyo, people(100), max_rows=10, rate_limit="none")
        assert len(klaviyo.requests) == 1
    assert (ran.report.unsent, ran.report.rows) == (100, 100)
    assert ran.report.stopped is not None
    assert ran.report.stopped[0] == "unauthorized"


def test_a_key_that_is_revoked_during_a_write_stops_it_and_every_row_is_counted() -> None:
    with KlaviyoSimulator(latency=0.02) as klaviyo:
        threading.Timer(0.25, klaviyo.revoke, [KEY]).start()
        ran = run(klaviyo, people(500), max_rows=5, rate_limit="none", encoded_rows=50)
        taken = [request for request in klaviyo.requests if request.status == 202]
        refused = [request for request in klaviyo.requests if request.status == 401]
    report = ran.report
    assert report.adds_up()
    assert report.stopped is not None
    assert report.stopped[0] == "unauthorized"
    assert 0 < report.accepted == 5 * len(taken) == len(klaviyo.profiles)
    assert 1 <= len(refused) <= 4  # at most those in flight
    assert report.rows - report.accepted == report.unsent > 0


def test_no_redirect_is_followed_and_no_key_is_sent_elsewhere() -> None:
    with KlaviyoSimulator() as elsewhere:
        fault = once("redirect", location=f"{elsewhere.url}{IMPORTS}")
        with KlaviyoSimulator(faults=[fault]) as klaviyo:
            ran = run(klaviyo, people(2))
        assert elsewhere.requests == []
    assert ran.report.unsent == 2


def test_a_retry_after_date_counts_from_the_servers_clock() -> None:
    later = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=9), usegmt=True)
    with KlaviyoSimulator(faults=[status(429, retry_after=later)]) as klaviyo:
        ran = run(klaviyo, people(ROWS), clock=ScaledClock(60.0))
        first, second = [request.at for request in klaviyo.requests if request.path == IMPORTS]
    assert (ran.report.delivered, ran.report.throttled) == (ROWS, 1)
    assert 7 <= (second - first) * 60 < 30
