"""Requests that an interruption does not wait for: their answers count as lost, and the write can still report."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence

from spark_klaviyo.core.clock import Stop
from spark_klaviyo.core.codes import Failure, StopCode
from spark_klaviyo.core.models import Reply
from spark_klaviyo.http.body import Part
from spark_klaviyo.http.transport import Query, Transport

POLL_SECONDS = 0.2
ABANDON_SECONDS = 1.0  # that requests in flight get for their answers once the write is interrupted

Call = tuple[Callable[[], Reply], "queue.SimpleQueue[Reply]"]
Calls = queue.SimpleQueue[Call | None]


class Interruptible:
    """Sends with `transport`, each calling thread through a daemon thread of its own, which may hang without harm."""

    def __init__(self, transport: Transport, stop: Stop) -> None:
        self._transport, self._stop = transport, stop
        self._local = threading.local()
        self._calls: list[Calls] = []
        self._unanswered: set[int] = set()

    def send(self, method: str, path: str, *, query: Query = (), parts: Sequence[Part] = ()) -> Reply:
        """Send one request; the reply, or the reason why none came."""
        answers: queue.SimpleQueue[Reply] = queue.SimpleQueue()
        began, until = time.monotonic(), float("inf")
        self._unanswered.add(id(answers))
        self._thread().put((lambda: self._transport.send(method, path, query=query, parts=parts), answers))
        while time.monotonic() < until:
            try:
                reply = answers.get(timeout=POLL_SECONDS)
                self._unanswered.discard(id(answers))
                return reply
            except queue.Empty:
                if self._stop.code is StopCode.INTERRUPTED:
                    until = min(until, time.monotonic() + ABANDON_SECONDS)
        self._local.calls = None
        return Reply(None, seconds=time.monotonic() - began, failure=Failure.ABANDONED)

    def close(self) -> None:
        """Close all connections, unless requests were abandoned: they end within their own time limits."""
        for calls in self._calls:
            calls.put(None)
        if not self._unanswered:
            self._transport.close()

    def _thread(self) -> Calls:
        calls: Calls | None = getattr(self._local, "calls", None)
        if calls is None:
            calls = self._local.calls = queue.SimpleQueue()
            self._calls.append(calls)
            threading.Thread(target=_run, args=(calls,), name="klaviyo-request", daemon=True).start()
        return calls


def _run(calls: Calls) -> None:
    while (call := calls.get()) is not None:
        send, answers = call
        answers.put(send())
