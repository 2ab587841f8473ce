"""Estimates how much of the account's quota goes to requests that this limiter did not permit.

It uses two facts in replies. `RateLimit-Remaining` of the one-second window says how many requests of that second came
before ours. A 429 that names the end of a longer window says exactly how many requests others made in it. Pure: the
time is passed in. Not thread-safe.
"""

from __future__ import annotations

from collections import deque
from statistics import fmean

MINUTE = 60.0
RECENT_SECONDS = 8.0
LEAST_SECONDS = 4  # with a reply, before a share is estimated
SETTLING_SECONDS = 0.5  # replies overtake each other, so the newest are left out
MARGIN = 1.25  # on the rate of others
DECAY = 0.88  # of the rate, for each minute without a refusal
EARLY_PART = 0.85  # of the allowance may go at once, the rest evenly: a full minute is then noticed near its end
LEAST_PART = 0.1  # of the quota is always allowed, however much others take


class CompetingTraffic:
    """Requests a second of other senders: `rate` is what the last full minute showed, 0.0 while none was full."""

    def __init__(self) -> None:
        self.rate = 0.0
        self._minute_began = 0.0
        self._replies: deque[tuple[float, int]] = deque(maxlen=400)

    def observe(self, arrived: float, used: int) -> None:
        """Note how many requests of its second were used when one of ours arrived, that one included."""
        self._replies.append((arrived, used))

    def own_part(self, now: float) -> float | None:
        """The part of the recent requests that was ours, in (0, 1]; None while there are too few replies.

        Others that used up a minute may only be waiting for the next one, so replies count for a minute then.
        """
        memory = MINUTE if self.rate else RECENT_SECONDS
        recent = [reply for reply in self._replies if now - memory <= reply[0] <= now - SETTLING_SECONDS]
        seconds = len({int(arrived) for arrived, _ in recent})
        if seconds < LEAST_SECONDS:
            return None
        own = len(recent) / seconds
        # the 1st to the n-th request of a second have used (n + 1) / 2 on average
        total = 2.0 * fmean(used for _, used in recent) - 1.0
        return own / max(own, total)

    def minute_full(self, rate: float, ends: float) -> None:
        """A longer window was used up before its end, and others had this rate in it."""
        self.rate, self._minute_began = rate, ends

    def allowance(self, quota: float, seconds: float, now: float) -> float:
        """How many requests of a window are left for us."""
        if not self.rate:
            return quota
        minutes, passed = divmod(max(now - self._minute_began, 0.0) / MINUTE, 1.0)
        ours = max(quota - MARGIN * self.rate * DECAY ** int(minutes) * seconds, LEAST_PART * quota)
        return ours if seconds < MINUTE else ours * (EARLY_PART + (1.0 - EARLY_PART) * passed)
