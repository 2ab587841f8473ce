"""How much of the quota to leave to others, when nobody else is expected and somebody shows up.

First what the second gives away (`others`), then what the minute teaches: a 429 that names the end of the minute says
exactly what others took in it; a minute used up without one says that they took less than was left to them. Pure.
"""

from __future__ import annotations

from spark_klaviyo.ratelimit.others import NONE_KNOWN, Traffic

MARGIN = 1.15
SLOWER = 0.88  # per minute without a refusal
FADING = 0.9  # per look that finds hardly anybody
LOOKS = 3  # as often in a row somebody has to be seen
EARLY = 0.85  # part of our allowance that is spent at once; the rest goes evenly, to notice the end of the minute
CYCLE_SECONDS = 60.0
MOST_SLOW = 0.1  # uploads of unknown length say little about when they arrive


class Neighbour:
    """Requests a second that others are believed to send; 0.0 as long as nobody was noticed."""

    def __init__(self, margin: float = MARGIN) -> None:
        self.rate = 0.0
        self._margin = margin
        self._cycle_began = 0.0
        self._taught = False  # a minute has confirmed or corrected the first guess
        self._used_up = False
        self._looks = 0
        self._known = NONE_KNOWN

    def noticed(self, traffic: Traffic, least: float, now: float) -> None:
        """What the second gives away; `least` a second is nobody. A guess holds until a minute taught better."""
        if traffic.rate + 2.0 * traffic.doubt < 0.5 * self.rate and traffic.windows >= 6:
            self.rate *= FADING  # whoever it was has gone
        if self._taught or traffic.windows < 5 or traffic.slow > MOST_SLOW or traffic == self._known:
            return
        self._known = traffic
        certain = max(traffic.doubt * (1.0 if self.rate else 2.5), least)
        self._looks = self._looks + 1 if traffic.rate > certain else 0
        if self._looks == LOOKS and not self.rate:
            self._cycle_began = now
        self.rate = traffic.rate if self._looks >= LOOKS else 0.0

    def refused(self, rate: float, ends: float) -> None:
        """A minute was full, and others had this rate in it."""
        self.rate, self._taught = rate, True
        self._cycle_began, self._used_up = ends, False

    def spent(self) -> None:
        """Our allowance is used up at this moment."""
        self._used_up = True

    def move(self, now: float) -> None:
        """Let minutes pass."""
        if self.rate and now - self._cycle_began >= CYCLE_SECONDS:
            if self._used_up:
                self.rate, self._taught = self.rate * (SLOWER if self._taught else SLOWER**2), True
            self._used_up = False
            self._cycle_began += CYCLE_SECONDS * ((now - self._cycle_began) // CYCLE_SECONDS)

    def allowance(self, quota: float, seconds: float, now: float) -> float:
        """What of a window is for us."""
        if not self.rate:
            return quota
        ours = max(quota - self._margin * self.rate * seconds, 0.1 * quota)
        if seconds < CYCLE_SECONDS:
            return ours
        passed = min(max((now - self._cycle_began) / CYCLE_SECONDS, 0.0), 1.0)
        return ours * (EARLY + (1.0 - EARLY) * passed)
