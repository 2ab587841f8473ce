"""Request parameters of rows, such as a list id from a column: rows with equal parameters share requests."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from spark_klaviyo.arrow.encoded import PARAMS
from spark_klaviyo.batching.encoded_rows import gathered
from spark_klaviyo.core.models import EncodedRows
from spark_klaviyo.plan.model import NOT_OF_REQUEST


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
    of_row = number[held.indices.fill_null(0).to_numpy(zero_copy_only=False)][rows.rows - first_row]
    if len(distinct) == 1:
        yield distinct[0], rows
        return
    order = np.argsort(of_row, kind="stable")
    starts = np.flatnonzero(np.diff(of_row[order], prepend=-1))
    for group in np.split(order, starts[1:]):
        yield distinct[int(of_row[group[0]])], gathered(rows, group)


def _group_key(text: str | None) -> str:
    left = {name: value for name, value in params_of(text).items() if name not in NOT_OF_REQUEST and value.strip()}
    return json.dumps(left, ensure_ascii=False) if left else ""
