"""Arrow columns to JSON texts by the type table, nested ones too: all rows of a column at once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_klaviyo.core.exact_json import Json
from spark_klaviyo.encode.buffers import (
    Mask,
    Offsets,
    base64,
    bytes_and_offsets,
    closed,
    content_of,
    escaped,
    masked,
    strings,
    valid_rows,
)
from spark_klaviyo.encode.joined import STRING, Part, Some, both, join, only

PLAIN_SCALE = 6  # decimals with more places may be written with an exponent
_PLAIN = {pa.string().id, pa.int32().id, pa.int64().id, pa.float64().id, pa.bool_().id, pa.timestamp("us").id}


@dataclass(frozen=True)
class Body:
    """The JSON of a value: parts that stand one after the other, in the rows that have the value; None: in all."""

    parts: tuple[Part, ...]
    there: Mask | None = None

    def within(self, before: str = "", after: str = "") -> tuple[Part, ...]:
        """The parts between two texts; nothing where there is no value."""
        return only((before, *self.parts, after), self.there)

    def text(self, rows: int, before: str = "", after: str = "") -> pa.Array:
        """One array of texts; null where there is no value."""
        if len(self.parts) == 1 and isinstance(self.parts[0], pa.Array) and not before and not after:
            return masked(self.parts[0], self.there)
        return join(self.within(before, after), rows, self.there)

    def or_null(self) -> Body:
        """The same value, `null` where there is none."""
        return self if self.there is None else Body((*self.within(), Some("null", ~self.there)))

    def only(self, valid: Mask | None) -> Body:
        """The same value, missing where a row is not valid."""
        return Body(self.parts, both(self.there, None if valid is None or valid.all() else valid))


def dumps(value: Json) -> str:
    """A constant as JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def quote(text: str) -> str:
    """A JSON string."""
    return json.dumps(text, ensure_ascii=False)


def without(column: pa.Array, prefix: str) -> pa.Array:
    """Texts without a prefix that some of them begin with already."""
    if not prefix or not pa.types.is_string(column.type):
        return column
    return pc.replace_substring_regex(column, "^" + re.escape(prefix), "")


def is_nowhere(body: Body) -> bool:
    """Whether no row has the value: a column of nulls."""
    return body.there is not None and not body.there.any()


def object_of(
    fields: Sequence[tuple[str, Body]], rows: int, *, omit_empty: bool = False, more: Sequence[Part] = ()
) -> Body:
    """A JSON object. `more` are further fields of each row, each followed by a comma.

    Commas go before or after a field, by the first field that every row has; without one, a field has a comma before it
    where another is before that.
    """
    anchor = next((place for place, (_, body) in enumerate(fields) if body.there is None), None)
    if anchor is None:
        return _loose_object(fields, rows, omit_empty=omit_empty, more=more)
    parts: list[Part] = ["{", *more]
    for place, (name, body) in enumerate(fields):
        before, after = ("," if place > anchor else ""), ("," if place < anchor else "")
        parts += body.within(f"{before}{quote(name)}:", after)
    return Body((*parts, "}"))


def _loose_object(fields: Sequence[tuple[str, Body]], rows: int, *, omit_empty: bool, more: Sequence[Part]) -> Body:
    """An object no field of which is in every row."""
    if more:  # ends in a comma, where it is anything
        inside = join([*more, *(part for name, body in fields for part in body.within(f"{quote(name)}:", ","))], rows)
        _, offsets = bytes_and_offsets(inside)
        some: Mask = offsets[1:] > offsets[:-1]
        body = Body(("{", closed(inside, "}")))
        return body.only(some) if omit_empty else body
    parts: list[Part] = ["{"]
    before = np.zeros(rows, np.bool_)
    for name, body in fields:
        if before.any():
            parts += only((Some(",", before),), body.there)
        parts += body.within(f"{quote(name)}:")
        before = before if body.there is None else before | body.there
    return Body((*parts, "}")).only(before if omit_empty else None)


# --- values ---------------------------------------------------------------------------------------


def body_of(column: pa.Array) -> Body:
    """The JSON of a column's values, by its Arrow type."""
    column = plain(column)
    kind = column.type
    if pa.types.is_null(kind):
        return Body((), np.zeros(len(column), np.bool_))
    if pa.types.is_boolean(kind):
        return _boolean(column)
    if pa.types.is_struct(kind):
        return _struct(column)
    if pa.types.is_map(kind):
        return _map(column)
    if is_list(kind):
        return _list(column)
    text = text_of(column)
    return Body(('"', text, '"') if is_quoted(kind) else (text,), valid_rows(column))


def _boolean(column: pa.Array) -> Body:
    valid = valid_rows(column)
    true: Mask = pc.fill_null(column, False).to_numpy(zero_copy_only=False)
    false = ~true if valid is None else valid & ~true
    return Body((Some("true", true), Some("false", false)), valid)


def is_list(kind: pa.DataType) -> bool:
    """Whether a type is an array of Spark's."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def is_whole(kind: pa.DataType) -> bool:
    """Whether values are whole numbers, which a text field takes as text."""
    return bool(pa.types.is_integer(kind) or (pa.types.is_decimal(kind) and kind.scale == 0))


def is_quoted(kind: pa.DataType) -> bool:
    """Whether a scalar's JSON is a string."""
    return not (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_boolean(kind)
    )


def plain(column: pa.Array) -> pa.Array:
    """The column without dictionaries, views and large strings."""
    kind = column.type
    if kind.id in _PLAIN:  # asked several times a column
        return column
    if pa.types.is_dictionary(kind):
        return plain(column.dictionary_decode())
    if pa.types.is_large_string(kind) or str(kind) == "string_view":
        return column.cast(STRING)
    if pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind) or str(kind) == "binary_view":
        return column.cast(pa.binary())
    return column


def text_of(column: pa.Array) -> pa.Array:
    """A scalar's JSON without its quotes."""
    kind = column.type
    if pa.types.is_string(kind):
        return escaped(readable(column))
    if pa.types.is_timestamp(kind):
        return moments(column, "Z" if kind.tz else "")
    if pa.types.is_binary(kind):
        return base64(column)
    text = column.cast(STRING)
    if pa.types.is_decimal(kind) and kind.scale > PLAIN_SCALE:
        return pc.replace_substring(text, ".E", "E")  # older pyarrow writes 0.E-7, which is no JSON
    return _finite(column, text) if pa.types.is_floating(kind) else text


def readable(column: pa.Array) -> pa.Array:
    """The texts, with what is no UTF-8 replaced by U+FFFD: one broken row would make a whole request unreadable."""
    if content_of(column).max(initial=0) < 0x80:
        return column
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        rows = column.cast(pa.binary()).to_pylist()
        return pa.array([row if row is None else row.decode(errors="replace") for row in rows], STRING)
    return column


def _finite(column: pa.Array, text: pa.Array) -> pa.Array:
    """NaN and infinities as Spark's `to_json` writes them: such a row is rejected, but its record must be JSON."""
    if pc.all(pc.is_finite(column)).as_py() is not False:
        return text
    text = pc.if_else(pc.is_nan(column), pa.scalar('"NaN"'), text)
    for sign, name in ((pc.greater, "Infinity"), (pc.less, "-Infinity")):
        text = pc.if_else(pc.and_(pc.is_inf(column), sign(column, 0)), pa.scalar(f'"{name}"'), text)
    return text


_WIDTH = len("2026-10-15T08:00:00.000000")


def moments(column: pa.Array, zone: str) -> pa.Array:
    """Timestamps in ISO 8601 with microseconds, in UTC where they have a zone; `zone` goes after each."""
    text = column.cast(pa.timestamp("us"), safe=False).cast(STRING)
    content, offsets = bytes_and_offsets(text)
    if len(content) == _WIDTH * (len(text) - text.null_count):
        table = content.reshape(-1, _WIDTH)
        wide = np.empty((len(table), _WIDTH + len(zone)), np.uint8)
        wide[:, :_WIDTH] = table
        wide[:, 10] = ord("T")
        wide[:, _WIDTH:] = np.frombuffer(zone.encode(), np.uint8)
        return strings(wide.reshape(-1), offsets // _WIDTH * (_WIDTH + len(zone)), valid_rows(text))
    return Body((pc.replace_substring(text, " ", "T"), zone), valid_rows(text)).text(len(text))


# --- nested values --------------------------------------------------------------------------------


def children(
    column: pa.Array, of: Callable[[pa.Array], pa.Array] = lambda column: column.values
) -> tuple[pa.Array, Offsets]:
    """The items of a list or map column, and where each row's items begin; the first offset is 0."""
    items = of(column)
    if len(column) == 0:
        return items.slice(0, 0), np.zeros(1, np.int64)
    wide = pa.types.is_large_list(column.type)
    offsets = np.frombuffer(column.buffers()[1], np.int64 if wide else np.int32)
    offsets = offsets[column.offset : column.offset + len(column) + 1].astype(np.int64)
    return items.slice(offsets[0], offsets[-1] - offsets[0]), offsets - offsets[0]


def _struct(column: pa.Array) -> Body:
    rows = len(column)
    fields = [(column.type.field(i).name, column.field(i)) for i in range(column.type.num_fields)]
    bodies = [(name, body_of(child)) for name, child in fields if child.null_count < rows]
    return object_of(bodies, rows).only(valid_rows(column))


def _list(column: pa.Array) -> Body:
    items, groups = children(column)
    text = body_of(items).or_null().text(len(items), "", ",")
    return Body(("[", closed(text, "]", groups)), valid_rows(column))


def _map(column: pa.Array) -> Body:
    entries, groups = map_entries(column)
    return Body(("{", closed(entries, "}", groups)), valid_rows(column))


def map_entries(column: pa.Array, keep: Mask | None = None) -> tuple[pa.Array, Offsets]:
    """`"key":value,` of each entry of a map column, and where each row's begin; those not to `keep` are left out."""
    keys, groups = children(column, lambda column: column.keys)
    items, _ = children(column, lambda column: column.items)
    if keep is not None:
        groups = np.concatenate([np.zeros(1, np.int64), np.cumsum(keep)])[groups]
        keys, items = keys.filter(pa.array(keep)), items.filter(pa.array(keep))
    value = body_of(items).or_null().parts
    return join(('"', text_of(plain(keys)), '":', *value, ","), len(keys)), groups
