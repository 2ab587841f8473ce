"""Rate limiters of one process: every request acquires a permit first, and its reply is observed afterwards."""

from __future__ import annotations

import threading
from typing import Protocol

from spark_klaviyo.core.clock import Clock, SystemClock
from spark_klaviyo.core.models import Quota, Reply
from spark_klaviyo.core.stop import Stop
from spark_klaviyo.ratelimit.endpoint_limiter import EndpointLimiter


class RateLimiter(Protocol):
    """Gives permits to send. `route` names the endpoint: method and unfilled path."""

    def acquire(self, route: str, quota: Quota, stop: Stop) -> bool:
        """Wait for a permit; False when stopped first. `quota` holds until replies list the account's own."""

    def observe(self, route: str, reply: Reply) -> None:
        """Learn from the reply to a permitted request; called once for each permit."""


class Unlimited:
    """No limit (`rate_limit=none`): throttled requests wait as each 429 asks."""

    def acquire(self, route: str, quota: Quota, stop: Stop) -> bool:  # noqa: ARG002
        """Give every permit at once."""
        return not stop.is_set()

    def observe(self, route: str, reply: Reply) -> None:
        """Learn nothing."""


class LocalRateLimiter:
    """The limiter that the threads of one process share.

    `share` is the part of the quota that is certainly its own: 1.0 where it gives permits for a whole run, k/n where
    it is one of n that cannot talk to each other, None where n is unknown. With `learns=False` the quotas that
    `acquire` is given are kept, whatever replies list.
    """

    def __init__(self, clock: Clock | None = None, *, share: float | None = 1.0, learns: bool = True) -> None:
        self._clock: Clock = clock or SystemClock()
        self._share, self._learns = share, learns
        self._lock = threading.Lock()
        self._endpoints: dict[str, EndpointLimiter] = {}

    def acquire(self, route: str, quota: Quota, stop: Stop) -> bool:
        """Wait for a permit; False when stopped first."""
        while not stop.is_set():
            wait_seconds = self.try_acquire(route, quota)
            if wait_seconds <= 0:
                return True
            self._clock.wait(wait_seconds, stop)
        return False

    def try_acquire(self, route: str, quota: Quota) -> float:
        """0.0 when a permit is given; else the seconds to wait before asking again."""
        with self._lock:
            if route not in self._endpoints:
                self._endpoints[route] = EndpointLimiter(quota, self._share, learns=self._learns)
            return self._endpoints[route].try_acquire(self._clock.now())

    def observe(self, route: str, reply: Reply) -> None:
        """Count the reply and learn from it."""
        with self._lock:
            if route in self._endpoints:
                self._endpoints[route].observe(reply, self._clock.now())
