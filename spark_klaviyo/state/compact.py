"""Many small files of a state become few: only what the next run needs is kept, one row for each key."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from spark_klaviyo.datasets.storage import PARQUET, Folder
from spark_klaviyo.state.compare import DOUBT, NEWEST, live, stored
from spark_klaviyo.state.format import COMPACT, JOBS, PENDING, SCHEMA, SENT, TAKEN, StatePlace

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

MANY = 2_000  # files, beyond which a run compacts the state before it begins
FILES = 8


@dataclass(frozen=True)
class WriteFiles:
    """Writes what stands, a Parquet file a partition; picklable. Yields the names."""

    path: str
    mark: str

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """What `mapInArrow` calls."""
        held = [batch for batch in batches if batch.num_rows]
        name = f"{COMPACT}{self.mark}-{uuid.uuid4().hex[:12]}{PARQUET}"
        if held:
            Folder.at(self.path).write(name, pa.Table.from_batches(held).cast(SCHEMA))
            yield pa.RecordBatch.from_pydict({"name": [name]})


def compact_if_many(spark: Any, folder: Folder, place: StatePlace) -> None:
    """Compact a state that has many files; the caller holds its lock."""
    if len(folder.names()) > MANY:
        compact_held(spark, folder, place.path)


def compact_held(spark: Any, folder: Folder, path: str) -> int:
    """Compact a state whose lock the caller holds; how many files went.

    The new files are complete before the old ones go, and each alone tells the truth: nothing is lost wherever it ends.
    """
    old = folder.names()
    mark = uuid.uuid4().hex[:12]
    kept = _kept(spark, path, jobs=any(name.startswith(JOBS) for name in old))
    made = [row["name"] for row in kept.coalesce(FILES).mapInArrow(WriteFiles(path, mark), "name string").collect()]
    rows, ends = [n for n in old if not n.startswith(JOBS)], [n for n in old if n.startswith(JOBS)]
    for name in [*rows, *ends]:  # what jobs refused goes last: without it their rows would count as delivered
        folder.delete(name)
    _drop_repeats(folder, mark, set(made))
    return len(old)


def _drop_repeats(folder: Folder, mark: str, made: set[str]) -> None:
    """Files of task attempts that failed after they had written."""
    for name in folder.names():
        if name.startswith(f"{COMPACT}{mark}-") and name not in made:
            folder.delete(name)


def _kept(spark: Any, path: str, *, jobs: bool) -> DataFrame:
    """The last row of each key, and the ends of no job: rows of a job that took them count as sent."""
    from pyspark.sql import functions as f

    found = live(spark, path, "true", jobs=jobs).groupBy("scope", "key").agg(*(f.expr(text) for text in NEWEST))
    newest = found.where("newest IS NOT NULL").select("scope", "key", "newest.*")
    begun = found.selectExpr("scope", "key", "begun", DOUBT).where("doubtful").select("scope", "key", "begun.*")
    kept = newest.unionByName(begun)
    if jobs:
        taken = stored(spark, path).where(f"outcome = '{TAKEN}'").select(f.col("job_id").alias("taken")).distinct()
        kept = kept.join(taken, f.col("job_id") == f.col("taken"), "left")
        settled = f.when(f.col("taken").isNotNull() & (f.col("outcome") == PENDING), SENT).otherwise(f.col("outcome"))
        kept = kept.withColumn("outcome", settled)
    return kept.select(*SCHEMA.names)
