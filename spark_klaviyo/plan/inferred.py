"""Columns told by rows: `foreachPartition` hands over values without a schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from spark_klaviyo.plan.types import UNKNOWN, Field, Type


def inferred_columns(rows: Sequence[object]) -> list[Field]:
    """The columns of some rows; structs and maps are told by the first value that is no null, the rest is unknown."""
    names, values = _names(rows[0]), [_values(row) for row in rows]
    return [Field(name, _type([row[number] for row in values])) for number, name in enumerate(names)]


def _names(row: object) -> list[str]:
    fields = getattr(row, "__fields__", None)
    if fields is not None:
        return list(fields)
    if isinstance(row, Mapping):
        return list(row)
    message = f"expected rows of a DataFrame or dicts, found {type(row).__name__}"
    raise TypeError(message)


def _values(row: object) -> list[object]:
    return list(row.values()) if isinstance(row, Mapping) else list(row)  # type: ignore[call-overload]


def _type(values: Sequence[object]) -> Type:
    known = next((value for value in values if value is not None), None)
    if hasattr(known, "__fields__"):
        return Type("struct", fields=tuple(inferred_columns([value for value in values if value is not None])))
    if isinstance(known, Mapping):
        return Type("map", key=Type("string"), value=Type(UNKNOWN))
    return Type(UNKNOWN)
