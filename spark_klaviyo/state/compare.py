"""Compares the rows of a DataFrame with a state, in Spark, whatever the sizes, and compacts a state.

Every encoded row comes with its fingerprint (`state.fingerprints`) and gets a `RowStatus`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from functools import partial, reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from spark_klaviyo.arrow.encoded import CONTENT, ENCODED, FINGERPRINT, PARAMS, RECORD, ROW_KEY, ROW_STATUS
from spark_klaviyo.core.codes import OnDelete
from spark_klaviyo.core.identifiers import SEPARATOR, normalised_column
from spark_klaviyo.core.models import StateLocation
from spark_klaviyo.datasets.spark_storage import SparkLocation
from spark_klaviyo.datasets.storage import PARQUET, Folder, is_local, local_path
from spark_klaviyo.errors import KlaviyoError
from spark_klaviyo.options.addresses import shown_place
from spark_klaviyo.plan.consent_columns import has_consent_columns
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.shape import leaf_at
from spark_klaviyo.state.fingerprints import depends_on_params
from spark_klaviyo.state.format import COMPACT, DDL, JOBS, SCHEMA, RowStatus, StateOutcome
from spark_klaviyo.state.lock import locked_state, naming_damaged_files

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

SENT, PENDING, INTENT = StateOutcome.SENT, StateOutcome.PENDING, StateOutcome.INTENT
# A row of the state; structs compare by their first fields, so the greatest one of a key is the last one.
ORDERED = "struct(run_number, at, fingerprint, outcome, job_id, run_id, partition_id)"
LAST_ROWS = (
    f"max(CASE WHEN outcome IN ('{SENT}', '{PENDING}') THEN {ORDERED} END) AS delivered",
    f"max(CASE WHEN outcome = '{INTENT}' THEN {ORDERED} END) AS intent",
    f"max(CASE WHEN outcome <> '{INTENT}' THEN {ORDERED} END) AS final",
)
IN_DOUBT = "(intent IS NOT NULL AND (final IS NULL OR intent > final)) AS in_doubt"
SMALL = 32_000_000  # bytes of a state, about 800,000 keys, that every task may hold
MANY_FILES = 2_000  # beyond which a run compacts the state before it begins
FILES = 8


def compare_with_state(encoded: DataFrame, plan: WritePlan, state: StateLocation, sent_again: str = "") -> DataFrame:
    """The encoded rows with their `row_status`; rows that need no sending come without their record.

    A shuffle by key brings all rows of one identifier together; those that are known to be delivered leave their record
    behind before it, where the state is small enough for every task to hold its keys. `sent_again`: a boolean column of
    rows that are to be sent also where the state says that they were delivered.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as f

    rows = encoded.withColumn("position", f.monotonically_increasing_id())
    replaces = bool(plan.checks.key) and not plan.template.takes_away
    if not replaces or plan.checks.adds:
        rows = _numbered(rows, state)
    known = _last_delivered(encoded.sparkSession, state, only_of_cut_off_run=plan.template.takes_away)
    known = f.broadcast(known) if Folder.at(state.path).size() <= SMALL else known
    rows = rows.join(known, f.col(ROW_KEY) == f.col("known_key"), "left")
    is_known = f.col("known_content") == f.col(CONTENT)
    if state.removals and _adds_people(plan):
        rows, removed_since = _with_removals(rows, plan, state)
        is_known = is_known & ~removed_since
    is_known = is_known & ~f.col(sent_again) if sent_again else is_known
    status = f.when(is_known, RowStatus.DELIVERED).otherwise(RowStatus.TO_SEND)
    if not plan.resend.allows_every_request:
        status = f.when(f.col("in_doubt"), RowStatus.IN_DOUBT).otherwise(status)
    rows = _without_record(rows.withColumn(ROW_STATUS, status.cast("int")), plan, RowStatus.DELIVERED)
    if replaces:
        last = f.row_number().over(Window.partitionBy(ROW_KEY).orderBy(f.desc("position"))) == 1
        status = f.when(last, f.col(ROW_STATUS)).otherwise(RowStatus.REPLACED)
        rows = _without_record(rows.withColumn(ROW_STATUS, status.cast("int")), plan, RowStatus.REPLACED)
    return rows.select(*ENCODED.names, f.concat(ROW_KEY, CONTENT).alias(FINGERPRINT), ROW_STATUS)


def _numbered(rows: DataFrame, state: StateLocation) -> DataFrame:
    """The rows; those that are known by their content get a key: it, and how many rows before have the same."""
    from pyspark.sql import Window
    from pyspark.sql import functions as f

    number = f.row_number().over(Window.partitionBy(CONTENT).orderBy("position"))
    salt = f.lit(state.scope.hex() + "\n")
    text = f.concat(salt, f.hex(CONTENT), f.lit(SEPARATOR), number.cast("string"))
    has_no_key = f.col(ROW_KEY) == f.col(CONTENT)
    return rows.withColumn(ROW_KEY, f.when(has_no_key, hash_column(text)).otherwise(f.col(ROW_KEY)))


def _without_record(rows: DataFrame, plan: WritePlan, status: RowStatus) -> DataFrame:
    """The rows; those with this status without their record, which only shows who says no then."""
    from pyspark.sql import functions as f

    if has_consent_columns(plan.params):
        return rows
    return rows.withColumn(RECORD, f.when(f.col(ROW_STATUS) == status, f.lit("")).otherwise(f.col(RECORD)))


def _last_delivered(spark: Any, state: StateLocation, *, only_of_cut_off_run: bool) -> DataFrame:
    """For each key of the scope the content delivered last (null: none was), when, and whether it is in doubt.

    What takes people away is never skipped because it was done before: there only a run that was cut off counts.
    """
    of_run = f" AND run_number = {state.continues:d}" if only_of_cut_off_run else ""
    known = last_rows(live_rows(spark, state.path, _scope(state) + of_run))
    at = "struct(delivered.run_number, delivered.at) AS known_at"
    return known.selectExpr("key AS known_key", "delivered.fingerprint AS known_content", at, IN_DOUBT)


def last_rows(rows: DataFrame) -> DataFrame:
    """For each scope and key the last row `delivered`, the last `intent`, and the last row that is no intent."""
    from pyspark.sql import functions as f

    return rows.groupBy("scope", "key").agg(*map(f.expr, LAST_ROWS))


def live_rows(spark: Any, path: str, condition: str = "true") -> DataFrame:
    """The rows of a state that are about rows, without those that their job has refused or lost."""
    state = stored_rows(spark, path).where(condition)
    rows = state.where(f"key IS NOT NULL AND outcome NOT IN ('{StateOutcome.REFUSED}', '{StateOutcome.REMOVED}')")
    if not holds_jobs(path):
        return rows
    lost = state.where(f"outcome = '{StateOutcome.JOB_LOST}'").select("job_id").distinct()
    refused = state.where(f"outcome = '{StateOutcome.REFUSED}'").select("job_id", "key").distinct()
    return rows.join(lost, ["job_id"], "left_anti").join(refused, ["job_id", "key"], "left_anti")


def open_jobs(spark: Any, state: StateLocation) -> list[tuple[str, int]]:
    """The jobs of the scope whose end no run has seen, and how many rows each has; few, as a job is a request."""
    rows = live_rows(spark, state.path, f"{_scope(state)} AND job_id IS NOT NULL")
    counted = rows.where(f"outcome = '{PENDING}'").groupBy("job_id").count()
    if holds_jobs(state.path):
        ended = stored_rows(spark, state.path).where(f"{_scope(state)} AND key IS NULL").select("job_id").distinct()
        counted = counted.join(ended, ["job_id"], "left_anti")
    return [(row["job_id"], row["count"]) for row in counted.collect()]


def stored_rows(spark: Any, path: str) -> DataFrame:
    """All rows of a state."""
    return SparkLocation(spark, spark_path(path)).read(DDL)


def holds_jobs(path: str) -> bool:
    """Whether a state says anything about jobs; most hold nothing, and need no joins for it."""
    return bool(Folder.at(path).names_with(JOBS))


def spark_path(path: str) -> str:
    """A path as Spark takes it: without a scheme it is this machine's, whatever Spark's default file system is.

    Databricks' volumes, however, are known to Spark by their paths, and its mount of DBFS by `dbfs:`.
    """
    if not is_local(path) or path.startswith("dbfs:"):
        return path
    local = Path(local_path(path)).expanduser().absolute().as_posix()
    if local.startswith("/Volumes/"):
        return local
    return f"dbfs:/{local.removeprefix('/dbfs/')}" if local.startswith("/dbfs/") else f"file://{local}"


def _scope(state: StateLocation) -> str:
    return f"scope = X'{state.scope.hex()}'"


# --- keys -----------------------------------------------------------------------------------------


def value_column(record: str, path: tuple[str, ...]) -> Column:
    """The identifier at a path of the records in the column `record`, as it is compared."""
    from pyspark.sql import functions as f

    steps = "".join("[0]" if part == "[]" else f"['{part}']" for part in path)
    return normalised_column(path[-1], f.get_json_object(record, f"${steps}"))


def hash_column(text: Column) -> Column:
    """The first 128 bits of SHA-256, as `state.format.digest`."""
    from pyspark.sql import functions as f

    return f.unhex(f.substring(f.sha2(text, 256), 1, 32))


# --- removals: who was taken off a list, or erased, can be added again ------------------------------


def _adds_people(plan: WritePlan) -> bool:
    """Whether the rows are people who may have been removed since they were delivered."""
    return OnDelete.SUPPRESS in plan.template.delete_templates and not plan.template.takes_away


def _with_removals(rows: DataFrame, plan: WritePlan, state: StateLocation) -> tuple[DataFrame, Column]:
    """The rows with removals of their people, and whether one is newer than what the state knows of the row.

    A removal counts for the list of the row, an erasure for every row; people are known by any identifier of the row.
    """
    from pyspark.sql import functions as f

    salt = state.removals.hex() + "\n"
    stored = stored_rows(rows.sparkSession, state.path).where(f"outcome = '{StateOutcome.REMOVED}'")
    stored = stored.where(f"scope = X'{state.removals.hex()}'")
    known = stored.groupBy("key").agg(f.collect_list(f.struct("fingerprint", "run_number", "at")).alias("removed"))
    given = f.get_json_object(PARAMS, "$.list_id") if depends_on_params(plan) else f.lit(None).cast("string")
    lists = f.split(f.coalesce(given, f.lit(plan.settings.get("list_id", ""))), ",")
    hashes = f.transform(f.array_union(lists, f.array(f.lit(""))), lambda one: hash_column(f.trim(one)))
    newer = []
    paths = (path for path in plan.checks.key if plan.record is None or leaf_at(plan.record, path) is not None)
    for number, path in enumerate(paths):
        name = f"removed_{number}"
        key = hash_column(f.concat(f.lit(f"{salt}{path[-1]}{SEPARATOR}"), value_column(RECORD, path)))
        found = known.select(f.col("key").alias(f"{name}_key"), f.col("removed").alias(name))
        rows = rows.join(found, key == f.col(f"{name}_key"), "left")
        since = f.exists(
            name,
            lambda one: (
                f.array_contains(hashes, one["fingerprint"])
                & (f.struct(one["run_number"], one["at"]) > f.col("known_at"))
            ),
        )
        newer.append(f.coalesce(since, f.lit(False)))
    return rows, reduce(or_, newer, f.lit(False))


# --- compaction -----------------------------------------------------------------------------------


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
    with locked_state(state, KlaviyoError) as folder, naming_damaged_files(folder, shown_place(state_path)):
        return compact_locked(spark, folder, state_path)


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
    return kept.select(*SCHEMA.names).unionByName(_last_removals(spark, path))


def _last_removals(spark: Any, path: str) -> DataFrame:
    removed = stored_rows(spark, path).where(f"outcome = '{StateOutcome.REMOVED}'")
    rest = [name for name in SCHEMA.names if name not in ("scope", "key", "fingerprint", "run_number", "at")]
    last = removed.groupBy("scope", "key", "fingerprint").agg(_max_of("run_number", "at", *rest))
    return last.select("scope", "key", "fingerprint", "last.*").select(*SCHEMA.names)


def _max_of(*names: str) -> Column:
    from pyspark.sql import functions as f

    return f.max(f.struct(*names)).alias("last")
