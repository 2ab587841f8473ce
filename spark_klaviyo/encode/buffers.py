"""String columns as their two buffers, bytes and offsets, worked on by numpy: no Python object per row."""

from __future__ import annotations

import binascii
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Bytes: TypeAlias = "npt.NDArray[np.uint8]"
Offsets: TypeAlias = "npt.NDArray[np.int64]"
Mask: TypeAlias = "npt.NDArray[np.bool_]"

MAX_BYTES = 2**31 - 1  # what the 32-bit offsets of a string array can address
QUOTE, BACKSLASH = 0x22, 0x5C
_LARGE = {pa.large_string().id, pa.large_binary().id}
# The last character of each escape; what goes before it is "\" or, for most control characters, "\u000" or "\u001".
_LAST = np.frombuffer(bytes(b"0123456789abcdef"[i & 15] if i < 0x20 else i for i in range(256)), np.uint8).copy()
_SHORT = np.zeros(256, np.bool_)
for _byte, _letter in zip(b'\b\f\n\r\t"\\', b'bfnrt"\\', strict=True):
    _LAST[_byte], _SHORT[_byte] = _letter, True


def bytes_and_offsets(texts: pa.Array) -> tuple[Bytes, Offsets]:
    """The bytes of a string or binary array and the places where its rows begin; the first offset is 0."""
    whole, places = _held(texts)
    offsets = places.astype(np.int64)
    return whole[offsets[0] : offsets[-1]], offsets - offsets[0]


def content_of(texts: pa.Array) -> Bytes:
    """The bytes of a string or binary array, from its first row to its last."""
    whole, places = _held(texts)
    return whole[places[0] : places[-1]]


def _held(texts: pa.Array) -> tuple[Bytes, npt.NDArray[Any]]:
    if len(texts) == 0:
        return np.empty(0, np.uint8), np.zeros(1, np.int64)
    _, starts, held = texts.buffers()
    places = np.frombuffer(starts, np.int64 if texts.type.id in _LARGE else np.int32)
    whole = np.frombuffer(held, np.uint8) if held is not None else np.empty(0, np.uint8)
    return whole, places[texts.offset : texts.offset + len(texts) + 1]


def strings(content: Bytes, offsets: Offsets, valid: Mask | None = None) -> pa.Array:
    """The string array of these bytes; rows not `valid` are null. Raises ArrowCapacityError beyond 2 GB."""
    if len(content) > MAX_BYTES:
        raise pa.ArrowCapacityError("more text than one array can hold")
    starts = pa.py_buffer(offsets.astype(np.int32))
    return pa.StringArray.from_buffers(len(offsets) - 1, starts, pa.py_buffer(content), bits(valid))


def bits(valid: Mask | None) -> pa.Buffer | None:
    """Which rows are not null, as Arrow has it."""
    return None if valid is None or valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))


def without_nulls(texts: pa.Array) -> pa.Array:
    """The same bytes; a null is any text at all."""
    if texts.null_count == 0:
        return texts
    _, offsets, content = texts.buffers()
    return pa.StringArray.from_buffers(len(texts), offsets, content or pa.py_buffer(b""), None, 0, texts.offset)


def valid_rows(column: pa.Array) -> Mask | None:
    """Which rows are not null; None: all of them."""
    if column.null_count == 0:
        return None
    held = column.buffers()[0]
    if held is None:  # an array of nulls alone has no bits
        return np.zeros(len(column), np.bool_)
    end = column.offset + len(column)
    return np.unpackbits(np.frombuffer(held, np.uint8), count=end, bitorder="little")[column.offset :].view(np.bool_)


def masked(texts: pa.Array, valid: Mask | None) -> pa.Array:
    """The same texts, null where a row is not valid."""
    if valid is None or valid.all():
        return texts
    own = valid_rows(texts)
    return strings(*bytes_and_offsets(texts), valid if own is None else valid & own)


def escaped(texts: pa.Array) -> pa.Array:
    """The texts with what JSON forbids in a string escaped; the array itself where nothing is."""
    if not _needs_escapes(content_of(texts)):
        return texts
    content, offsets = bytes_and_offsets(texts)
    places = np.flatnonzero((content < 0x20) | (content == QUOTE) | (content == BACKSLASH))
    found = content[places]
    short = _SHORT[found]
    widths = np.where(short, 1, 5)
    ends = np.cumsum(widths)
    prefixes = np.empty(int(ends[-1]), np.uint8)
    prefixes[ends - widths] = BACKSLASH
    for distance, characters in enumerate((b"u", b"0", b"0"), start=1):
        prefixes[(ends - 5 + distance)[~short]] = characters[0]
    prefixes[(ends - 1)[~short]] = ord("0") + (found[~short] >> 4)
    ended = content.copy()
    ended[places] = _LAST[found]
    wider = np.insert(ended, np.repeat(places, widths), prefixes)
    shifts = np.concatenate([np.zeros(1, np.int64), ends])[np.searchsorted(places, offsets)]
    return strings(wider, offsets + shifts, valid_rows(texts))


def _needs_escapes(content: Bytes) -> bool:
    raw = content.tobytes()  # searched in a part of the time that comparing takes
    return QUOTE in raw or BACKSLASH in raw or content.min(initial=0xFF) < 0x20


def closed(items: pa.Array, closing: str, groups: Offsets | None = None) -> pa.Array:
    """Items that each end in a comma, as one text a group, whose last comma becomes `closing`.

    `groups` are the offsets of the groups in the items; None: each item is a group. Null items count as not there; a
    group without any is `closing` alone.
    """
    content, places = bytes_and_offsets(items)
    offsets = places if groups is None else places[groups]
    content = content[offsets[0] : offsets[-1]].copy()
    offsets = offsets - offsets[0]
    empty = offsets[1:] == offsets[:-1]
    content[offsets[1:][~empty] - 1] = ord(closing)
    if not empty.any():
        return strings(content, offsets)
    content = np.insert(content, offsets[1:][empty], ord(closing))
    offsets[1:] += np.cumsum(empty)
    return strings(content, offsets)


def grouped(items: pa.Array, groups: Offsets) -> pa.Array:
    """Items run together, one text a group."""
    content, places = bytes_and_offsets(items)
    offsets = places[groups]
    return strings(content[offsets[0] : offsets[-1]], offsets - offsets[0])


def any_in_group(items: Mask, groups: Offsets) -> Mask:
    """Which groups hold an item that is true."""
    counts = np.concatenate([np.zeros(1, np.int64), np.cumsum(items)])
    return np.asarray(counts[groups[1:]] > counts[groups[:-1]])


def base64(column: pa.Array) -> pa.Array:
    """Binary values in Base64: rows padded to whole triples, one call for all of them."""
    content, offsets = bytes_and_offsets(column)
    lengths = np.diff(offsets)
    missing = -lengths % 3
    padded = np.insert(content, np.repeat(offsets[1:], missing), 0) if len(content) else content
    coded = np.frombuffer(binascii.b2a_base64(padded.tobytes(), newline=False), np.uint8).copy()
    ends = np.cumsum((lengths + missing) // 3 * 4)
    coded[ends[missing >= 1] - 1] = ord("=")
    coded[ends[missing == 2] - 2] = ord("=")
    return strings(coded, np.concatenate([np.zeros(1, np.int64), ends]), valid_rows(column))
