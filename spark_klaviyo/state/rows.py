"""The rows in the files of a state: what jobs said of them, which row of each key is the last, and fewer files of them.

The rows of a state are read in parts by their keys, so that memory stays bounded however many there are.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spark_klaviyo.arrow.arrays import Ints, Mask, to_mask
from spark_klaviyo.core.models import StateLocation
from spark_klaviyo.datasets.storage import PARQUET, Folder
from spark_klaviyo.errors import KlaviyoError
from spark_klaviyo.options.addresses import shown_place
from spark_klaviyo.state.format import COMPACT, HASH_BYTES, JOBS, SCHEMA, Fingerprints, StateOutcome, fingerprints_of
from spark_klaviyo.state.lock import locked_state, naming_damaged_files

PART_BYTES = 40_000_000  # of files, about a million rows, that are held at once
DELIVERED = (StateOutcome.SENT, StateOutcome.PENDING, StateOutcome.REMOVED)
OF_JOBS = (StateOutcome.REFUSED, StateOutcome.JOB_DONE, StateOutcome.JOB_LOST)
OF_A_JOB = ["job_id", "key", "outcome"]

FILE_ROWS = 1_000_000  # a file of half as many is left as it is when others are merged
ROWS_A_SECOND = 250_000  # of a run: a larger file would take too long to merge with another one
REPEATED = ("scope", "job_id", "run_id")  # columns with few values, held as dictionaries in half of the memory
SHARE_OF_RUN = 0.25  # of its time, in which files are read; writing them takes about twice as long as reading

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


class JobEnds:
    """What the jobs of a state have said: which took their rows, which of them lost rows, and what they refused.

    Of all scopes and runs, as a job's id is unique.
    """

    def __init__(self, folder: Folder) -> None:
        tables = [folder.read(name, OF_A_JOB) for name in job_files(folder)]
        found = pa.concat_tables([pa.schema([SCHEMA.field(name) for name in OF_A_JOB]).empty_table(), *tables])
        outcomes = (StateOutcome.JOB_DONE, StateOutcome.JOB_LOST, StateOutcome.REFUSED)
        done, lost, refused = (found.filter(pa.array(with_outcome(found, outcome))) for outcome in outcomes)
        self.done, self.lost, self.refused = done["job_id"].unique(), lost["job_id"].unique(), _of_job(refused).unique()

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
    jobs, scope = JobEnds(folder), pa.scalar(state.scope, pa.binary())
    open_jobs = Counter[str]()
    for name in row_files(folder):
        rows = folder.read(name, ["scope", "key", "outcome", "job_id"])
        is_open = pc.and_(pa.array(with_outcome(rows, StateOutcome.PENDING)), pc.equal(rows["scope"], scope))
        rows = jobs.live(rows.filter(pc.and_(is_open, pc.invert(pc.is_in(rows["job_id"], jobs.done)))))
        for one in rows["job_id"].value_counts().to_pylist():
            open_jobs[one["values"]] += one["counts"]
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


# --- few files of the many that runs leave -----------------------------------------------------------

# New files are complete before the old ones go, and a key that stands in both counts once: nothing is lost wherever
# this ends. Only who holds the lock of a state may do it.


def compact_state(spark: Any, state_path: str) -> int:
    """Merge the files of a state into as few as possible. A run merges small files of earlier runs by itself.

    Args:
        spark: The session.
        state_path: The option `state_path` of the writes.

    Returns:
        The number of files that there were before.

    Raises:
        KlaviyoError: A run uses the state.
        OptionError: It cannot be written to, or is no state that this version reads.
    """
    del spark  # the calling process does it
    state = StateLocation(state_path, b"", f"compact_{uuid.uuid4().hex}")
    with locked_state(state, KlaviyoError) as folder, naming_damaged_files(folder, shown_place(state_path)):
        return compact_locked(folder)


def compact_locked(folder: Folder) -> int:
    """Compact a state whose lock the caller holds; how many files there were."""
    rows, jobs, parts = row_files(folder), job_files(folder), parts_of(folder)
    ends = JobEnds(folder)
    for number in range(parts) if rows else ():
        tables = (_read(folder, name, ends) for name in rows)
        _write(folder, [table.filter(pa.array(part_of(identities(table), parts) == number)) for table in tables])
    folder.delete(*rows, *jobs)  # without what jobs refused, their rows would count as delivered
    return len(rows) + len(jobs)


def merge_small_files(folder: Folder, run_seconds: float) -> None:
    """Merge the files that runs have left, but for the largest ones, in no more time than a run took.

    Of all that are merged at once only the last rows are kept, and what jobs said of rows in other files stays.
    """
    until = time.monotonic() + SHARE_OF_RUN * run_seconds
    most = min(FILE_ROWS // 2, ROWS_A_SECOND * run_seconds)
    sizes = {name: rows for name in row_files(folder) if (rows := _rows_of(name)) <= most}
    names = sorted(sizes, key=lambda name: (sizes[name], name))
    merged = names[:-1] if names and sizes[names[-1]] else names
    ends: JobEnds | None = None
    held, read = list[pa.Table](), list[str]()
    for name in merged if len(names) > 2 else ():
        ends = ends or JobEnds(folder)
        held.append(_read(folder, name, ends))
        read.append(name)
        late = time.monotonic() > until and len(read) > 1
        if late or name == merged[-1] or sum(map(len, held)) >= FILE_ROWS:
            _write(folder, held, whole_state=False)
            folder.delete(*read)
            held, read = [], []
        if late:
            break
    jobs = job_files(folder)
    if len(jobs) > 1:
        tables = [folder.read(name, SCHEMA.names).select(SCHEMA.names) for name in jobs]
        folder.write(f"{JOBS}{uuid.uuid4().hex}{PARQUET}", pa.concat_tables(tables))
        folder.delete(*jobs)


def _rows_of(name: str) -> int:
    """How many rows a compacted file holds, which its name says; 0 for files of tasks."""
    count = name.removesuffix(PARQUET).rpartition("-")[2]
    return int(count) if name.startswith(COMPACT) and count.isdecimal() else 0


def _read(folder: Folder, name: str, ends: JobEnds) -> pa.Table:
    """The rows of a file that count; pending rows of a job that has taken them are sent."""
    rows = ends.live(folder.read(name, SCHEMA.names).select(SCHEMA.names))
    if len(ends.done):
        is_pending = pa.array(with_outcome(rows, StateOutcome.PENDING))
        taken = pc.and_(is_pending, pc.is_in(rows["job_id"], ends.done))
        outcome = pc.if_else(taken, StateOutcome.SENT.value, rows["outcome"])
        rows = rows.set_column(rows.schema.get_field_index("outcome"), "outcome", outcome)
    for column in REPEATED:
        rows = rows.set_column(rows.schema.get_field_index(column), column, rows[column].dictionary_encode())
    return rows


def _write(folder: Folder, tables: Sequence[pa.Table], *, whole_state: bool = True) -> None:
    """Write of each key the row delivered last and what leaves it in doubt.

    With rows of the state in other files also what resolves that.
    """
    rows = pa.concat_tables(tables)
    times = [whole(rows[column].cast(pa.int64())).to_numpy() for column in ("run_number", "at")]
    is_delivered, is_intent = with_outcome(rows, *DELIVERED), with_outcome(rows, StateOutcome.INTENT)
    delivered, intent, final, in_doubt = last_rows(identities(rows), times, is_delivered, is_intent)
    kept = np.zeros(len(rows) + 1, np.bool_)  # -1, none, is the one behind the last
    for places in (delivered, intent[in_doubt], *([] if whole_state else [final])):
        kept[places] = True
    rows = rows.filter(pa.array(kept[:-1]))
    if len(rows):
        folder.write(f"{COMPACT}{uuid.uuid4().hex[:12]}-{len(rows)}{PARQUET}", rows.cast(SCHEMA))
