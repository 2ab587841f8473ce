"""The rows in the files of a state, read with pyarrow: what jobs said of them, and which row of each key is the last.

The rows of a state are read in parts by their keys, so that memory stays bounded however many there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
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
DELIVERED = (StateOutcome.SENT, StateOutcome.PENDING, StateOutcome.REMOVED)
OF_JOBS = (StateOutcome.REFUSED, StateOutcome.JOB_DONE, StateOutcome.JOB_LOST)
OF_A_JOB = ["job_id", "key", "outcome"]

Hashes = npt.NDArray[np.uint64]  # shape (rows, 2): both halves of each hash, as big-endian numbers


def halves(hashes: Fingerprints) -> Hashes:
    """Hashes of 16 bytes as pairs of numbers, which compare as their bytes do."""
    return np.ascontiguousarray(hashes).view(">u8").astype(np.uint64)


def bytes_of(hashes: Hashes) -> Fingerprints:
    """The same as bytes."""
    return hashes.astype(">u8").view(np.uint8).reshape(len(hashes), HASH_BYTES)


def with_outcome(rows: pa.Table, *outcomes: StateOutcome) -> Mask:
    """Which rows have one of these outcomes."""
    return to_mask(whole(pc.is_in(rows["outcome"], pa.array(outcomes, pa.string()))))


def row_files(folder: Folder) -> list[str]:
    """The names of the files that hold rows about rows."""
    return [name for name in folder.names() if not name.startswith(JOBS)]


def job_files(folder: Folder) -> list[str]:
    """The names of the files that say how jobs ended, and which rows they refused."""
    return [name for name in folder.names() if name.startswith(JOBS)]


@dataclass(frozen=True)
class JobEnds:
    """What the jobs of a state have said: which took their rows, which of them lost rows, and what they refused."""

    done: pa.Array
    lost: pa.Array
    refused: pa.Array  # as `_of_job` names rows

    @staticmethod
    def read(folder: Folder) -> JobEnds:
        """Of all scopes and runs, as a job's id is unique."""
        tables = [folder.read(name, OF_A_JOB) for name in job_files(folder)]
        found = pa.concat_tables([pa.schema([SCHEMA.field(name) for name in OF_A_JOB]).empty_table(), *tables])
        outcomes = (StateOutcome.JOB_DONE, StateOutcome.JOB_LOST, StateOutcome.REFUSED)
        done, lost, refused = (found.filter(pa.array(with_outcome(found, outcome))) for outcome in outcomes)
        return JobEnds(done["job_id"].unique(), lost["job_id"].unique(), _of_job(refused).unique())

    def live(self, rows: pa.Table) -> pa.Table:
        """Those of the rows that are about rows, without what their job has refused or lost."""
        gone = pc.or_(pc.is_null(rows["key"]), pa.array(with_outcome(rows, *OF_JOBS)))
        if len(self.lost):
            gone = pc.or_(gone, pc.is_in(rows["job_id"], self.lost))
        if len(self.refused):
            gone = pc.or_(gone, pc.is_in(_of_job(rows), self.refused))
        return rows.filter(pc.invert(gone)) if pc.any(gone).as_py() else rows


def _of_job(rows: pa.Table) -> pa.ChunkedArray:
    """Job and key of each row as one value."""
    return pc.binary_join_element_wise(rows["job_id"].cast(pa.binary()), rows["key"], b"/")


def count_open(folder: Folder, state: StateLocation) -> dict[str, int]:
    """How many rows each job of the scope has that is not known to have ended; few, as a job is a request."""
    jobs, scope = JobEnds.read(folder), pa.scalar(state.scope, pa.binary())
    open_jobs = Counter[str]()
    for name in row_files(folder):
        rows = folder.read(name, ["scope", "key", "outcome", "job_id"])
        is_open = pc.and_(pa.array(with_outcome(rows, StateOutcome.PENDING)), pc.equal(rows["scope"], scope))
        rows = jobs.live(rows.filter(pc.and_(is_open, pc.invert(pc.is_in(rows["job_id"], jobs.done)))))
        open_jobs.update(rows["job_id"].to_pylist())
    return open_jobs


def parts_of(folder: Folder) -> int:
    """Into how many parts of all keys a state is divided, each with so few rows that they can be held."""
    return 1 + int(folder.size()) // PART_BYTES


def part_of(hashes: Hashes, parts: int) -> Ints:
    """The number of the part that each hash is in; the parts are equal, and in the order of the keys."""
    top = hashes[:, 0] >> np.uint64(32)
    return ((top * np.uint64(parts)) >> np.uint64(32)).astype(np.int64)


def identities(rows: pa.Table) -> Hashes:
    """What of each row only the last one counts: its key, of a removal the person and the list together."""
    keys = hashes_of(rows, "key")
    is_removal = with_outcome(rows, StateOutcome.REMOVED)
    if is_removal.any():
        keys[is_removal] ^= hashes_of(rows.filter(pa.array(is_removal)), "fingerprint")
    return keys


def hashes_of(rows: pa.Table, name: str) -> Hashes:
    """A column of hashes, none of them null, as pairs of numbers."""
    return halves(fingerprints_of(whole(rows[name]), HASH_BYTES))


def whole(column: pa.ChunkedArray) -> pa.Array:
    """A column in one piece."""
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks or [pa.nulls(0, column.type)])


def last_rows(
    hashes: Hashes, times: Sequence[Ints], is_delivered: Mask, is_intent: Mask
) -> tuple[Ints, Ints, Ints, Mask]:
    """Of each identity, in the order of these: the index of its last row that was delivered, and of others.

    The others are the last row that was about to be sent, and the last that says what became of it; -1: none. Then
    whether an identity is in doubt: its last intent has no final row after it. `times`: the number of the run and the
    time in it, by which rows follow each other.
    """
    order = _sorted(hashes, times)
    ordered = hashes[order]
    starts = np.flatnonzero(np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))[: len(ordered)])
    places = np.arange(len(order))

    def last(mask: Mask) -> Ints:
        found = np.where(mask[order], places, -1)
        return np.maximum.reduceat(found, starts) if len(starts) else found

    intent, final, delivered = last(is_intent), last(~is_intent), last(is_delivered)
    order = np.append(order, -1)  # so that -1 stays what it is
    return order[delivered], order[intent], order[final], intent > final


def _sorted(hashes: Hashes, times: Sequence[Ints]) -> Ints:
    """The order of rows by hash, then by time. One number puts nearly all of them in order, three times as fast."""
    order = np.argsort(hashes[:, 0])
    first = hashes[order, 0]
    same = first[1:] == first[:-1]
    tied = np.flatnonzero(np.append(same, False) | np.append(False, same))  # next to a row with an equal number
    rows = order[tied]
    order[tied] = rows[np.lexsort((*(one[rows] for one in reversed(times)), hashes[rows, 1], hashes[rows, 0]))]
    return order
