"""The hash by which rows with the same identifier are found: equal for equal texts, and else not."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from spark_klaviyo.batching.encoded_rows import hashed

TEXTS = st.lists(st.none() | st.text(max_size=40) | st.text("ab\x00", max_size=20), max_size=30)


@given(TEXTS)
def test_texts_have_one_hash_exactly_when_they_are_equal(texts: list[str | None]) -> None:
    keys = hashed(pa.array(texts, pa.string())).tolist()
    assert len(keys) == len(texts)
    assert len(set(zip(texts, keys, strict=True))) == len(set(texts))
    named = {text or "": key for text, key in zip(texts, keys, strict=True)}
    assert len(set(named.values())) == len(named)


@given(TEXTS)
def test_zero_means_that_there_is_no_text(texts: list[str | None]) -> None:
    keys = hashed(pa.array(texts, pa.string())).tolist()
    assert [key == 0 for key in keys] == [not text for text in texts]


@given(TEXTS, st.integers(0, 30), st.sampled_from([pa.string(), pa.large_string()]))
def test_a_slice_is_hashed_like_the_whole(texts: list[str | None], start: int, kind: pa.DataType) -> None:
    whole = pa.array(texts, kind)
    assert hashed(whole.slice(start)).tolist() == hashed(whole)[start:].tolist()


def test_only_the_order_of_the_words_differs() -> None:
    keys = hashed(pa.array(["12345678abcdefgh", "abcdefgh12345678", "12345678", "12345678\x00", "1234567"])).tolist()
    assert len(set(keys)) == 5
