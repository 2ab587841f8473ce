"""The columns of the datasets, as one table that Spark's DDL, Arrow's schemas and the README are made of.

All three are Parquet, appended to, and readable with `spark.read.parquet(path)`. `run_id` joins them with a report.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from spark_klaviyo.report.counters import COUNTERS


@dataclass(frozen=True)
class Column:
    """One column: its name, its type as Spark's DDL says it, and what stands in it."""

    name: str
    type: str
    help: str


_ARROW = {
    "string": pa.string(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "timestamp": pa.timestamp("us", "UTC"),
    "map<string,string>": pa.map_(pa.string(), pa.string()),
}

_RUN = Column("run_id", "string", "names the run")
_PARTITION = Column("partition_id", "int", "Spark's partition the row or the request belongs to")

REJECTS = (
    _RUN,
    _PARTITION,
    Column(
        "record",
        "string",
        "the row as it was mapped, as JSON; mend it and write it with record_column=record (of a row that a catalog or "
        "coupon job refused only the id is known)",
    ),
    Column("email", "string", "identifier, where the row has it"),
    Column("phone_number", "string", "identifier, where the row has it"),
    Column("external_id", "string", "identifier, where the row has it"),
    Column("id", "string", "Klaviyo's id, where the row has it"),
    Column("code", "string", "why, as one word: Klaviyo's or the package's"),
    Column("detail", "string", "why, in words; may repeat a value of the row"),
    Column("pointer", "string", "JSON pointer of the offence"),
    Column("status", "int", "HTTP status of the refusal; null where none refused it"),
)
RECEIPTS = (
    _RUN,
    _PARTITION,
    Column("sequence", "bigint", "number of the request in its partition; parts of batch 7 are 1000007, 2000007, ..."),
    Column("template", "string", "the endpoint template, or manual"),
    Column("method", "string", "HTTP method"),
    Column("url", "string", "URL before anything is filled in, without query"),
    Column("status", "int", "HTTP status of the last attempt; null where no answer came"),
    Column("attempts", "int", "how often it was tried; throttled attempts are not counted"),
    Column("rows", "bigint", "rows in it"),
    Column("bytes", "bigint", "bytes of its body"),
    Column("started_at", "timestamp", "when its first attempt began"),
    Column("seconds", "double", "until its last answer, waits included"),
    Column("job_id", "string", "Klaviyo's asynchronous job, where there is one"),
    Column(
        "outcome",
        "string",
        "delivered, accepted, rejected, refused (sent again without its bad rows, or in parts), in_doubt, unavailable, "
        "unsent; of a job also cancelled, gone, unnamed (some rows failed, nobody says which); accepted with a job_id "
        "is an open job",
    ),
    Column("detail", "string", "why, in words; never a value of a row"),
)
RUNS = (
    _RUN,
    Column("template", "string", "the endpoint template, or manual"),
    *(Column(name, "bigint", text) for name, text in COUNTERS.items()),
    Column("seconds", "double", "from the first task's start to the last one's end"),
    Column("started_at", "timestamp", "when the first task began"),
    Column("ended_at", "timestamp", "when the run was over, its jobs followed"),
    Column("stopped", "string", "why sending ended midway; null where it did not"),
    Column("options", "map<string,string>", "the options given, without secrets"),
)


def ddl(columns: tuple[Column, ...]) -> str:
    """The columns as Spark reads a schema."""
    return ", ".join(f"{column.name} {column.type}" for column in columns)


def arrow_schema(columns: tuple[Column, ...]) -> pa.Schema:
    """The columns as Arrow has them; Spark reads such Parquet as the same types."""
    return pa.schema([(column.name, _ARROW[column.type]) for column in columns])
