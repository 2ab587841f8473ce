"""Which rows of a batch a later one replaces: those with the same identifier, wherever they stand in the batch."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from spark_klaviyo.batching.encoded_rows import superseded
from spark_klaviyo.core.models import Batch, EncodedRows, Envelope, Span
from spark_klaviyo.options.choices import Validate
from spark_klaviyo.plan.model import Checks

CHECKS = Checks(Validate.STRICT, key=(("id",),))
KEYS = st.lists(
    st.lists(st.none() | st.text("ab\x00\u00e9", min_size=1, max_size=3), max_size=8), min_size=1, max_size=4
)


def span(keys: list[str | None]) -> Span:
    """Encoded rows with these identifiers, behind one that is not of the batch."""
    records = [json.dumps({"id": key}).encode() + b"," for key in ["a", *keys]]
    offsets = np.cumsum([0, *map(len, records)], dtype=np.int64)
    numbers = np.arange(len(records), dtype=np.int64)
    rows = EncodedRows(memoryview(b"".join(records)), offsets, numbers, pa.array(["a", *keys], pa.string()))
    return Span(rows, 1, len(rows))


@given(KEYS)
def test_all_but_the_last_row_of_each_identifier_are_superseded(several: list[list[str | None]]) -> None:
    batch = Batch(0, tuple(map(span, several)), Envelope("/x", b"[", b"]"))
    keys = [key for keys in several for key in keys]
    last = {key: position for position, key in enumerate(keys)}
    expected = {position for position, key in enumerate(keys) if key is not None and last[key] != position}
    assert superseded(CHECKS, batch) == (expected if keys else set())
