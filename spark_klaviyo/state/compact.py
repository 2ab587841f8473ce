"""Replaces the many small files of a state by few: only what a next run needs is kept, one row for each key."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from spark_klaviyo.core.models import StateLocation
from spark_klaviyo.datasets.storage import PARQUET, Folder
from spark_klaviyo.errors import KlaviyoError
from spark_klaviyo.state.compare import IN_DOUBT, holds_jobs, last_rows, live_rows, stored_rows
from spark_klaviyo.state.format import COMPACT, JOBS, SCHEMA, StateOutcome
from spark_klaviyo.state.lock import locked_state

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

MANY_FILES = 2_000  # beyond which a run compacts the state before it begins
FILES = 8


def write_file(path: str, stem: str, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Write the rows of a partition to one Parquet file and yield its name."""
    held = [batch for batch in batches if batch.num_rows]
    name = f"{stem}{uuid.uuid4().hex[:12]}{PARQUET}"
    if held:
        Folder.at(path).write(name, pa.Table.from_batches(held).cast(SCHEMA))
        yield pa.RecordBatch.from_pydict({"name": [name]})


def compact_state(spark: Any, state_path: str) -> int:
    """Replace the files of a state by few, keeping all that a next run needs.

    A run does that by itself once there are more than 2,000.

    Args:
        spark: The session.
        state_path: Where the state is: the option of this name.

    Returns:
        How many files there were.

    Raises:
        KlaviyoError: A run uses the state.
        OptionError: It cannot be written to, or it is no state of this version.
    """
    state = StateLocation(state_path, b"", f"compact_{uuid.uuid4().hex}")
    with locked_state(state, KlaviyoError) as folder:
        return compact_locked(spark, folder, state_path)


def compact_if_many(spark: Any, folder: Folder, path: str) -> None:
    """Compact a state that has many files; the caller holds its lock."""
    if len(folder.names()) > MANY_FILES:
        compact_locked(spark, folder, path)


def compact_locked(spark: Any, folder: Folder, path: str) -> int:
    """Compact a state whose lock the caller holds; how many files there were.

    The new files are complete before the old ones go, and a key that stands in both counts once: nothing is lost
    wherever this ends.
    """
    old = folder.names()
    stem = f"{COMPACT}{uuid.uuid4().hex[:12]}-"
    files = _kept_rows(spark, path).coalesce(FILES).mapInArrow(partial(write_file, path, stem), "name string")
    written = files.collect()
    for name in sorted(old, key=lambda name: name.startswith(JOBS)):
        folder.delete(name)  # what jobs refused goes last: without it their rows would count as delivered
    for name in set(folder.names_with(stem)) - {row["name"] for row in written}:
        folder.delete(name)  # of task attempts that failed after they had written
    return len(old)


def _kept_rows(spark: Any, path: str) -> DataFrame:
    """The last row of each key; pending rows of a job that has taken them count as sent, and jobs are left out."""
    from pyspark.sql import functions as f

    found = last_rows(live_rows(spark, path))
    delivered = found.where("delivered IS NOT NULL").select("scope", "key", "delivered.*")
    intents = found.selectExpr("scope", "key", "intent", IN_DOUBT).where("in_doubt").select("scope", "key", "intent.*")
    kept = delivered.unionByName(intents)
    if holds_jobs(path):
        done = stored_rows(spark, path).where(f"outcome = '{StateOutcome.JOB_DONE}'")
        done = done.select(f.col("job_id").alias("done_job_id")).distinct()
        is_sent = f.col("done_job_id").isNotNull() & (f.col("outcome") == f.lit(StateOutcome.PENDING.value))
        kept = kept.join(done, f.col("job_id") == f.col("done_job_id"), "left")
        kept = kept.withColumn("outcome", f.when(is_sent, f.lit(StateOutcome.SENT.value)).otherwise(f.col("outcome")))
    return kept.select(*SCHEMA.names)
