"""Parts run together: the same as joining them row by row, whatever is null, missing or sliced."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_klaviyo.encode import joined
from spark_klaviyo.encode.joined import Part, Some, join, only

Column = list[str | None]
words = st.text('aé\U0001f600"', max_size=3)


def arrays(rows: int) -> st.SearchStrategy[Column]:
    return st.lists(st.none() | words, min_size=rows, max_size=rows)


def masks(rows: int) -> st.SearchStrategy[list[bool]]:
    return st.lists(st.booleans(), min_size=rows, max_size=rows)


@st.composite
def cases(draw: st.DrawFn) -> tuple[int, list[tuple[str | Column, list[bool] | None]]]:
    rows = draw(st.integers(0, 5))
    parts = st.tuples(words | arrays(rows), st.none() | masks(rows))
    return rows, draw(st.lists(parts, max_size=20))


def made(part: str | Column, rows: list[bool] | None) -> Part:
    # one row more before, sliced off: Arrow columns may begin anywhere
    content = part if isinstance(part, str) else pa.array(["before", *part], pa.string()).slice(1)
    return content if rows is None else Some(content, np.array(rows, np.bool_))


def by_row(parts: list[tuple[str | Column, list[bool] | None]], row: int) -> str:
    texts = [(part if isinstance(part, str) else part[row], rows is None or rows[row]) for part, rows in parts]
    return "".join(text for text, there in texts if there and text)


@given(cases())
def test_parts_are_joined_as_row_by_row(case: tuple[int, list[tuple[str | Column, list[bool] | None]]]) -> None:
    rows, parts = case
    found = join([made(*part) for part in parts], rows)
    found.validate(full=True)
    assert [text or "" for text in found.to_pylist()] == [by_row(parts, row) for row in range(rows)]


@given(cases(), st.data())
def test_limited_parts_are_in_those_rows_alone(
    case: tuple[int, list[tuple[str | Column, list[bool] | None]]], data: st.DataObject
) -> None:
    rows, parts = case
    limit = data.draw(masks(rows))
    there = np.array(limit, np.bool_)
    found = join(only([made(*part) for part in parts], there), rows, there)
    assert found.to_pylist() == [by_row(parts, row) if limit[row] else None for row in range(rows)]


def test_hundreds_of_texts_between_arrays() -> None:
    there = np.array([True, False])
    parts: list[Part] = []
    for number in range(200):
        parts += [Some(f"<{number}", there), pa.array(["x", None]), Some(">", there)]
    assert join(parts, 2).to_pylist() == ["".join(f"<{number}x>" for number in range(200)), ""]


def test_more_sets_of_rows_than_are_held_at_once() -> None:
    masks = [np.array([row >> bit & 1 == 1 for row in range(1024)]) for bit in range(10)]
    found = join([Some(str(bit), mask) for bit, mask in enumerate(masks)], 1024).to_pylist()
    assert found == ["".join(str(bit) for bit in range(10) if row >> bit & 1) for row in range(1024)]


def test_what_one_array_cannot_hold_is_refused_before_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joined, "MAX_BYTES", 10)
    assert join(["ab", pa.array(["cd", "e"])], 2).to_pylist() == ["abcd", "abe"]
    with pytest.raises(pa.ArrowCapacityError):
        join(["abcd", pa.array(["ef", "g"])], 2)
