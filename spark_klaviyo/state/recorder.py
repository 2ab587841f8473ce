"""Writes down what was delivered while a task runs, and reads what earlier attempts of the same task have delivered.

One attempt at a time: a second one waits until the first gives no sign of life, then goes on where that one ended.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timezone

import numpy as np
import pyarrow as pa

from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.datasets.storage import PARQUET, Folder
from spark_klaviyo.state.earlier import EarlierAttempts
from spark_klaviyo.state.format import (
    HASH,
    JOBS,
    PART,
    PENDING,
    REFUSED,
    SCHEMA,
    SENT,
    Marks,
    StatePlace,
)
from spark_klaviyo.state.lease import Lease, living, owner_of

NOT_HELD = "this run does not hold it here: is it one place for every machine?"
LOCK = "_lock.json"
LEASE = "_lease-"
AT_ONCE = 1_000  # rows that are written down without waiting for more
LONGEST_WAIT = 1.0  # seconds that fewer rows may wait for more
FEW = 100  # files that are written without any waiting
PATIENCE = 0.002  # seconds more of waiting for each further file: a million small requests do not get a file each

Fail = Callable[[StopCode, str], None]


@dataclass(frozen=True)
class Held:
    """Rows with one outcome that are not written down yet."""

    marks: Marks
    outcome: str
    job_id: str | None
    at: int


class Recorder:
    """The record of one task, or of the calling process (`partition_id` -1). Locked: several threads may call it.

    `fail` is told, as (code, message), when the state cannot be written, or belongs to somebody else by now.
    `unrecorded` counts rows that reached their outcome and could not be written down.
    """

    def __init__(self, place: StatePlace, partition_id: int, attempt: int, fail: Fail) -> None:
        self._place, self._partition = place, partition_id
        self._folder = Folder.at(place.path)
        self._owner = uuid.uuid4().hex
        self._stem = f"{place.run_id}-{max(partition_id, 0):05d}-{attempt}-{self._owner[:8]}"
        self._fail = fail
        self._lock = threading.Lock()
        self._held: list[Held] = []
        self._ends: list[dict[str, object]] = []
        self._files, self._written, self._last = 0, float("-inf"), 0
        self.unrecorded = 0
        self.earlier = EarlierAttempts([])
        self._lease = Lease(
            self._folder,
            f"{LEASE}{place.run_id}-{partition_id:05d}.json",
            self._owner,
            place.stale_seconds,
            self._lost,
            self._each_beat,
        )

    def open(self, stopped: Callable[[float], object]) -> None:
        """Take the task's lease, once no earlier attempt of it is at work, and read what those have delivered.

        `stopped` sleeps, and says whether to give up. What is in the way is told to `fail`.
        """
        try:
            while living(self._folder, [self._lease.name], self._place.stale_seconds, stopped):
                if stopped(0.0):
                    return
            if owner_of(self._folder, LOCK) != self._place.run_id:
                self._fail(
                    StopCode.STATE_LOST,
                    self._message("this run does not hold it: is it the same place for every task?"),
                )
                return
            self._lease.take()
            if self._partition >= 0:
                self.earlier = EarlierAttempts.read(self._folder, self._place.run_id, self._partition)
                self._last = max(self._last, self.earlier.last)  # whatever the clock of the other machine said
        except OSError as error:
            self._fail(StopCode.STATE_UNWRITABLE, self._message(_why(error)))

    def record(self, marks: Marks, outcome: str, job_id: str | None = None, *, at_once: bool = False) -> None:
        """Rows that reached their outcome, or were accepted by a job; on disk when this returns, or soon after."""
        if not len(marks):
            return
        with self._lock:
            self._held.append(Held(marks, outcome, job_id, self._moment()))
            waited = time.monotonic() - self._written
            due = min(LONGEST_WAIT, PATIENCE * max(self._files - FEW, 0))
            if at_once or waited >= due or sum(len(held.marks) for held in self._held) >= AT_ONCE:
                self._flush()

    def job(self, job_id: str, outcome: str, refused: Iterable[bytes] = ()) -> None:
        """What became of a job, and the keys of the rows that it refused; an empty `outcome`: only those."""
        with self._lock:
            self._ends += [self._row(None, outcome, job_id)] if outcome else []
            self._ends += [self._row(key, REFUSED, job_id) for key in refused]
            if len(self._ends) >= AT_ONCE:
                self._flush()

    def flush(self) -> None:
        """Write down what is held."""
        with self._lock:
            self._flush()

    def close(self) -> None:
        """Write down what is held and give the lease back."""
        self.flush()
        try:
            self._lease.release()
        except (OSError, RuntimeError):  # it was never taken, or cannot be deleted: others will see it is stale
            return

    def _flush(self) -> None:
        held, self._held = self._held, []
        if held and not self._put(PART, self._table(held)):
            self.unrecorded += sum(len(one.marks) for one in held if one.outcome in (SENT, PENDING))
        ends, self._ends = self._ends, []  # what cannot be written is asked again by the next run
        if ends:
            self._put(JOBS, pa.Table.from_pylist(ends, SCHEMA))

    def _put(self, kind: str, table: pa.Table) -> bool:
        try:
            self._folder.write(f"{kind}{self._stem}-{self._files:05d}{PARQUET}", table)
        except OSError as error:
            self._fail(StopCode.STATE_UNWRITABLE, self._message(_why(error)))
            return False
        self._files += 1
        self._written = time.monotonic()
        return True

    def _table(self, held: list[Held]) -> pa.Table:
        counts = [len(one.marks) for one in held]
        marks = np.concatenate([one.marks for one in held])
        rows = len(marks)
        columns = [
            pa.repeat(pa.scalar(self._place.scope, pa.binary()), rows),
            _binary(marks[:, :HASH]),
            _binary(marks[:, HASH:]),
            _repeated([one.outcome for one in held], counts),
            _repeated([one.job_id for one in held], counts),
            pa.repeat(pa.scalar(self._place.run_id), rows),
            pa.repeat(pa.scalar(self._partition, pa.int32()), rows),
            pa.repeat(pa.scalar(self._place.run_number, pa.int64()), rows),
            pa.array(np.repeat([one.at for one in held], counts), pa.int64()).cast(SCHEMA.field("at").type),
        ]
        return pa.Table.from_arrays(columns, schema=SCHEMA)

    def _row(self, key: bytes | None, outcome: str, job_id: str) -> dict[str, object]:
        return {
            "scope": self._place.scope,
            "key": key,
            "fingerprint": None,
            "outcome": outcome,
            "job_id": job_id,
            "run_id": self._place.run_id,
            "partition_id": self._partition,
            "run_number": self._place.run_number,
            "at": datetime.fromtimestamp(self._moment() / 1e6, timezone.utc),
        }

    def _moment(self) -> int:
        """Microseconds, growing with every call whatever the clock does."""
        self._last = max(self._last + 1, time.time_ns() // 1000)
        return self._last

    def _each_beat(self) -> None:
        self.flush()
        try:
            if owner_of(self._folder, LOCK) != self._place.run_id:
                self._lost("another run has taken it over")
        except OSError:
            return  # the lease itself tells when the store is away for long

    def _lost(self, why: str) -> None:
        self._fail(StopCode.STATE_LOST, self._message(why))

    def _message(self, why: str) -> str:
        return f"the state at state_path cannot be used any more: {why}"


def _binary(hashes: Marks) -> pa.Array:
    rows, width = hashes.shape
    ends = pa.py_buffer(np.arange(0, (rows + 1) * width, width, dtype=np.int32))
    return pa.Array.from_buffers(pa.binary(), rows, [None, ends, pa.py_buffer(np.ascontiguousarray(hashes))])


def _repeated(values: list[str | None] | list[str], counts: list[int]) -> pa.Array:
    places = pa.array(np.repeat(np.arange(len(counts)), counts))
    return pa.array(values, pa.string()).take(places)


def _why(error: OSError) -> str:
    return f"it could not be written to ({error.strerror or type(error).__name__})"
