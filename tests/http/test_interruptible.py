"""Requests that an interruption does not wait for."""

from __future__ import annotations

import threading
import time

import pytest

from spark_klaviyo.core.clock import Stop
from spark_klaviyo.core.codes import Failure, StopCode
from spark_klaviyo.core.models import Reply
from spark_klaviyo.core.secrets import Credentials, Secret
from spark_klaviyo.http.transport import ABANDON_SECONDS, Transport
from tests.http.loopback_server import Loopback, drip, reply, silent_after


def interruptible(server: Loopback, stop: Stop) -> Transport:
    credentials = Credentials(Secret("pk_recognisable_key"))
    return Transport(server.url, {}, credentials, timeout_seconds=60.0, interrupted_by=stop)


def test_replies_come_as_from_the_transport_itself() -> None:
    with Loopback([reply(201, b'{"data":{}}')]) as server:
        sender = interruptible(server, Stop())
        replies = [sender.send("POST", "/x", parts=[b"{}"]) for _ in range(3)]
        sender.close()
    assert {(one.status, one.body) for one in replies} == {(201, b'{"data":{}}')}
    assert server.connections == 1


@pytest.mark.parametrize("answer", [silent_after(b""), silent_after(b"HTTP/1.1 202 X\r\nA: "), drip(b"x" * 900, 0.1)])
def test_an_answer_that_hangs_counts_as_lost_soon_after_an_interruption(answer: object) -> None:
    stop, replies = Stop(), list[Reply]()
    with Loopback([answer]) as server:  # type: ignore[list-item]
        sender = interruptible(server, stop)
        threads = [threading.Thread(target=lambda: replies.append(sender.send("POST", "/x"))) for _ in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(0.2)
        began = time.monotonic()
        stop.set(StopCode.INTERRUPTED)
        for thread in threads:
            thread.join(10.0)
        seconds = time.monotonic() - began
        sender.close()
    assert [(one.status, one.failure, one.answer_lost) for one in replies] == [(None, Failure.ABANDONED, True)] * 3
    assert seconds < ABANDON_SECONDS + 2.0


def test_other_reasons_to_stop_wait_for_requests_in_flight() -> None:
    stop = Stop()
    stop.set(StopCode.TOO_MANY_REJECTS)
    with Loopback([drip(b"HTTP/1.1 204 X\r\n\r\n", 0.08)]) as server:
        sender = interruptible(server, stop)
        assert sender.send("POST", "/x").status == 204
        sender.close()
