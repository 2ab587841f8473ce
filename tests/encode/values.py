"""Schemas and values of every Spark type for Hypothesis, what their JSON must mean, and how the doors hand them in.

A value is written once in a neutral form: a struct is a tuple, a map a dict, a timestamp an aware datetime in UTC.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from datetime import date, datetime, timedelta, timezone
from decimal import Context, Decimal
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from spark_klaviyo.plan.types import Field, Type

Value = Any  # a value of any Spark type

ODD = [
    "a.b",
    "`tick`",
    "two words",
    'quo"te',
    "back\\slash",
    "snow☃",
    "emoji🎉",
    "Ünï",
    "$dollar",
    "0",
    "x'y",
    "{rows}",
]
ODD_TEXT = [
    "",
    'a"b',
    "\\",
    "\n\r\t\b\f",
    "\x00\x01\x1f\x7f",
    "\u2028\u2029",
    "🎉é",
    "</script>",
    "null",
    " ",
    "{,",
    ",}",
]
names = st.one_of(st.sampled_from(ODD), st.text("abcxyz_", min_size=1, max_size=4))
texts = st.one_of(st.sampled_from(ODD_TEXT), st.text(st.characters(blacklist_categories=["Cs"]), max_size=8))

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

_SCALARS: dict[str, st.SearchStrategy[Value]] = {
    "string": texts,
    "byte": st.integers(-(2**7), 2**7 - 1),
    "short": st.integers(-(2**15), 2**15 - 1),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(width=32, allow_subnormal=False),
    "double": st.floats(),
    "boolean": st.booleans(),
    "date": st.dates(),
    "timestamp": st.integers(-(2**51), 2**52).map(lambda micros: EPOCH + timedelta(microseconds=micros)),
    "timestamp_ntz": st.datetimes(),
    "binary": st.binary(max_size=7),
    "void": st.none(),
}
ARROW: dict[str, pa.DataType] = {
    "string": pa.string(),
    "byte": pa.int8(),
    "short": pa.int16(),
    "integer": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "America/St_Johns"),
    "timestamp_ntz": pa.timestamp("us"),
    "binary": pa.binary(),
    "void": pa.null(),
}
KEYS = ["string", "byte", "long", "boolean", "date"]
decimals = st.tuples(st.integers(1, 38), st.integers(0, 20)).map(
    lambda size: Type("decimal", precision=max(size), scale=size[1])
)
scalars = st.one_of(st.sampled_from([Type(name) for name in _SCALARS]), decimals)


def structs(inner: st.SearchStrategy[Type], most: int = 3) -> st.SearchStrategy[Type]:
    """Struct types whose field names are unique, also when case is ignored."""
    fields = st.lists(st.tuples(names, inner), min_size=1, max_size=most, unique_by=lambda pair: pair[0].casefold())
    return fields.map(lambda pairs: Type("struct", fields=tuple(Field(*pair) for pair in pairs)))


def containers(inner: st.SearchStrategy[Type]) -> st.SearchStrategy[Type]:
    """Arrays, maps and structs of a type."""
    arrays = inner.map(lambda kind: Type("array", element=kind))
    maps = st.tuples(st.sampled_from(KEYS), inner).map(lambda pair: Type("map", key=Type(pair[0]), value=pair[1]))
    return st.one_of(arrays, maps, structs(inner))


level1 = containers(scalars)
level2 = containers(st.one_of(scalars, level1))
types = st.one_of(scalars, level1, level2, containers(level2))


def values(kind: Type, nulls: bool = True) -> st.SearchStrategy[Value]:
    """Values of a type, nulls everywhere."""
    made: st.SearchStrategy[Value]
    if kind.name == "decimal":
        digits = st.integers(-(10**kind.precision) + 1, 10**kind.precision - 1)
        made = digits.map(lambda whole: Decimal(whole).scaleb(-kind.scale, Context(prec=60)))
    elif kind.element is not None:
        made = st.lists(values(kind.element), max_size=3)
    elif kind.key is not None and kind.value is not None:
        made = st.dictionaries(values(kind.key, nulls=False), values(kind.value), max_size=3)
    elif kind.name == "struct":
        made = st.tuples(*(values(field.type) for field in kind.fields))
    else:
        made = _SCALARS[kind.name]
    return st.one_of(st.none(), made) if nulls else made


@st.composite
def tables(draw: st.DrawFn, rows: int = 8, columns: int = 3) -> tuple[tuple[Field, ...], list[tuple[Value, ...]]]:
    """A schema and rows of it."""
    fields = draw(structs(types, columns)).fields
    row = st.tuples(*(values(field.type) for field in fields))
    return fields, draw(st.lists(row, max_size=rows))


# --- what the JSON must mean ----------------------------------------------------------------------


def meaning(kind: Type, value: Value) -> Value:
    """A neutral value as the parsed JSON of it must be, in the form of `parsed`."""
    if value is None:
        return None
    if kind.element is not None:
        return [meaning(kind.element, item) for item in value]
    if kind.key is not None and kind.value is not None:
        return {key_text(key): meaning(kind.value, item) for key, item in value.items() if not is_null(item)}
    if kind.name == "struct":
        pairs = zip(kind.fields, value, strict=True)
        return {field.name: meaning(field.type, item) for field, item in pairs if not is_null(item)}
    return _scalar_meaning(kind.name, value)


def is_null(value: Value) -> bool:
    """Whether a value is null, or NaN, which is sent as null."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def _scalar_meaning(name: str, value: Value) -> Value:
    if name in ("float", "double") and not math.isfinite(value):
        return None
    if name == "timestamp":
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if name == "timestamp_ntz":
        return value.isoformat("T", "microseconds")
    if name == "date":
        return value.isoformat()
    return base64.b64encode(value).decode() if name == "binary" else value


def key_text(key: Value) -> str:
    """A map's key in JSON."""
    if isinstance(key, bool):
        return "true" if key else "false"
    return key.isoformat() if isinstance(key, date) else str(key)


def parsed(kind: Type, text: Value) -> Value:
    """A parsed JSON value with its numbers as the type has them: one double, one float, or every digit."""
    if text is None or isinstance(text, str | bool):
        return text
    if kind.element is not None:
        return [parsed(kind.element, item) for item in text]
    if kind.value is not None:
        return {key: parsed(kind.value, item) for key, item in text.items()}
    if kind.name == "struct":
        inside = {field.name: field.type for field in kind.fields}
        return {key: parsed(inside[key], item) for key, item in text.items()}
    if kind.name == "float":
        return float(np.float32(str(text)))
    return float(text) if kind.name == "double" else text


def read(fields: Sequence[Field], record: str) -> Value:
    """An encoded record, its separator included, as `meaning` has it. Constants that are no JSON raise."""
    assert record.endswith(",")
    value = json.loads(record[:-1], parse_float=Decimal, parse_constant=_refuse)
    return parsed(Type("struct", fields=tuple(fields)), value)


def _refuse(text: str) -> None:
    raise AssertionError(f"{text} is no JSON")


def flag_of(fields: Sequence[Field], row: Sequence[Value]) -> int:
    """The verdict of the first column that holds an infinity; 0."""
    return next((2 + (n << 8) for n, (f, v) in enumerate(zip(fields, row, strict=True)) if not finite(f.type, v)), 0)


def finite(kind: Type, value: Value) -> bool:
    """Whether a value holds no infinity."""
    if value is None or isinstance(value, float):
        return value is None or not math.isinf(value)
    if kind.name == "struct":
        return all(finite(field.type, item) for field, item in zip(kind.fields, value, strict=True))
    inner = kind.element or kind.value
    items = value.values() if kind.value else value
    return inner is None or all(finite(inner, item) for item in items)


# --- the forms that rows come in -----------------------------------------------------------------------


def arrow_type(kind: Type) -> pa.DataType:
    """The Arrow type that Spark hands a type over in."""
    if kind.name == "decimal":
        return pa.decimal128(kind.precision, kind.scale)
    if kind.element is not None:
        return pa.list_(arrow_type(kind.element))
    if kind.key is not None and kind.value is not None:
        return pa.map_(arrow_type(kind.key), arrow_type(kind.value))
    if kind.name == "struct":
        return pa.struct([pa.field(field.name, arrow_type(field.type)) for field in kind.fields])
    return ARROW[kind.name]


def arrow_value(kind: Type, value: Value) -> Value:
    """A neutral value as pyarrow takes it."""
    if value is None:
        return None
    if kind.element is not None:
        return [arrow_value(kind.element, item) for item in value]
    if kind.key is not None and kind.value is not None:
        return [(key, arrow_value(kind.value, item)) for key, item in value.items()]
    if kind.name == "struct":
        return {f.name: arrow_value(f.type, item) for f, item in zip(kind.fields, value, strict=True)}
    return value


def batch_of(fields: Sequence[Field], rows: Sequence[Sequence[Value]]) -> pa.RecordBatch:
    """The rows as one Arrow batch."""
    arrays = [
        pa.array([arrow_value(field.type, row[n]) for row in rows], arrow_type(field.type))
        for n, field in enumerate(fields)
    ]
    return pa.RecordBatch.from_arrays(arrays, names=[field.name for field in fields])


def spark_value(kind: Type, value: Value) -> Value:
    """A neutral value as a row of `foreachPartition` has it: times are naive, in the process's own zone."""
    if value is None:
        return None
    if kind.element is not None:
        return [spark_value(kind.element, item) for item in value]
    if kind.key is not None and kind.value is not None:
        return {key: spark_value(kind.value, item) for key, item in value.items()}
    if kind.name == "struct":
        return tuple(spark_value(field.type, item) for field, item in zip(kind.fields, value, strict=True))
    if kind.name == "timestamp":
        return value.astimezone().replace(tzinfo=None)
    return bytearray(value) if kind.name == "binary" else value
