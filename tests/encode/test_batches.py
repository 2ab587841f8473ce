"""The Arrow encoder takes batches as they come: empty, huge, with dictionaries, large types, broken texts."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import Row

from spark_klaviyo.arrow.encoded import ENCODED, Verdict
from spark_klaviyo.encode.encoder import MAX_ROWS, MAX_VALUES, encode, encode_batches
from spark_klaviyo.encode.rows import BATCH_BYTES, CHUNK_ROWS, arrow_batches
from spark_klaviyo.options.choices import Validate
from spark_klaviyo.plan.model import Checks
from spark_klaviyo.plan.shape import Clean, Leaf, Record
from spark_klaviyo.plan.types import Field, read_type
from spark_klaviyo.templates.model import RecordLimits
from tests.encode.plans import TEMPLATE, columns, flat, plan_of
from tests.encode.values import arrow_type
from tests.plan.planning import fields
from tests.plan.planning import plan_of as made_plan


def records(batch: pa.RecordBatch) -> list[object]:
    """The records parsed."""
    return [json.loads(text[:-1]) for text in batch.column(0).to_pylist()]


def encoded(array: pa.Array, kind: object) -> list[object]:
    """One column `v` encoded."""
    plan = flat(columns(v=kind))
    return records(encode(pa.RecordBatch.from_arrays([array], names=["v"]), plan))


TEXTS = ["a", None, 'b"', "a"]
EXPECTED = [{"v": "a"}, {}, {"v": 'b"'}, {"v": "a"}]


OF_TEXTS = [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())]
OF_TEXTS += [pa.string_view()] if hasattr(pa, "string_view") else []


@pytest.mark.parametrize("kind", OF_TEXTS)
def test_texts_of_any_arrow_type(kind: pa.DataType) -> None:
    assert encoded(_of_type(TEXTS, kind), "string") == EXPECTED


@pytest.mark.parametrize("kind", OF_TEXTS)
def test_texts_of_any_arrow_type_are_checked_and_cleaned(kind: pa.DataType) -> None:
    plan = made_plan(fields(email="string", tags={"type": "array", "elementType": "string"}))
    tags = _of_type(["a", "b", "c"], kind)
    lists = pa.ListArray.from_arrays(pa.array([0, 2, 3, 3], pa.int32()), tags)
    made = encode(
        pa.RecordBatch.from_arrays([_of_type([" a@x.com", "no", "n/a"], kind), lists], ["email", "tags"]), plan
    )
    attributes: list[Any] = [record["attributes"] for record in records(made)]  # type: ignore[index]
    assert attributes[0] == {"email": "a@x.com", "properties": {"tags": ["a", "b"]}}
    assert [one.get("email") for one in attributes] == ["a@x.com", "no", None]
    assert made.column("verdict").to_pylist() == [Verdict.VALID, Verdict.CHECK, Verdict.CHECK]


def _of_type(texts: list[str | None], kind: pa.DataType) -> pa.Array:
    return pa.array(texts).dictionary_encode() if pa.types.is_dictionary(kind) else pa.array(texts, kind)


@pytest.mark.parametrize("value", [float("nan"), "4111111111111111"])
def test_a_column_may_hold_another_type_than_it_was_planned_with(value: object) -> None:
    plan = made_plan(fields(email="string", points="boolean"))
    batch = pa.RecordBatch.from_pydict({"email": ["a@x.com"] * 100, "points": [value] * 100})
    assert encode(batch, plan).num_rows == 100


def test_binary_of_any_arrow_type() -> None:
    for kind in (pa.binary(), pa.large_binary(), pa.binary(2)):
        assert encoded(pa.array([b"ab", None], kind), "binary") == [{"v": "YWI="}, {}]


def test_large_lists() -> None:
    values = pa.array([[1], None, [], [2, None]], pa.large_list(pa.int64()))
    expected: list[object] = [{"v": [1]}, {}, {"v": []}, {"v": [2, None]}]
    assert encoded(values, {"type": "array", "elementType": "long"}) == expected
    assert encoded(values.slice(2), {"type": "array", "elementType": "long"}) == expected[2:]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_timestamps_of_any_unit(unit: str) -> None:
    when = datetime(2026, 10, 15, 8, tzinfo=timezone.utc)
    value = pa.array([when], pa.timestamp(unit, "Asia/Kolkata"))
    assert encoded(value, "timestamp") == [{"v": "2026-10-15T08:00:00.000000Z"}]


def test_an_empty_batch_gives_an_empty_batch() -> None:
    kind = {"type": "struct", "fields": [{"name": "x", "type": {"type": "array", "elementType": "binary"}}]}
    template = replace(TEMPLATE, record_limits=RecordLimits(max_items=1))
    plan = flat(columns(a="string", b=kind), checks=Checks(Validate.STRICT), template=template)
    types = [arrow_type(field.type) for field in plan.columns]
    done = encode(pa.RecordBatch.from_arrays([pa.array([], kind) for kind in types], names=["a", "b"]), plan)
    assert (done.num_rows, done.schema.names) == (0, ENCODED.names)


def test_an_empty_slice_of_nested_lists_gives_an_empty_batch() -> None:
    inner = {"type": "array", "elementType": "long"}
    kind = {"type": "struct", "fields": [{"name": "x", "type": inner}, {"name": "y", "type": inner}]}
    array = pa.array([{"x": [1, 2], "y": None}, {"x": None, "y": [3]}], arrow_type(columns(v=kind)[0].type))
    batch = pa.RecordBatch.from_arrays([array], names=["v"])
    assert encode(batch.slice(2, 3), flat(columns(v=kind))).num_rows == 0


def test_null_structs_and_lists_hide_what_lies_under_them() -> None:
    hidden = pa.array([False, True])
    inner = pa.array([float("inf"), float("inf")])
    struct = pa.StructArray.from_arrays([inner], names=["x"], mask=hidden)
    kind = {"type": "struct", "fields": [{"name": "x", "type": "double"}]}
    plan = flat(columns(v=kind))
    done = encode(pa.RecordBatch.from_arrays([struct], names=["v"]), plan)
    assert done.column(1).to_pylist() == [2, 0]
    assert records(done)[1] == {}
    path = plan_of(columns(v=kind), Record((("y", Leaf(("v", "x"), read_type("double"))),)))
    done = encode(pa.RecordBatch.from_arrays([struct], names=["v"]), path)
    assert (done.column(1).to_pylist(), records(done)[1]) == ([2, 0], {})


def test_what_is_no_utf8_does_not_spoil_the_request() -> None:
    broken = pa.array([b"ok", b"a\xffb", None], pa.binary())
    texts = pa.StringArray.from_buffers(3, broken.buffers()[1], broken.buffers()[2], broken.buffers()[0])
    assert encoded(texts, "string") == [{"v": "ok"}, {"v": "a\ufffdb"}, {}]


@pytest.mark.parametrize("form", ["loose", "keys of a map", "JSON", "currency"])
def test_what_is_no_utf8_is_met_wherever_texts_are_read_before_they_are_written(form: str) -> None:
    rows = 12  # as many as a column of card numbers has at least
    broken = pa.array([b"a\xffb"] * rows, pa.binary())
    column: pa.Array = pa.StringArray.from_buffers(rows, broken.buffers()[1], broken.buffers()[2])
    name = {"JSON": "properties", "currency": "value_currency"}.get(form, "p")
    if form == "keys of a map":
        column = pa.MapArray.from_arrays(range(rows + 1), column, pa.array(["x"] * rows))
    map_type = {"type": "map", "keyType": "string", "valueType": "string"}
    given = {"email": "string", "metric": "string", name: map_type if form == "keys of a map" else "string"}
    plan = made_plan(fields(**given), template="bulk_create_events", event_time="now")
    emails, metrics = (pa.array([text] * rows) for text in ("a@example.com", "Viewed"))
    done = encode(pa.RecordBatch.from_arrays([emails, metrics, column], names=list(given)), plan)
    assert ("\ufffd" in done.column(0)[0].as_py()) == (form != "JSON")  # what is no JSON is rejected


def test_half_a_surrogate_pair_does_not_spoil_the_request() -> None:
    plan = flat(columns(v="string", m={"type": "array", "elementType": "string"}))
    (done,) = encode_batches(arrow_batches([("a\ud800", ["\udfff"])], plan.columns), plan)
    assert records(done) == [{"v": "a?", "m": ["?"]}]


def sizes(rows: Iterable[tuple[object, ...]], fields: tuple[Field, ...] = ()) -> list[int]:
    return [batch.num_rows for batch in arrow_batches(rows, fields)]


def test_rows_come_in_batches_of_bounded_size() -> None:
    small = sizes((("x",) for _ in range(25_000)), columns(v="string"))
    assert (max(small), sum(small), len(small)) == (2_500, 25_000, 11)
    wide = sizes([("x" * (BATCH_BYTES // 50),) for _ in range(400)], columns(v="string"))
    assert (wide[0], sum(wide)) == (CHUNK_ROWS // 2, 400)
    assert max(wide[1:]) <= 100


def test_rows_that_are_null_for_long_share_a_batch_with_the_others() -> None:
    tags = {"type": "array", "elementType": "decimal(10,2)"}
    place = {"type": "struct", "fields": [{"name": "lat", "type": "double"}, {"name": "tags", "type": tags}]}
    rows: list[Any] = (
        [(None, None)] * 700 + [((None, None), None)] * 700 + [((1.5, [Decimal("2.50")]), Decimal("1"))] * 700
    )
    plan = flat(columns(place=place, score="decimal(12,0)"))
    (batch,) = arrow_batches(rows, plan.columns)
    done = records(encode(batch, plan))
    assert (done[0], done[-1]) == ({}, {"place": {"lat": 1.5, "tags": [2.5]}, "score": 1})


def test_rows_without_a_schema_whose_types_differ_are_sent_all_the_same() -> None:
    first = CHUNK_ROWS // 2
    rows = [Row(v=1)] * first + [Row(v=1.5)] * CHUNK_ROWS + [Row(v="x")] * CHUNK_ROWS
    batches = list(arrow_batches(rows))
    assert [value for batch in batches for value in batch.column(0).to_pylist()] == [row.v for row in rows]


def test_no_rows_give_no_batch() -> None:
    assert list(arrow_batches([], columns(v="string"))) == []


def test_columns_are_taken_by_place_and_the_first_of_a_name_counts() -> None:
    plan = flat(columns(a="string", b="string"))
    batch = pa.RecordBatch.from_arrays([pa.array(["1"]), pa.array(["2"])], names=["c0", "c1"])
    assert records(encode(batch, plan)) == [{"a": "1", "b": "2"}]


def test_many_columns_are_encoded_in_pieces_and_in_order() -> None:
    wide = {f"c{number}": pa.array(range(3_000)) for number in range(200)}
    plan = flat(columns(**dict.fromkeys(wide, "long")))
    pieces = list(encode_batches([pa.record_batch(wide), pa.record_batch(wide).slice(0, 0)], plan))
    assert [piece.num_rows for piece in pieces] == [MAX_VALUES // 200, 3_000 - MAX_VALUES // 200]
    assert [json.loads(text[:-1])["c7"] for piece in pieces for text in piece.column(0).to_pylist()] == [*range(3_000)]


def test_many_rows_are_encoded_in_pieces_and_in_order() -> None:
    given = pa.record_batch({"v": pa.array(range(2 * MAX_ROWS + 1))})
    pieces = list(encode_batches([given, given.slice(0, 1)], flat(columns(v="long"))))
    assert [piece.num_rows for piece in pieces] == [MAX_ROWS, MAX_ROWS, 1, 1]
    assert [row for piece in pieces for row in records(piece)] == [{"v": n} for n in [*range(2 * MAX_ROWS + 1), 0]]


def test_many_columns_with_nulls() -> None:
    names = [f"c{number}" for number in range(300)]
    kinds = [("string", "x"), ("long", 7), ("boolean", True)]
    given = {name: [None, kinds[place % 3][1], None] for place, name in enumerate(names)}
    plan = flat(columns(**{name: kinds[place % 3][0] for place, name in enumerate(names)}))
    expected: list[object] = [{}, {name: values[1] for name, values in given.items()}, {}]
    assert records(encode(pa.RecordBatch.from_pydict(given), plan)) == expected


@pytest.mark.oldest
def test_a_slice_is_encoded_as_its_rows_are() -> None:
    names = pa.array([f"p{number}" if number % 3 else " " for number in range(40)])
    leaf = Leaf(("v",), read_type("string"), omit_blank=True, clean=Clean.IDENTIFIER)
    plan = plan_of(columns(v="string"), Record((("v", leaf),)))
    whole = pa.RecordBatch.from_arrays([names], names=["v"])
    assert records(encode(whole.slice(20), plan)) == records(encode(whole, plan))[20:]
