"""Rolling windows: never more than `q` requests in ANY `w` seconds, which fits fixed windows of whatever phase.

A request counts from its turn until `w` seconds after its answer, as it arrived somewhere between the two.
Uploads take long, so the doubt is bounded: `SLACK` seconds (by window) after its turn it is taken to have arrived.
Pure: the time is passed in. Not locked.
"""

from __future__ import annotations

import heapq
from collections import deque

from spark_klaviyo.records import Quota


def slack(seconds: float) -> float:
    """How long after its turn a request may still be on its way, as this window takes it."""
    return min(0.25 * seconds, 1.5)


class Rolling:
    """One window of `quota` turns in any `seconds`."""

    def __init__(self, quota: float, seconds: float) -> None:
        self.quota, self.seconds = quota, seconds
        self._open: deque[float] = deque()  # turns without an answer, oldest first
        self._closed: list[float] = []  # heap of arrivals still inside the window

    def __len__(self) -> int:
        return len(self._open) + len(self._closed)

    def move(self, now: float) -> None:
        """Forget what lies behind."""
        late = slack(self.seconds)
        while self._open and self._open[0] + late <= now:
            heapq.heappush(self._closed, self._open.popleft() + late)
        while self._closed and self._closed[0] + self.seconds <= now:
            heapq.heappop(self._closed)

    def take(self, now: float) -> None:
        """A turn begins."""
        self._open.append(now)

    def settle(self, now: float) -> None:
        """Some turn was answered. Which one makes no difference to how many are inside at any time."""
        if self._open:
            self._open.popleft()
            heapq.heappush(self._closed, now)

    def free(self) -> int:
        """Turns that may begin now (after `move`)."""
        return int(self.quota) - len(self)

    def opens(self, wanted: int) -> float:
        """When the `wanted`-th turn from now may begin at the latest; 0 for at once."""
        short = wanted - self.free()
        if short <= 0:
            return 0.0
        ends = heapq.nsmallest(short, self._closed)
        if short > len(ends):
            late = slack(self.seconds)
            ends += [turn + late for turn in list(self._open)[: short - len(ends)]]
        if not ends:
            return 0.0
        rounds = (short - 1) // max(len(self), 1)
        return ends[-1] + self.seconds * (1 + rounds)


class Turns:
    """All windows of one endpoint together."""

    def __init__(self, quota: Quota) -> None:
        self._windows = [Rolling(requests, seconds) for requests, seconds in quota.windows]
        self._promised: list[float] = []  # heap of the moments for which sleepers were told to come back
        self._shut_until = 0.0

    def ask(self, now: float) -> float:
        """0.0 when a turn begins now; else how many seconds to stay away, a different moment for each asker."""
        self._move(now)
        if now >= self._shut_until and all(window.free() > 0 for window in self._windows):
            for window in self._windows:
                window.take(now)
            return 0.0
        wanted = len(self._promised) + 1
        due = max(self._shut_until, *(window.opens(wanted) for window in self._windows), now + 0.001)
        heapq.heappush(self._promised, due)
        return due - now

    def settle(self, now: float) -> None:
        """One turn was answered."""
        self._move(now)
        for window in self._windows:
            window.settle(now)

    def shut(self, until: float) -> None:
        """No turn before this moment."""
        self._shut_until = max(self._shut_until, until)

    def resize(self, quota: Quota) -> None:
        """Other quotas: what has been counted stays, windows that are new begin empty."""
        known = {window.seconds: window for window in self._windows}
        self._windows = [known.get(seconds) or Rolling(requests, seconds) for requests, seconds in quota.windows]
        for window, (requests, _) in zip(self._windows, quota.windows, strict=True):
            window.quota = requests

    def _move(self, now: float) -> None:
        for window in self._windows:
            window.move(now)
        while self._promised and self._promised[0] <= now:
            heapq.heappop(self._promised)
