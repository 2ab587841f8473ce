"""Requests are filled to the published limits, and never a row or a byte further."""

from __future__ import annotations

import json

import pytest

from spark_klaviyo.templates import CURRENT
from tests.templates.examples import ANN, EXAMPLES, NOON, Columns, Example
from tests.templates.made import batches_of, body_of, by_arrow, loaded, plan_of

# Templates that take many rows, with columns for any number of them.
MANY = sorted(
    name
    for name, template in CURRENT.items()
    if template.limits.max_rows > 1 and name not in ("bulk_create_data_source_records",)
)

# Templates whose requests hold one row; those that delete say which in their path alone.
ALONE = sorted(name for name, template in CURRENT.items() if template.limits.max_rows == 1 and template.body)

# Columns that tell one row from another.
OWN = frozenset(
    "email id external_id unique_code item order list_id segment_id campaign_id flow_id".split()  # noqa: SIM905
)
# Examples that are no model for many rows.
PLAIN: dict[str, Example] = {
    "bulk_import_profiles": Example({"email": [ANN]}),
    "add_items_to_catalog_category": Example({"external_id": ["I1"]}, {"category_id": "C1"}),
}


def repeated(name: str, rows: int) -> Example:
    """The first row of an example, so many times, each with an identifier of its own."""
    example = PLAIN.get(name, EXAMPLES[name])
    columns = {
        column: [f"{number}{values[0]}" if column in OWN else values[0] for number in range(rows)]
        for column, values in example.columns.items()
    }
    return Example(columns, example.options)


@pytest.mark.parametrize("name", MANY)
def test_as_many_rows_as_the_limit_make_one_request_and_one_more_makes_two(name: str) -> None:
    most = CURRENT[name].limits.max_rows
    for rows, expected in ((most, [most]), (most + 1, [most, 1])):
        example = repeated(name, rows)
        batches, rejected = batches_of(plan_of(name, example), example, by_arrow)
        assert not rejected
        assert [batch.rows for batch in batches] == expected


@pytest.mark.parametrize("name", [*MANY, "bulk_create_data_source_records"])
def test_a_body_reaches_the_byte_limit_and_never_passes_it(name: str) -> None:
    example = repeated(name, 3) if name in MANY else EXAMPLES[name]
    whole = len(body_of(batches_of(plan_of(name, example), example)[0][0]))
    for most, expected in ((whole, [example.rows]), (whole - 1, [example.rows - 1, 1])):
        batches, rejected = batches_of(plan_of(name, example, max_bytes=str(most)), example)
        assert not rejected
        assert [batch.rows for batch in batches] == expected
        assert all(len(body_of(batch)) <= most for batch in batches)


@pytest.mark.parametrize("name", ALONE)
def test_a_row_alone_may_fill_its_request_to_the_last_byte(name: str) -> None:
    example = EXAMPLES[name]
    sizes = [len(body_of(batch)) for batch in batches_of(plan_of(name, example), example)[0]]
    for most, refused in ((max(sizes), 0), (max(sizes) - 1, sizes.count(max(sizes)))):
        batches, rejected = batches_of(plan_of(name, example, max_bytes=str(most)), example)
        assert [one.code for one in rejected] == ["too_large"] * refused
        assert sum(batch.rows for batch in batches) == example.rows - refused


def test_a_request_of_events_holds_a_thousand_over_all_groups() -> None:
    rows = 1_001
    people = [f"{number % 7}@example.com" for number in range(rows)]
    example = Example({"email": people, "order": list(range(rows)), "time": [NOON] * rows}, {"metric": "Placed Order"})
    batches, rejected = batches_of(plan_of("bulk_create_events", example), example)
    groups = [json.loads(body_of(b))["data"]["attributes"]["events-bulk-create"]["data"] for b in batches]
    events = [sum(len(group["attributes"]["events"]["data"]) for group in batch) for batch in groups]
    assert not rejected
    assert events == [1_000, 1]
    assert [len(batch) for batch in groups] == [7, 1]


@pytest.mark.parametrize(("properties", "fits"), [(400, True), (401, False)])
def test_an_event_takes_four_hundred_properties(properties: int, fits: bool) -> None:
    columns: dict[str, list[object]] = {"email": [ANN], "time": [NOON]}
    columns |= {f"p{number}": [number] for number in range(properties)}
    example = Example(columns, {"metric": "Placed Order"})
    batches, rejected = batches_of(plan_of("bulk_create_events", example), example)
    assert [one.code for one in rejected] == ([] if fits else ["too_many_properties"])
    assert len(batches) == fits


@pytest.mark.parametrize(("size", "fits"), [(100_000, True), (100_001, False)])
def test_no_text_of_an_event_is_longer_than_100_kb(size: int, fits: bool) -> None:
    columns: Columns = {"email": [ANN], "time": [NOON], "note": ["x" * size], "event_id": ["e"]}
    example = Example(columns, {"metric": "Placed Order"})
    _, rejected = batches_of(plan_of("bulk_create_events", example), example, by_arrow)
    assert [one.code for one in rejected] == ([] if fits else ["too_large"])


@pytest.mark.parametrize(("size", "fits"), [(100_000 - len('{"k":""}'), True), (100_001 - len('{"k":""}'), False)])
def test_custom_metadata_has_at_most_100_kb(size: int, fits: bool) -> None:
    columns: Columns = {"external_id": ["I1"], "custom_metadata": [{"k": "x" * size}]}
    example = Example(columns)
    batches, rejected = batches_of(plan_of("bulk_update_catalog_items", example), example, by_arrow)
    assert [one.code for one in rejected] == ([] if fits else ["too_large"])
    assert len(batches) == fits


@pytest.mark.parametrize(("length", "fits"), [(127, True), (128, False)])
def test_a_metric_has_a_name_below_128_characters(length: int, fits: bool) -> None:
    example = Example({"email": [ANN], "time": [NOON], "metric": ["m" * length]})
    _, rejected = batches_of(plan_of("create_event", example), example)
    assert [one.code for one in rejected] == ([] if fits else ["bad_value"])


def test_grouped_events_say_what_ungrouped_ones_say() -> None:
    example = EXAMPLES["bulk_create_events"]
    (batch,), _ = batches_of(plan_of("bulk_create_events", example), example)
    body = loaded(batch)
    groups = body["data"]["attributes"]["events-bulk-create"]["data"]
    assert [len(group["attributes"]["events"]["data"]) for group in groups] == [2, 1]
