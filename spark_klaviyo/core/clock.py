"""Time, so that tests can bring their own, its texts, and a stop signal that wakes every thread that waits on it."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timezone

from spark_klaviyo.core.codes import StopCode


class Stop:
    """A one-way flag that any thread may set; the first reason is kept."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self.code: StopCode | None = None
        self.message = ""

    @property
    def reason(self) -> tuple[StopCode, str] | None:
        """Code and message; None until it is set."""
        return None if self.code is None else (self.code, self.message)

    def set(self, code: StopCode, message: str = "") -> None:
        """Stop for this reason; later calls change nothing. The message must hold no key, body or value of a row."""
        with self._lock:
            if not self._event.is_set():
                self.code, self.message = code, message
                self._event.set()

    def is_set(self) -> bool:
        """Whether it has been set."""
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Sleep for at most so many real seconds; True as soon as it is set."""
        return self._event.wait(max(seconds, 0.0))


class Clock:
    """The machine's time; passed in wherever time matters."""

    def now(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    def wall(self) -> datetime:
        """The current UTC time."""
        return datetime.now(timezone.utc)

    def wait(self, seconds: float, stop: Stop) -> bool:
        """Sleep; True as soon as stopped, False when the time has passed."""
        return stop.wait(seconds)


def rfc3339(moment: datetime) -> str:
    """A UTC time as text with microseconds: 2026-10-15T08:30:54.120000Z."""
    return moment.astimezone(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


def time_of(text: object) -> datetime | None:
    """A time in RFC 3339, in UTC where it has no offset; None for anything else."""
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return moment if moment is None or moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)
