"""Encoded Arrow batches as `EncodedRows`: numpy views of their buffers, without a copy where Arrow allows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spark_klaviyo.arrow.arrays import bytes_and_offsets, offsets_of
from spark_klaviyo.arrow.encoded import FINGERPRINT, KEY, RECORD
from spark_klaviyo.core.models import EncodedRows
from spark_klaviyo.state.format import fingerprints_of

Ints: TypeAlias = "npt.NDArray[np.int64]"

WORD = 8  # bytes that are hashed at a time
_ODD = np.uint64(0x9E3779B97F4A7C15)
_USED = np.array([2**64 - 1, *(2 ** (8 * used) - 1 for used in range(1, WORD))], np.uint64)  # by bytes used of a word


def encoded_rows_of(batch: pa.RecordBatch, first_row: int) -> EncodedRows:
    """The rows of an encoded batch: their body is the record column's own buffer."""
    record = batch.column(RECORD)
    held = record.buffers()[2]
    rows = np.arange(first_row, first_row + batch.num_rows, dtype=np.int64)
    fingerprints = fingerprints_of(batch.column(FINGERPRINT)) if FINGERPRINT in batch.schema.names else None
    body = memoryview(held if held is not None else b"")
    return EncodedRows(body, offsets_of(record), rows, hashed(batch.column(KEY)), fingerprints)


def hashed(texts: pa.Array) -> Ints:
    """A 64-bit polynomial hash of each text, eight bytes at a time and in whole columns; 0 for null and empty."""
    content, offsets = bytes_and_offsets(texts.fill_null("") if texts.null_count else texts)
    padded = np.concatenate([content, np.zeros(WORD, np.uint8)])
    anywhere = np.ndarray(len(content) + 1, np.dtype("<u8"), padded, strides=(1,))  # a word from every byte on
    starts, lengths = offsets[:-1], np.diff(offsets)
    counts = (lengths + WORD - 1) // WORD
    ends = np.cumsum(counts)
    firsts = ends - counts
    index = np.arange(counts.sum(), dtype=np.int64) - np.repeat(firsts, counts)
    words = anywhere[np.repeat(starts, counts) + index * WORD]
    some = counts > 0
    words[ends[some] - 1] &= _USED[lengths[some] % WORD]  # what follows a text is not of it
    words *= _ODD
    words ^= words >> np.uint64(32)
    words *= _powers(index)
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(words)])
    return (sums[ends] - sums[firsts] + lengths.astype(np.uint64) * _ODD).view(np.int64)  # type: ignore[no-any-return]


def _powers(index: Ints) -> npt.NDArray[np.uint64]:
    longest = int(index.max()) + 1 if len(index) else 0
    table = np.full(longest, 0xD6E8FEB86659FD93, np.uint64)
    return np.cumprod(table, dtype=np.uint64)[index]


def text_of(rows: EncodedRows, position: int) -> bytes:
    """One row's record as JSON."""
    if rows.records is not None:
        return bytes(rows.records[position])
    return bytes(rows.body[int(rows.offsets[position]) : int(rows.offsets[position + 1]) - 1])


def with_texts(rows: EncodedRows, texts: Iterable[bytes], separator: bytes) -> EncodedRows:
    """The rows with other texts, each followed by the separator, in one new buffer; nothing else changes."""
    body = memoryview(b"".join([text + separator for text in texts]))
    lengths = np.fromiter(map(len, texts), np.int64, len(rows)) + len(separator)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    return EncodedRows(body, offsets, rows.rows, rows.keys, rows.fingerprints, rows.records)


def rebuilt(rows: EncodedRows, replaced: Mapping[int, bytes | None]) -> EncodedRows:
    """The JSON rows with some texts replaced (None: left out), in one new buffer."""
    pieces: list[bytes | memoryview] = []
    sizes = np.diff(rows.offsets)
    separator, start = bytes(rows.body[int(rows.offsets[1]) - 1 : int(rows.offsets[1])]), 0
    for position in sorted(replaced):
        text = replaced[position]
        pieces.append(rows.body[int(rows.offsets[start]) : int(rows.offsets[position])])
        if text is not None:
            pieces += [text, separator]
            sizes[position] = len(text) + 1
        start = position + 1
    pieces.append(rows.body[int(rows.offsets[start]) : int(rows.offsets[-1])])
    kept = np.ones(len(rows), dtype=bool)
    kept[[position for position, text in replaced.items() if text is None]] = False
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes[kept])])
    fingerprints = rows.fingerprints[kept] if rows.fingerprints is not None else None
    return EncodedRows(memoryview(b"".join(pieces)), offsets, rows.rows[kept], rows.keys[kept], fingerprints)


def gathered(rows: EncodedRows, positions: Ints) -> EncodedRows:
    """The rows at these positions, in that order, in one new buffer."""
    pieces = [rows.body[int(rows.offsets[p]) : int(rows.offsets[p + 1])] for p in positions]
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum([len(piece) for piece in pieces], dtype=np.int64)])
    fingerprints = rows.fingerprints[positions] if rows.fingerprints is not None else None
    records = rows.records[positions] if rows.records is not None else None
    body = memoryview(b"".join(pieces))
    return EncodedRows(body, offsets, rows.rows[positions], rows.keys[positions], fingerprints, records)
