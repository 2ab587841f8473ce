"""Simulated time: real time since the start, stretched by a factor, so that minute windows can pass in a test."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import datetime, timezone


class SimulatedClock:
    """Counts simulated seconds; `source` gives real seconds and may be replaced by a test's own."""

    def __init__(self, speed: float = 1.0, source: Callable[[], float] = time.monotonic) -> None:
        self.speed = speed
        self._source = source
        self._began = source()
        self._epoch = time.time()

    def elapsed(self) -> float:
        """Simulated seconds since the simulator was made."""
        return (self._source() - self._began) * self.speed

    def now(self) -> float:
        """Simulated Unix time."""
        return self._epoch + self.elapsed()


def iso(moment: float, *, fraction: bool = True) -> str:
    """A Unix time as Klaviyo writes it: `2026-10-05T08:00:07.131026+00:00`."""
    stamp = datetime.fromtimestamp(moment, timezone.utc)
    return stamp.isoformat(timespec="microseconds" if fraction else "seconds")


ISO = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)(?:[Tt ](?P<minute>\d\d:\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?"
    r"(?P<zone>[Zz]|[+-]\d\d:?\d\d)?)?\Z"
)


def read_time(text: str) -> float | None:
    """Unix time of an ISO 8601 text, or None where it is none; a time without zone is UTC."""
    match = ISO.match(text)
    if match is None:
        return None
    zone = (match["zone"] or "Z").upper().replace(":", "")
    written = f"{match['day']}T{match['minute'] or '00:00'}:{match['second'] or '00'}{'+0000' if zone == 'Z' else zone}"
    try:
        moment = datetime.strptime(written, "%Y-%m-%dT%H:%M:%S%z").timestamp()
    except (ValueError, OverflowError):
        return None
    return moment + float(f"0.{match['fraction'] or 0}")
