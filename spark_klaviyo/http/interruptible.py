"""Requests that an interruption does not wait for: their answers count as lost, and the write can still report."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

from spark_klaviyo.core.clock import Stop
from spark_klaviyo.core.codes import Failure, StopCode
from spark_klaviyo.core.models import Reply
from spark_klaviyo.http.body import Part
from spark_klaviyo.http.transport import Query, Transport

POLL_SECONDS = 0.2
ABANDON_SECONDS = 1.0  # that requests in flight get for their answers once the write is interrupted


class Interruptible:
    """Sends with `transport`, each request in a daemon thread of its own, which may hang without harm."""

    def __init__(self, transport: Transport, stop: Stop) -> None:
        self._transport, self._stop = transport, stop

    def send(self, method: str, path: str, *, query: Query = (), parts: Sequence[Part] = ()) -> Reply:
        """Send one request; the reply, or the reason why none came."""
        answers: queue.SimpleQueue[Reply] = queue.SimpleQueue()
        began, until = time.monotonic(), float("inf")

        def send() -> None:
            answers.put(self._transport.send(method, path, query=query, parts=parts))

        threading.Thread(target=send, name="klaviyo-request", daemon=True).start()
        while time.monotonic() < until:
            with suppress(queue.Empty):
                return answers.get(timeout=POLL_SECONDS)
            if self._stop.code is StopCode.INTERRUPTED:
                until = min(until, time.monotonic() + ABANDON_SECONDS)
        return Reply(None, seconds=time.monotonic() - began, failure=Failure.ABANDONED)

    def close(self) -> None:
        """Close all connections but those of abandoned requests, which end within their own time limits."""
        self._transport.close()
