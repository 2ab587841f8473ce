"""Makes few files of the many that runs leave in a state.

New files are complete before the old ones go, and a key that stands in both counts once: nothing is lost wherever this
ends. Only who holds the lock of a state may do it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_klaviyo.core.models import StateLocation
from spark_klaviyo.datasets.storage import PARQUET, Folder
from spark_klaviyo.errors import KlaviyoError
from spark_klaviyo.options.addresses import shown_place
from spark_klaviyo.state.format import COMPACT, JOBS, SCHEMA, StateOutcome
from spark_klaviyo.state.lock import locked_state, naming_damaged_files
from spark_klaviyo.state.rows import (
    DELIVERED,
    JobEnds,
    identities,
    job_files,
    last_rows,
    part_of,
    parts_of,
    row_files,
    whole,
    with_outcome,
)

FILE_ROWS = 1_000_000  # a file of half as many is left as it is when others are merged
ROWS_A_SECOND = 250_000  # of a run: a larger file would take too long to merge with another one
SHARE_OF_RUN = 0.25  # of its time, in which files are read; writing them takes about twice as long as reading


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
    ends = JobEnds.read(folder)
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
    ends, held, read = JobEnds.read(folder), list[pa.Table](), list[str]()
    for name in merged if len(names) > 2 else ():
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
        folder.write(f"{COMPACT}{uuid.uuid4().hex[:12]}-{len(rows)}{PARQUET}", rows)
