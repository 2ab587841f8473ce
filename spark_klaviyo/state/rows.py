"""The rows in the files of a state, read with pyarrow: what jobs said of them, and which row of each key is the last.

The rows of a state are read in parts by their keys, so that memory stays bounded however many there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spark_klaviyo.arrow.arrays import Ints, Mask, to_mask
from spark_klaviyo.core.models import StateLocation
from spark_klaviyo.datasets.storage import Folder
from spark_klaviyo.state.format import HASH_BYTES, JOBS, SCHEMA, Fingerprints, StateOutcome, fingerprints_of

PART_BYTES = 40_000_000  # of files, about a million rows, that are held at once
DELIVERED = (StateOutcome.SENT, StateOutcome.PENDING)
OF_JOBS = (StateOutcome.REFUSED, StateOutcome.JOB_DONE, StateOutcome.JOB_LOST)
OF_A_JOB = ["job_id", "key", "outcome"]

Hashes = npt.NDArray[np.uint64]  # shape (rows, 2): both halves of each hash, as big-endian numbers


def halves(hashes: Fingerprints) -> Hashes:
    """Hashes of 16 bytes as pairs of numbers, which compare as their bytes do."""
    return np.ascontiguousarray(hashes).view(">u8").astype(np.uint64)


def bytes_of(hashes: Hashes) -> Fingerprints:
    """The same as bytes."""
    return hashes.astype(">u8").view(np.uint8).reshape(len(hashes), HASH_BYTES)


def is_one_of(column: pa.ChunkedArray, *values: str) -> pa.ChunkedArray:
    """Which texts of a column are one of these."""
    return pc.is_in(column, pa.array(list(values), pa.string()))


def row_files(folder: Folder) -> list[str]:
    """The names of the files that hold rows about rows."""
    return [name for name in folder.names() if not name.startswith(JOBS)]


def job_files(folder: Folder) -> list[str]:
    """The names of the files that say how jobs ended, and which rows they refused."""
    return [name for name in folder.names() if name.startswith(JOBS)]


@dataclass(frozen=True)
class JobEnds:
    """What the jobs of a state have said: which have ended, which of them lost rows, and what they refused."""

    ended: pa.Array
    done: pa.Array
    lost: pa.Array
    refused: pa.Table  # job_id, key

    @staticmethod
    def read(folder: Folder) -> JobEnds:
        """Of all scopes and runs, as a job's id is unique."""
        tables = [folder.read(name, OF_A_JOB) for name in job_files(folder)]
        found = pa.concat_tables([pa.schema([SCHEMA.field(name) for name in OF_A_JOB]).empty_table(), *tables])

        def jobs(*outcomes: StateOutcome) -> pa.Array:
            return found.filter(is_one_of(found["outcome"], *outcomes))["job_id"].unique()

        refused = found.filter(is_one_of(found["outcome"], StateOutcome.REFUSED)).select(["job_id", "key"])
        done, lost = jobs(StateOutcome.JOB_DONE), jobs(StateOutcome.JOB_LOST)
        return JobEnds(pa.concat_arrays([done, lost]), done, lost, refused)

    def live(self, rows: pa.Table) -> pa.Table:
        """Those of the rows that are about rows, without what their job has refused or lost."""
        gone = pc.or_(pc.is_null(rows["key"]), is_one_of(rows["outcome"], *OF_JOBS))
        if len(self.lost):
            gone = pc.or_(gone, pc.is_in(rows["job_id"], self.lost))
        if len(self.refused):
            gone = pc.or_(gone, self._refused(rows))
        return rows.filter(pc.invert(gone)) if pc.any(gone).as_py() else rows

    def _refused(self, rows: pa.Table) -> pa.Array:
        """Which rows their job has refused; few, so only those that it may be are compared one by one."""
        maybe = pc.and_(pc.is_in(rows["key"], self.refused["key"]), pc.is_in(rows["job_id"], self.refused["job_id"]))
        refused = set(zip(*(column.to_pylist() for column in self.refused.columns), strict=True))
        mask = to_mask(whole(maybe))
        found = rows.select(["job_id", "key"]).filter(pa.array(mask))
        mask[mask] = [pair in refused for pair in zip(*(one.to_pylist() for one in found.columns), strict=True)]
        return pa.array(mask)


def count_open(folder: Folder, state: StateLocation) -> dict[str, int]:
    """How many rows each job of the scope has that is not known to have ended; few, as a job is a request."""
    jobs, scope = JobEnds.read(folder), pa.scalar(state.scope, pa.binary())
    open_jobs: dict[str, int] = {}
    for name in row_files(folder):
        rows = folder.read(name, ["scope", "key", "outcome", "job_id"])
        is_open = pc.and_(is_one_of(rows["outcome"], StateOutcome.PENDING), pc.equal(rows["scope"], scope))
        rows = jobs.live(rows.filter(pc.and_(is_open, pc.invert(pc.is_in(rows["job_id"], jobs.ended)))))
        for one in rows["job_id"].value_counts().to_pylist():
            open_jobs[one["values"]] = open_jobs.get(one["values"], 0) + one["counts"]
    return open_jobs


@dataclass(frozen=True)
class KeyRange:
    """One of several equal parts of all keys, in the order of the keys."""

    number: int = 0
    parts: int = 1

    @staticmethod
    def all_of(folder: Folder) -> Iterator[KeyRange]:
        """Ranges with so few rows of a state that they can be held."""
        parts = 1 + folder.size() // PART_BYTES
        return (KeyRange(number, parts) for number in range(parts))

    def holds(self, hashes: Hashes) -> Mask:
        """Which hashes are in it."""
        top = hashes[:, 0] >> np.uint64(32)
        return np.asarray((top * np.uint64(self.parts)) >> np.uint64(32) == self.number)


def identities(rows: pa.Table) -> Hashes:
    """What of each row only the last one counts: its key, of a removal the person and the list together."""
    keys = hashes_of(rows, "key")
    is_removal = to_mask(whole(is_one_of(rows["outcome"], StateOutcome.REMOVED)))
    if is_removal.any():
        keys[is_removal] ^= hashes_of(rows.filter(pa.array(is_removal)), "fingerprint")
    return keys


def hashes_of(rows: pa.Table, name: str) -> Hashes:
    """A column of hashes, none of them null, as pairs of numbers."""
    return halves(fingerprints_of(whole(rows[name]), HASH_BYTES))


def whole(column: pa.ChunkedArray) -> pa.Array:
    """A column in one piece."""
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks or [pa.nulls(0, column.type)])


@dataclass(frozen=True)
class LastRows:
    """Of each identity, in the order of these: the index of its last row that was delivered, and of others.

    `intent`: of the last row that was about to be sent; `final`: of the last that says what became of it. -1: none.
    """

    delivered: Ints
    intent: Ints
    final: Ints
    in_doubt: Mask  # the last intent has no final row after it

    @staticmethod
    def of(hashes: Hashes, times: Sequence[Ints], is_delivered: Mask, is_intent: Mask) -> LastRows:
        """Of rows with these identities; `times`: the number of the run and the time in it, by which rows follow."""
        order = _sorted(hashes, times)
        ordered = hashes[order]
        starts = np.flatnonzero(np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))[: len(ordered)])
        places = np.arange(len(order))

        def last(mask: Mask) -> Ints:
            found = np.where(mask[order], places, -1)
            return np.maximum.reduceat(found, starts) if len(starts) else found

        intent, final, delivered = last(is_intent), last(~is_intent), last(is_delivered)
        order = np.append(order, -1)  # so that -1 stays what it is
        return LastRows(order[delivered], order[intent], order[final], intent > final)


def _sorted(hashes: Hashes, times: Sequence[Ints]) -> Ints:
    """The order of rows by hash, then by time. One number puts nearly all of them in order, three times as fast."""
    order = np.argsort(hashes[:, 0])
    first = hashes[order, 0]
    same = first[1:] == first[:-1]
    tied = np.flatnonzero(np.append(same, False) | np.append(False, same))  # next to a row with an equal number
    rows = order[tied]
    order[tied] = rows[np.lexsort((*(one[rows] for one in reversed(times)), hashes[rows, 1], hashes[rows, 0]))]
    return order
