"""Encoded Arrow batches as `EncodedRows`: numpy views of their buffers, without a copy where Arrow allows it.

Rows with equal request parameters, such as a list id from a column, are grouped here: they share requests.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_klaviyo.arrow.arrays import Ints, from_bytes, from_numpy, offsets_of, to_integers, valid_rows
from spark_klaviyo.arrow.encoded import EXTERNAL_ID, FINGERPRINT, KEY, PARAMS, PHONE, RECORD
from spark_klaviyo.core.models import EncodedRows
from spark_klaviyo.plan.model import of_request
from spark_klaviyo.state.format import fingerprints_of


def encoded_rows_of(batch: pa.RecordBatch, first_row: int) -> EncodedRows:
    """The rows of an encoded batch: their body is the record column's own buffer."""
    record = batch.column(RECORD)
    held = record.buffers()[2]
    rows = np.arange(first_row, first_row + batch.num_rows, dtype=np.int64)
    fingerprints = fingerprints_of(batch.column(FINGERPRINT)) if FINGERPRINT in batch.schema.names else None
    body = memoryview(held if held is not None else b"")
    keys, phones, ids = (batch.column(name).cast(pa.string()) for name in (KEY, PHONE, EXTERNAL_ID))
    return EncodedRows(body, offsets_of(record), rows, keys, fingerprints, None, phones, ids)


def text_of(rows: EncodedRows, position: int) -> bytes:
    """One row's record as JSON."""
    if rows.records is not None:
        return bytes(rows.records[position])
    return bytes(rows.body[int(rows.offsets[position]) : int(rows.offsets[position + 1]) - 1])


def rewritten(rows: EncodedRows, records: Sequence[bytes], texts: Sequence[bytes], separator: bytes) -> EncodedRows:
    """The rows with these texts, each followed by the separator, beside their records as JSON."""
    rows = replace(rows, records=np.array(records, np.object_))
    return gathered(rows, np.arange(len(rows)), from_bytes([text + separator for text in texts]))


def rebuilt(rows: EncodedRows, replaced: Mapping[int, bytes | None]) -> EncodedRows:
    """The JSON rows with some texts replaced (None: left out)."""
    separator = bytes(rows.body[int(rows.offsets[1]) - 1 : int(rows.offsets[1])])
    changed = np.isin(np.arange(len(rows)), list(replaced))
    made = [None if text is None else text + separator for _, text in sorted(replaced.items())]
    held = pc.replace_with_mask(_texts(rows), from_numpy(changed), from_bytes(made))
    return gathered(rows, np.flatnonzero(valid_rows(held)), held)


def gathered(rows: EncodedRows, positions: Ints, texts: pa.Array | None = None) -> EncodedRows:
    """The rows at these positions, in that order, in one new buffer; of all rows `texts` are others than theirs."""
    chosen = from_numpy(positions)
    held = (_texts(rows) if texts is None else texts).take(chosen)
    fingerprints = rows.fingerprints[positions] if rows.fingerprints is not None else None
    records = rows.records[positions] if rows.records is not None else None
    phones, ids = (None if column is None else column.take(chosen) for column in (rows.phones, rows.external_ids))
    body = memoryview(held.buffers()[2] or b"")
    keys = rows.keys.take(chosen)
    return EncodedRows(body, offsets_of(held), rows.rows[positions], keys, fingerprints, records, phones, ids)


def _texts(rows: EncodedRows) -> pa.Array:
    """The text of each row with its separator."""
    held = [None, pa.py_buffer(rows.offsets), pa.py_buffer(rows.body)]
    return pa.Array.from_buffers(pa.large_binary(), len(rows), held)


# --- request parameters ---------------------------------------------------------------------------


def params_of(text: str | None) -> dict[str, str]:
    """The request parameters that a row's JSON text holds."""
    params: dict[str, str] = json.loads(text) if text else {}
    return params


def groups(batch: pa.RecordBatch, rows: EncodedRows, first_row: int) -> Iterator[tuple[str, EncodedRows]]:
    """The rows by group key: the JSON text of their parameters, "" where there are none.

    `rows` are those of the batch that are left; `first_row` is the number of the batch's first row.
    """
    if not len(rows):
        return
    params = batch.column(PARAMS)
    if params.null_count == len(params):
        yield "", rows
        return
    held = params.dictionary_encode()
    keys = [_group_key(text) for text in held.dictionary.to_pylist()]
    distinct = list(dict.fromkeys(keys))
    number = np.array([distinct.index(key) for key in keys], np.int64)
    of_row = number[to_integers(held.indices)][rows.rows - first_row]
    if len(distinct) == 1:
        yield distinct[0], rows
        return
    order = np.argsort(of_row, kind="stable")
    starts = np.flatnonzero(np.diff(of_row[order], prepend=-1))
    for group in np.split(order, starts[1:]):
        yield distinct[int(of_row[group[0]])], gathered(rows, group)


def _group_key(text: str | None) -> str:
    params = {name: of_request(name, value) for name, value in params_of(text).items()}
    left = {name: value for name, value in params.items() if value.strip()}
    return json.dumps(left, ensure_ascii=False) if left else ""
