"""A stop signal keeps its first reason and wakes sleepers; clocks tell UTC."""

from __future__ import annotations

import pickle
import threading

import pytest

from spark_klaviyo.core.clock import Clock, Stop, rfc3339
from spark_klaviyo.core.codes import StopCode
from tests.core.scaled_clock import ScaledClock


def test_a_stop_keeps_its_first_reason() -> None:
    stop = Stop()
    stop.set(StopCode.UNAUTHORIZED, "the key is refused")
    stop.set(StopCode.CLOSED, "later")
    assert (stop.is_set(), stop.code, stop.message) == (True, "unauthorized", "the key is refused")


@pytest.mark.parametrize("clock", [Clock(), ScaledClock(10.0)])
def test_a_stop_wakes_a_sleeper_at_once(clock: Clock | ScaledClock) -> None:
    stop, woken = Stop(), list[bool]()
    thread = threading.Thread(target=lambda: woken.append(clock.wait(600.0, stop)))
    thread.start()
    stop.set(StopCode.INTERRUPTED)
    thread.join(5.0)
    assert woken == [True]


def test_a_scaled_clock_runs_faster_and_can_be_pickled() -> None:
    clock = pickle.loads(pickle.dumps(ScaledClock(1000.0)))
    began, wall = clock.now(), clock.wall()
    assert clock.wait(5.0, Stop()) is False
    assert clock.now() - began >= 4.9
    assert (clock.wall() - wall).total_seconds() >= 4.9


def test_times_are_written_in_utc_with_a_fixed_length() -> None:
    assert len(rfc3339(Clock().wall())) == len("2026-01-01T00:00:00.000000Z")
    assert rfc3339(Clock().wall()).endswith("Z")
