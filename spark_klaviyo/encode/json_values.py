"""Arrow columns and struct arrays in, their rows as JSON out: one buffer, written by Apache Arrow's JSON writer.

The writer (package arro3-io) writes most types as README.md says of them; the others are changed first:
times to text with microseconds, in UTC; binary to Base64; keys of maps to text. Nested types are walked. Null fields
are left out at every depth, and so are null values of maps; nulls inside arrays stay. A line feed ends each row and
occurs nowhere inside one, since JSON escapes it: that is how the rows are found again.

Spark makes a value of VARIANT text behind a mark that no other text has. It is written as text like any other, at any
depth, and the finished rows then hold the JSON in its place.
"""

from __future__ import annotations

import base64
import json
import re
from io import BytesIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from arro3.io import write_ndjson

from spark_klaviyo.arrow import arrays
from spark_klaviyo.arrow.arrays import Mask, is_text
from spark_klaviyo.arrow.times import MICROSECONDS, time_texts
from spark_klaviyo.core import exact_json
from spark_klaviyo.core.exact_json import Json
from spark_klaviyo.plan.shape import Leaf
from spark_klaviyo.screen.unsent_parts import without_secret_names

LINE_FEED = 0x0A
_BINARY = (pa.binary(), pa.large_binary(), pa.binary(1), getattr(pa, "binary_view", pa.binary)())
_VIEW = pa.string_view().id if hasattr(pa, "string_view") else None  # pyarrow 14 has no views
_CHANGED = {kind.id for kind in (MICROSECONDS, *_BINARY)}  # without unit, zone and width
_OPEN, _CLOSE = len('{"v":'), len("}")


def leaf_values(leaf: Leaf, column: pa.Array) -> pa.Array:
    """One column in the form that its field takes."""
    column = arrays.without_blanks(column) if leaf.omit_blank else column
    kind = column.type
    if leaf.prefix and (arrays.is_whole(kind) or is_text(column.type)):
        return prefixed(column, leaf.prefix)
    if leaf.as_text and arrays.is_whole(kind):
        return column.cast(pa.string())
    return json_values(column)


def prefixed(column: pa.Array, prefix: str) -> pa.Array:
    """Texts behind a prefix that some of them may begin with already."""
    text = column.cast(pa.string())
    bare = pc.replace_substring_regex(text, "^" + re.escape(prefix), "") if prefix else text
    return pc.binary_join_element_wise(pa.scalar(prefix), bare, "")


def json_values(column: pa.Array) -> pa.Array:
    """The column in types that the JSON writer writes as README.md says."""
    return arrays.with_scalars(column, lambda kind: kind.id in _CHANGED, _scalar)


def _scalar(column: pa.Array) -> pa.Array:
    if pa.types.is_timestamp(column.type):
        return time_texts(column.cast(MICROSECONDS, safe=False), "Z" if column.type.tz else "")
    return pa.array([None if v is None else base64.b64encode(v).decode() for v in column.to_pylist()], pa.string())


def without_dictionaries(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch without dictionaries and views of text, at any depth: Sail hands over those that Parquet files hold."""
    if not any(_has_others(kind) for kind in batch.schema.types):
        return batch
    held = [arrays.with_scalars(column, _is_other, _decoded_dictionary) for column in batch.columns]
    return pa.RecordBatch.from_arrays(held, names=batch.schema.names)


def _is_other(kind: pa.DataType) -> bool:
    return bool(pa.types.is_dictionary(kind) or kind.id == _VIEW)


def _has_others(kind: pa.DataType) -> bool:
    return _is_other(kind) or any(_has_others(kind.field(number).type) for number in range(kind.num_fields))


def _decoded_dictionary(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        return arrays.with_scalars(column.dictionary_decode(), _is_other, _decoded_dictionary)
    return column.cast(pa.string())


def without_offsets(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with columns that are slices copied.

    The JSON writer (arro3-io 0.9.1) panics at some nested ones, and `if_else` of pyarrow 14 garbles texts.
    """
    if not any(column.offset for column in batch.columns):
        return batch
    copied = [pa.concat_arrays([column, column.slice(0, 0)]) if column.offset else column for column in batch.columns]
    return pa.RecordBatch.from_arrays(copied, names=batch.schema.names)


def with_valid_text(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with what is no UTF-8 replaced by U+FFFD."""
    valid = [arrays.with_scalars(column, is_text, _decoded) for column in batch.columns]
    return pa.RecordBatch.from_arrays(valid, names=batch.schema.names)


def _decoded(column: pa.Array) -> pa.Array:
    texts = column.cast(pa.large_binary()).to_pylist()
    return pa.array([text if text is None else text.decode(errors="replace") for text in texts], pa.string())


# --- rows as JSON ---------------------------------------------------------------------------------


def json_lines(rows: pa.StructArray) -> BytesIO:
    """Every row as JSON and a line feed."""
    text = BytesIO()
    if len(rows):  # the writer (arro3-io 0.9.1) panics at an empty slice of nested lists
        write_ndjson(pa.RecordBatch.from_struct_array(rows), text, explicit_nulls=False)
    return text


def rows_of(lines: BytesIO, separator: int) -> pa.Array:
    """The lines as a string array whose rows end in the separator, which takes the line feed's place."""
    lines.seek(0)
    # Reading lines for their lengths takes a third of the time of looking for line feeds in one array.
    ends = np.cumsum(np.fromiter(map(len, lines), np.int64))
    content: arrays.Bytes = np.frombuffer(lines.getbuffer(), np.uint8)
    if separator != LINE_FEED:
        content[ends - 1] = separator
    offsets = np.concatenate([np.zeros(1, np.int64), ends])
    return pa.LargeStringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(content))


def json_texts(column: pa.Array) -> list[bytes | None]:
    """The JSON of each value of a column; None for null."""
    lines = json_lines(pa.StructArray.from_arrays([column], names=["v"])).getvalue().split(b"\n")[:-1]
    return [line[_OPEN:-_CLOSE] if len(line) > _OPEN else None for line in lines]


# --- JSON text as part of a record: objects that join the custom properties, and values of VARIANT ---


def json_objects(texts: pa.Array, mark: str, *, keep_null: bool) -> tuple[list[dict[str, Json] | None], Mask, Mask]:
    """Read a column of JSON text; nulls inside objects are left out unless `keep_null`.

    Returns:
        The objects, None where there is none; the rows that hold something else; and the rows of whose object something
        was taken that has the name of a secret.
    """
    found = list[dict[str, Json] | None]([None] * len(texts))
    wrong, secret = np.zeros(len(texts), np.bool_), np.zeros(len(texts), np.bool_)
    for row, text in enumerate(texts.cast(pa.string()).to_pylist()):
        if text is None or not text.strip():
            continue
        try:
            value = exact_json.loads(text.removeprefix(mark) if mark else text)
            if isinstance(value, dict):
                secret[row] = without_secret_names(value) > 0
                found[row] = value if keep_null else {k: _filled(v) for k, v in value.items() if v is not None}
            else:
                wrong[row] = value is not None
        except (ValueError, RecursionError):
            wrong[row] = True
    return found, wrong, secret


def _filled(value: Json) -> Json:
    """A value without the fields of its objects that are null."""
    if isinstance(value, list):
        return [_filled(item) for item in value]
    return {k: _filled(v) for k, v in value.items() if v is not None} if isinstance(value, dict) else value


def with_json(lines: bytes, mark: str) -> bytes:
    """The rows with each text behind the mark as the JSON that it is."""
    marked = re.compile(b'"' + mark.encode() + rb'((?:[^"\\]|\\.)*)"')
    return marked.sub(lambda found: json.loads(b'"' + found[1] + b'"').encode(), lines)
