"""A clock whose time passes only when it is waited on."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone

from spark_klaviyo.core.clock import Clock, Stop


class VirtualClock(Clock):
    """Each wait advances the time at once and returns. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = 1000.0
        self.waits: list[float] = []

    def now(self) -> float:
        return self._now

    def wall(self) -> datetime:
        return datetime(2026, 10, 15, tzinfo=timezone.utc) + timedelta(seconds=self._now)

    def pass_by(self, seconds: float) -> None:
        with self._lock:
            self._now += seconds

    def wait(self, seconds: float, stop: Stop) -> bool:
        if stop.is_set():
            return True
        self.waits.append(seconds)
        self.pass_by(max(seconds, 0.0))
        return stop.is_set()
