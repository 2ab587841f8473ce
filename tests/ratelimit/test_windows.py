"""Never more than the quota in any window, whatever its phase, the callers and the network do."""

from __future__ import annotations

import heapq
import random
from bisect import bisect_left

from hypothesis import given, settings
from hypothesis import strategies as st

from spark_klaviyo.core.models import Reply
from spark_klaviyo.core.policy import Quota
from spark_klaviyo.ratelimit.limiter import EndpointLimiter
from spark_klaviyo.ratelimit.windows import most_transit_seconds

windows = st.sampled_from([((3, 1.0),), ((3, 1.0), (15, 60.0)), ((10, 1.0), (30, 60.0)), ((7, 60.0),)])


def arrivals(quota: Quota, callers: int, requests: int, latency: float, seed: int, share: float = 1.0) -> list[float]:
    """When requests arrive whose callers acquire a permit, send, and ask again. Each takes up to `latency` seconds."""
    limiter, roll = EndpointLimiter(quota, share, random.Random(seed).random), random.Random(seed)
    arrived: list[float] = []
    events = [(1000.0 + roll.random() * 3, caller, "ask") for caller in range(callers)]
    heapq.heapify(events)
    while len(arrived) < requests:
        now, caller, what = heapq.heappop(events)
        if what == "answer":
            limiter.observe(Reply(200), now)
        wait = limiter.try_acquire(now)
        if wait > 0:
            heapq.heappush(events, (now + wait, caller, "ask"))
            continue
        took = latency * roll.random()
        arrived.append(now + took * roll.random())
        heapq.heappush(events, (now + took, caller, "answer"))
    return sorted(arrived)


@given(windows, st.integers(1, 12), st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_no_window_ever_holds_more_than_its_quota(
    quota: tuple[tuple[int, float], ...], callers: int, seed: int
) -> None:
    arrived = arrivals(Quota(quota), callers, 60, 0.99 * most_transit_seconds(1.0), seed)
    for requests, seconds in quota:
        for first in arrived:
            assert bisect_left(arrived, first + seconds - 1e-6) - bisect_left(arrived, first) <= requests


def test_permits_are_given_at_once_and_the_quota_is_filled() -> None:
    arrived = arrivals(Quota(((10, 1.0), (150, 60.0))), 8, 300, 0.0, 1)
    assert arrived[149] - arrived[0] < 16.5
    assert 60.0 <= arrived[150] - arrived[0] < 61.0


def test_a_half_share_uses_half_the_quota_while_nothing_is_known_of_other_tasks() -> None:
    arrived = arrivals(Quota(((10, 1.0), (150, 60.0))), 4, 150, 0.1, 1, share=0.5)
    assert arrived[75] - arrived[0] >= 60.0


def test_the_accounts_own_quota_replaces_the_published_one() -> None:
    limiter = EndpointLimiter(Quota(((1, 1.0),)))
    assert limiter.try_acquire(0.0) == 0
    assert limiter.try_acquire(0.0) > 0
    limiter.observe(Reply(200, {"ratelimit-limit": "3, 3;w=1"}), 0.1)
    assert [limiter.try_acquire(0.1), limiter.try_acquire(0.1)] == [0, 0]
    assert limiter.try_acquire(0.1) > 0


def test_no_permit_is_given_before_the_wait_of_a_429_is_over() -> None:
    limiter = EndpointLimiter(Quota(((10, 1.0), (150, 60.0))))
    limiter.try_acquire(0.0)
    limiter.observe(Reply(429, {"retry-after": "40"}), 0.2)
    assert limiter.try_acquire(1.0) >= 39.0
    assert limiter.try_acquire(40.3) == 0


def test_without_a_quota_every_permit_is_given() -> None:
    limiter = EndpointLimiter(Quota(()))
    assert [limiter.try_acquire(0.0) for _ in range(1000)] == [0.0] * 1000
    limiter.observe(Reply(429, {"retry-after": "2"}), 1.0)
    assert limiter.try_acquire(1.5) > 0
