"""What earlier attempts of a task have delivered: read once, searched in whole columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, timezone

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spark_klaviyo.datasets.storage import Folder
from spark_klaviyo.state.format import HASH, INTENT, PART, PENDING, SCHEMA, SENT, Marks, marks_of

READ = ["key", "fingerprint", "job_id", "outcome", "at"]
READ_SCHEMA = pa.schema([SCHEMA.field(name) for name in READ])


class EarlierAttempts:
    """What earlier attempts of a task have delivered: rows by their marks, with outcome and job.

    `doubtful`: marks of rows that were begun, and of which nothing more is known. `last`: the latest moment among all,
    in microseconds.
    """

    def __init__(self, tables: Iterable[pa.Table]) -> None:
        every = pa.concat_tables([pa.table({name: [] for name in READ}, schema=READ_SCHEMA), *tables])
        marks = np.concatenate([_fixed(every.column("key")), _fixed(every.column("fingerprint"))], axis=1)
        outcomes = every.column("outcome").to_pylist()
        moments = every.column("at").to_pylist()
        self.last = max((_microseconds(moment) for moment in set(moments) if moment is not None), default=0)
        self.doubtful = _doubtful(marks, outcomes, moments)
        done = np.array([outcome in (SENT, PENDING) for outcome in outcomes], dtype=bool)
        self._marks = marks[done]
        self._jobs = [job for job, kept in zip(every.column("job_id").to_pylist(), done, strict=True) if kept]
        short = _short(self._marks)
        self._order = np.argsort(short, kind="stable")
        self._sorted = short[self._order]

    def __len__(self) -> int:
        return len(self._marks)

    @staticmethod
    def read(folder: Folder, run_id: str, partition_id: int) -> EarlierAttempts:
        """What the files of this run and partition hold."""
        stem = f"{PART}{run_id}-{max(partition_id, 0):05d}-"
        names = [name for name in folder.names() if name.startswith(stem)]
        return EarlierAttempts(folder.read(name, READ) for name in names)

    def place_of(self, marks: Marks) -> npt.NDArray[np.int64]:
        """For each row its place in the record, -1 where it is not there."""
        found = np.full(len(marks), -1, dtype=np.int64)
        if not len(self) or not len(marks):
            return found
        at = np.minimum(self._sorted.searchsorted(_short(marks)), len(self) - 1)
        places = self._order[at]
        same = (self._marks[places] == marks).all(axis=1)
        found[same] = places[same]
        return found

    def jobs_of(self, places: npt.NDArray[np.int64]) -> Iterator[tuple[str | None, int]]:
        """The jobs of rows at these places, and how many of the rows each has; None: those without a job."""
        counts: dict[str | None, int] = {}
        for place in places.tolist():
            counts[self._jobs[place]] = counts.get(self._jobs[place], 0) + 1
        yield from counts.items()


def _microseconds(moment: datetime) -> int:
    return (moment - datetime.fromtimestamp(0, timezone.utc)) // timedelta(microseconds=1)


def _doubtful(marks: Marks, outcomes: list[str], moments: list[datetime]) -> set[bytes]:
    """The marks whose last row says that they were begun."""
    if INTENT not in outcomes:
        return set()
    last: dict[bytes, tuple[datetime, str]] = {}
    for mark, outcome, moment in zip(marks, outcomes, moments, strict=True):
        last[bytes(mark)] = max(last.get(bytes(mark), (moment, outcome)), (moment, outcome))
    return {mark for mark, (_, outcome) in last.items() if outcome == INTENT}


def _short(marks: Marks) -> npt.NDArray[np.uint64]:
    """64 bits of each mark, to search by; who is found is compared whole."""
    words = np.ascontiguousarray(marks).view(np.uint64)
    return words[:, 0] ^ words[:, 2]


def _fixed(column: pa.ChunkedArray) -> Marks:
    held = column.combine_chunks()
    return marks_of(held if isinstance(held, pa.Array) else pa.concat_arrays(held.chunks), HASH)
