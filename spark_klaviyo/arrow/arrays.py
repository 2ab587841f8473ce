"""Arrow arrays in the few forms that their readers know, and their buffers as numpy views.

Nothing here makes a Python object per row. Slices and large types are all read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spark_klaviyo.core.identifiers import BLANKS

Bytes: TypeAlias = "npt.NDArray[np.uint8]"
Ints: TypeAlias = "npt.NDArray[np.int64]"
Mask: TypeAlias = "npt.NDArray[np.bool_]"
Test: TypeAlias = Callable[[pa.Array], "Mask | None"]

_BLANK = f"^[{BLANKS}]*\\z"
_LARGE = {pa.large_string().id, pa.large_binary().id, pa.large_list(pa.null()).id}


def is_text(kind: pa.DataType) -> bool:
    """Whether a type is text of Spark's."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def is_list(kind: pa.DataType) -> bool:
    """Whether a type is an array of Spark's."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def is_whole(kind: pa.DataType) -> bool:
    """Whether values are whole numbers, which a text field takes as text."""
    return bool(pa.types.is_integer(kind) or (pa.types.is_decimal(kind) and kind.scale == 0))


def valid_rows(column: pa.Array) -> Mask:
    """Which rows are not null."""
    return to_mask(column.is_valid()) if column.null_count else np.ones(len(column), np.bool_)


def bytes_and_offsets(texts: pa.Array) -> tuple[Bytes, Ints]:
    """The bytes of a string or binary array and where its rows begin (one more than rows); the first offset is 0."""
    if len(texts) == 0:
        return np.empty(0, np.uint8), np.zeros(1, np.int64)
    _, _, held = texts.buffers()
    offsets = offsets_of(texts)
    content = np.frombuffer(held, np.uint8) if held is not None else np.empty(0, np.uint8)
    return content[offsets[0] : offsets[-1]], offsets - offsets[0]


def without_blanks(texts: pa.Array) -> pa.Array:
    """The column with blank texts as null; itself where no text is blank, which lengths and first bytes show."""
    if not is_text(texts.type):
        return texts
    content, offsets = bytes_and_offsets(texts)
    if len(content) == 0:
        return pa.nulls(len(texts), texts.type)
    first = content.take(offsets[:-1], mode="clip")  # that of a null or an empty text is another text's
    filled = offsets[1:] > offsets[:-1]
    if first.min() > ord(" ") and first.max() < 0x7F and np.count_nonzero(filled) + texts.null_count == len(texts):
        return texts
    blank = ~filled
    odd = np.flatnonzero(filled & ((first <= ord(" ")) | (first >= 0x7F)))
    blank[odd] = to_mask(pc.match_substring_regex(texts.take(from_numpy(odd)), _BLANK))
    return pc.if_else(from_numpy(blank), null_scalar(texts.type), texts)


def offsets_of(column: pa.Array) -> Ints:
    """The offsets of a string, binary, list or map array, as they stand in its buffer."""
    held = column.buffers()[1]
    if held is None or len(column) == 0:
        return np.zeros(1, np.int64)
    raw = np.frombuffer(held, np.int64 if column.type.id in _LARGE else np.int32)
    return raw[column.offset : column.offset + len(column) + 1].astype(np.int64)


def children(column: pa.Array) -> tuple[tuple[pa.Array, ...], Ints]:
    """The child arrays of a list (its values) or map (keys and items), and where each row's begin; first is 0."""
    offsets = offsets_of(column)
    held = (column.keys, column.items) if pa.types.is_map(column.type) else (column.values,)
    return tuple(child.slice(offsets[0], offsets[-1] - offsets[0]) for child in held), offsets - offsets[0]


def list_array(valid: Mask, groups: npt.NDArray[np.integer[Any]], items: pa.Array) -> pa.Array:
    """A list array: row i holds the items from `groups[i]` to `groups[i + 1]`, or is null where not valid."""
    return _grouped(valid, pa.list_(items.type), groups, items)


def map_array(valid: Mask, groups: npt.NDArray[np.integer[Any]], keys: pa.Array, items: pa.Array) -> pa.Array:
    """A map array: row i holds the entries from `groups[i]` to `groups[i + 1]`, or is null where not valid."""
    if keys.null_count:  # pyarrow aborts the process at such a map; pyarrow 14 also where nulls were never counted
        raise ValueError("a map with a null key has no JSON form")
    fields = [pa.field("key", keys.type, nullable=False), pa.field("value", items.type)]
    entries = pa.StructArray.from_arrays([keys, items], fields=fields)
    return _grouped(valid, pa.map_(keys.type, items.type), groups, entries)


def _grouped(valid: Mask, kind: pa.DataType, groups: npt.NDArray[np.integer[Any]], items: pa.Array) -> pa.Array:
    validity = None if valid.all() else from_numpy(valid).buffers()[1]
    buffers = [validity, pa.py_buffer(groups.astype(np.int32))]
    return pa.Array.from_buffers(kind, len(valid), buffers, children=[items])


def any_in_group(items: Mask, groups: Ints) -> Mask:
    """Which groups (offsets into the items) hold an item that is true."""
    counts = np.concatenate([np.zeros(1, np.int64), np.cumsum(items)])
    return np.asarray(counts[groups[1:]] > counts[groups[:-1]])


def anywhere(column: pa.Array, test: Test) -> Mask | None:
    """In which rows a value, or one anywhere inside it, passes the test; None: in no row, as the type cannot."""
    found = [test(column)]
    if pa.types.is_struct(column.type):
        found += [anywhere(column.field(i), test) for i in range(column.type.num_fields)]
    elif pa.types.is_map(column.type) or is_list(column.type):
        held, groups = children(column)
        inner = anywhere(held[-1], test)
        found.append(None if inner is None else any_in_group(inner, groups))
    masks = [mask for mask in found if mask is not None]
    return reduce(np.logical_or, masks) & valid_rows(column) if masks else None


def with_scalars(
    column: pa.Array, changes: Callable[[pa.DataType], bool], change: Callable[[pa.Array], pa.Array]
) -> pa.Array:
    """The column with the scalars whose type changes, at any depth, replaced. Keys of maps become text."""
    kind = column.type
    if pa.types.is_struct(kind) and kind.num_fields:
        parts = [with_scalars(column.field(i), changes, change) for i in range(kind.num_fields)]
        fields = [pa.field(kind.field(i).name, part.type) for i, part in enumerate(parts)]
        return pa.StructArray.from_arrays(parts, fields=fields, mask=column.is_null())
    if is_list(kind):
        (items,), groups = children(column)
        return list_array(valid_rows(column), groups, with_scalars(items, changes, change))
    if pa.types.is_map(kind):
        (keys, items), groups = children(column)
        names, values = (with_scalars(held, changes, change) for held in (keys.cast(pa.string()), items))
        return map_array(valid_rows(column), groups, names, values)
    return change(column) if changes(kind) else column


# --- from and to numpy and Python; `pa.array` and `pa.scalar` import pandas, 45 MB of a worker's memory ---


def to_mask(column: pa.Array) -> Mask:
    """A boolean array as numpy has it; null is False."""
    validity, held = column.buffers()
    mask = _bits(held, column)
    return mask & _bits(validity, column) if column.null_count else mask


def _bits(held: pa.Buffer | None, column: pa.Array) -> Mask:
    stop = column.offset + len(column)
    bits = np.frombuffer(held if held is not None else b"", np.uint8)
    return np.unpackbits(bits, count=stop, bitorder="little")[column.offset :].view(np.bool_)


def to_integers(column: pa.Array, missing: int = 0) -> Ints:
    """An array of whole numbers as numpy has it, with `missing` for null."""
    kind: np.dtype[Any] = np.dtype(str(column.type))
    if not len(column):
        return np.empty(0, kind)
    numbers = np.frombuffer(column.buffers()[1], kind, len(column), column.offset * kind.itemsize)
    return np.where(valid_rows(column), numbers, missing) if column.null_count else numbers


def from_numpy(values: npt.NDArray[Any], valid: Mask | None = None) -> pa.Array:
    """Numbers or booleans as an Arrow array, null where not valid."""
    held = np.packbits(values, bitorder="little") if values.dtype == np.bool_ else np.ascontiguousarray(values)
    validity = None if valid is None or valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [validity, pa.py_buffer(held)])


def from_texts(texts: Sequence[str]) -> pa.Array:
    """A few texts as an Arrow array."""
    held = [text.encode() for text in texts]
    offsets = np.cumsum([0, *map(len, held)], dtype=np.int32)
    return pa.StringArray.from_buffers(len(held), pa.py_buffer(offsets), pa.py_buffer(b"".join(held)))


def from_bytes(held: Sequence[bytes | None]) -> pa.Array:
    """Bytes as a large Arrow array."""
    valid = from_numpy(np.fromiter((one is not None for one in held), np.bool_, len(held))).buffers()[1]
    offsets = np.cumsum([0, *(len(one or b"") for one in held)], dtype=np.int64)
    buffers = [valid, pa.py_buffer(offsets), pa.py_buffer(b"".join(filter(None, held)))]
    return pa.Array.from_buffers(pa.large_binary(), len(held), buffers)


def text_scalar(text: str) -> pa.Scalar:
    """A text for functions of pyarrow."""
    return from_texts([text])[0]


def null_scalar(kind: pa.DataType) -> pa.Scalar:
    """Null of a type."""
    return pa.nulls(1, kind)[0]
