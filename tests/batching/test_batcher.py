"""Batches are as full as both limits allow, never a byte over, and every row leaves once and in order."""

from __future__ import annotations

from itertools import count, pairwise

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from spark_klaviyo.batching.assembler import Batcher
from spark_klaviyo.core.models import BLOCK, KEY_PLACEHOLDER, Batch, EncodedRows, Envelope, Span
from spark_klaviyo.core.policy import Limits

bodies = st.lists(st.lists(st.binary(min_size=1, max_size=12), max_size=12), max_size=4)


def encoded_rows(rows: list[bytes], first: int, separator: bytes) -> EncodedRows:
    """The rows in one buffer, as the encoders hand it over."""
    offsets = np.cumsum([0, *(len(row) + len(separator) for row in rows)], dtype=np.int64)
    body = memoryview(b"".join(row + separator for row in rows))
    numbers = np.arange(first, first + len(rows), dtype=np.int64)
    return EncodedRows(body, offsets, numbers, pa.nulls(len(rows), pa.string()))


def cut_all(groups: list[list[bytes]], batcher: Batcher) -> tuple[list[Batch], list[int]]:
    """Every batch of the groups, and the numbers of the rows that fit no request."""
    first, giants = 0, list[int]()
    batches: list[Batch] = []
    for rows in groups:
        whole = encoded_rows(rows, first, batcher.envelope.separator)
        large = set(batcher.too_large(whole).tolist())
        giants += [first + position for position in sorted(large)]
        kept = [row for position, row in enumerate(rows) if position not in large]
        thin = encoded_rows(kept, 0, batcher.envelope.separator)
        thin.rows[:] = [first + position for position in range(len(rows)) if position not in large]
        batches += batcher.cut(thin)
        first += len(rows)
    return [*batches, *batcher.flush()], giants


def body(batch: Batch) -> bytes:
    return b"".join(bytes(part) for part in batch.parts())


@given(bodies, st.integers(1, 5), st.integers(11, 40), st.sampled_from([b",", b"\n", b"%2C", b""]))
def test_each_row_leaves_once_in_order_within_both_limits(
    groups: list[list[bytes]], max_rows: int, max_bytes: int, separator: bytes
) -> None:
    batcher = Batcher(Envelope("/x", b"[", b"]", separator), Limits(max_rows, max_bytes), count().__next__)
    batches, giants = cut_all(groups, batcher)
    rows = [row for group in groups for row in group]

    sent = [(int(n), r) for batch in batches for n, r in zip(batch.numbers(), batch.records(), strict=True)]
    assert sent == [(number, row) for number, row in enumerate(rows) if number not in giants]
    assert all(batch.rows <= max_rows and len(body(batch)) <= max_bytes for batch in batches)
    assert all(len(rows[number]) + 2 > max_bytes for number in giants)
    assert [batch.sequence for batch in batches] == list(range(len(batches)))


@given(bodies, st.integers(1, 5), st.integers(11, 40))
def test_no_batch_leaves_room_for_the_row_after_it(groups: list[list[bytes]], max_rows: int, max_bytes: int) -> None:
    batcher = Batcher(Envelope("/x", b"[", b"]"), Limits(max_rows, max_bytes), count().__next__)
    batches, _ = cut_all(groups, batcher)

    for batch, after in pairwise(batches):
        following = next(after.records())
        assert batch.rows == max_rows or len(body(batch)) + 1 + len(following) > max_bytes


@given(bodies, st.data())
def test_a_part_of_a_batch_holds_just_the_chosen_rows(groups: list[list[bytes]], data: st.DataObject) -> None:
    batcher = Batcher(Envelope("/x", b"[", b"]"), Limits(50, 1000), count().__next__)
    batches, _ = cut_all(groups, batcher)
    for batch in batches:
        gone = data.draw(st.sets(st.integers(0, batch.rows - 1)))
        kept = [row for position, row in enumerate(batch.records()) if position not in gone]
        assert list(batch.without(gone).records()) == kept
        assert body(batch.without(gone)) == b"[" + b",".join(kept) + b"]"
        left, right = batch.halves()
        assert [*left.records(), *right.records()] == list(batch.records())


def test_the_room_counts_the_key_that_is_filled_in_later() -> None:
    head = b'{"api_key":"' + KEY_PLACEHOLDER + b'","profiles":['
    assert Envelope("/x", head, b"").length_around(37) == len(head) - len(KEY_PLACEHOLDER) + 37


def test_a_row_over_the_limit_of_one_profile_is_named_though_the_request_would_hold_it() -> None:
    batcher = Batcher(Envelope("/x", b"[", b"]"), Limits(10, 1000, max_row_bytes=5), count().__next__)
    assert batcher.too_large(encoded_rows([b"12345", b"123456", b"1"], 0, b",")).tolist() == [1]


def test_a_text_is_found_wherever_it_stands_in_the_body() -> None:
    filler = b"x" * (BLOCK - 3)
    batch = Batch(0, (Span(encoded_rows([filler, b"needle", b"end"], 0, b","), 0, 3),), Envelope("/", b"head", b"tail"))
    assert [batch.contains(text) for text in (b"head", b"needle", b"end", b"tail")] == [True] * 4
    assert not batch.contains(b"needles")


def test_a_batch_shows_no_person() -> None:
    keys = pa.array(["email\x1fann@example.com"])
    rows = EncodedRows(memoryview(b"{},"), np.array([0, 3]), np.zeros(1, np.int64), keys, phones=keys)
    assert "ann" not in repr(Batch(0, (Span(rows, 0, 1),), Envelope("/api/rows", b"[", b"]")))
