"""Time as a value that is passed in, so that tests can bring their own clock."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Protocol

from spark_klaviyo.core.stop import Stop


class Clock(Protocol):
    """Monotonic seconds, the UTC time, and a sleep that a stop interrupts."""

    def now(self) -> float:
        """Monotonic seconds."""

    def wall(self) -> datetime:
        """The current UTC time."""

    def wait(self, seconds: float, stop: Stop) -> bool:
        """Sleep; True as soon as stopped, False when the time has passed."""


class SystemClock:
    """The machine's time."""

    def now(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    def wall(self) -> datetime:
        """The machine's UTC time."""
        return datetime.now(timezone.utc)

    def wait(self, seconds: float, stop: Stop) -> bool:
        """Sleep, or wake at once when stopped."""
        return stop.wait(seconds)


def rfc3339(moment: datetime) -> str:
    """A UTC time as text with microseconds: 2026-10-15T08:30:54.120000Z."""
    return moment.astimezone(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")
