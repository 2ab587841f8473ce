"""A clock that runs faster than real time, for benchmarks and tests with real threads and sockets."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone

from spark_klaviyo.core.clock import Clock, Stop


class ScaledClock(Clock):
    """`speed` simulated seconds pass in each real one. Picklable on one host."""

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self._began = time.monotonic()
        self._began_at = datetime.now(timezone.utc)

    def now(self) -> float:
        """Simulated monotonic seconds."""
        return time.monotonic() * self.speed

    def wall(self) -> datetime:
        """UTC time, running `speed` times as fast since this clock was made."""
        return self._began_at + timedelta(seconds=(time.monotonic() - self._began) * self.speed)

    def wait(self, seconds: float, stop: Stop) -> bool:
        """Sleep simulated seconds, or wake at once when stopped."""
        return stop.wait(seconds / self.speed)
