"""The account's quota: who may send when. Every request takes a turn first and reports its reply afterwards."""

from __future__ import annotations

import threading
from typing import Protocol

from spark_klaviyo.records import Quota, Reply
from spark_klaviyo.wire.clock import Clock, SystemClock
from spark_klaviyo.wire.quotas import listed_quota
from spark_klaviyo.wire.retry_after import asked_wait
from spark_klaviyo.wire.stop import Stop
from spark_klaviyo.wire.windows import Turns


class Pace(Protocol):
    """Hands out turns. `route` names the endpoint: method and unfilled path."""

    def take(self, route: str, quota: Quota, stop: Stop) -> bool:
        """Wait for a turn; False when stopped meanwhile. `quota` holds until replies list the account's own."""

    def saw(self, route: str, reply: Reply) -> None:
        """Learn from the reply to a turn. Called once for each turn."""


class FreePace:
    """No limit at all (`rate_limit=none`): throttling is met by waiting, as each 429 asks."""

    def take(self, route: str, quota: Quota, stop: Stop) -> bool:  # noqa: ARG002
        """Always at once."""
        return not stop.is_set()

    def saw(self, route: str, reply: Reply) -> None:
        """Learns nothing."""


class SharedPace:
    """One pace for the threads of one process, which has the whole quota to itself.

    `learns=False` keeps the quotas that `take` is given, whatever replies list.
    """

    def __init__(self, clock: Clock | None = None, *, learns: bool = True) -> None:
        self._clock: Clock = clock or SystemClock()
        self._learns = learns
        self._lock = threading.Lock()
        self._turns: dict[str, Turns] = {}

    def take(self, route: str, quota: Quota, stop: Stop) -> bool:
        """Wait for a turn; False when stopped meanwhile."""
        while not stop.is_set():
            with self._lock:
                wait = self._of(route, quota).ask(self._clock.now())
            if wait <= 0:
                return True
            self._clock.wait(wait, stop)
        return False

    def saw(self, route: str, reply: Reply) -> None:
        """Count the answer, take over the account's own quotas, and stay away as long as a 429 asks."""
        with self._lock:
            turns, now = self._of(route, Quota(())), self._clock.now()
            turns.settle(now)
            listed = listed_quota(reply.headers) if self._learns else None
            if listed:
                turns.resize(listed)
            if reply.status == 429:
                turns.shut(now + max(asked_wait(reply.headers) or 1.0, 1.0))

    def _of(self, route: str, quota: Quota) -> Turns:
        if route not in self._turns:
            self._turns[route] = Turns(quota)
        return self._turns[route]
