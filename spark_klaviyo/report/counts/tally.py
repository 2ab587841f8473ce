"""Counting by name with a bounded number of names, so that a report stays small whatever Klaviyo answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

OTHER = "other"
OTHER_STATUS = -1
MAX_NAMES = 32
MAX_NAME_LENGTH = 200

Name = TypeVar("Name", str, int)  # a reason, a state, a warning; an HTTP status


def count(tally: dict[Name, int], name: Name, times: int = 1) -> Name:
    """Add to the count of a name, cut to `MAX_NAME_LENGTH`; past `MAX_NAMES` names all others share one.

    Returns:
        The name that was counted.
    """
    if isinstance(name, str):
        name = name[:MAX_NAME_LENGTH]
    if name not in tally and len(tally) >= MAX_NAMES:
        name = OTHER if isinstance(name, str) else OTHER_STATUS
    if times:
        tally[name] = tally.get(name, 0) + times
    return name


def total(tallies: Iterable[Mapping[Name, int]]) -> dict[Name, int]:
    """The sum of several tallies, largest counts first."""
    summed: dict[Name, int] = {}
    for tally in tallies:
        for name, times in tally.items():
            count(summed, name, times)
    return dict(sorted(summed.items(), key=lambda pair: -pair[1]))
