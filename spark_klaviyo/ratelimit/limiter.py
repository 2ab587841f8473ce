"""The account's quota: who may send when. Every request takes a turn first and reports its reply afterwards."""

from __future__ import annotations

import threading
from typing import Protocol

from spark_klaviyo.core.clock import Clock, SystemClock
from spark_klaviyo.core.models import Quota, Reply
from spark_klaviyo.core.stop import Stop
from spark_klaviyo.ratelimit.endpoint_limiter import EndpointLimiter, Seen


class RateLimiter(Protocol):
    """Hands out turns. `route` names the endpoint: method and unfilled path."""

    def acquire(self, route: str, quota: Quota, stop: Stop) -> bool:
        """Wait for a turn; False when stopped meanwhile. `quota` holds until replies list the account's own."""

    def observe(self, route: str, reply: Reply) -> None:
        """Learn from the reply to a turn. Called once for each turn."""


class Unlimited:
    """No limit at all (`rate_limit=none`): throttling is met by waiting, as each 429 asks."""

    def acquire(self, route: str, quota: Quota, stop: Stop) -> bool:  # noqa: ARG002
        """Always at once."""
        return not stop.is_set()

    def observe(self, route: str, reply: Reply) -> None:
        """Learns nothing."""


class LocalRateLimiter:
    """One pace for the threads of one process.

    `share` is the part of the quota that is certainly its own: 1.0 where it hands out turns for everybody (a
    neighbour is yielded to all the same), k/n where it is one of several that cannot talk to each other, None where
    nobody knows of how many (guessed from what replies give away). `learns=False` keeps the quotas that `take` is
    given, whatever replies list.
    """

    def __init__(self, clock: Clock | None = None, *, share: float | None = 1.0, learns: bool = True) -> None:
        self._clock: Clock = clock or SystemClock()
        self._share, self._learns = share, learns
        self._lock = threading.Lock()
        self._endpoints: dict[str, EndpointLimiter] = {}

    def acquire(self, route: str, quota: Quota, stop: Stop) -> bool:
        """Wait for a turn; False when stopped meanwhile."""
        while not stop.is_set():
            wait = self.ask(route, quota)
            if wait <= 0:
                return True
            self._clock.wait(wait, stop)
        return False

    def observe(self, route: str, reply: Reply) -> None:
        """Count the answer and learn from it."""
        self.learn(route, Seen.of(reply, learns=self._learns))

    def ask(self, route: str, quota: Quota) -> float:
        """0.0 when a turn begins now; else the seconds to stay away before asking again."""
        with self._lock:
            return self._of(route, quota).ask(self._clock.now())

    def learn(self, route: str, seen: Seen) -> None:
        """What a reply to a turn taught, wherever it was taken."""
        with self._lock:
            if route in self._endpoints:
                self._endpoints[route].saw(seen, self._clock.now())

    def _of(self, route: str, quota: Quota) -> EndpointLimiter:
        if route not in self._endpoints:
            self._endpoints[route] = EndpointLimiter(quota, self._share)
        return self._endpoints[route]
