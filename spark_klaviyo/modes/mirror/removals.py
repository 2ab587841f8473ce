"""Which members of a list are not in a DataFrame, and whether so many may be removed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from spark_klaviyo.account.members import Page
from spark_klaviyo.modes.mirror.identities import Hashes, IdentitySet, hash_people


@dataclass(frozen=True)
class MemberPage:
    """Some members of a list: their profile ids, and the hashes of their identifiers."""

    ids: list[str]
    hashes: Hashes


@dataclass(frozen=True)
class Removals:
    """Members that no row is about: `count` of all `members`; `ids` are all of them, or the first `most`."""

    members: int
    count: int
    ids: tuple[str, ...]
    most: int

    @property
    def too_many(self) -> bool:
        """Whether the ceiling forbids removing them."""
        return self.count > self.most


def hash_pages(pages: Iterable[Page]) -> Iterator[MemberPage]:
    """Pages of members with hashes in place of identifiers."""
    for page in pages:
        yield MemberPage([str(member["id"]) for member in page], hash_people(page))


def ceiling(max_removals: str, members: int) -> int:
    """How many of so many members `max_removals` allows to remove: a number, or a share, rounded down."""
    return int(members * float(max_removals[:-1]) / 100) if max_removals.endswith("%") else int(max_removals)


def find_removals(pages: Iterable[MemberPage], rows: IdentitySet, most: int) -> Removals:
    """Go through the members; those beyond `most` are counted, and their ids not held."""
    members = count = 0
    ids: list[str] = []
    for page in pages:
        missing = np.flatnonzero(~rows.contains(page.hashes))
        members += len(page.ids)
        count += len(missing)
        ids += [page.ids[index] for index in missing[: most - len(ids)]]
    return Removals(members, count, tuple(ids), most)
