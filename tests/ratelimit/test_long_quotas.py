"""Quotas of a day or an hour: a write does not wait for them in silence."""

from __future__ import annotations

import pytest

from spark_klaviyo.core.clock import Stop
from spark_klaviyo.core.models import Reply
from spark_klaviyo.core.policy import Quota
from spark_klaviyo.ratelimit.limiter import LocalRateLimiter
from tests.core.virtual_clock import VirtualClock

DAY = Quota(((10, 1.0), (150, 60.0), (150, 86_400.0)))  # spec: create_list
ROUTE = "POST /api/lists"


def limiter_of(*, longest: float = 120.0, learns: bool = True) -> LocalRateLimiter:
    return LocalRateLimiter(VirtualClock(), learns=learns, longest_wait_seconds=longest)


def test_a_daily_quota_that_is_used_up_stops_the_write() -> None:
    limiter, stop = limiter_of(), Stop()
    for _ in range(150):
        assert limiter.acquire(ROUTE, DAY, stop)
        limiter.observe(ROUTE, Reply(201))
    assert not limiter.acquire(ROUTE, DAY, stop)
    assert stop.code == "throttled"
    assert ROUTE in stop.message
    assert "longest_wait_seconds is 120" in stop.message


@pytest.mark.parametrize(
    "headers",
    [
        {"ratelimit-limit": "1;w=86400"},
        {"ratelimit-limit": "1, 1;w=86400", "ratelimit-remaining": "0", "ratelimit-reset": "86399"},
    ],
)
def test_a_window_that_replies_list_is_bounded_by_longest_wait_seconds(headers: dict[str, str]) -> None:
    limiter, stop = limiter_of(), Stop()
    granted = 0
    while granted < 9 and limiter.acquire(ROUTE, Quota(((10, 1.0), (150, 60.0))), stop):
        granted += 1
        limiter.observe(ROUTE, Reply(200, headers))
    assert granted <= 2
    assert stop.code == "throttled"


def test_a_full_minute_is_waited_for_however_short_longest_wait_seconds_is() -> None:
    limiter, stop, quota = limiter_of(longest=1.0), Stop(), Quota(((10, 1.0), (20, 60.0)))
    for _ in range(50):
        assert limiter.acquire(ROUTE, quota, stop)
        limiter.observe(ROUTE, Reply(200))
    assert not stop.is_set()


def test_rates_that_the_user_set_are_waited_for() -> None:
    limiter, stop, quota = limiter_of(learns=False), Stop(), Quota(((2, 3_600.0),))
    for _ in range(5):
        assert limiter.acquire(ROUTE, quota, stop)
        limiter.observe(ROUTE, Reply(200))
    assert not stop.is_set()


def test_a_longer_longest_wait_seconds_waits_for_the_window() -> None:
    limiter, stop, quota = limiter_of(longest=4_000.0), Stop(), Quota(((2, 3_600.0),))
    for _ in range(5):
        assert limiter.acquire(ROUTE, quota, stop)
        limiter.observe(ROUTE, Reply(200))
    assert not stop.is_set()
