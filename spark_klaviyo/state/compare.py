"""Which rows of a DataFrame a state knows already: found with Spark, whatever the sizes; nothing is evaluated here.

Every encoded row gets a mark (key and fingerprint, 16 bytes each, from the text of its record, so that one rule serves
whoever made it) and is told to be sent, to stand as it is, or to be replaced by a later row with the same identifier.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from spark_klaviyo.arrow.encoded import (
    ENCODED_DDL,
    FINGERPRINT,
    KEY,
    PARAMS,
    RECORD,
    ROW_STATUS,
    SPARK_ENCODED,
    VERDICT,
)
from spark_klaviyo.datasets.storage import is_local, local_path
from spark_klaviyo.encode.encoder import encode_batches
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.state.format import DDL, INTENT, LOST, PENDING, REFUSED, RESOLVED, SENT, StatePlace
from spark_klaviyo.task.resume import DELIVERED, DOUBTFUL, REPLACED, TO_SEND, steered

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

# A row of the state in the order in which rows of one key count, and all else of it.
ORDERED = "struct(run_number, at, fingerprint, outcome, job_id, run_id, partition_id)"
NEWEST = (
    f"max(CASE WHEN outcome IN ('{SENT}', '{PENDING}') THEN {ORDERED} END) AS newest",
    f"max(CASE WHEN outcome = '{INTENT}' THEN {ORDERED} END) AS begun",
    f"max(CASE WHEN outcome <> '{INTENT}' THEN {ORDERED} END) AS after",
)
DOUBT = "(begun IS NOT NULL AND (after IS NULL OR begun > after)) AS doubtful"
# What lies between the parts of an identifier.
US = "\x1f"


@dataclass(frozen=True)
class EncodeTask:
    """Encodes the rows of one partition; picklable."""

    plan: WritePlan

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """What `mapInArrow` calls."""
        for encoded in encode_batches(batches, self.plan):
            columns = [column.cast(field.type) for column, field in zip(encoded.columns, SPARK_ENCODED, strict=True)]
            yield pa.RecordBatch.from_arrays(columns, schema=SPARK_ENCODED)


def encoded_in_tasks(df: DataFrame, plan: WritePlan) -> DataFrame:
    """The encoded rows of a DataFrame; nothing is evaluated yet."""
    return df.mapInArrow(EncodeTask(plan), ENCODED_DDL)


def standing(encoded: DataFrame, plan: WritePlan, place: StatePlace, *, jobs: bool) -> DataFrame:
    """The encoded rows with `fingerprint` and `row_status`; rows that need no sending come without their record.

    `jobs`: the state tells of ended jobs. A shuffle by key brings all rows of one identifier together.
    """
    from pyspark.sql import functions as f

    rows = _keyed(encoded, plan, place)
    known = latest(encoded.sparkSession, place, jobs=jobs).withColumnsRenamed(
        {"key": "known_key", "fingerprint": "known_fingerprint"}
    )
    joined = rows.join(known, f.col("row_key") == f.col("known_key"), "left")
    code = f.when(f.col("rank") > 1, REPLACED)
    if not plan.resend.allows_every_request:
        code = code.when(f.col("doubtful"), DOUBTFUL)
    code = code.when(f.col("known_fingerprint") == f.col("content"), DELIVERED).otherwise(TO_SEND)
    told = joined.withColumn(ROW_STATUS, code.cast("int"))
    return told.select(
        f.when(f.col(ROW_STATUS).isin(TO_SEND, DOUBTFUL), f.col(RECORD)).otherwise(f.lit("")).alias(RECORD),
        VERDICT,
        KEY,
        PARAMS,
        f.concat("row_key", "content").alias(FINGERPRINT),
        ROW_STATUS,
    )


def latest(spark: Any, place: StatePlace, *, jobs: bool) -> DataFrame:
    """For each key of the scope the `fingerprint` delivered last (null: none was), and whether it is `doubtful`."""
    kept = live(spark, place.path, f"scope = X'{place.scope.hex()}'", jobs=jobs)
    newest: DataFrame = kept.groupBy("key").agg(*(_expr(text) for text in NEWEST))
    return newest.selectExpr("key", "newest.fingerprint AS fingerprint", DOUBT)


def live(spark: Any, path: str, condition: str, *, jobs: bool) -> DataFrame:
    """The rows of a state about rows, but for those that their job has refused or lost."""
    state: DataFrame = stored(spark, path).where(condition)
    rows = state.where(f"key IS NOT NULL AND outcome IN ('{SENT}', '{PENDING}', '{INTENT}', '{RESOLVED}')")
    if not jobs:
        return rows
    lost = state.where(f"outcome = '{LOST}'").select("job_id").distinct()
    refused = state.where(f"outcome = '{REFUSED}'").select("job_id", "key").distinct()
    return rows.join(lost, ["job_id"], "left_anti").join(refused, ["job_id", "key"], "left_anti")


def stored(spark: Any, path: str) -> DataFrame:
    """All rows of a state."""
    found: DataFrame = spark.read.schema(DDL).parquet(for_spark(path))
    return found


def for_spark(place: str) -> str:
    """A place as Spark calls it: a path without scheme is this machine's, whatever Spark's default file system is.

    But Databricks' volumes are known to Spark by their paths, and its mount of DBFS by `dbfs:`.
    """
    if not is_local(place) or place.startswith("dbfs:"):
        return place
    path = Path(local_path(place)).expanduser().absolute().as_posix()
    if path.startswith("/Volumes/"):
        return path
    return f"dbfs:/{path.removeprefix('/dbfs/')}" if path.startswith("/dbfs/") else f"file://{path}"


# --- keys -----------------------------------------------------------------------------------------


def _keyed(encoded: DataFrame, plan: WritePlan, place: StatePlace) -> DataFrame:
    """The encoded rows with `content` (hash of what is sent), `row_key`, and `rank`: 1 for the last row of a key."""
    from pyspark.sql import functions as f

    salt = place.scope.hex() + "\n"
    beside = f.coalesce(f.col(PARAMS), f.lit(""))
    rows = encoded.withColumn("content", _hash(f.concat(f.lit(salt), f.col(RECORD), f.lit(US), beside)))
    rows = rows.withColumn("place", f.monotonically_increasing_id())
    if not plan.checks.key:  # nothing tells rows apart but what they hold: the second of two equal ones is another row
        rows = rows.withColumn("rank", _expr("row_number() OVER (PARTITION BY content ORDER BY place)"))
        text = f.concat(f.lit(salt), f.hex("content"), f.lit(US), f.col("rank").cast("string"))
        return rows.withColumn("row_key", _hash(text)).withColumn("rank", f.lit(1))
    text = f.concat(f.lit(salt), _identifier(plan), *([f.lit(US), beside] if steered(plan) else []))
    rows = rows.withColumn("row_key", _hash(text))
    return rows.withColumn("rank", _expr("row_number() OVER (PARTITION BY row_key ORDER BY place DESC)"))


def _identifier(plan: WritePlan) -> Column:
    """What makes a row the same thing as another: as `task.resume.identifier` writes it.

    A row without any is told by what it holds, or, where an event's id is made of some columns, by those.
    """
    from pyspark.sql import functions as f

    beside = [f.coalesce(_value(at), f.lit("")) for at in plan.checks.key_with]
    named = []
    for at in plan.checks.key:
        value = _value(at)
        named.append(f.when(value != "", f.concat_ws(US, f.lit(at[-1]), value, *beside)))
    places = [f.coalesce(_value(at), f.lit("")) for at in plan.checks.unique_id_sources]
    return f.coalesce(*named, f.concat_ws(US, f.lit(""), *(places or [f.hex("content")])))


def _value(at: tuple[str, ...]) -> Column:
    """The value at a place of the record, in the one form that all its spellings share."""
    from pyspark.sql import functions as f

    path = "$" + "".join("[0]" if part == "[]" else f"['{part}']" for part in at)
    value = f.trim(f.get_json_object(RECORD, path))
    if at[-1] == "email":
        return f.lower(value)
    return f.regexp_replace(value, "[^+0-9]", "") if at[-1] == "phone_number" else value


def _hash(text: Column) -> Column:
    """The first 128 bits of SHA-256."""
    from pyspark.sql import functions as f

    return f.unhex(f.substring(f.sha2(text, 256), 1, 32))


def _expr(text: str) -> Column:
    from pyspark.sql import functions as f

    return f.expr(text)
