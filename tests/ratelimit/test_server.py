"""The rate-limit server over real sockets: permits, counts, stops, and what happens once it is gone."""

from __future__ import annotations

import pickle
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from spark_klaviyo.core.clock import Clock, Stop
from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.core.models import Reply
from spark_klaviyo.core.policy import Quota
from spark_klaviyo.ratelimit.limiter import LocalRateLimiter, RateLimiter
from spark_klaviyo.ratelimit.server import (
    RateLimitAddress,
    RateLimitClient,
    RateLimitServer,
    RemoteRateLimiter,
)
from tests.core.scaled_clock import ScaledClock
from tests.core.virtual_clock import VirtualClock

QUOTA = Quota(((3, 1.0), (5, 60.0)))


class CountingLimiter(RateLimiter):
    """Counts permits, in place of the share that a task falls back to."""

    def __init__(self) -> None:
        super().__init__()
        self.permits = 0

    def try_acquire(self, route: str, quota: Quota, stop: Stop) -> float:
        self.permits += bool(route and quota) and not stop.is_set()
        return 0.0

    def observe(self, route: str, reply: Reply) -> None:
        assert route
        assert reply


class Clients:
    """Every connection of a test, closed at its end."""

    def __init__(self) -> None:
        self.made: list[RateLimitClient] = []

    def client(self, address: RateLimitAddress) -> RateLimitClient:
        self.made.append(RateLimitClient(address))
        return self.made[-1]

    def limiter(self, address: RateLimitAddress, clock: VirtualClock | None = None) -> RemoteRateLimiter:
        return RemoteRateLimiter(self.client(address), CountingLimiter(), clock or VirtualClock())


@pytest.fixture
def clients() -> Iterator[Clients]:
    clients = Clients()
    yield clients
    for client in clients.made:
        client.close()


def test_all_tasks_together_keep_the_quota(clients: Clients) -> None:
    clock = VirtualClock()
    with closing(RateLimitServer(LocalRateLimiter(clock))) as server:
        tasks = [clients.limiter(server.address, clock) for _ in range(3)]
        taken = []
        for number in range(10):
            assert tasks[number % 3].acquire("POST /x", QUOTA, Stop())
            taken.append(clock.now())
    assert taken[3] - taken[0] >= 1.0
    assert taken[5] - taken[0] >= 60.0


def test_a_429_of_one_task_holds_for_all(clients: Clients) -> None:
    clock = VirtualClock()
    with closing(RateLimitServer(LocalRateLimiter(clock))) as server:
        one, other = (
            clients.limiter(server.address, clock),
            clients.limiter(server.address, clock),
        )
        assert one.acquire("POST /x", QUOTA, Stop())
        one.observe("POST /x", Reply(429, {"retry-after": "40"}))
        server_has_read(one)
        began = clock.now()
        assert other.acquire("POST /x", QUOTA, Stop())
    assert clock.now() - began >= 40.0


def server_has_read(limiter: RemoteRateLimiter) -> None:
    """Messages of one connection are read in order: an answer proves that the earlier ones were read."""
    assert limiter.acquire("GET /other", Quota(()), Stop())


def test_limits_that_a_reply_lists_hold_for_all(clients: Clients) -> None:
    clock = VirtualClock()
    with closing(RateLimitServer(LocalRateLimiter(clock))) as server:
        one, other = (
            clients.limiter(server.address, clock),
            clients.limiter(server.address, clock),
        )
        assert one.acquire("POST /x", QUOTA, Stop())
        one.observe("POST /x", Reply(202, {"ratelimit-limit": "2, 2;w=1, 2;w=60"}))
        server_has_read(one)
        began = clock.now()
        assert [other.acquire("POST /x", QUOTA, Stop()) for _ in range(2)] == [True, True]
    assert clock.now() - began >= 59.0


def test_endpoints_have_quotas_of_their_own(clients: Clients) -> None:
    clock = VirtualClock()
    with closing(RateLimitServer(LocalRateLimiter(clock))) as server:
        task, began = clients.limiter(server.address, clock), clock.now()
        assert all(task.acquire(f"GET /{number}", QUOTA, Stop()) for number in range(50))
    assert clock.now() == began


def test_progress_is_the_sum_of_what_tasks_reported_last(clients: Clients) -> None:
    with closing(RateLimitServer()) as server:
        client = clients.client(server.address)
        client.call("report", "0", {"rows": 5, "requests": 1})
        client.call("report", "0", {"rows": 9, "requests": 2})
        client.call("report", "1", {"rows": 1})
        assert server.counts() == {"rows": 10, "requests": 2}


def test_a_stop_reaches_tasks_with_their_next_heartbeat(clients: Clients) -> None:
    with closing(RateLimitServer()) as server:
        stop = Stop()
        client = clients.client(server.address)
        client.start_heartbeat("0", {"rows": 1}, stop)
        server.stop.set(StopCode.INTERRUPTED, "the call was cancelled")
        assert stop.wait(5.0)
        client.close()
    assert (stop.code, stop.message) == ("interrupted", "the call was cancelled")


def test_a_refused_key_in_one_task_stops_the_others(clients: Clients) -> None:
    with closing(RateLimitServer()) as server:
        refused, other = Stop(), Stop()
        client = clients.client(server.address)
        client.start_heartbeat("0", {}, refused)
        refused.set(StopCode.UNAUTHORIZED, "Klaviyo refuses this key")
        client.close()
        assert server.stop.wait(5.0)
        assert not clients.limiter(server.address).acquire("POST /x", QUOTA, other)
    assert other.code == "unauthorized"


def test_a_client_without_the_secret_gets_no_answer_and_the_secret_is_never_sent(clients: Clients) -> None:
    with closing(RateLimitServer()) as server:
        address = server.address
        stranger = clients.client(RateLimitAddress(address.host, address.port, b"guessed"))
        assert stranger.call("acquire", "POST /x", []) is None
        assert stranger.lost
        assert repr(address.secret) not in repr(address)
        assert len(address.secret) >= 16
        assert pickle.loads(pickle.dumps(address)) == address


def test_an_unreadable_message_ends_its_own_connection_only(clients: Clients) -> None:
    with closing(RateLimitServer()) as server:
        for name, *arguments in (("acquire", "x"), ("unknown", "x"), ("observe", "x", {}), ("report", "0", 3)):
            client = clients.client(server.address)
            assert client.call(str(name), *arguments) is None
            assert client.lost
        assert clients.limiter(server.address).acquire("POST /x", QUOTA, Stop())


def test_a_task_that_reaches_no_server_goes_on_with_its_share_within_seconds(clients: Clients) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts the connection and never answers
        fallback = CountingLimiter()
        address = RateLimitAddress("127.0.0.1", int(silent.getsockname()[1]), b"x")
        began = time.monotonic()
        assert RemoteRateLimiter(clients.client(address), fallback, Clock()).acquire("POST /x", QUOTA, Stop())
    assert time.monotonic() - began < 3.0
    assert fallback.permits == 1


def test_a_task_whose_server_goes_away_goes_on_with_its_share(clients: Clients) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fallback = CountingLimiter()
        address = RateLimitAddress("127.0.0.1", int(listener.getsockname()[1]), b"x")

        def hang_up() -> None:
            listener.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        task = RemoteRateLimiter(clients.client(address), fallback, Clock())
        assert [task.acquire("POST /x", QUOTA, Stop()) for _ in range(3)] == [True] * 3
        task.observe("POST /x", Reply(202))
        thread.join()
    assert fallback.permits == 3


def test_an_answer_that_breaks_off_loses_the_connection(clients: Clients) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def break_off() -> None:
            with listener.accept()[0] as connection, connection.makefile("rwb") as stream:
                stream.write(b"nonce\n")
                stream.flush()
                stream.readline()
                stream.readline()
                stream.write(b"[12")

        thread = threading.Thread(target=break_off)
        thread.start()
        client = clients.client(RateLimitAddress("127.0.0.1", int(listener.getsockname()[1]), b"x"))
        assert client.call("handed_over", 0) is None
        thread.join()
    assert client.lost


def test_a_stopped_task_gets_no_permit(clients: Clients) -> None:
    stop = Stop()
    stop.set(StopCode.CLOSED)
    with closing(RateLimitServer()) as server:
        assert not clients.limiter(server.address).acquire("POST /x", QUOTA, stop)
    assert not LocalRateLimiter(VirtualClock()).acquire("POST /x", QUOTA, stop)
    assert not RateLimiter().acquire("POST /x", QUOTA, stop)


def test_threads_of_one_task_share_its_connection(clients: Clients) -> None:
    clock = ScaledClock(1000.0)
    with closing(RateLimitServer(LocalRateLimiter(clock))) as server:
        task, permits, began = (
            RemoteRateLimiter(clients.client(server.address), CountingLimiter(), clock),
            list[float](),
            clock.now(),
        )

        def work() -> None:
            while len(permits) < 12 and task.acquire("POST /x", QUOTA, Stop()):
                permits.append(clock.now() - began)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sum(moment < 60.0 for moment in permits) <= 5


def test_attempts_at_a_partition_are_counted_whatever_number_spark_gives_them() -> None:
    server = RateLimitServer()
    one, other, elsewhere = (RateLimitClient(server.address, partition) for partition in (3, 3, 4))
    assert not one.begin()
    assert not elsewhere.begin()
    assert not one.overtaken()
    assert other.begin()
    assert [client.overtaken() for client in (one, other, elsewhere)] == [True, False, False]
    for client in (one, other, elsewhere):
        client.close()
    server.close()
    assert not other.begin()  # lost: the number that Spark gives has to do
    assert not one.overtaken()


def test_a_client_knows_whether_any_task_has_delivered() -> None:
    server = RateLimitServer()
    client = RateLimitClient(server.address)
    assert not client.others_delivered()
    client.call("report", "1.0", {"rows": 5, "accepted": 2})
    assert client.others_delivered()
    client.close()
    server.close()
