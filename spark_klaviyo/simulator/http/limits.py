"""Klaviyo's limiter: per pool and endpoint, fixed windows of a second, a minute and sometimes a day.

recorded 2023-10 to 2026-09: the minute begins at no known phase; 400 403 404 409 500 count, 401 does not; a 429
carries Retry-After and no RateLimit header.
"""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

Quotas = Sequence[tuple[int, int]]


@dataclass
class Window:
    """One fixed window: so many calls in `seconds`, counted from `phase`."""

    quota: int
    seconds: int
    phase: float
    index: int = -1
    count: int = 0

    def move(self, now: float) -> None:
        """Begin anew where the window of `now` is another one."""
        index = math.floor((now - self.phase) / self.seconds)
        if index != self.index:
            self.index, self.count = index, 0

    @property
    def left(self) -> int:
        """Calls still free."""
        return max(0, self.quota - self.count)

    def ends_in(self, now: float) -> float:
        """Seconds until the next window."""
        return self.phase + (self.index + 1) * self.seconds - now


@dataclass(frozen=True)
class Admission:
    """Whether a call may pass; `wait_seconds` where not, the three headers where it may."""

    wait_seconds: int = 0
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def granted(self) -> bool:
        """True for a call that reaches its endpoint."""
        return self.wait_seconds == 0


class Limiter:
    """Counts calls. Callers hold `lock` while they read the time and ask, so that time never runs backwards."""

    def __init__(
        self,
        *,
        on: bool,
        burst: int | None = None,
        steady: int | None = None,
        phase: float | None = None,
        limited_counts: bool = True,
        header_window: str = "second",
        seed: int = 0,
    ) -> None:
        self.on = on
        self.lock = threading.Lock()
        self._overrides = {1: burst, 60: steady}
        self._phase = phase
        self._limited_counts = limited_counts
        self._header_window = header_window
        self._seed = seed
        self._windows: dict[tuple[str, str], list[Window]] = {}

    def admit(self, pool: str, endpoint: str, quotas: Quotas, now: float) -> Admission:
        """Count one call of a pool (all private keys share one) on an endpoint at simulated second `now`."""
        windows = self._windows.get((pool, endpoint))
        if windows is None:
            windows = self._windows[pool, endpoint] = [self._window(pool, endpoint, *quota) for quota in quotas]
        for window in windows:
            window.move(now)
        full = [window for window in windows if window.left == 0] if self.on else []
        if not full or self._limited_counts:
            for window in windows:
                window.count += 1
        if full:
            # docs: whole seconds; the end of the window that stays shut longest, rounded up, never below 1
            return Admission(max(1, *(math.ceil(window.ends_in(now)) for window in full), 1))
        return Admission(headers=self._headers(windows, now))

    def _window(self, pool: str, endpoint: str, quota: int, seconds: int) -> Window:
        phase = self._phase
        if phase is None:  # recorded 2023-10: neither the first request nor the clock's minute begins it
            phase = random.Random(f"{self._seed}/{pool}/{endpoint}/{seconds}").random() * seconds  # noqa: S311
        return Window(self._overrides.get(seconds) or quota, seconds, phase)

    def _headers(self, windows: Sequence[Window], now: float) -> dict[str, str]:
        named = windows[0]
        if self._header_window == "minute":  # recorded 2023-10
            named = windows[1]
        elif self._header_window == "fewest":  # unsettled: the form of widespread proxies, which fits all since 2024
            named = min(windows, key=lambda window: window.left)
        listed = ", ".join(f"{window.quota};w={window.seconds}" for window in windows)
        return {
            "RateLimit-Limit": f"{named.quota}, {listed}",
            "RateLimit-Remaining": str(named.left),
            "RateLimit-Reset": str(math.floor(named.ends_in(now))),  # recorded: rounded down, 0 inside the second
        }
