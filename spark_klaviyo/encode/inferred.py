"""Columns told by rows: `foreachPartition` hands over values without a schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from spark_klaviyo.plan.types import UNKNOWN, Field, Type


def inferred_columns(rows: Sequence[object]) -> list[Field]:
    """The columns of some rows; structs and maps are told by the first value that is no null, other types are unknown.

    A column of nulls alone is `void`, until `widened` by rows that have a value there.
    """
    names, values = _names(rows[0]), [_values(row) for row in rows]
    return [Field(name, _type([row[number] for row in values])) for number, name in enumerate(names)]


def widened(columns: Sequence[Field], further: Sequence[Field]) -> list[Field]:
    """The columns with the types that further rows of the same names tell where there was none yet."""
    return [Field(one.name, _wider(one.type, other.type)) for one, other in zip(columns, further, strict=True)]


def has_gaps(columns: Sequence[Field]) -> bool:
    """Whether some type is not known yet, as there was no value."""
    return any(column.type.name == "void" or has_gaps(column.type.fields) for column in columns)


def _wider(known: Type, other: Type) -> Type:
    if known.name == "void":
        return other
    if known.name == other.name == "struct" and len(known.fields) == len(other.fields):
        return Type("struct", fields=tuple(widened(known.fields, other.fields)))
    return known


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
    if known is None:
        return Type("void")
    if hasattr(known, "__fields__"):
        return Type("struct", fields=tuple(inferred_columns([value for value in values if value is not None])))
    if isinstance(known, Mapping):
        return Type("map", key=Type("string"), value=Type(UNKNOWN))
    return Type(UNKNOWN)
