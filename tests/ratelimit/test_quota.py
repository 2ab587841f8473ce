"""The quota is used up with few refusals: the cases of the benchmark in virtual time, medians of several phases."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median

import pytest

from spark_klaviyo.core.policy import Quota
from spark_klaviyo.ratelimit.limiter import EndpointLimiter
from tests.ratelimit.account_simulation import Outcome, Run, coalesced, ideal_seconds, spread

M = Quota(((10, 1.0), (150, 60.0)))
L = Quota(((75, 1.0), (700, 60.0)))
LEFT = Quota(((10, 1.0), (105, 60.0)))  # what a competing sender of 30 % leaves
SEEDS = range(5)


@dataclass(frozen=True)
class Case:
    """Where the rows lie, and what it may cost: time against the ideal, 429 replies per accepted request."""

    name: str
    partitions: tuple[int, ...]
    time: float
    refused: float
    quota: Quota = M
    slots: int = 8
    competing: float = 0.0
    described: str = "second"
    limited_counts: bool = True

    def run(self, tasks: Sequence[int], slots: int, new_limiter: Callable[[], EndpointLimiter], seed: int) -> Outcome:
        """One run of it."""
        settings = {"described": self.described, "limited_counts": self.limited_counts, "competing": self.competing}
        return Run(self.quota, tasks, slots, new_limiter, seed, **settings).run()  # type: ignore[arg-type]


FOUR = tuple(100 if place in (3, 9, 17, 30) else 0 for place in range(32))
SKEWED = (240, *spread(160, 7))

CLASSIC = (
    Case("even", tuple(spread(400, 32)), 1.05, 0.005),
    Case("ten windows", tuple(spread(1450, 32)), 1.03, 0.005),
    Case("in 4 of 32", FOUR, 1.05, 0.005),
    Case("60 % in one", SKEWED, 1.05, 0.005),
    Case("64 tasks", tuple(spread(640, 64)), 1.05, 0.005, slots=64),
    Case("below a minute", tuple(spread(120, 8)), 1.25, 0.01),
    Case("L tier", tuple(spread(2000, 32)), 1.05, 0.005, L),
)
CONNECT = (
    Case("even", tuple(spread(400, 32)), 1.10, 0.02),
    Case("ten windows", tuple(spread(1450, 32)), 1.05, 0.02),
    Case("in 4 of 32", FOUR, 1.15, 0.02),
    Case("60 % in one", SKEWED, 1.15, 0.02),
    Case("below a minute", tuple(spread(120, 8)), 1.30, 0.02),
    Case("L tier", tuple(spread(2000, 32)), 1.10, 0.02, L),
)


def one_limiter(case: Case, seed: int) -> Outcome:
    """All tasks get their permits from one limiter, as from the rate-limit server."""
    limiter = EndpointLimiter(case.quota)
    return case.run(case.partitions, case.slots, lambda: limiter, seed)


def shares(case: Case, seed: int) -> Outcome:
    """Two tasks that know their number and cannot talk to each other."""
    roll = random.Random(seed).random
    return case.run(coalesced(case.partitions, 2), 2, lambda: EndpointLimiter(case.quota, 0.5, roll), seed)


def guesses(case: Case, seed: int) -> Outcome:
    """Tasks that do not know their number."""
    roll = random.Random(seed).random
    return case.run(case.partitions, case.slots, lambda: EndpointLimiter(case.quota, None, roll), seed)


def holds(case: Case, outcomes: list[Outcome]) -> None:
    requests = sum(case.partitions)
    ideal = ideal_seconds(requests, case.quota)
    assert median(outcome.seconds for outcome in outcomes) <= case.time * ideal
    assert median(outcome.throttled for outcome in outcomes) <= case.refused * requests


@pytest.mark.parametrize("case", CLASSIC, ids=lambda case: case.name)
def test_one_limiter_uses_up_the_quota_with_hardly_a_refusal(case: Case) -> None:
    holds(case, [one_limiter(case, seed) for seed in SEEDS])


@pytest.mark.parametrize("case", CONNECT, ids=lambda case: case.name)
def test_two_shares_use_up_the_quota_without_talking(case: Case) -> None:
    holds(case, [shares(case, seed) for seed in SEEDS])


@pytest.mark.parametrize(("described", "limited_counts"), [("second", False), ("minute", True), ("fewest", True)])
@pytest.mark.parametrize("way", [one_limiter, shares])
def test_the_quota_is_used_up_whichever_window_headers_describe_and_whether_429s_count(
    way: Callable[[Case, int], Outcome], described: str, limited_counts: bool
) -> None:
    case = replace(CONNECT[3], described=described, limited_counts=limited_counts)
    if way is shares and described == "minute":  # nothing shows that the other task has ended: half the quota is left
        case = replace(case, time=1.95)
    holds(case, [way(case, seed) for seed in range(3)])


@pytest.mark.parametrize("slots", [1, 2, 4, 8])
def test_tasks_that_do_not_know_their_number_find_their_shares(slots: int) -> None:
    case = Case("df.write", tuple(spread(400, 8)), 1.25, 0.05, slots=slots)
    holds(case, [guesses(case, seed) for seed in range(9)])


@pytest.mark.parametrize(("way", "part", "refused"), [(one_limiter, 0.95, 0.03), (shares, 0.85, 0.05)])
def test_a_competing_sender_keeps_its_part_and_the_rest_is_used(
    way: Callable[[Case, int], Outcome], part: float, refused: float
) -> None:
    case = Case("competing", tuple(spread(1050, 32)), 0.0, 0.0, competing=0.75)
    outcomes = [way(case, seed) for seed in range(9)]
    seconds = median(outcome.seconds for outcome in outcomes)
    assert part * 105 / 60 * seconds <= 1050
    assert median(outcome.throttled for outcome in outcomes) <= refused * 1050
    starved = [o.competing_refused / (o.competing_refused + o.competing_accepted) for o in outcomes]
    assert median(starved) <= 0.1


def test_the_ideal_time_uses_the_quota_as_early_as_any_phase_allows() -> None:
    assert ideal_seconds(400, M) == pytest.approx(129.0)
    assert ideal_seconds(120, M) == pytest.approx(11.0)
    assert ideal_seconds(315, LEFT) == pytest.approx(130.0)
