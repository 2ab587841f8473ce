"""Rolling windows: never more than `q` requests in ANY `w` seconds, which fits fixed windows of whatever phase.

A request counts from its turn until `w` seconds after its answer, as it arrived somewhere between the two.
Uploads take long, so the doubt is bounded: `slack` seconds after its turn it is taken to have arrived.
Pure: the time is passed in. Not locked.
"""

from __future__ import annotations

import heapq
from collections import deque
from itertools import islice


def slack(seconds: float) -> float:
    """How long after its turn a request may still be on its way, as a window of so many seconds takes it."""
    return min(0.25 * seconds, 1.5)


class Rolling:
    """One window: `quota` turns in any `seconds`, of which `ours` are for us."""

    def __init__(self, quota: float, seconds: float) -> None:
        self.quota, self.seconds = quota, seconds
        self.ours = quota
        self._open: deque[float] = deque()  # turns without an answer, oldest first
        self._closed: list[float] = []  # heap of arrivals still inside the window

    @property
    def inside(self) -> int:
        """Our turns that count now (after `move`)."""
        return len(self._open) + len(self._closed)

    @property
    def pending(self) -> int:
        """Our turns without an answer."""
        return len(self._open)

    def since(self, moment: float) -> int:
        """Our turns that arrived since a moment and were answered."""
        return sum(arrived >= moment for arrived in self._closed)

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

    def forget(self, until: float) -> None:
        """A fixed window of Klaviyo's ended then: what arrived before counts no more."""
        self._closed = [arrived for arrived in self._closed if arrived > until]
        heapq.heapify(self._closed)

    @property
    def free(self) -> int:
        """Turns that may begin now (after `move`)."""
        return max(int(self.ours), 1) - self.inside

    def openings(self, turns: int) -> list[float]:
        """When each of the next so many turns may begin at the earliest; in the past for at once.

        Rather too early than too late: who comes early asks again, who comes late leaves a turn unused.
        """
        free = self.free
        times = [0.0] * min(max(free, 0), turns)
        first, reach = max(-free, 0), turns + max(-free, 0)  # an allowance that shrank leaves a debt
        ends = heapq.nsmallest(reach, self._closed) + list(islice(self._open, reach))
        while len(times) < turns and ends:
            ends = [end + self.seconds for end in ends]
            times += ends[first:]
            first = 0
        return (times + [0.0] * turns)[:turns]
