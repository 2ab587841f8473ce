"""An account in virtual time: fixed windows of random phase, tasks that send, and a competing sender.

recorded: headers describe the one-second window; a 429 carries nothing but Retry-After, and counts.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from spark_klaviyo.core.models import Reply
from spark_klaviyo.core.policy import Quota
from spark_klaviyo.ratelimit.limiter import EndpointLimiter

STARTS = 1000.0


class Windows:
    """Klaviyo's side: counts requests in its windows, and refuses those beyond a quota."""

    def __init__(self, quota: Quota, roll: random.Random, described: str, limited_counts: bool) -> None:
        self.quota, self._described, self._limited_counts = quota, described, limited_counts
        self._windows = [[requests, seconds, roll.random() * seconds, -1, 0] for requests, seconds in quota.windows]

    def hit(self, now: float) -> Reply:
        """Count a request, and reply to it."""
        for window in self._windows:
            index = math.floor((now - window[2]) / window[1])
            if index != window[3]:
                window[3], window[4] = index, 0
        full = [window for window in self._windows if window[4] >= window[0]]
        for window in self._windows:
            window[4] += not full or self._limited_counts
        if full:
            waits = [math.ceil(window[2] + (window[3] + 1) * window[1] - now) for window in full]
            return Reply(429, {"retry-after": str(max(1, *waits))})
        return Reply(200, self._headers(now))

    def _headers(self, now: float) -> dict[str, str]:
        named = self._windows[-1] if self._described == "minute" else self._windows[0]
        if self._described == "fewest":
            named = min(self._windows, key=lambda window: window[0] - window[4])
        left = named[2] + (named[3] + 1) * named[1] - now
        listed = ", ".join(f"{requests};w={seconds:.0f}" for requests, seconds in self.quota.windows)
        return {
            "ratelimit-limit": f"{named[0]:.0f}, {listed}",
            "ratelimit-remaining": f"{max(0, named[0] - named[4]):.0f}",
            "ratelimit-reset": f"{math.floor(left)}",
        }


@dataclass
class Outcome:
    """The result of a run."""

    seconds: float = 0.0
    accepted: int = 0
    throttled: int = 0
    competing_accepted: int = 0
    competing_refused: int = 0


@dataclass
class Run:
    """Tasks with so many requests each; `slots` run at once, each with `workers` threads and a new limiter."""

    quota: Quota
    tasks: Sequence[int]
    slots: int
    new_limiter: Callable[[], EndpointLimiter]
    seed: int
    workers: int = 4
    latency: float = 0.15
    competing: float = 0.0  # requests a second of another sender
    described: str = "second"  # the window that headers describe: second, minute, fewest
    limited_counts: bool = True  # whether a 429 counts
    outcome: Outcome = field(default_factory=Outcome)

    def __post_init__(self) -> None:
        self.roll = random.Random(self.seed)
        self.windows = Windows(self.quota, self.roll, self.described, self.limited_counts)
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._count = 0
        self._waiting = [requests for requests in self.tasks if requests]

    def at(self, moment: float, event: Callable[[float], None]) -> None:
        """Schedule an event."""
        self._count += 1
        heapq.heappush(self._events, (moment, self._count, event))

    def run(self) -> Outcome:
        """Run until every request is accepted."""
        for _ in range(self.slots):
            self.start_one(STARTS + self.roll.random() * 0.5)
        if self.competing:
            self.at(STARTS - self.roll.random() * 60, self._competing)
        total = sum(self.tasks)
        while self.outcome.accepted < total:
            now, _, event = heapq.heappop(self._events)
            assert now < STARTS + 10_000, "the run does not end"
            event(now)
        return self.outcome

    def start_one(self, moment: float) -> None:
        """Start the next task, if any waits."""
        if self._waiting:
            self.at(moment, _Task(self, self._waiting.pop(0)).begin)

    def _competing(self, now: float) -> None:
        if self.windows.hit(now).status == 429:
            self.outcome.competing_refused += 1
        else:
            self.outcome.competing_accepted += 1
        self.at(now + self.roll.uniform(0.7, 1.3) / self.competing, self._competing)


class _Task:
    def __init__(self, run: Run, requests: int) -> None:
        self._run, self._left, self._busy = run, requests, 0
        self._limiter = run.new_limiter()
        self._proven = False

    def begin(self, now: float) -> None:
        self._left, self._busy = self._left - 1, 1
        self._run.at(now, self._ask)

    def _ask(self, now: float) -> None:
        wait, roll, latency = self._limiter.try_acquire(now), self._run.roll, self._run.latency
        if wait > 0:
            self._run.at(now + wait + roll.random() * 0.01, self._ask)
            return
        self._run.at(now + roll.uniform(0.2, 0.8) * latency, lambda then: self._arrive(now, then))

    def _arrive(self, sent: float, now: float) -> None:
        reply = self._run.windows.hit(now)
        back = now + self._run.roll.uniform(0.3, 0.7) * self._run.latency
        self._run.at(back, lambda then: self._answer(reply, sent, then))

    def _answer(self, reply: Reply, sent: float, now: float) -> None:
        outcome = self._run.outcome
        self._limiter.observe(replace(reply, seconds=now - sent), now)
        if reply.status == 429:
            outcome.throttled += 1
            self._run.at(now + float(reply.headers["retry-after"]) + self._run.roll.random(), self._ask)
            return
        outcome.accepted += 1
        outcome.seconds = now - STARTS
        self._busy -= 1
        self._go_on(now)

    def _go_on(self, now: float) -> None:
        wanted = 1 if self._proven else self._run.workers
        self._proven = True
        for _ in range(min(wanted, self._left)):
            self._left, self._busy = self._left - 1, self._busy + 1
            self._run.at(now, self._ask)
        if not self._busy and not self._left:
            self._run.start_one(now + self._run.roll.random() * 0.1)


def ideal_seconds(requests: int, quota: Quota) -> float:
    """When the last of so many requests may leave at the earliest, whatever the phase of the windows."""
    moments: list[float] = []
    for number in range(requests):
        earliest = [moments[number - most] + seconds for most, seconds in quota.windows if number >= most]
        moments.append(max([*earliest, moments[-1] if moments else 0.0]))
    return moments[-1]


def spread(requests: int, tasks: int) -> list[int]:
    """So many requests spread evenly over tasks."""
    return [requests // tasks + (task < requests % tasks) for task in range(tasks)]


def coalesced(partitions: Sequence[int], tasks: int) -> list[int]:
    """Adjacent partitions merged, as Spark's coalesce does."""
    count = len(partitions)
    return [sum(partitions[task * count // tasks : (task + 1) * count // tasks]) for task in range(tasks)]
