"""Where a running write stands, and what follows from a few such moments: rate, time left, a line."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from spark_klaviyo.report.text import counted, duration

WINDOW_SECONDS = 60.0  # the rate is that of the last minute, the longest of Klaviyo's windows
BAR_WIDTH = 24


@dataclass(frozen=True)
class Snapshot:
    """The counts of a write `seconds` after its start. `rows_total` is None where nobody knows; `quota` is 0 to 1."""

    rows: int = 0
    requests: int = 0
    bytes: int = 0
    throttled: int = 0
    rows_total: int | None = None
    quota: float | None = None
    seconds: float = 0.0

    @property
    def done(self) -> float | None:
        """The share of rows done, 0 to 1; None where the total is not known."""
        return min(self.rows / self.rows_total, 1.0) if self.rows_total else None


@dataclass
class Pulse:
    """The snapshots of the last minute."""

    recent: deque[Snapshot] = field(default_factory=lambda: deque([Snapshot()]))

    def beat(self, snapshot: Snapshot) -> None:
        """Take in the newest snapshot; let go of those older than the window, but for the last such."""
        self.recent.append(snapshot)
        while len(self.recent) > 2 and self.recent[1].seconds <= snapshot.seconds - WINDOW_SECONDS:
            self.recent.popleft()

    @property
    def now(self) -> Snapshot:
        """The newest snapshot."""
        return self.recent[-1]

    @property
    def rate(self) -> float:
        """Rows a second over the window."""
        first, last = self.recent[0], self.recent[-1]
        passed = last.seconds - first.seconds
        return max(last.rows - first.rows, 0) / passed if passed > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes at this rate; None where that cannot be told."""
        total = self.now.rows_total
        return max(total - self.now.rows, 0) / self.rate if total and self.rate else None

    def parts(self) -> list[str]:
        """What there is to say, the most wanted first."""
        now, left = self.now, self.seconds_left
        said = [f"{now.rows:,} of {counted(now.rows_total, 'row')}" if now.rows_total else counted(now.rows, "row")]
        said += [f"{duration(left)} left"] if left is not None else [duration(now.seconds)]
        said += [f"{self.rate:,.0f} rows/s", counted(now.requests, "request")]
        said += [f"quota {now.quota:.0%}"] if now.quota is not None else []
        return [*said, f"{now.throttled:,} throttled"] if now.throttled else said


def bar(done: float, full: str = "━", empty: str = "─", width: int = BAR_WIDTH) -> str:
    """A bar of `width` characters, full up to `done` (0 to 1)."""
    filled = int(done * width)
    return full * filled + empty * (width - filled)


def line(pulse: Pulse, columns: int, *, plain: bool = False) -> str:
    """One line of at most `columns` characters; what does not fit is left out. `plain`: ASCII alone."""
    done, parts = pulse.now.done, pulse.parts()
    heads = ["klaviyo  ", ""]
    if done is not None:
        drawn = bar(done, *("#", ".") if plain else ())
        heads = [f"klaviyo {drawn} {done:4.0%}  ", f"klaviyo {done:4.0%}  ", f"{done:4.0%}  "]
    head = next((head for head in heads if len(head + parts[0]) <= columns), heads[-1])
    dot = " - " if plain else " · "
    while len(head + dot.join(parts)) > columns and parts:
        parts.pop()
    return (head + dot.join(parts)).rstrip()[:columns]
