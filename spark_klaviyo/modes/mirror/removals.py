"""Which members of a list are not in a DataFrame, and whether so many may be removed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spark_klaviyo.account.members import IDENTIFIERS, ListFacts, Page
from spark_klaviyo.modes.mirror.identities import Hashes, hash_people
from spark_klaviyo.modes.mirror.rows import RowPeople

PEOPLE = pa.schema([(name, pa.string()) for name in ("id", *IDENTIFIERS)])


@dataclass(frozen=True)
class MemberPage:
    """Some members of a list: their ids and identifiers, the hashes of these, and who joined after the run began."""

    people: pa.RecordBatch
    hashes: Hashes
    is_new: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Removals:
    """Members that no row is about: `count` of all `members`; `people` are all of them, or the first `most`.

    With `unplaced` rows, which may mean any of them, nobody is removed. `absent` are the hashes of identifiers of rows
    that no member has.
    """

    members: int
    count: int
    people: pa.Table
    most: int
    unplaced: int
    absent: Hashes

    @property
    def too_many(self) -> bool:
        """Whether the ceiling forbids removing them, even if each unplaced row is about one of them."""
        return self.count - self.unplaced > self.most


def read_pages(pages: Iterable[Page], facts: ListFacts) -> Iterator[MemberPage]:
    """Pages of members in the form in which they are compared."""
    for page in pages:
        columns = [pa.array([_text(member.get(name)) for member in page], pa.string()) for name in PEOPLE.names]
        is_new = np.array([facts.has_joined_since(member) for member in page], dtype=bool)
        yield MemberPage(pa.RecordBatch.from_arrays(columns, schema=PEOPLE), hash_people(page), is_new)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def ceiling(max_removals: str, members: int) -> int:
    """How many of so many members `max_removals` allows to remove: a number, or a share, rounded down."""
    return int(members * float(max_removals[:-1]) / 100) if max_removals.endswith("%") else int(max_removals)


def find_removals(pages: Iterable[MemberPage], rows: RowPeople, most: int) -> Removals:
    """Go through the members; those beyond `most` are counted, and not held."""
    members = count = held = 0
    people: list[pa.RecordBatch] = []
    for page in pages:
        missing = np.flatnonzero(~rows.people.contains(page.hashes) & ~page.is_new)
        members += len(page.is_new)
        count += len(missing)
        taken = missing[: max(most - held, 0)]
        held += len(taken)
        people += [page.people.take(pa.array(taken))] if len(taken) else []
    absent = np.setdiff1d(rows.people.hashes, rows.people.found.hashes, assume_unique=True)
    table = pa.Table.from_batches(people, PEOPLE)
    return Removals(members, count, table, most, rows.count_unplaced(), absent)
