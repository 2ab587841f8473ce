"""The columns of the datasets; Spark's DDL, Arrow's schemas and the README are made from them.

All datasets are Parquet, appended to, and joined with a report by `run_id`. Versions of this package add columns and
never remove one: files of an older version lack the newer columns, which then read as null.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import get_type_hints

import pyarrow as pa

from spark_klaviyo.core.arrow_types import ARROW_TYPES
from spark_klaviyo.core.models import Receipt, RejectedRow, RemovedMember
from spark_klaviyo.report.counts.summary import COUNTERS


@dataclass(frozen=True)
class Column:
    """One column: its name, its type in Spark's DDL, and what it holds.

    `key`: every version has written it, so files without it are those of something else.
    """

    name: str
    type: str
    help: str
    key: bool = False


def _columns_of(row: type) -> tuple[Column, ...]:
    hints = get_type_hints(row, include_extras=True).items()
    return tuple(Column(name, *hint.__metadata__) for name, hint in hints if hasattr(hint, "__metadata__"))


RECEIPTS = _columns_of(Receipt)
REJECTS = _columns_of(RejectedRow)
REMOVED = _columns_of(RemovedMember)
RUNS = (
    Column("run_id", "string", "names the run", key=True),
    Column("template", "string", "the endpoint template, or manual", key=True),
    Column("account", "string", "name of the account, where the key may read it"),
    Column("account_id", "string", "public id of the account, where the key may read it"),
    Column("list_name", "string", "name of the list, where the write has one and the key may read it"),
    *(Column(name, "bigint", text) for name, text in COUNTERS.items()),
    Column("seconds", "double", "how long the run took"),
    Column("started_at", "timestamp", "when the run began"),
    Column("ended_at", "timestamp", "when the run was over, its jobs followed", key=True),
    Column("stopped", "string", "why sending was stopped early; null where it was not"),
    Column("options", "map<string,string>", "the options given, without secrets"),
)


def ddl(columns: Iterable[Column]) -> str:
    """The columns as Spark reads a schema."""
    return ", ".join(f"{column.name} {column.type}" for column in columns)


def arrow_schema(columns: Iterable[Column]) -> pa.Schema:
    """The columns as an Arrow schema; Spark reads such Parquet as the types of `ddl`."""
    return pa.schema([(column.name, ARROW_TYPES[column.type]) for column in columns])


def missing_keys(columns: Iterable[Column], names: Iterable[str]) -> list[str]:
    """The key columns that are not among these names; with any, a file or table holds something else."""
    present = set(names)
    return [column.name for column in columns if column.key and column.name not in present]
