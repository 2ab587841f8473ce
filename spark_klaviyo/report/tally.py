"""Counting by name in a bounded number of names."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import TypeVar, cast

OTHER = "other"
MAX_NAMES = 32
MAX_NAME_LENGTH = 200

Name = TypeVar("Name", bound=Hashable)


def count(into: dict[Name, int], name: Name, times: int = 1) -> Name:
    """Add to a name's count, or to that of `other` once there are too many names; the name counted."""
    if isinstance(name, str):
        name = cast("Name", name[:MAX_NAME_LENGTH])
    if name not in into and len(into) >= MAX_NAMES:
        name = cast("Name", OTHER if isinstance(name, str) else -1)
    if times:
        into[name] = into.get(name, 0) + times
    return name


def total(many: Iterable[Mapping[Name, int]]) -> dict[Name, int]:
    """The sum of several tallies, most counted first."""
    summed: dict[Name, int] = {}
    for tally in many:
        for name, times in tally.items():
            count(summed, name, times)
    return dict(sorted(summed.items(), key=lambda pair: -pair[1]))
