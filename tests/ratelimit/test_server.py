"""The keeper over real sockets: turns, counts, the word to stop, and what happens without it."""

from __future__ import annotations

import pickle
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from spark_klaviyo.core.clock import ScaledClock, SystemClock
from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.core.models import Quota, Reply
from spark_klaviyo.core.stop import Stop
from spark_klaviyo.ratelimit.client import Heartbeat, RateLimitClient, RemoteRateLimiter
from spark_klaviyo.ratelimit.limiter import LocalRateLimiter, Unlimited
from spark_klaviyo.ratelimit.server import RateLimitAddress, RateLimitServer
from tests.core.virtual_clock import VirtualClock

QUOTA = Quota(((3, 1.0), (5, 60.0)))


class Counting:
    """A pace that only counts, in the place of the share that a task falls back to."""

    def __init__(self) -> None:
        self.turns = 0

    def acquire(self, route: str, quota: Quota, stop: Stop) -> bool:
        self.turns += bool(route and quota) and not stop.is_set()
        return not stop.is_set()

    def observe(self, route: str, reply: Reply) -> None:
        assert route
        assert reply


class Lines:
    """Every line of a test, hung up at its end."""

    def __init__(self) -> None:
        self.links: list[RateLimitClient] = []

    def link(self, address: RateLimitAddress) -> RateLimitClient:
        self.links.append(RateLimitClient(address))
        return self.links[-1]

    def limiter(self, address: RateLimitAddress, clock: VirtualClock | None = None) -> RemoteRateLimiter:
        return RemoteRateLimiter(self.link(address), Counting(), clock or VirtualClock())


@pytest.fixture
def lines() -> Iterator[Lines]:
    made = Lines()
    yield made
    for link in made.links:
        link.close()


def test_all_tasks_together_keep_the_quota(lines: Lines) -> None:
    clock = VirtualClock()
    with RateLimitServer(clock) as rate_limit_server:
        tasks = [lines.limiter(rate_limit_server.address, clock) for _ in range(3)]
        taken = []
        for turn in range(10):
            assert tasks[turn % 3].acquire("POST /x", QUOTA, Stop())
            taken.append(clock.now())
    assert taken[3] - taken[0] >= 1.0
    assert taken[5] - taken[0] >= 60.0


def test_what_a_429_taught_one_task_holds_for_all(lines: Lines) -> None:
    clock = VirtualClock()
    with RateLimitServer(clock) as rate_limit_server:
        one, other = lines.limiter(rate_limit_server.address, clock), lines.limiter(rate_limit_server.address, clock)
        assert one.acquire("POST /x", QUOTA, Stop())
        one.observe("POST /x", Reply(429, {"retry-after": "40"}))
        keeper_has_heard(one)
        began = clock.now()
        assert other.acquire("POST /x", QUOTA, Stop())
    assert clock.now() - began >= 40.0


def keeper_has_heard(limiter: RemoteRateLimiter) -> None:
    """Messages of one line are answered in order, so that an answered one proves the others were read."""
    assert limiter.acquire("GET /other", Quota(()), Stop())


def test_limits_that_a_reply_lists_hold_for_all(lines: Lines) -> None:
    clock = VirtualClock()
    with RateLimitServer(clock) as rate_limit_server:
        one, other = lines.limiter(rate_limit_server.address, clock), lines.limiter(rate_limit_server.address, clock)
        assert one.acquire("POST /x", QUOTA, Stop())
        one.observe("POST /x", Reply(202, {"ratelimit-limit": "2, 2;w=1, 2;w=60"}))
        keeper_has_heard(one)
        began = clock.now()
        assert [other.acquire("POST /x", QUOTA, Stop()) for _ in range(2)] == [True, True]
    assert clock.now() - began >= 59.0


def test_endpoints_have_quotas_of_their_own(lines: Lines) -> None:
    clock = VirtualClock()
    with RateLimitServer(clock) as rate_limit_server:
        task, began = lines.limiter(rate_limit_server.address, clock), clock.now()
        assert all(task.acquire(f"GET /{number}", QUOTA, Stop()) for number in range(50))
    assert clock.now() == began


def test_progress_is_the_sum_of_what_tasks_last_said(lines: Lines) -> None:
    with RateLimitServer() as rate_limit_server:
        link = lines.link(rate_limit_server.address)
        link.ask({"progress": {"rows": 5, "requests": 1}, "task": "0"})
        link.ask({"progress": {"rows": 9, "requests": 2}, "task": "0"})
        link.ask({"progress": {"rows": 1}, "task": "1"})
        assert rate_limit_server.counts() == {"rows": 10, "requests": 2}
        assert rate_limit_server.tasks() == {"0": {"rows": 9, "requests": 2}, "1": {"rows": 1}}


def test_the_word_to_stop_reaches_tasks_with_their_next_beat(lines: Lines) -> None:
    with RateLimitServer() as rate_limit_server:
        stop = Stop()
        beat = Heartbeat(lines.link(rate_limit_server.address), "0", lambda: {"rows": 1}, stop).start()
        rate_limit_server.stop.set(StopCode.INTERRUPTED, "the call was cancelled")
        assert stop.wait(5.0)
        beat.close()
    assert (stop.code, stop.message) == ("interrupted", "the call was cancelled")


def test_a_refused_key_in_one_task_stops_the_others(lines: Lines) -> None:
    with RateLimitServer() as rate_limit_server:
        refused, other = Stop(), Stop()
        beat = Heartbeat(lines.link(rate_limit_server.address), "0", dict, refused).start()
        refused.set(StopCode.UNAUTHORIZED, "Klaviyo refuses this key")
        beat.close()
        assert rate_limit_server.stop.wait(5.0)
        assert not lines.limiter(rate_limit_server.address).acquire("POST /x", QUOTA, other)
    assert other.code == "unauthorized"


def test_further_questions_are_answered_by_name(lines: Lines) -> None:
    seen: list[object] = []

    def register(said: object) -> int:
        seen.append(said)
        return len(seen)

    with RateLimitServer(handlers={"register": register}) as rate_limit_server:
        link = lines.link(rate_limit_server.address)
        assert link.ask({"ask": "register", "with": ["chunk", 7]}) == {"answer": 1}
        assert link.ask({"ask": "register", "with": None}) == {"answer": 2}
    assert seen == [["chunk", 7], None]


def test_who_does_not_know_the_secret_gets_nothing_and_the_secret_never_travels(lines: Lines) -> None:
    with RateLimitServer() as rate_limit_server:
        address = rate_limit_server.address
        stranger = lines.link(RateLimitAddress(address.host, address.port, b"guessed"))
        assert stranger.ask({"take": "POST /x", "quota": []}) is None
        assert stranger.lost
        assert repr(address.secret) not in repr(address)
        assert len(address.secret) >= 16
        assert pickle.loads(pickle.dumps(address)) == address


def test_nonsense_ends_a_line_and_nothing_else(lines: Lines) -> None:
    with RateLimitServer() as rate_limit_server:
        for nonsense in ({"take": "x"}, {"ask": "nobody"}, {"saw": "x", "seen": {}}, {"progress": 3, "task": "0"}):
            assert lines.link(rate_limit_server.address).ask(nonsense) is None
        assert lines.limiter(rate_limit_server.address).acquire("POST /x", QUOTA, Stop())


def test_a_task_that_reaches_no_keeper_goes_on_with_its_share_within_seconds(lines: Lines) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the connection and never says a word
        fallback = Counting()
        address = RateLimitAddress("127.0.0.1", int(silent.getsockname()[1]), b"x")
        began = time.monotonic()
        assert RemoteRateLimiter(lines.link(address), fallback, SystemClock()).acquire("POST /x", QUOTA, Stop())
    assert time.monotonic() - began < 3.0
    assert fallback.turns == 1


def test_a_task_whose_keeper_goes_away_goes_on_with_its_share(lines: Lines) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fallback = Counting()
        address = RateLimitAddress("127.0.0.1", int(listener.getsockname()[1]), b"x")

        def hang_up() -> None:
            listener.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        task = RemoteRateLimiter(lines.link(address), fallback, SystemClock())
        assert [task.acquire("POST /x", QUOTA, Stop()) for _ in range(3)] == [True] * 3
        task.observe("POST /x", Reply(202))
        thread.join()
    assert fallback.turns == 3


def test_a_stopped_task_takes_no_turn(lines: Lines) -> None:
    stop = Stop()
    stop.set(StopCode.CLOSED)
    with RateLimitServer() as rate_limit_server:
        assert not lines.limiter(rate_limit_server.address).acquire("POST /x", QUOTA, stop)
    assert not LocalRateLimiter(VirtualClock()).acquire("POST /x", QUOTA, stop)
    assert not Unlimited().acquire("POST /x", QUOTA, stop)


def test_threads_of_one_task_share_its_line(lines: Lines) -> None:
    clock = ScaledClock(1000.0)
    with RateLimitServer(clock) as rate_limit_server:
        task, turns, began = (
            RemoteRateLimiter(lines.link(rate_limit_server.address), Counting(), clock),
            list[float](),
            clock.now(),
        )

        def work() -> None:
            while len(turns) < 12 and task.acquire("POST /x", QUOTA, Stop()):
                turns.append(clock.now() - began)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sum(turn < 60.0 for turn in turns) <= 5
