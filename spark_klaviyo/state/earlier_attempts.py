"""What earlier attempts of a task have delivered: read once, searched in whole columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spark_klaviyo.datasets.storage import Folder
from spark_klaviyo.state.format import HASH_BYTES, PART, SCHEMA, Fingerprints, StateOutcome, fingerprints_of

READ = ["key", "fingerprint", "job_id", "outcome", "at"]
READ_SCHEMA = pa.schema([SCHEMA.field(name) for name in READ])


class EarlierAttempts:
    """The rows that earlier attempts of a task have sent, by their fingerprints.

    `in_doubt` holds the fingerprints of rows that were about to be sent, with no outcome recorded since. `last` is the
    latest time among all rows, in microseconds since 1970.
    """

    def __init__(self, tables: Iterable[pa.Table]) -> None:
        rows = pa.concat_tables([READ_SCHEMA.empty_table(), *tables]).sort_by("at").combine_chunks()
        hashes = [fingerprints_of(_array(rows, name), HASH_BYTES) for name in ("key", "fingerprint")]
        fingerprints = _whole(np.concatenate(hashes, axis=1))
        outcomes = np.array(rows.column("outcome").to_pylist(), dtype=np.object_)
        self.last: int = pc.max(rows.column("at").cast(pa.int64())).as_py() or 0
        self.in_doubt: set[bytes] = set()
        if (outcomes == StateOutcome.INTENT).any():
            final = dict(zip(map(bytes, fingerprints), outcomes, strict=True))
            self.in_doubt = {one for one, outcome in final.items() if outcome == StateOutcome.INTENT}
        sent = np.flatnonzero((outcomes == StateOutcome.SENT) | (outcomes == StateOutcome.PENDING))
        order = sent[np.argsort(fingerprints[sent])]
        self._fingerprints = fingerprints[order]
        self._jobs = _array(rows, "job_id").take(pa.array(order))

    @staticmethod
    def read(folder: Folder, run_id: str, partition_id: int) -> EarlierAttempts:
        """What the files of this run and partition hold."""
        stem = f"{PART}{run_id}-{max(partition_id, 0):05d}-"
        names = [name for name in folder.names() if name.startswith(stem)]
        return EarlierAttempts(folder.read(name, READ) for name in names)

    def sent(self, fingerprints: Fingerprints) -> tuple[npt.NDArray[np.bool_], Counter[str | None]]:
        """Which of these rows were sent, and how many of them each job has; None counts those without a job."""
        if not len(self._fingerprints) or not len(fingerprints):
            return np.zeros(len(fingerprints), dtype=bool), Counter()
        wanted = _whole(fingerprints)
        positions = np.minimum(self._fingerprints.searchsorted(wanted), len(self._fingerprints) - 1)
        sent: npt.NDArray[np.bool_] = self._fingerprints[positions] == wanted
        return sent, Counter(self._jobs.take(pa.array(positions[sent])).to_pylist())


def _whole(fingerprints: Fingerprints) -> npt.NDArray[np.void]:
    """Each row of the matrix as one value, which numpy compares byte by byte."""
    return np.ascontiguousarray(fingerprints).view(f"V{fingerprints.shape[1]}").ravel()


def _array(rows: pa.Table, name: str) -> pa.Array:
    column = rows.column(name)
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks or [pa.nulls(0, column.type)])
