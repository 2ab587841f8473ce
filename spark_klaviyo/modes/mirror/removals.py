"""Which members of a list are not in a DataFrame, and whether so many may be removed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from spark_klaviyo.modes.mirror.identities import IdentitySet, MemberPage


@dataclass(frozen=True)
class Removals:
    """Members that no row is about. `ids` are all of them, or the first `most`."""

    members: int
    count: int
    ids: tuple[str, ...]
    most: int

    @property
    def too_many(self) -> bool:
        """Whether the ceiling forbids removing them."""
        return self.count > self.most


def ceiling(text: str, members: int) -> int:
    """How many of so many members `max_removals` lets go: a number, or a share, rounded down."""
    return int(members * float(text[:-1]) / 100) if text.endswith("%") else int(text)


def removals(pages: Iterable[MemberPage], rows: IdentitySet, most: int) -> Removals:
    """Go through the members; ids beyond the ceiling are counted and not held."""
    members = count = 0
    ids: list[str] = []
    for page in pages:
        gone = np.flatnonzero(~rows.has(page.people))
        members += len(page.ids)
        count += len(gone)
        ids += [page.ids[place] for place in gone[: most - len(ids)]]
    return Removals(members, count, tuple(ids), most)
