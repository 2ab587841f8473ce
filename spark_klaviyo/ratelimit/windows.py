"""Rolling windows: never more than `quota` requests in ANY `seconds`, which satisfies fixed windows of any phase.

A request counts from its permit until `seconds` after its reply, as it arrived somewhere between the two. Uploads can
take long, so that uncertainty is bounded (`most_transit_seconds`). Pure: the time is passed in. Not thread-safe.
"""

from __future__ import annotations

from collections import deque


def most_transit_seconds(seconds: float) -> float:
    """How long after its permit a request is still assumed to be on its way, for a window of so many seconds."""
    return min(0.25 * seconds, 1.5)


class RollingWindow:
    """One window of `quota` requests, of which `allowance` are for this limiter."""

    def __init__(self, quota: float, seconds: float) -> None:
        self.quota, self.seconds = quota, seconds
        self.allowance = quota
        self._pending: deque[float] = deque()  # permits without a reply, oldest first
        self._arrived: deque[float] = deque()  # arrivals that still count, oldest first

    @property
    def pending(self) -> int:
        """Permits without a reply."""
        return len(self._pending)

    @property
    def counted(self) -> int:
        """Requests that count now (after `advance`), answered or not."""
        return len(self._pending) + len(self._arrived)

    @property
    def free(self) -> int:
        """Permits that may be given now (after `advance`); negative after the allowance has shrunk."""
        return max(int(self.allowance), 1) - self.counted

    def arrived_since(self, moment: float) -> int:
        """Answered requests that arrived since a moment."""
        return sum(arrived >= moment for arrived in self._arrived)

    def advance(self, now: float) -> None:
        """Drop what no longer counts."""
        transit = most_transit_seconds(self.seconds)
        while self._pending and self._pending[0] + transit <= now:
            self._arrived.append(self._pending.popleft() + transit)
        while self._arrived and self._arrived[0] + self.seconds <= now:
            self._arrived.popleft()

    def acquire(self, now: float) -> None:
        """Give a permit."""
        self._pending.append(now)

    def release(self, now: float) -> None:
        """Note a reply. Which request it belongs to makes no difference to how many count at any time."""
        if self._pending:
            self._pending.popleft()
            self._arrived.append(now)

    def restart(self, moment: float) -> None:
        """One of Klaviyo's fixed windows ended: what arrived until then no longer counts."""
        self._arrived = deque(arrived for arrived in self._arrived if arrived > moment)

    def openings(self, permits: int) -> list[float]:
        """The earliest moment for each of the next so many permits; 0.0 for at once.

        Errs on the early side: an early caller asks again, a late one wastes a permit.
        """
        free, counted = self.free, [*self._arrived, *self._pending]
        if not counted:
            return [0.0] * permits
        rounds = [divmod(permit - free, len(counted)) for permit in range(permits)]
        return [counted[place] + self.seconds * (1 + wraps) if wraps >= 0 else 0.0 for wraps, place in rounds]
