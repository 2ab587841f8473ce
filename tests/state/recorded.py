"""Tasks with a state, without Spark: a lock as the calling process holds it, fingerprints as Spark makes them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from spark_klaviyo.arrow.encoded import FINGERPRINT, KEY, RECORD, ROW_STATUS
from spark_klaviyo.core.models import StateLocation
from spark_klaviyo.datasets.storage import Folder
from spark_klaviyo.encode.encoder import encode
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.simulator import KlaviyoSimulator
from spark_klaviyo.state.format import RowStatus
from spark_klaviyo.state.lock import LOCK, Lease
from tests.task.running import Row, plan_for

RUN = "run"
SCOPE = b"s" * 16
STALE = 0.5  # seconds


def state_at(path: Path, run_id: str = RUN, run_number: int = 1, stale_seconds: float = STALE) -> StateLocation:
    return StateLocation(str(path), SCOPE, run_id, run_number, stale_seconds)


@contextmanager
def locked(state: StateLocation) -> Iterator[Folder]:
    """The state's folder while a run holds its lock."""
    folder = Folder.at(state.path)
    folder.make()
    lock = Lease(folder, LOCK, state.run_id, state.stale_seconds)
    lock.acquire()
    try:
        yield folder
    finally:
        lock.release()


def plan_with_state(
    klaviyo: KlaviyoSimulator, state: StateLocation, columns: Sequence[str], **options: object
) -> WritePlan:
    """A plan whose tasks record what they deliver."""
    return replace(plan_for(klaviyo, columns, rate_limit="none", **options), state=state)


def compared(plan: WritePlan, rows: Sequence[Row], encoded_rows: int = 1_000) -> Iterator[pa.RecordBatch]:
    """Encoded batches with their fingerprints, all rows to be sent."""
    schema = pa.schema([(name, pa.string()) for name in rows[0]])
    for batch in pa.Table.from_pylist(list(rows), schema).to_batches(max_chunksize=encoded_rows):
        yield with_fingerprints(encode(batch, plan))


def with_fingerprints(encoded: pa.RecordBatch) -> pa.RecordBatch:
    pairs = zip(encoded[KEY].to_pylist(), encoded[RECORD].to_pylist(), strict=True)
    fingerprints = pa.array([fingerprint(key, record) for key, record in pairs], pa.binary())
    status = pa.array([RowStatus.TO_SEND] * encoded.num_rows, pa.int32())
    names = [*encoded.schema.names, FINGERPRINT, ROW_STATUS]
    return pa.RecordBatch.from_arrays([*encoded.columns, fingerprints, status], names=names)


def fingerprint(key: object, record: object) -> bytes:
    return b"".join(hashlib.sha256(str(text).encode()).digest()[:16] for text in (key, record))


def recorded(path: Path) -> list[dict[str, object]]:
    """All rows of a state's files."""
    return [row for file in sorted(path.glob("[!_]*.parquet")) for row in pq.read_table(file).to_pylist()]
