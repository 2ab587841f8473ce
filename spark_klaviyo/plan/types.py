"""Spark's types without Spark, and which of them can be sent.

`Type` is read from Spark's own JSON form of a schema (`DataType.jsonValue()`), so nothing here needs pyspark.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from spark_klaviyo.errors import OptionError


@dataclass(frozen=True)
class Type:
    """A Spark type without pyspark: `name` is Spark's simple name, children by what they are."""

    name: str
    fields: tuple[Field, ...] = ()
    element: Type | None = None
    key: Type | None = None
    value: Type | None = None
    precision: int = 0
    scale: int = 0

    @property
    def children(self) -> list[Type]:
        """The types of what a value of this type holds; keys of maps are none."""
        return [field.type for field in self.fields] + [held for held in (self.element, self.value) if held]


@dataclass(frozen=True)
class Field:
    """A column, or a field of a struct."""

    name: str
    type: Type


VARIANT = "variant"
TEXT = frozenset({"string", "char", "varchar"})
WHOLE = frozenset({"byte", "short", "integer", "long"})
FRACTIONAL = frozenset({"float", "double", "decimal"})
NUMBER = WHOLE | FRACTIONAL
TIME = frozenset({"timestamp", "timestamp_ntz", "date"})
# What becomes of each in JSON, README.md says.
SENDABLE = TEXT | NUMBER | TIME | {"boolean", "binary", "array", "map", "struct", "void"}
NO_VARIANT = "Spark's variant has no JSON form in a task"
_DECIMAL = re.compile(r"decimal\((\d+),\s*(-?\d+)\)")
# How a type may be written as the key of a JSON object.
KEY_TYPES = TEXT | WHOLE | {"boolean", "date"}


def read_type(form: str | Mapping[str, Any]) -> Type:
    """The `Type` of Spark's JSON form of a type: `"long"`, `"decimal(10,2)"`, `{"type": "array", ...}`."""
    if isinstance(form, str):
        found = _DECIMAL.fullmatch(form)
        if found:
            return Type("decimal", precision=int(found[1]), scale=int(found[2]))
        return Type(form.partition("(")[0] if form.startswith(("char(", "varchar(")) else form)
    name = str(form["type"])
    if name == "struct":
        return Type("struct", fields=tuple(Field(f["name"], read_type(f["type"])) for f in form["fields"]))
    if name == "array":
        return Type("array", element=read_type(form["elementType"]))
    if name == "map":
        return Type("map", key=read_type(form["keyType"]), value=read_type(form["valueType"]))
    return Type(name)


def columns_of(df: object) -> tuple[Field, ...]:
    """The columns of a DataFrame. Raises `OptionError` for anything else, streams included."""
    schema = getattr(df, "schema", None)
    if not hasattr(schema, "jsonValue"):
        found = type(df).__qualname__
        makes = "df.to_spark()" if hasattr(df, "to_spark") else "spark.createDataFrame(...)"
        raise OptionError(f"df: expected a Spark DataFrame, found {found}; {makes} makes one")
    if getattr(df, "isStreaming", False):
        raise OptionError("df: is a stream; use stream.writeStream.foreachBatch(klaviyo_batch_writer(...))")
    return read_schema(schema.jsonValue())  # type: ignore[union-attr]


def read_schema(form: Mapping[str, Any]) -> tuple[Field, ...]:
    """The columns of a DataFrame from `df.schema.jsonValue()`."""
    return read_type(form).fields


def unsendable(kind: Type, *, has_session: bool = False) -> str | None:
    """Why a type cannot be sent, as a phrase that ends in what to do; None where it can.

    `has_session`: Spark makes JSON of VARIANT before the rows are encoded.
    """
    if kind.name == "map" and kind.key is not None and kind.key.name not in KEY_TYPES:
        return f"a map with {kind.key.name} keys has no JSON form; cast its keys to string"
    if kind.name == VARIANT:
        return None if has_session else f"{NO_VARIANT}; write it with to_json, or drop it"
    if kind.name not in SENDABLE:
        return f"Spark's {kind.name} has no JSON form; cast it to string or drop it"
    return next(filter(None, (unsendable(child, has_session=has_session) for child in kind.children)), None)


def depth(kind: Type) -> int:
    """How many JSON levels a value of this type opens: 0 for a scalar, 1 for a flat array, map or struct."""
    return 1 + max(map(depth, kind.children), default=0) if kind.name in ("array", "map", "struct") else 0


def holds(kind: Type, *names: str) -> bool:
    """Whether a type is, or holds anywhere inside, one of these."""
    return kind.name in names or any(holds(child, *names) for child in kind.children)


def parts_named(path: tuple[str, ...], kind: Type, named: Callable[[str], bool]) -> Iterator[tuple[str, ...]]:
    """The parts of a column, at any depth, whose names pass a test; of an array or a map with one, the whole."""
    for part in kind.fields:
        if named(part.name):
            yield (*path, part.name)
        else:
            yield from parts_named((*path, part.name), part.type, named)
    for held in (kind.element, kind.value):
        if held is not None and any(parts_named((), held, named)):
            yield path
