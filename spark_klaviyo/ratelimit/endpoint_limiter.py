"""The quota of one endpoint as one sender sees it: its own turns exactly, everybody else's by what replies give away.

Whole: nobody else is expected, and a neighbour is yielded to. Share: `k` of `n` senders that cannot talk to each other;
its part is certain, the rest is taken only while replies show nobody else. Guess (None): one of as many as replies
show. Pure: the time is passed in. Not locked.
"""

from __future__ import annotations

import random
from bisect import bisect_right, insort
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from spark_klaviyo.core.models import Quota, Reply
from spark_klaviyo.http.retry_after import asked_wait
from spark_klaviyo.ratelimit.neighbour import Neighbour
from spark_klaviyo.ratelimit.others import Others, Traffic
from spark_klaviyo.ratelimit.quota_headers import Standing, listed_quota, standing
from spark_klaviyo.ratelimit.windows import Rolling

LOOK_SECONDS = 1.0  # how often the traffic of others is worked out
RECENT_SECONDS = 6.0
MINUTE = 60.0
TOGETHER_SECONDS = 90.0
CROWDED_SECONDS = 10.0
SHARED_MARGIN = 1.35  # what others took is told less exactly by a share
SHORTEST_WAIT = 0.02  # before asking again
LONGEST_WAIT = 15.0  # ... as more may be known by then
YIELDING_WAIT = 3.0  # ... where our allowance grows through the minute
GUESSED_PART = 0.9  # what all such senders together aim at in a second
LONG_PART = 1.07  # ... and times this in a minute, whose end a refusal tells
FULL_PART = 0.9  # of the second, all together: beyond it a guess may shrink
NARROWING = 0.85  # for each refusal by the second
LEAST_SHARE = 0.25  # a smaller one is a first guess only: of so many senders some have ended, or not begun
FIRST_GUESS = 1 / 8  # the share of a sender that does not know of how many it is one: the default of `tasks`


@dataclass(frozen=True)
class Seen:
    """What the quota can learn from a reply that took so long; `asked_seconds`: the wait a 429 asks for."""

    throttled: bool = False
    asked_seconds: float = 0.0
    quota: Quota | None = None
    standing: Standing | None = None
    took_seconds: float = 0.0

    @staticmethod
    def of(reply: Reply, *, learns: bool = True) -> Seen:
        """Read a reply."""
        headers: Mapping[str, str] = reply.headers
        throttled = reply.status == 429
        asked = max(asked_wait(headers) or 1.0, 1.0) if throttled else 0.0
        if not learns:
            return Seen(throttled, asked, None, None, reply.seconds)
        return Seen(throttled, asked, listed_quota(headers), standing(headers), reply.seconds)


class EndpointLimiter:
    """Turns at one endpoint."""

    def __init__(self, quota: Quota, share: float | None = 1.0, roll: Callable[[], float] = random.random) -> None:
        self._share = FIRST_GUESS if share is None else share
        self._roll = roll
        self._guesses = self._share < LEAST_SHARE
        self._windows: list[Rolling] = []
        self._promised: list[float] = []  # sorted: the moments for which sleepers were told to come back
        self._shut_until = 0.0
        self._spaced_until = 0.0
        self._others = Others(1.0)
        self._looked = 0.0
        self._neighbour = Neighbour() if self._share == 1.0 else Neighbour(SHARED_MARGIN)
        self._full_until = 0.0
        self._alone = False
        self._together_until = 0.0
        self._met_while_alone = 0
        self.resize(quota)

    def ask(self, now: float) -> float:
        """0.0 when a turn begins now; else how many seconds to stay away, a different moment for each asker."""
        self._move(now)
        opens = max(self._shut_until, self._spaced_until)
        if now >= opens and all(window.free > 0 for window in self._windows):
            for window in self._windows:
                window.take(now)
            self._space(now)
            return 0.0
        longest = YIELDING_WAIT if self._neighbour.rate else LONGEST_WAIT
        due = max(min(self._first_unpromised(), now + longest), opens, now + SHORTEST_WAIT)
        insort(self._promised, due)
        return due - now

    def _space(self, now: float) -> None:
        """A share is spread over the second: lumps would fall on each other, and in step one could hide another."""
        if self._share < 1.0 and self._windows:
            spacing = 0.7 * self._windows[0].seconds / max(self._windows[0].ours, 0.05)
            self._spaced_until = now + spacing * (0.6 + 0.8 * self._roll())

    def _first_unpromised(self) -> float:
        """When a turn opens that no sleeper was told to come back for."""
        turns = len(self._promised) + 1
        openings: list[float] = [
            max(times) for times in zip(*(window.openings(turns) for window in self._windows), strict=True)
        ]
        for opening, promised in zip(openings, self._promised, strict=False):
            if promised > opening + SHORTEST_WAIT:
                return opening
        return openings[-1] if openings else 0.0

    def saw(self, seen: Seen, now: float) -> None:
        """Count an answer and learn from it."""
        self._move(now)
        for window in self._windows:
            window.settle(now)
        if seen.quota:
            self.resize(seen.quota)
        if seen.throttled:
            self._throttled(seen, now)
        if seen.standing and self._windows:
            self._stands(seen.standing, now - seen.took_seconds, now)

    def resize(self, quota: Quota) -> None:
        """Other quotas: what has been counted stays, windows that are new begin empty."""
        if [(window.quota, window.seconds) for window in self._windows] == list(quota.windows):
            return
        known = {window.seconds: window for window in self._windows}
        self._windows = [known.get(seconds) or Rolling(requests, seconds) for requests, seconds in quota.windows]
        for window, (requests, _) in zip(self._windows, quota.windows, strict=True):
            window.quota = requests
        self._apportion(self._looked)

    def _move(self, now: float) -> None:
        for window in self._windows:
            window.move(now)
        del self._promised[: bisect_right(self._promised, now)]
        if now - self._looked >= LOOK_SECONDS and self._windows:
            self._looked = now
            self._look(now)

    def _look(self, now: float) -> None:
        burst = self._windows[0].quota / self._windows[0].seconds
        self._neighbour.move(now)
        if self._windows[-1].free <= 0:
            self._neighbour.spent()
        if self._share < 1.0:
            recent = self._others.traffic(now, RECENT_SECONDS)
            # once a minute was full, others who are only waiting for the next one must not be taken for gone
            lately = self._others.traffic(now, MINUTE) if self._neighbour.rate else recent
            self._alone = now >= self._together_until and _alone(lately, burst, self._alone)
            if self._guesses and recent.windows >= 4:
                self._guess(recent, burst)
        else:
            sustained = [window.quota / window.seconds for window in self._windows]
            least = max(0.03 * burst, 0.12 * min(sustained))
            self._neighbour.noticed(self._others.traffic(now), least, now)
        self._apportion(now)

    def _guess(self, recent: Traffic, burst: float) -> None:
        """Our part of what is sent is our share; it shrinks only where all together use up the second."""
        together = recent.own + recent.rate
        seen = GUESSED_PART * min(recent.own / max(together, 0.01), 1.0)
        if seen > self._share or together > FULL_PART * burst:
            self._share += 0.3 * (seen - self._share)

    @property
    def _part(self) -> float:
        """What part of the quota we may count on at the moment."""
        return 1.0 if self._alone else self._share

    def _apportion(self, now: float) -> None:
        """What of each window is for us."""
        for window in self._windows:
            long = self._guesses and window is not self._windows[0]
            part = min(LONG_PART * self._part, 1.0) if long else self._part
            window.ours = part * self._neighbour.allowance(window.quota, window.seconds, now)

    def _throttled(self, seen: Seen, now: float) -> None:
        ends = now + seen.asked_seconds
        self._shut_until = max(self._shut_until, ends)
        full = self._full_window(seen.asked_seconds)
        if full is not None:
            self._full(full, ends, now)
        elif self._share < 1.0:
            self._crowded(now)

    def _crowded(self, now: float) -> None:
        """Too many in one second: somebody else is there, whatever was believed."""
        if self._alone:
            self._alone, self._together_until = False, now + CROWDED_SECONDS
            self._apportion(now)
        elif self._guesses:
            self._share *= NARROWING

    def _full(self, window: Rolling, ends: float, now: float) -> None:
        """A long window is used up, and ends then; what others took in it is known now."""
        if ends <= self._full_until + 1.5:
            return  # the same window, met by several requests
        self._full_until = ends
        self._shut_until = max(self._shut_until, ends)
        elapsed = now - (ends - window.seconds)
        if self._alone and self._share < 1.0:
            self._met_while_alone += 1  # the first may hold what others sent before they ended
            if self._met_while_alone > 1:
                self._alone, self._met_while_alone = False, 0  # we were not: back to our own share, for a while
                self._together_until = ends + TOGETHER_SECONDS
        elif elapsed > 0.1 * window.seconds and not self._guesses:
            of_run = window.since(ends - window.seconds) / self._part
            others = max(window.quota - of_run, 0.0) / elapsed
            self._neighbour.refused(min(others, 0.8 * window.quota / window.seconds), ends)
        window.forget(now)
        self._apportion(now)

    def _full_window(self, asked: float) -> Rolling | None:
        """The window that a wait of more than a second tells of: the shortest it can be."""
        longer = [window for window in self._windows if window.seconds > 1.0 and 1.0 < asked <= window.seconds]
        return longer[0] if longer else None

    def _stands(self, stands: Standing, arrived: float, now: float) -> None:
        """The second tells of others. A longer window, where it is the one described, tells when it is used up."""
        shortest, *longer = self._windows
        if stands.quota == shortest.quota and shortest.seconds <= 1.0:
            self._others.saw(arrived, stands.quota - stands.remaining, now - arrived)
            return
        for window in longer:
            if window.quota == stands.quota and stands.remaining <= window.pending:
                self._full(window, now + stands.ends_in + 1.0, now)  # Klaviyo rounds down


def _alone(recent: Traffic, burst: float, so_far: bool) -> bool:
    """Whether nobody else sends at the moment; what was believed so far stays unless there is evidence."""
    if recent.windows < 4:
        return so_far
    if so_far:
        return not (recent.rate > 2.0 * recent.doubt and recent.rate > 0.15 * burst)
    return recent.rate + recent.doubt < 0.15 * burst
