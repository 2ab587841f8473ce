"""The rate limiter: fixed windows per account and endpoint, its headers, its 429."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_klaviyo.simulator import KlaviyoSimulator
from spark_klaviyo.simulator.http.limits import Limiter
from tests.simulator.wire_client import Got, ManualClock, call

M = ((10, 1), (150, 60))


def lists(klaviyo: KlaviyoSimulator, **headers: str) -> Got:
    return call(klaviyo, "GET", "/api/lists", headers=headers)


def test_the_second_and_the_minute_are_enforced_and_end() -> None:
    clock = ManualClock()
    with KlaviyoSimulator(burst=2, steady=5, phase=0.0, clock=clock) as klaviyo:
        assert [lists(klaviyo).status for _ in range(3)] == [200, 200, 429]
        clock.seconds += 1
        assert [lists(klaviyo).status for _ in range(2)] == [200, 200]
        clock.seconds += 1
        got = lists(klaviyo)  # 3 refused or granted in the first second, 2 in the second: the minute is full
        assert (got.status, got.headers["Retry-After"]) == (429, "58")
        clock.seconds += 58
        assert lists(klaviyo).status == 200


def test_a_throttled_reply_is_the_recorded_document() -> None:
    with KlaviyoSimulator(burst=1, phase=0.0, clock=ManualClock()) as klaviyo:
        lists(klaviyo)
        got = lists(klaviyo)
        (error,) = got.errors

    assert (got.status, got.headers["Retry-After"]) == (429, "1")
    assert "Content-Type" not in got.headers
    assert not [name for name in got.headers if name.startswith("RateLimit")]
    assert (error["code"], error["title"]) == ("throttled", "Request was throttled.")
    assert error["detail"] == "Request was throttled. Expected available in 1 second."
    assert error["source"] == {"pointer": "/data"}
    assert error["links"]["type"].endswith("#rate-limits")


def test_a_throttled_reply_may_have_a_content_type() -> None:
    with KlaviyoSimulator(burst=1, phase=0.0, clock=ManualClock(), throttle_content_type=True) as klaviyo:
        lists(klaviyo)
        assert lists(klaviyo).headers["Content-Type"] == "application/vnd.api+json"


def test_refusals_count_but_bad_keys_do_not() -> None:
    with KlaviyoSimulator(burst=3, phase=0.0, clock=ManualClock()) as klaviyo:
        for _ in range(5):
            assert lists(klaviyo, Authorization="Klaviyo-API-Key no").status == 401
        statuses = [call(klaviyo, "POST", "/api/lists", {"data": {}}).status for _ in range(4)]

    assert statuses == [400, 400, 400, 429]


def test_a_get_and_a_post_on_one_path_have_separate_windows_and_all_keys_share_them() -> None:
    with KlaviyoSimulator(burst=1, phase=0.0, clock=ManualClock()) as klaviyo:
        first = lists(klaviyo)
        other_key = lists(klaviyo, Authorization="Klaviyo-API-Key pk_other")
        install = lists(klaviyo, Authorization="Bearer token")
        write = call(klaviyo, "POST", "/api/lists", {})

    assert [first.status, other_key.status, install.status, write.status] == [200, 429, 200, 400]


@pytest.mark.parametrize(("counts", "passes"), [(True, 429), (False, 200)])
def test_whether_a_429_counts_is_a_switch(counts: bool, passes: int) -> None:
    clock = ManualClock()
    with KlaviyoSimulator(burst=2, steady=3, phase=0.0, clock=clock, limited_counts=counts) as klaviyo:
        for _ in range(4):
            lists(klaviyo)
        clock.seconds += 1
        assert lists(klaviyo).status == passes


def test_published_limits_are_those_of_each_endpoint() -> None:
    with KlaviyoSimulator(limits="published", phase=0.0, clock=ManualClock()) as klaviyo:
        accounts = [call(klaviyo, "GET", "/api/accounts").status for _ in range(2)]
        many = {lists(klaviyo).status for _ in range(20)}
        counted = "/api/lists/Y6nRLr?additional-fields%5Blist%5D=profile_count"
        costly = [call(klaviyo, "GET", counted).status for _ in range(2)]

    assert (accounts, many, costly) == ([200, 429], {200}, [200, 429])


def test_without_limits_nothing_is_throttled_but_the_headers_are_sent() -> None:
    with KlaviyoSimulator(phase=0.0, clock=ManualClock()) as klaviyo:
        replies = [call(klaviyo, "GET", "/api/accounts") for _ in range(4)]

    assert {got.status for got in replies} == {200}
    assert replies[-1].headers["RateLimit-Limit"] == "1, 1;w=1, 15;w=60"
    assert replies[-1].headers["RateLimit-Remaining"] == "0"


SECOND, MINUTE = "10, 10;w=1, 150;w=60", "150, 10;w=1, 150;w=60"


@pytest.mark.parametrize(
    ("window", "first", "later"),
    [
        ("second", [SECOND, "9", "0"], [SECOND, "9", "0"]),
        ("minute", [MINUTE, "149", "59"], [MINUTE, "8", "44"]),
        ("fewest", [SECOND, "9", "0"], [MINUTE, "8", "44"]),
    ],
)
def test_the_headers_name_one_of_the_windows(window: str, first: list[str], later: list[str]) -> None:
    limiter = Limiter(on=True, phase=0.0, header_window=window)
    limiter.admit("account", "x", M, -0.5)  # the minute before

    seen = limiter.admit("account", "x", M, 0.5)
    for call_number in range(140):
        limiter.admit("account", "x", M, 1.5 + call_number // 10)
    near_the_end = limiter.admit("account", "x", M, 15.75)

    assert list(seen.headers.values()) == first
    assert list(near_the_end.headers.values()) == later


def test_the_phase_of_the_minute_differs_by_endpoint_and_stays() -> None:
    def waits(seed: int, endpoint: str) -> int:
        limiter = Limiter(on=True, steady=1, seed=seed)
        limiter.admit("account", endpoint, M, 0.0)
        return limiter.admit("account", endpoint, M, 0.0).wait_seconds

    assert len({waits(1, f"endpoint {number}") for number in range(20)}) > 10
    assert waits(1, "x") == waits(1, "x")
    assert len({waits(seed, "x") for seed in range(20)}) > 10


def test_a_day_is_a_third_window() -> None:
    limiter = Limiter(on=True, phase=0.0)
    quotas = (*M, (20, 86_400))
    granted = [limiter.admit("account", "create_list", quotas, float(second)).granted for second in range(0, 250, 10)]

    assert granted.count(True) == 20
    assert limiter.admit("account", "create_list", quotas, 86_401.0).granted


@given(
    gaps=st.lists(st.floats(0, 3, allow_nan=False), min_size=1, max_size=200),
    phase=st.one_of(st.none(), st.floats(0, 60)),
    counts=st.booleans(),
)
def test_no_window_grants_more_than_its_quota_and_waiting_for_retry_after_is_enough(
    gaps: list[float], phase: float | None, counts: bool
) -> None:
    limiter = Limiter(on=True, burst=3, steady=20, phase=phase, limited_counts=counts)
    granted: list[float] = []
    for now in itertools.accumulate(gaps):
        admission = limiter.admit("account", "x", M, now)
        if admission.granted:
            granted.append(now)
        else:
            assert 1 <= admission.wait_seconds <= 60

    # any 60 s touch at most two minute windows, any single second two burst windows
    for moment in granted:
        assert sum(moment <= other < moment + 60 for other in granted) <= 40
        assert sum(moment <= other < moment + 1 for other in granted) <= 6


@given(st.floats(0, 200), st.integers(1, 30))
def test_a_request_after_the_asked_wait_passes(now: float, calls: int) -> None:
    limiter = Limiter(on=True, burst=2, steady=5, limited_counts=False)
    for _ in range(calls):
        admission = limiter.admit("account", "x", M, now)
        while not admission.granted:
            now += admission.wait_seconds + 1e-6
            admission = limiter.admit("account", "x", M, now)


def test_simulated_time_can_run_faster() -> None:
    clock = ManualClock()
    with KlaviyoSimulator(burst=1, phase=0.0, clock=clock, speed=60.0) as klaviyo:
        lists(klaviyo)
        assert lists(klaviyo).status == 429
        clock.seconds += 0.02  # 1.2 simulated seconds
        assert lists(klaviyo).status == 200
        assert [round(request.at, 3) for request in klaviyo.requests] == [0.0, 0.0, 1.2]
