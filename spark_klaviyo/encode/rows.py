"""Python rows in, Arrow batches out: what Spark hands to `foreachPartition`, and rows as dicts.

Where no schema is given, types are those of the Python values: a `datetime` without zone is Spark's timestamp, in the
worker's local zone. Values of types without a JSON form (intervals, VARIANT, user-defined types) are refused by name.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from itertools import chain, islice
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from spark_klaviyo.arrow.arrays import list_array, map_array
from spark_klaviyo.errors import SchemaError
from spark_klaviyo.plan.types import Field, Type

Row: TypeAlias = "tuple[Any, ...] | Mapping[str, Any]"
# Of a batch. Reading rows costs so much more than encoding them that small batches cost nothing, and they save memory.
MAX_ROWS, BATCH_BYTES = 2_500, 4_000_000
# Rows that are Python objects at once: the garbage collector visits those that live on again and again.
CHUNK_ROWS = 500
MOST_DIGITS = 38  # of a decimal of Spark's
SCALARS = (str, bool, int, float, Decimal, date, bytes, bytearray)  # a datetime is a date
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
UNKNOWN = Type("")  # what the values say
# What Spark's simple types are in Arrow; decimals of an unknown scale have that of their values.
ARROW_TYPES: dict[str, pa.DataType] = {
    **dict.fromkeys(("varchar", "char", "string"), pa.string()),
    **dict.fromkeys(("byte", "short", "integer", "long"), pa.int64()),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
    "timestamp_ntz": pa.timestamp("us"),
    "binary": pa.binary(),
}


def arrow_batches(rows: Iterable[Row], columns: Sequence[Field] = ()) -> Iterator[pa.RecordBatch]:
    """The rows as Arrow batches of at most 2,500 rows and about 4 MB.

    `columns` are the DataFrame's, where its schema is known; else names and types come from the rows. Raises
    `SchemaError` for values that cannot be sent.
    """
    rest, size, chunks = iter(rows), CHUNK_ROWS // 2, list[pa.RecordBatch]()
    while some := list(islice(rest, size)):
        chunk = _batch(some, columns)
        del some
        size = max(min(CHUNK_ROWS, BATCH_BYTES * chunk.num_rows // max(chunk.nbytes, 1)), 1)  # smaller of long rows
        chunks.append(chunk)
        rows_held, bytes_held = sum(one.num_rows for one in chunks), sum(one.nbytes for one in chunks)
        if rows_held > MAX_ROWS - CHUNK_ROWS or bytes_held >= BATCH_BYTES:
            joined, chunks = _joined(chunks), []  # what was joined is not held while the batch is encoded
            yield from joined
    yield from _joined(chunks)


def _joined(chunks: Sequence[pa.RecordBatch]) -> Sequence[pa.RecordBatch]:
    """One batch of all chunks. Without a schema their types may differ: then each is a batch of its own."""
    tables = [pa.Table.from_batches([chunk]) for chunk in chunks]
    try:
        whole = pa.concat_tables(tables, promote_options="default")  # null becomes the type of the other chunks
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return chunks
    joined: list[pa.RecordBatch] = whole.combine_chunks().to_batches()
    return joined


# What values of several types in one column raise, here and in pyarrow: rows that are no DataFrame's may hold them.
_MIXED = (TypeError, ValueError, AttributeError, ArithmeticError)


def _batch(rows: Sequence[Row], columns: Sequence[Field]) -> pa.RecordBatch:
    if not (columns or isinstance(rows[0], Mapping) or hasattr(rows[0], "__fields__")):
        message = f"expected rows of a DataFrame or dicts, found {type(rows[0]).__name__}"
        raise TypeError(message)
    try:
        names, values = _columns(rows, [column.name for column in columns] if columns else None, may_differ=True)
    except _MIXED:
        raise SchemaError(["the rows have different fields"]) from None
    kinds: Sequence[Type | None] = [column.type for column in columns] or [None] * len(names)
    arrays = []
    for name, kind, column in zip(names, kinds, values, strict=True):
        try:
            arrays.append(to_arrow(column, kind))
        except _MIXED as error:
            found = error if isinstance(error, _UnsendableError) else "its values cannot be read as one type"
            cast = "write it with to_json" if "VariantVal" in str(found) else "cast it to string"
            raise SchemaError([f"column {name!r}: {found}; {cast} or drop it"]) from None
    return pa.RecordBatch.from_arrays(arrays, names=names)


def _columns(
    rows: Sequence[Any], names: Sequence[str] | None, *, may_differ: bool = False
) -> tuple[Sequence[str], list[Sequence[Any]]]:
    """The names of the fields of rows or structs, and the values of each; `names` are those that are known to be there.

    Those of one DataFrame have the same fields in the same order. Where they may differ only names tell fields apart.
    """
    present = [row for row in rows if row is not None]
    first, *others = [getattr(row, "__fields__", None) for row in present]
    if isinstance(present[0], Mapping) or (may_differ and others.count(first) < len(others)):
        pairs = ((getattr(row, "__fields__", None), row or {}) for row in rows)
        dicts = [row if own is None else dict(zip(own, row, strict=True)) for own, row in pairs]
        every = list(dict.fromkeys(chain.from_iterable(dicts))) if names is None else names
        return every, [[row.get(name) for row in dicts] for name in every]
    given = (first if first is not None else names) or []
    blank = (None,) * len(given)
    columns: list[Sequence[Any]] = list(zip(*(blank if row is None else row for row in rows), strict=True))
    if names is None or list(names) == list(given):
        return given, columns
    return names, [columns[given.index(name)] if name in given else [None] * len(rows) for name in names]


# --- values of one column -------------------------------------------------------------------------


class _UnsendableError(TypeError):
    """The type of a value has no JSON form."""


def to_arrow(values: Sequence[Any], given: Type | None = None) -> pa.Array:
    """Values of one column as an Arrow array; `given` is the column's type, where it is known."""
    kind = given or UNKNOWN
    sample = next((value for value in values if value is not None), None)
    if sample is None:
        return pa.nulls(len(values), _arrow_type(kind))
    if kind.name == "struct" or (not kind.name and hasattr(sample, "__fields__")):
        return _struct(values, kind)
    if isinstance(sample, Mapping):
        return _map(values, kind)
    if isinstance(sample, list | tuple):
        items = list(chain.from_iterable(value for value in values if value is not None))
        held = to_arrow(items, kind.element)
        return list_array(_present(values), _groups(values), held)
    if not isinstance(sample, SCALARS):
        raise _UnsendableError(f"Python's {type(sample).__name__} has no JSON form")
    return _scalars(values, sample, kind)


def _arrow_type(kind: Type | None) -> pa.DataType:
    """The type that `to_arrow` gives to values of a Spark type; null where it is not known."""
    if kind is None or (kind.name == "decimal" and not kind.precision):
        return pa.null()
    if kind.name == "struct":
        return pa.struct([(field.name, _arrow_type(field.type)) for field in kind.fields])
    if kind.name == "array":
        return pa.list_(_arrow_type(kind.element))
    if kind.name == "map":
        return pa.map_(_arrow_type(kind.key), _arrow_type(kind.value))
    if kind.name == "decimal":
        return pa.decimal128(MOST_DIGITS, kind.scale)
    return ARROW_TYPES.get(kind.name, pa.null())


def _struct(values: Sequence[Any], kind: Type) -> pa.Array:
    names, columns = _columns(values, [field.name for field in kind.fields] if kind.name else None)
    kinds = [field.type for field in kind.fields] or [UNKNOWN] * len(names)
    parts = [to_arrow(column, part) for column, part in zip(columns, kinds, strict=True)]
    if not parts:
        return pa.array([None if value is None else {} for value in values], pa.struct([]))
    fields = [pa.field(name, part.type) for name, part in zip(names, parts, strict=True)]
    return pa.StructArray.from_arrays(parts, fields=fields, mask=pa.array(~_present(values)))


def _map(values: Sequence[Any], kind: Type) -> pa.Array:
    held = [value for value in values if value is not None]
    keys = to_arrow(list(chain.from_iterable(held)), kind.key)
    items = to_arrow(list(chain.from_iterable(value.values() for value in held)), kind.value)
    if keys.null_count:  # pyarrow aborts the process at such a map
        raise _UnsendableError("a map with a null key has no JSON form")
    keys = keys.cast(pa.string()) if pa.types.is_null(keys.type) else keys
    return map_array(_present(values), _groups(values), keys, items)


def _present(values: Sequence[Any]) -> np.ndarray:
    return np.fromiter((value is not None for value in values), np.bool_, len(values))


def _groups(values: Sequence[Any]) -> np.ndarray:
    lengths = np.fromiter((0 if value is None else len(value) for value in values), np.int64, len(values))
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])


def _scalars(values: Sequence[Any], sample: Any, kind: Type) -> pa.Array:
    if isinstance(sample, datetime) and kind.name != "timestamp_ntz":
        if time.timezone == 0 and not time.daylight:
            return pa.array(values, ARROW_TYPES["timestamp"])
        return pa.array(list(map(_micros, values)), pa.int64()).cast(ARROW_TYPES["timestamp"])
    try:
        known = _arrow_type(kind)
        return pa.array(values, None if pa.types.is_null(known) else known)
    except UnicodeEncodeError:  # half a surrogate pair
        return pa.array([text and text.encode("utf-8", "replace").decode() for text in values], pa.string())
    except OverflowError:  # more than 64 bits
        return pa.array([value if value is None else Decimal(value) for value in values])


def _micros(value: datetime | None) -> int | None:
    """Microseconds since 1970; a time without zone is in the worker's local zone, as Spark makes it.

    Of the first and the last day that Python knows UTC may lie outside its years, which the screen rejects.
    """
    if value is None:
        return None
    try:
        moment, west = value.astimezone(timezone.utc), timedelta()
    except (OverflowError, ValueError):  # which of them depends on the version of Python
        offset = value.utcoffset()
        moment, west = value, timedelta(seconds=time.timezone) if offset is None else -offset
    return (moment.replace(tzinfo=timezone.utc) - _EPOCH + west) // timedelta(microseconds=1)


# --- columns of rows without a schema -------------------------------------------------------------------------


def columns_of(batch: pa.RecordBatch) -> tuple[Field, ...]:
    """The columns of a batch without a schema of Spark's; a column of nulls alone is `void`."""
    return tuple(Field(field.name, type_of(field.type)) for field in batch.schema)


def type_of(kind: pa.DataType) -> Type:
    """The Spark type of an Arrow type that `to_arrow` makes."""
    if pa.types.is_struct(kind):
        return Type("struct", fields=tuple(Field(field.name, type_of(field.type)) for field in kind))
    if pa.types.is_map(kind):
        return Type("map", key=type_of(kind.key_type), value=type_of(kind.item_type))
    if pa.types.is_list(kind):
        return Type("array", element=type_of(kind.value_type))
    if pa.types.is_decimal(kind):
        return Type("decimal", scale=kind.scale)
    names = {"null": "void", **{str(arrow): name for name, arrow in ARROW_TYPES.items()}}
    return Type(names[str(kind)])


def aligned(batch: pa.RecordBatch, columns: Sequence[Field]) -> pa.RecordBatch:
    """The batch with these columns, null where it lacks one. Raises `SchemaError` for one that it has besides."""
    names = [column.name for column in columns]
    if batch.schema.names == names:
        return batch
    further = [name for name in batch.schema.names if name not in names]
    if further:
        raise SchemaError(
            f"column {further[0]!r} is in none of the rows before, so it was not planned for; give the writer a schema "
            "that names all columns"
        )
    held = dict(zip(batch.schema.names, batch.columns, strict=True))
    nothing = pa.nulls(batch.num_rows)
    return pa.RecordBatch.from_arrays([held.get(name, nothing) for name in names], names=names)


def widened(columns: Sequence[Field], further: Sequence[Field]) -> tuple[Field, ...]:
    """The columns with the types of further rows where they were void."""
    return tuple(Field(one.name, _wider(one.type, other.type)) for one, other in zip(columns, further, strict=True))


def _wider(known: Type, other: Type) -> Type:
    if known.name == "void":
        return other
    if known.name == other.name == "struct" and len(known.fields) == len(other.fields):
        return Type("struct", fields=widened(known.fields, other.fields))
    return known
