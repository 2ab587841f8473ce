"""Types of Arrow by their names in Spark's DDL, for rows that pass between Python and Spark."""

from __future__ import annotations

import pyarrow as pa

ARROW_TYPES: dict[str, pa.DataType] = {
    "binary": pa.binary(),
    "boolean": pa.bool_(),
    "string": pa.string(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "timestamp": pa.timestamp("us", "UTC"),
    "map<string,string>": pa.map_(pa.string(), pa.string()),
}
_NAMES = {str(kind): name for name, kind in ARROW_TYPES.items()}


def ddl_of(schema: pa.Schema) -> str:
    """The schema as Spark reads one."""
    return ", ".join(f"{field.name} {_NAMES[str(field.type)]}" for field in schema)
