"""Reading the columns of an encoded Arrow batch as numpy views, without a copy where Arrow allows it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spark_klaviyo.core.models import EncodedRows
from spark_klaviyo.state.format import fingerprints_of

Ints = npt.NDArray[np.int64]
FINGERPRINT_COLUMN, STATUS_COLUMN = 4, 5  # only with a state: what rows are compared by, and their `RowStatus`

WORD = 8  # bytes that are hashed at a time
_ODD = np.uint64(0x9E3779B97F4A7C15)
_KEPT = np.array([2**64 - 1, *(2 ** (8 * used) - 1 for used in range(1, WORD))], np.uint64)  # by bytes used of a word


def encoded_rows_of(batch: pa.RecordBatch, first_row: int) -> EncodedRows:
    """The slab of all rows: its body is the record column's own buffer."""
    body, offsets = buffers(batch.column(0))
    rows = np.arange(first_row, first_row + batch.num_rows, dtype=np.int64)
    held = fingerprints_of(batch.column(FINGERPRINT_COLUMN)) if batch.num_columns > FINGERPRINT_COLUMN else None
    return EncodedRows(body, offsets, rows, _keys(batch), held)


def buffers(array: pa.Array) -> tuple[memoryview, Ints]:
    """Bytes and offsets of a string or binary array (32 or 64 bit offsets), sliced ones included."""
    wide = array.type in (pa.large_string(), pa.large_binary())
    _, starts, body = array.buffers()
    if starts is None:
        return memoryview(b""), np.zeros(1, np.int64)
    raw = np.frombuffer(starts, dtype=np.int64 if wide else np.int32)
    offsets = raw[array.offset : array.offset + len(array) + 1].astype(np.int64)
    return memoryview(body if body is not None else b""), offsets


def flags_of(batch: pa.RecordBatch) -> npt.NDArray[np.int32]:
    """The `flag` column."""
    flags: npt.NDArray[np.int32] = batch.column(1).to_numpy(zero_copy_only=False)
    return flags


def _keys(batch: pa.RecordBatch) -> Ints:
    array = batch.column(2)
    if array.null_count == len(array):
        return np.zeros(len(array), np.int64)
    if not pa.types.is_integer(array.type):
        return hashed(array)
    return pc.fill_null(array, 0).to_numpy(zero_copy_only=False).astype(np.int64, copy=False)  # type: ignore[no-any-return]


def hashed(array: pa.Array) -> Ints:
    """A 64-bit polynomial hash of each text, eight bytes at a time and in whole columns; 0 for null and empty."""
    body, offsets = buffers(pc.fill_null(array, ""))
    content = np.frombuffer(body, np.uint8)[offsets[0] : offsets[-1]]
    padded = np.concatenate([content, np.zeros(WORD, np.uint8)])
    anywhere = np.ndarray(len(content) + 1, np.dtype("<u8"), padded, strides=(1,))  # a word from every byte on
    starts, lengths = offsets[:-1] - offsets[0], np.diff(offsets)
    counts = (lengths + WORD - 1) // WORD
    ends = np.cumsum(counts)
    firsts = ends - counts
    place = np.arange(counts.sum(), dtype=np.int64) - np.repeat(firsts, counts)
    words = anywhere[np.repeat(starts, counts) + place * WORD]
    some = counts > 0
    words[ends[some] - 1] &= _KEPT[lengths[some] % WORD]  # what follows a text is not of it
    words *= _ODD
    words ^= words >> np.uint64(32)
    words *= _powers(place)
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(words)])
    return (sums[ends] - sums[firsts] + lengths.astype(np.uint64) * _ODD).view(np.int64)  # type: ignore[no-any-return]


def _powers(place: Ints) -> npt.NDArray[np.uint64]:
    longest = int(place.max()) + 1 if len(place) else 0
    table = np.full(longest, 0xD6E8FEB86659FD93, np.uint64)
    return np.cumprod(table, dtype=np.uint64)[place]


def params_of(batch: pa.RecordBatch) -> Sequence[str] | None:
    """Each row's side values as JSON text, or None where the plan has none."""
    if batch.num_columns < 4 or batch.column(3).null_count == batch.num_rows:
        return None
    return [value or "" for value in batch.column(3).to_pylist()]


def routes_of(batch: pa.RecordBatch, informing: frozenset[str]) -> tuple[list[str], Ints] | None:
    """Distinct routes of a batch and each row's index into them; None where nothing steers a request."""
    if batch.num_columns < 4 or batch.column(3).null_count == batch.num_rows:
        return None
    found = batch.column(3).dictionary_encode()
    values = [_steering(value, informing) for value in found.dictionary.to_pylist()]
    distinct = list(dict.fromkeys(values))
    if distinct == [""]:
        return None
    number = {value: index for index, value in enumerate(distinct)}
    table = np.array([number[value] for value in values], dtype=np.int64)
    return distinct, table[pc.fill_null(found.indices, 0).to_numpy(zero_copy_only=False)]


def _steering(text: str | None, informing: frozenset[str]) -> str:
    values: dict[str, str] = json.loads(text) if text else {}
    left = {name: value for name, value in values.items() if name not in informing and value.strip()}
    return json.dumps(left, ensure_ascii=False) if left else ""


def text_of(encoded_rows: EncodedRows, position: int, separator: bytes) -> bytes:
    """One row's record as JSON, without its separator."""
    if encoded_rows.records is not None:
        return bytes(encoded_rows.records[position])
    start, stop = int(encoded_rows.offsets[position]), int(encoded_rows.offsets[position + 1])
    return bytes(encoded_rows.body[start : stop - len(separator)])


def rebuilt(encoded_rows: EncodedRows, replaced: Mapping[int, bytes | None], separator: bytes) -> EncodedRows:
    """The slab with some rows replaced (None: left out), in one new buffer."""
    pieces: list[bytes | memoryview] = []
    sizes = np.diff(encoded_rows.offsets)
    start = 0
    for position in sorted(replaced):
        text = replaced[position]
        pieces.append(encoded_rows.body[int(encoded_rows.offsets[start]) : int(encoded_rows.offsets[position])])
        if text is not None:
            pieces += [text, separator]
            sizes[position] = len(text) + len(separator)
        start = position + 1
    pieces.append(encoded_rows.body[int(encoded_rows.offsets[start]) : int(encoded_rows.offsets[-1])])
    kept = np.ones(len(encoded_rows), dtype=bool)
    kept[[position for position, text in replaced.items() if text is None]] = False
    offsets = np.concatenate([[0], np.cumsum(sizes[kept])]).astype(np.int64)
    held = encoded_rows.fingerprints[kept] if encoded_rows.fingerprints is not None else None
    return EncodedRows(memoryview(b"".join(pieces)), offsets, encoded_rows.rows[kept], encoded_rows.keys[kept], held)


def gathered(encoded_rows: EncodedRows, positions: Ints) -> EncodedRows:
    """A slab of its own of the rows at these positions, in that order."""
    pieces = [encoded_rows.body[int(encoded_rows.offsets[p]) : int(encoded_rows.offsets[p + 1])] for p in positions]
    offsets = np.concatenate([[0], np.cumsum([len(piece) for piece in pieces])]).astype(np.int64)
    held = encoded_rows.fingerprints[positions] if encoded_rows.fingerprints is not None else None
    records = encoded_rows.records[positions] if encoded_rows.records is not None else None
    return EncodedRows(
        memoryview(b"".join(pieces)),
        offsets,
        encoded_rows.rows[positions],
        encoded_rows.keys[positions],
        held,
        records,
    )
