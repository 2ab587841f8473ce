"""Records what a task delivers, while it runs, and reads what earlier attempts of the same task have delivered.

One attempt works at a time: a second one waits until the first shows no sign of life, then continues where it ended.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spark_klaviyo.arrow.arrays import Mask
from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.core.models import StateLocation
from spark_klaviyo.datasets.storage import PARQUET, Folder
from spark_klaviyo.state.format import (
    FINGERPRINT_BYTES,
    HASH_BYTES,
    JOBS,
    PART,
    REMOVED,
    SCHEMA,
    Fingerprints,
    StateOutcome,
    binary_of,
    fingerprints_of,
)
from spark_klaviyo.state.lock import LOCK, TAKEN_OVER, TASK_LEASE, Lease, active_leases, owner_of, unwritable
from spark_klaviyo.state.rows import DELIVERED, whole, with_outcome

NOT_HELD = "this run does not hold it: is it the same location for every task?"
FLUSH_ROWS = 1_000  # rows that are written without waiting for more
LONGEST_WAIT = 1.0  # seconds that fewer rows may wait for more
UNDELAYED_FILES = 100  # files that are written without any wait
DELAY_PER_FILE = 0.002  # further seconds of wait for each later file: a million small requests do not get a file each
READ_SCHEMA = pa.schema([SCHEMA.field(name) for name in ("key", "fingerprint", "job_id", "outcome", "at")])

OnFailure = Callable[[StopCode, str], object]


class Recorder:
    """The records of one task, or of the calling process (`partition_id` -1); several threads may call it.

    `on_failure` gets a code and a message when the state cannot be written, or another run has taken it over.
    `unrecorded` counts rows that were sent and could not be recorded.
    """

    def __init__(self, state: StateLocation, partition_id: int, attempt: int, on_failure: OnFailure) -> None:
        self._state, self._partition_id, self._on_failure = state, partition_id, on_failure
        self._folder = Folder.at(state.path)
        owner = uuid.uuid4().hex
        self._stem = f"{state.run_id}-{max(partition_id, 0):05d}-{attempt}-{owner[:8]}"
        self._lock = threading.RLock()
        self._held: dict[str, list[pa.Table]] = {PART: [], JOBS: [], REMOVED: []}
        self._files, self._written, self._last = 0, float("-inf"), 0
        self.unrecorded = 0
        self.earlier = EarlierAttempts([])
        lease = f"{TASK_LEASE}{state.run_id}-{partition_id:05d}.json"
        self._lease = Lease(self._folder, lease, owner, state.stale_seconds, self._lose, self._check_lock)

    def open(self, wait: Callable[[float], bool]) -> None:
        """Take the task's lease, once no earlier attempt of it is active, and read what those have delivered.

        `wait` sleeps for some seconds and returns whether to give up. Obstacles are reported to `on_failure`.
        """
        try:
            while active_leases(self._folder, [self._lease.name], self._state.stale_seconds, wait):
                if wait(0.0):
                    return
            if owner_of(self._folder, LOCK) != self._state.run_id:
                self._lose(NOT_HELD)
                return
            self._lease.acquire()
            if self._partition_id >= 0:
                self.earlier = EarlierAttempts.read(self._folder, self._state.run_id, self._partition_id)
                self._last = max(self._last, self.earlier.last)  # the clock of the other machine may be ahead
        except OSError as error:
            self._fail(StopCode.STATE_UNWRITABLE, unwritable(error))
        except pa.ArrowException:  # written by an earlier attempt of this task
            self._fail(StopCode.STATE_UNWRITABLE, "a file that this run has written is damaged")

    def record(
        self, fingerprints: Fingerprints, outcome: StateOutcome, job_id: str | None = None, *, at_once: bool = False
    ) -> None:
        """Record the outcome of rows; on disk when this returns with `at_once`, else soon after."""
        if not len(fingerprints):
            return
        with self._lock:
            keys, contents = binary_of(fingerprints[:, :HASH_BYTES]), binary_of(fingerprints[:, HASH_BYTES:])
            self._hold(PART, keys, contents, outcome, job_id)
            due = min(LONGEST_WAIT, DELAY_PER_FILE * max(self._files - UNDELAYED_FILES, 0))
            if at_once or time.monotonic() - self._written >= due:
                self.flush()

    def record_removed(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        """Record people, by their keys among removals, as taken off lists (hashed; empty: erased)."""
        keys, lists = (pa.array(column, pa.binary()) for column in zip(*pairs, strict=True))
        with self._lock:
            self._hold(REMOVED, keys, lists, StateOutcome.REMOVED)

    def record_job(self, job_id: str, outcome: StateOutcome, keys: Iterable[bytes | None] = (None,)) -> None:
        """Record how a job ended, or what became of its rows with these keys."""
        with self._lock:
            described = pa.array(keys, pa.binary())
            self._hold(JOBS, described, pa.nulls(len(described), pa.binary()), outcome, job_id)

    def close(self) -> None:
        """Write what is held and release the lease."""
        self.flush()
        self._lease.release()

    def _hold(
        self, kind: str, keys: pa.Array, fingerprints: pa.Array, outcome: StateOutcome, job_id: str | None = None
    ) -> None:
        """Hold rows of the state that differ in key and fingerprint only; many are written."""
        self._last = max(self._last + 1, time.time_ns() // 1000)  # grows with every call, whatever the clock does
        state = self._state
        same = [outcome, job_id, state.run_id, self._partition_id, state.run_number, self._last]
        scalars = [pa.scalar(value, field.type) for value, field in zip(same, list(SCHEMA)[3:], strict=True)]
        scope = pa.scalar(state.removals if kind == REMOVED else state.scope, pa.binary())
        columns = [pa.repeat(scope, len(keys)), keys, fingerprints, *(pa.repeat(one, len(keys)) for one in scalars)]
        self._held[kind].append(pa.Table.from_arrays(columns, schema=SCHEMA))
        if sum(map(len, self._held[kind])) >= FLUSH_ROWS:
            self.flush()

    def flush(self) -> None:
        """Write what is held."""
        with self._lock:
            for kind, held in self._held.items():
                rows = pa.concat_tables([SCHEMA.empty_table(), *held]).combine_chunks()
                held.clear()
                if len(rows):
                    self._write(kind, rows)

    def _write(self, kind: str, rows: pa.Table) -> None:
        try:
            self._folder.write(f"{kind}{self._stem}-{self._files:05d}{PARQUET}", rows)
            self._files += 1
            self._written = time.monotonic()
        except OSError as error:
            self._fail(StopCode.STATE_UNWRITABLE, unwritable(error))
            if kind == PART:  # the next run asks again for ends of jobs that cannot be written
                self.unrecorded += int(with_outcome(rows, *DELIVERED).sum())

    def _check_lock(self) -> None:
        self.flush()
        with suppress(OSError):  # the lease itself reports a store that is out of reach for long
            if owner_of(self._folder, LOCK) != self._state.run_id:
                self._lose(TAKEN_OVER)

    def _lose(self, why: str) -> None:
        self._fail(StopCode.STATE_LOST, why)

    def _fail(self, code: StopCode, why: str) -> None:
        self._on_failure(code, f"the state at state_path can no longer be used: {why}")


# --- earlier attempts -----------------------------------------------------------------------------


class EarlierAttempts:
    """The rows that earlier attempts of a task have sent, by their fingerprints.

    `in_doubt` holds the fingerprints of rows that were about to be sent, with no outcome recorded since. `last` is the
    latest time among all rows, in microseconds since 1970.
    """

    def __init__(self, tables: Iterable[pa.Table]) -> None:
        rows = pa.concat_tables([READ_SCHEMA.empty_table(), *tables]).sort_by("at").combine_chunks()
        fingerprints = whole(pc.binary_join_element_wise(rows["key"], rows["fingerprint"], b""))
        self.last: int = pc.max(rows.column("at").cast(pa.int64())).as_py() or 0
        self.in_doubt: set[bytes] = set()
        is_intent = with_outcome(rows, StateOutcome.INTENT)
        if is_intent.any():
            final = dict(zip(fingerprints.to_pylist(), is_intent, strict=True))
            self.in_doubt = {one for one, is_last in final.items() if is_last}
        is_sent = pa.array(with_outcome(rows, StateOutcome.SENT, StateOutcome.PENDING))
        found = _as_values(fingerprints_of(fingerprints.filter(is_sent)))
        order = np.argsort(found)  # once, as every batch of the task is looked up
        self._fingerprints, self._jobs = found[order], whole(rows["job_id"]).filter(is_sent).take(pa.array(order))

    @staticmethod
    def read(folder: Folder, run_id: str, partition_id: int) -> EarlierAttempts:
        """What the files of this run and partition hold."""
        stem = f"{PART}{run_id}-{max(partition_id, 0):05d}-"
        names = [name for name in folder.names() if name.startswith(stem)]
        return EarlierAttempts(folder.read(name, READ_SCHEMA.names) for name in names)

    def sent(self, fingerprints: Fingerprints) -> tuple[Mask, Counter[str | None]]:
        """Which of these rows were sent, and how many of them each job has; None counts those without a job."""
        if not len(self._fingerprints):
            return np.zeros(len(fingerprints), np.bool_), Counter()
        wanted = _as_values(fingerprints)
        places = np.minimum(self._fingerprints.searchsorted(wanted), len(self._fingerprints) - 1)
        sent: Mask = self._fingerprints[places] == wanted
        return sent, Counter(self._jobs.take(pa.array(places[sent])).to_pylist())


def _as_values(fingerprints: Fingerprints) -> npt.NDArray[np.void]:
    """Each row of the matrix as one value, which numpy compares byte by byte."""
    return np.ascontiguousarray(fingerprints).view(f"V{FINGERPRINT_BYTES}").ravel()
