"""Which rows of a batch a later one replaces: those with the same identifier, wherever they stand in the batch."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from spark_klaviyo.batching.assembler import MOST_APART, repeats_in
from spark_klaviyo.core.models import Batch, EncodedRows, Envelope, Span
from spark_klaviyo.options.choices import Validate
from spark_klaviyo.plan.model import Checks

CHECKS = Checks(Validate.STRICT, key=(("id",),))
PEOPLE = Checks(Validate.STRICT, key=(("id",), ("phone_number",)), adds=(("meta",),))
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
    assert repeats_in(CHECKS, batch).superseded == expected


ROWS = st.lists(st.tuples(st.sampled_from([None, *"abc"]), st.sampled_from([None, *"123"]), st.booleans()), max_size=12)


@given(ROWS.filter(bool))
def test_rows_that_add_and_people_who_share_a_phone_are_in_different_requests(
    rows: list[tuple[str | None, str | None, bool]],
) -> None:
    texts = [
        json.dumps({"id": key, "phone_number": phone, **({"meta": 1} if adds else {})}) for key, phone, adds in rows
    ]
    records = [text.encode() + b"," for text in texts]
    keys, phones = (pa.array(column, pa.string()) for column in zip(*((k or p, p) for k, p, _ in rows), strict=True))
    offsets = np.cumsum([0, *map(len, records)], dtype=np.int64)
    encoded = EncodedRows(memoryview(b"".join(records)), offsets, np.arange(len(rows)), keys, phones=phones)
    found = repeats_in(PEOPLE, Batch(0, (Span(encoded, 0, len(rows)),), Envelope("/x", b"[", b"]")))
    names = [("id", key) if key else ("phone", phone) for key, phone, _ in rows]
    adding = {name for name, (_, _, adds) in zip(names, rows, strict=True) if adds}
    assert not [at for at in found.superseded if names[at] in adding or names[at][1] is None]
    kept = [at for at in range(len(rows)) if at not in found.superseded]
    requests: dict[int, list[int]] = {}
    for at in kept:
        requests.setdefault(found.apart.get(at, 0), []).append(at)
    for number, together in requests.items():
        people = [names[at] for at in together if names[at][1]]
        numbers = [phone for at in together if (phone := rows[at][1])]
        assert len(set(people)) == len(people)
        assert number == MOST_APART or len(set(numbers)) == len(numbers)
    for one in adding - {("phone", None)}:  # in their order
        order = [found.apart.get(at, 0) for at in kept if names[at] == one]
        assert order == sorted(set(order))


MAYBE = st.none() | st.sampled_from("abc")


@given(st.lists(st.tuples(MAYBE, MAYBE), min_size=1, max_size=12), st.booleans())
def test_a_later_row_with_the_same_email_or_external_id_supersedes_or_follows(
    rows: list[tuple[str | None, str | None]], known: bool
) -> None:
    checks = Checks(Validate.STRICT, key=(("email",), ("external_id",)))
    records = [json.dumps({"email": email, "external_id": other}).encode() + b"," for email, other in rows]
    keys = pa.array([email or (other and f"external {other}") for email, other in rows], pa.string())
    others = pa.array([other for _, other in rows], pa.string())
    offsets = np.cumsum([0, *map(len, records)], dtype=np.int64)
    encoded = EncodedRows(memoryview(b"".join(records)), offsets, np.arange(len(rows)), keys, external_ids=others)
    batch = Batch(0, (Span(encoded, 0, len(rows)),), Envelope("/x", b"[", b"]"))
    found = repeats_in(checks, batch, each_key_is_known=known)
    same = [
        (early, late)
        for late in range(len(rows))
        for early in range(late)
        if any(one is not None and one == other for one, other in zip(rows[early], rows[late], strict=True))
    ]
    if not known:
        gone = set[int]()
        for early, late in sorted(same, reverse=True):  # the last rows first: one that is replaced replaces none
            gone |= {early} if late not in gone else set()
        assert (found.superseded, found.apart) == (gone, {})
    for early, late in same:
        assert {early, late} & found.superseded or found.apart.get(early, 0) < found.apart.get(late, 0)
