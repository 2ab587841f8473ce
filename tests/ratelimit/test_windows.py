"""Never more than the quota in any window, whatever the phase, the askers and the network do."""

from __future__ import annotations

import heapq
import random
from bisect import bisect_left

from hypothesis import given, settings
from hypothesis import strategies as st

from spark_klaviyo.core.models import Quota
from spark_klaviyo.ratelimit.endpoint_limiter import EndpointLimiter, Seen
from spark_klaviyo.ratelimit.windows import slack

windows = st.sampled_from([((3, 1.0),), ((3, 1.0), (15, 60.0)), ((10, 1.0), (30, 60.0)), ((7, 60.0),)])


def arrivals(quota: Quota, askers: int, turns: int, latency: float, seed: int, share: float = 1.0) -> list[float]:
    """When requests arrive whose senders ask, wait as told, send, and ask again. Each takes up to `latency` seconds."""
    endpoint, roll = EndpointLimiter(quota, share, random.Random(seed).random), random.Random(seed)
    arrived: list[float] = []
    events = [(1000.0 + roll.random() * 3, asker, "ask") for asker in range(askers)]
    heapq.heapify(events)
    while len(arrived) < turns:
        now, asker, what = heapq.heappop(events)
        if what == "answer":
            endpoint.saw(Seen(), now)
        wait = endpoint.ask(now)
        if wait > 0:
            heapq.heappush(events, (now + wait, asker, "ask"))
            continue
        took = latency * roll.random()
        arrived.append(now + took * roll.random())
        heapq.heappush(events, (now + took, asker, "answer"))
    return sorted(arrived)


@given(windows, st.integers(1, 12), st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_no_window_ever_holds_more_than_its_quota(quota: tuple[tuple[int, float], ...], askers: int, seed: int) -> None:
    arrived = arrivals(Quota(quota), askers, 60, 0.99 * slack(1.0), seed)
    for requests, seconds in quota:
        for first in arrived:
            assert bisect_left(arrived, first + seconds - 1e-6) - bisect_left(arrived, first) <= requests


def test_early_turns_are_given_early_and_the_quota_is_filled() -> None:
    arrived = arrivals(Quota(((10, 1.0), (150, 60.0))), 8, 300, 0.0, 1)
    assert arrived[149] - arrived[0] < 16.5
    assert 60.0 <= arrived[150] - arrived[0] < 61.0


def test_half_a_share_is_half_the_quota_as_long_as_nothing_is_known_of_others() -> None:
    arrived = arrivals(Quota(((10, 1.0), (150, 60.0))), 4, 150, 0.1, 1, share=0.5)
    assert arrived[75] - arrived[0] >= 60.0


def test_the_accounts_own_quota_replaces_the_published_one() -> None:
    endpoint = EndpointLimiter(Quota(((1, 1.0),)))
    assert endpoint.ask(0.0) == 0
    assert endpoint.ask(0.0) > 0
    endpoint.saw(Seen(quota=Quota(((3, 1.0),))), 0.1)
    assert [endpoint.ask(0.1), endpoint.ask(0.1)] == [0, 0]
    assert endpoint.ask(0.1) > 0


def test_nobody_sends_before_a_429_allows() -> None:
    endpoint = EndpointLimiter(Quota(((10, 1.0), (150, 60.0))))
    endpoint.ask(0.0)
    endpoint.saw(Seen(throttled=True, asked_seconds=40.0), 0.2)
    assert endpoint.ask(1.0) >= 39.0
    assert endpoint.ask(40.3) == 0


def test_without_a_quota_every_turn_is_given() -> None:
    endpoint = EndpointLimiter(Quota(()))
    assert [endpoint.ask(0.0) for _ in range(1000)] == [0.0] * 1000
    endpoint.saw(Seen(throttled=True, asked_seconds=2.0), 1.0)
    assert endpoint.ask(1.5) > 0
