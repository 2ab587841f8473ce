"""Python values to what orjson writes as the type table says: one converter a type, made once.

A converter takes a value that is not None. No converter (None) means the value is JSON as it is. Numbers that JSON
cannot hold are told to `bad`, with the flag of their column.
"""

from __future__ import annotations

import base64
import math
import struct
import time
from collections.abc import Callable, Mapping
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import TypeAlias

import orjson

from spark_klaviyo.plan.forms import TEXT, UNKNOWN, WHOLE
from spark_klaviyo.plan.shape import Leaf
from spark_klaviyo.plan.types import Type

Value: TypeAlias = object
Convert: TypeAlias = Callable[..., Value]  # of the Python type that Spark gives for the column's type


class Converters:
    """Converters of the values of one column. `bad` gathers `flag` for each NaN or infinity met."""

    def __init__(self, bad: list[int], flag: int) -> None:
        self._bad = bad
        self._flag = flag
        self._scalars: dict[str, Convert] = {
            "float": self._float,
            "double": self._double,
            "decimal": decimal,
            "date": date.isoformat,
            "timestamp": utc_moment,
            "timestamp_ntz": naive_moment,
            "binary": binary,
            "void": lambda _: None,
            UNKNOWN: self._any,
        }
        self._by_class: dict[type, Convert] = {
            str: _same,
            bool: _same,
            int: _whole,
            float: self._double,
            Decimal: decimal,
            datetime: utc_moment,
            date: date.isoformat,
            bytes: binary,
            bytearray: binary,
            list: lambda value: [None if item is None else self._any(item) for item in value],
            dict: self._any_map,
        }

    def of_leaf(self, leaf: Leaf) -> Convert | None:
        """The converter of a leaf, its form and prefix included."""
        name, prefix = leaf.type.name, leaf.prefix
        if name == UNKNOWN:
            return self._formed(leaf) if leaf.form != "json" or prefix else self._any
        whole = name in WHOLE or (name == "decimal" and leaf.type.scale == 0)
        if prefix and (whole or name in TEXT):
            return lambda value: prefix + str(value).removeprefix(prefix)
        if leaf.form == "text" and whole:
            return str
        if leaf.form == "datetime" and name in ("date", "timestamp_ntz"):
            return _midnight if name == "date" else lambda value: naive_moment(value) + "Z"
        return self.of(leaf.type)

    def of(self, kind: Type) -> Convert | None:
        """The converter of a type."""
        if kind.name == "struct":
            return self._struct(kind)
        if kind.name == "array" and kind.element is not None:
            return self._array(self.of(kind.element))
        if kind.name == "map" and kind.key is not None and kind.value is not None:
            return self._map(kind.key, self.of(kind.value))
        return self._scalars.get(kind.name)

    # --- types with children --------------------------------------------------------------------

    def _struct(self, kind: Type) -> Convert:
        parts = [(field.name, self.of(field.type)) for field in kind.fields]

        def convert(value: tuple[Value, ...] | Mapping[str, Value]) -> Value:
            items = [value.get(name) for name, _ in parts] if isinstance(value, Mapping) else value
            return {
                name: item if make is None else make(item)
                for (name, make), item in zip(parts, items, strict=True)
                if item is not None
            }

        return convert

    def _array(self, make: Convert | None) -> Convert | None:
        if make is None:
            return None
        return lambda value: [None if item is None else make(item) for item in value]

    def _map(self, key: Type, make: Convert | None) -> Convert | None:
        if make is None and key.name in TEXT:
            return None
        convert = make or _same
        return lambda value: {key_text(k): None if v is None else convert(v) for k, v in value.items()}

    # --- scalars --------------------------------------------------------------------------------

    def _double(self, value: float) -> Value:
        if value - value == 0.0:
            return value
        self._bad.append(self._flag)
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"

    def _float(self, value: float) -> Value:
        """The shortest text of a 32-bit number that Python holds in 64 bits."""
        if value - value != 0.0:
            return self._double(value)
        for digits in (6, 7, 8):
            short = float(f"{value:.{digits}g}")
            if abs(short) < 3.4e38 and struct.unpack("f", struct.pack("f", short))[0] == value:
                return short
        return float(f"{value:.9g}")

    # --- by value, where no type is known -------------------------------------------------------

    def _any(self, value: Value) -> Value:
        if type(value) is str:
            return value
        convert = self._by_class.get(type(value))
        return self._other(value) if convert is None else convert(value)

    def _any_map(self, value: Mapping[Value, Value]) -> Value:
        return {key_text(k): None if v is None else self._any(v) for k, v in value.items()}

    def _other(self, value: Value) -> Value:
        """Rows, and subclasses of the usual types; what nobody knows becomes its text."""
        if isinstance(value, tuple):
            names = getattr(value, "__fields__", None)
            if names is None:
                return [None if item is None else self._any(item) for item in value]
            return {name: self._any(item) for name, item in zip(names, value, strict=False) if item is not None}
        known = next((convert for kind, convert in self._by_class.items() if isinstance(value, kind)), str)
        return known(value)

    def _formed(self, leaf: Leaf) -> Convert:
        """By value, in the form of a leaf."""
        by_class, prefix = dict(self._by_class), leaf.prefix
        if prefix:
            by_class[str] = lambda value: prefix + value.removeprefix(prefix)
        if prefix or leaf.form == "text":
            by_class[int] = lambda value: f"{prefix}{value}"
            by_class[Decimal] = lambda value: decimal(value) if value.as_tuple().exponent else f"{prefix}{value}"
        if leaf.form == "datetime":
            by_class[date] = _midnight

        def convert(value: Value) -> Value:
            if type(value) is str and not prefix:
                return value
            known = by_class.get(type(value))
            return self._other(value) if known is None else known(value)

        return convert


def type_of(value: Value) -> Type:
    """The type of Spark's that a Python value has come from, scalars only."""
    if isinstance(value, Decimal):
        exponent = value.as_tuple().exponent
        return Type("decimal", scale=-exponent if isinstance(exponent, int) else 1)
    names = ((bool, "boolean"), (int, "long"), (str, "string"), (datetime, "timestamp"), (date, "date"))
    return Type(next((name for kind, name in names if isinstance(value, kind)), UNKNOWN + "?"))


def _same(value: Value) -> Value:
    return value


def _whole(value: int) -> Value:
    return value if -(2**63) <= value < 2**64 else orjson.Fragment(str(value))


def decimal(value: Decimal) -> Value:
    """A decimal with every digit."""
    return orjson.Fragment(str(value)) if value.is_finite() else None


def binary(value: bytes | bytearray) -> str:
    """Base64."""
    return base64.b64encode(value).decode()


def key_text(key: Value) -> str:
    """A key of a map as the name of a JSON field."""
    if isinstance(key, str):
        return key
    if isinstance(key, bool):
        return "true" if key else "false"
    return key.isoformat() if isinstance(key, date) else str(key)


def naive_moment(value: datetime) -> str:
    """A time without zone, in microseconds."""
    return value.isoformat("T", "microseconds")[:26]


def utc_moment(value: datetime) -> str:
    """A time in UTC. One without zone is Spark's timestamp, which Python gets in the worker's local zone."""
    if value.tzinfo is None and _local_is_utc():
        return value.isoformat("T", "microseconds") + "Z"
    try:
        return value.astimezone(timezone.utc).isoformat("T", "microseconds")[:26] + "Z"
    except OverflowError:  # the first and the last day that Python knows
        return naive_moment(value) + "Z"


def _local_is_utc() -> bool:
    return time.timezone == 0 and not time.daylight


def _midnight(value: date) -> str:
    return value.isoformat()[:10] + "T00:00:00.000000Z"
