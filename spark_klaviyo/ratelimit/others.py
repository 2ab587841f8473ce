"""Who else uses the account: read from how many requests of the shortest window are used up when ours arrive.

Replies say how much is left of the second (`RateLimit-Remaining`), so `used` counts everybody's requests since it
began. What our own requests do not explain is somebody else's. Where the seconds begin is not told; of twenty
places the one is taken that explains the most.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

PHASES = 20
SLOW = 0.4
MEMORY_SECONDS = 75.0
MOST_REPLIES = 400
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Traffic:
    """Requests of others per second, give or take `doubt`, in the windows in which we sent (`own` per second)."""

    rate: float = 0.0
    doubt: float = float("inf")
    windows: int = 0
    own: float = 0.0
    slow: float = 0.0  # part of our requests that took so long that nobody knows when they arrived


NONE_KNOWN = Traffic()


class Others:
    """Collects (arrival, used) of our own replies in one short window, and works out the traffic of others."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._seen: deque[tuple[float, int, float]] = deque(maxlen=MOST_REPLIES)

    def saw(self, arrived: float, used: int, took: float = 0.0) -> None:
        """One of ours, which took so long, left then, and so many were used up with it."""
        self._seen.append((arrived, used, took))

    def forget(self) -> None:
        """Begin anew."""
        self._seen.clear()

    def traffic(self, now: float, memory: float = MEMORY_SECONDS) -> Traffic:
        """What others sent while we were sending, over so many seconds back."""
        # replies overtake each other, so the newest are left for the next look
        seen = sorted(one for one in self._seen if now - memory <= one[0] <= now - 0.5 * self._seconds)
        if len(seen) < 4:
            return NONE_KNOWN
        arrived = np.array([one[0] for one in seen], dtype=np.float64)
        used = np.array([one[1] for one in seen], dtype=np.float64)
        window, unexplained = self._best(arrived, used)
        _, where, sizes = np.unique(window, return_inverse=True, return_counts=True)
        means = np.bincount(where, weights=unexplained) / sizes
        # far below zero, or far above the rest, are replies that overtook each other, not requests of others
        means = np.clip(means, -0.5, 3.0 * (max(float(np.median(means)), 0.0) + 0.5))
        # somebody's request is seen by those of ours that come later in the same window: by half of them
        scale = 2.0 / self._seconds
        doubt = float(np.std(means) / np.sqrt(len(means))) if len(means) > 1 else float("inf")
        slow = sum(one[2] > SLOW * self._seconds for one in seen) / len(seen)
        rate, own = max(float(np.mean(means)), 0.0) * scale, len(seen) / (len(means) * self._seconds)
        return Traffic(rate, max(doubt, 0.02) * scale, len(means), own, slow)

    def _best(self, arrived: Floats, used: Floats) -> tuple[Floats, Floats]:
        phases = (np.arange(PHASES) / PHASES * self._seconds)[:, None]
        windows = np.floor((arrived[None, :] - phases) / self._seconds)
        begins = np.ones(windows.shape, dtype=bool)
        begins[:, 1:] = windows[:, 1:] != windows[:, :-1]
        places = np.arange(len(arrived))[None, :]
        ranks = places - np.maximum.accumulate(np.where(begins, places, 0), axis=1) + 1
        unexplained = used[None, :] - ranks
        best = int(np.argmin(np.abs(unexplained).sum(axis=1)))
        return windows[best], unexplained[best]
