"""Rate limiters of one process: every request acquires a permit first, and its reply is observed afterwards."""

from __future__ import annotations

import math
import random
import threading
from bisect import bisect_right, insort
from collections.abc import Callable

from spark_klaviyo.core.clock import Clock, Stop
from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.core.models import Reply
from spark_klaviyo.core.policy import Quota
from spark_klaviyo.http.headers import WindowStatus, listed_quota, retry_after_seconds, window_status
from spark_klaviyo.ratelimit.competing_traffic import CompetingTraffic
from spark_klaviyo.ratelimit.windows import RollingWindow

MINUTE = 60.0
UPDATE_SECONDS = 1.0  # between two estimates
LEAST_WAIT, MOST_WAIT = 0.02, 15.0  # before a caller asks again
MOST_WAIT_COMPETING = 3.0  # ... while the allowance grows through the minute
FIRST_SHARE = 1 / 8  # of a sender that does not know how many there are: the default of `tasks`
SHARE_STEP = 0.3  # of the way to the estimated share, in each estimate
SHARE_AIM = 0.9  # of the estimated share, so that all such senders together leave some room
ALONE_PART = 0.7  # from this part of the recent requests on, no other sender is assumed


class EndpointLimiter:
    """The limiter of one endpoint: counts its own requests exactly, and estimates those of others from replies.

    Its share of the quota is 1.0 where it gives the permits of a whole run, k/n where it is one of n that cannot talk
    to each other, and None where n is unknown. A share grows while replies show that the other tasks send less than
    theirs. Without `learns` it keeps to `quota`, whatever replies list. Pure: the time is passed in. Not thread-safe.
    """

    def __init__(
        self, quota: Quota, share: float | None = 1.0, roll: Callable[[], float] = random.random, *, learns: bool = True
    ) -> None:
        self._certain_share = share or 0.0
        self._share = share or FIRST_SHARE
        self._roll, self._learns = roll, learns
        self._windows: list[RollingWindow] = []
        self._promised: list[float] = []  # sorted: when waiting callers will ask again
        self._closed_until = 0.0  # as a 429 asked
        self._spaced_until = 0.0
        self._full_until = 0.0  # the end of the last window that was reported full
        self._traffic = CompetingTraffic()
        self._updated = 0.0
        self._resize(quota)

    def try_acquire(self, now: float) -> float:
        """0.0 when a permit is given; else the seconds to wait before asking again, different for each caller."""
        self._advance(now)
        opens = max(self._closed_until, self._spaced_until)
        if now >= opens and all(window.free > 0 for window in self._windows):
            for window in self._windows:
                window.acquire(now)
            self._space(now)
            return 0.0
        longest = MOST_WAIT_COMPETING if self._traffic.rate else MOST_WAIT
        due = max(min(self._first_opening(), now + longest), opens, now + LEAST_WAIT)
        insort(self._promised, due)
        return due - now

    def quota_wait(self, now: float) -> float:
        """Seconds until a window longer than a minute lets the next request pass, or until the time a reply asked for.

        Such a window is the account's quota of a day or an hour, and not a queue: every request waits as long. A share
        of it may still grow, so only the whole of it counts.
        """
        full = (w for w in self._windows if w.seconds > MINUTE and w.counted >= w.quota)
        return max([self._closed_until, *(window.openings(1)[0] for window in full)]) - now

    def observe(self, reply: Reply, now: float) -> None:
        """Count the reply to a permitted request, and learn from it."""
        self._advance(now)
        for window in self._windows:
            window.release(now)
        quota = listed_quota(reply.headers) if self._learns else None
        if quota is not None:
            self._resize(quota)
        if reply.status == 429:
            self._throttled(max(retry_after_seconds(reply.headers) or 1.0, 1.0), now)
        status = window_status(reply.headers) if self._learns and self._windows else None
        if status is not None:
            self._read_status(status, now - reply.seconds, now)

    def _resize(self, quota: Quota) -> None:
        """Use other quotas; the requests counted so far stay, new windows begin empty."""
        if [(window.quota, window.seconds) for window in self._windows] == list(quota.windows):
            return
        known = {window.seconds: window for window in self._windows}
        self._windows = [known.get(seconds) or RollingWindow(requests, seconds) for requests, seconds in quota.windows]
        for window, (requests, _) in zip(self._windows, quota.windows, strict=True):
            window.quota = requests
        self._apportion(self._updated)

    def _space(self, now: float) -> None:
        """Spread a share over the second: bursts of several senders would collide, or hide each other."""
        if self._certain_share < 1.0 and self._windows:
            interval = self._windows[0].seconds / max(self._windows[0].allowance, 0.05)
            self._spaced_until = now + interval * (0.42 + 0.56 * self._roll())

    def _first_opening(self) -> float:
        """The first moment with a permit that no waiting caller will ask for."""
        permits = len(self._promised) + 1
        openings: list[float] = [
            max(moments) for moments in zip(*(w.openings(permits) for w in self._windows), strict=True)
        ]
        for opening, promised in zip(openings, self._promised, strict=False):
            if promised > opening + LEAST_WAIT:
                return opening
        return openings[-1] if openings else 0.0

    def _advance(self, now: float) -> None:
        for window in self._windows:
            window.advance(now)
        del self._promised[: bisect_right(self._promised, now)]
        if now - self._updated >= UPDATE_SECONDS and self._windows:
            self._updated = now
            if self._certain_share < 1.0:
                self._estimate_share(now)
            self._apportion(now)

    def _estimate_share(self, now: float) -> None:
        """Move the share towards our part of what is sent, or the first share; never below what is certainly ours."""
        part = self._traffic.own_part(now)
        aim = max(self._share, FIRST_SHARE)
        if part is not None:
            aim = 1.0 if part >= ALONE_PART else SHARE_AIM * part
        self._share = max(self._share + SHARE_STEP * (aim - self._share), self._certain_share)

    def _apportion(self, now: float) -> None:
        for window in self._windows:
            window.allowance = self._share * self._traffic.allowance(window.quota, window.seconds, now)

    def _throttled(self, wait_seconds: float, now: float) -> None:
        """Wait as a 429 asks. A wait of more than a second means that a longer window is full, and when it ends."""
        self._closed_until = max(self._closed_until, now + wait_seconds)
        longer = [window for window in self._windows if 1.0 < wait_seconds <= window.seconds]
        if longer:
            self._window_full(longer[0], now + wait_seconds, now)

    def _window_full(self, window: RollingWindow, ends: float, now: float) -> None:
        """A longer window is used up before we have used our allowance: learn who else sends."""
        if ends <= self._full_until + 1.5:
            return  # the same window, reported by several replies
        self._full_until = ends
        self._closed_until = max(self._closed_until, ends)
        began = ends - window.seconds
        if self._share > self._certain_share > 0.0:
            self._share = self._certain_share  # the other tasks send after all
        elif self._certain_share and now - began > 0.1 * window.seconds:
            of_run = window.arrived_since(began) / self._share
            rate = max(window.quota - of_run, 0.0) / (now - began)
            self._traffic.minute_full(min(rate, 0.8 * window.quota / window.seconds), ends)
        window.restart(now)
        self._apportion(now)

    def _read_status(self, status: WindowStatus, arrived: float, now: float) -> None:
        """Learn from the window that headers describe: the second shows other senders, a longer one when it is full."""
        shortest, *longer = self._windows
        if status.quota == shortest.quota and shortest.seconds <= 1.0:
            self._traffic.observe(arrived, status.quota - status.remaining)
            return
        for window in longer:
            if window.quota == status.quota and status.remaining <= window.pending:
                self._window_full(window, now + status.ends_in_seconds + 1.0, now)  # Klaviyo rounds down


class RateLimiter:
    """Gives permits to send, this one all at once (`rate_limit=none`): throttled requests wait as each 429 asks.

    `route` names the endpoint: method and unfilled path. `quota` holds until replies list the account's own.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()

    def acquire(self, route: str, quota: Quota, stop: Stop) -> bool:
        """Wait for a permit; False when stopped first."""
        while not stop.is_set():
            wait_seconds = self.try_acquire(route, quota, stop)
            if wait_seconds <= 0:
                break
            self.clock.wait(wait_seconds, stop)
        return not stop.is_set()

    def try_acquire(self, route: str, quota: Quota, stop: Stop) -> float:  # noqa: ARG002
        """0.0 when a permit is given; else the seconds to wait before asking again. May set `stop`."""
        return 0.0

    def observe(self, route: str, reply: Reply) -> None:
        """Learn from the reply to a permitted request; called once for each permit."""


class LocalRateLimiter(RateLimiter):
    """The limiter that the threads of one process share: an `EndpointLimiter` for each route.

    A quota that asks to wait longer than `longest_wait_seconds` (and than a minute) sets `stop`, unless the user set
    the rates (`learns=False`). To queue for a permit is no such wait.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        share: float | None = 1.0,
        learns: bool = True,
        longest_wait_seconds: float = math.inf,
    ) -> None:
        super().__init__(clock)
        self._share, self._learns, self._longest = share, learns, longest_wait_seconds
        self._lock = threading.Lock()
        self._endpoints: dict[str, EndpointLimiter] = {}

    def try_acquire(self, route: str, quota: Quota, stop: Stop) -> float:
        """0.0 when a permit is given; else the seconds to wait before asking again."""
        with self._lock:
            if route not in self._endpoints:
                self._endpoints[route] = EndpointLimiter(quota, self._share, learns=self._learns)
            endpoint, now = self._endpoints[route], self.clock.now()
            wait_seconds = endpoint.try_acquire(now)
            asked = endpoint.quota_wait(now) if wait_seconds else 0.0
        if self._learns and asked > max(self._longest, MINUTE + 1.0):
            text = f"the account's quota for {route} is used up for {asked:,.0f} s, and longest_wait_seconds is"
            stop.set(StopCode.THROTTLED, f"{text} {self._longest:,.0f}: write the rest later")
        return wait_seconds

    def observe(self, route: str, reply: Reply) -> None:
        """Count the reply and learn from it."""
        with self._lock:
            if route in self._endpoints:
                self._endpoints[route].observe(reply, self.clock.now())
