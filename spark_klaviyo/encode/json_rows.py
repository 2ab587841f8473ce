"""A struct array in, its rows as JSON out: one buffer, written by Apache Arrow's JSON writer.

Null fields are left out at every depth, and so are null values of maps; nulls inside arrays stay. A line feed ends each
row and occurs nowhere inside one, since JSON escapes it: that is how the rows are found again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from io import BytesIO

import numpy as np
import pyarrow as pa
from arro3.io import write_ndjson

from spark_klaviyo.arrow.arrays import Bytes

LINE_FEED = 0x0A
_OPEN, _CLOSE = len('{"v":'), len("}")


def json_lines(rows: pa.StructArray) -> memoryview:
    """Every row as JSON and a line feed."""
    text = BytesIO()
    if len(rows):  # the writer (arro3-io 0.9.1) panics at an empty slice of nested lists
        write_ndjson(pa.RecordBatch.from_struct_array(rows), text, explicit_nulls=False)
    return text.getbuffer()


def rows_of(lines: memoryview, separator: int) -> pa.Array:
    """The lines as a string array whose rows end in the separator, which takes the line feed's place."""
    content: Bytes = np.frombuffer(lines, np.uint8)
    ends = np.flatnonzero(content == LINE_FEED)
    if separator != LINE_FEED:
        content[ends] = separator
    offsets = np.concatenate([np.zeros(1, np.int64), ends + 1])
    return pa.LargeStringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(lines))


def json_texts(column: pa.Array) -> list[bytes | None]:
    """The JSON of each value of a column; None for null."""
    lines = json_lines(pa.StructArray.from_arrays([column], names=["v"])).tobytes().split(b"\n")[:-1]
    return [line[_OPEN:-_CLOSE] if len(line) > _OPEN else None for line in lines]


def spliced(lines: memoryview, mark: bytes, texts: Iterable[bytes]) -> memoryview:
    """The lines with each occurrence of the mark replaced by the next of the texts."""
    pieces: Sequence[bytes] = lines.tobytes().split(mark)
    joined = bytearray(pieces[0])
    for text, piece in zip(texts, pieces[1:], strict=True):
        joined += text + piece
    return memoryview(joined)


def replaced(lines: memoryview, mark: bytes, text: bytes) -> memoryview:
    """The lines with every occurrence of the mark replaced by the text."""
    return memoryview(bytearray(lines).replace(mark, text))
