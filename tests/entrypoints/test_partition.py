"""`foreachPartition` without a schema: columns come from the rows, also from later ones."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest
from pyspark.sql import Row

from spark_klaviyo import SchemaError, klaviyo_partition_writer
from spark_klaviyo.encode.rows import CHUNK_ROWS, MAX_ROWS, aligned, arrow_batches, columns_of, widened
from spark_klaviyo.plan.types import Field, Type
from spark_klaviyo.simulator import KlaviyoSimulator

KEY = "pk_test_0123456789abcdef"
LATE = 2 * MAX_ROWS + 5  # the first row with all its values


def rows() -> Iterator[Row]:
    """Rows whose structs, maps and numbers are null at first, in their depth too."""
    for number in range(LATE + 1):
        late = number == LATE
        place = Row(city="Graz" if late else None, zip="8010") if number > MAX_ROWS else None
        more = {"plan": "gold"} if late else None
        yield Row(email=f"p{number}@example.com", location=place, properties=more, score=number if late else None)


@pytest.mark.oldest
def test_columns_that_are_null_at_first_are_sent_when_they_have_values(klaviyo: KlaviyoSimulator) -> None:
    klaviyo_partition_writer(template="bulk_import_profiles", api_key=KEY, base_url=klaviyo.url)(rows())
    assert len(klaviyo.profiles) == LATE + 1
    sent = [json.loads(request.body) for request in klaviyo.requests if request.method == "POST"]
    people = [one["attributes"] for body in sent for one in body["data"]["attributes"]["profiles"]["data"]]
    assert people[0] == {"email": "p0@example.com"}
    assert people[MAX_ROWS + 1] == {"email": f"p{MAX_ROWS + 1}@example.com", "location": {"zip": "8010"}}
    assert people[LATE] == {
        "email": f"p{LATE}@example.com",
        "location": {"city": "Graz", "zip": "8010"},
        "properties": {"plan": "gold", "score": LATE},
    }


def columns_in(row: Row) -> tuple[Field, ...]:
    return columns_of(next(arrow_batches([row])))


def test_types_are_kept_once_they_are_known() -> None:
    number, nothing = Type("long"), Type("void")
    first = columns_in(Row(a=None, b=1, c=Row(d=None)))
    assert first == (Field("a", nothing), Field("b", number), Field("c", Type("struct", (Field("d", nothing),))))
    then = widened(first, columns_in(Row(a="x", b=None, c=None)))
    assert then == (Field("a", Type("string")), *first[1:])
    last = widened(then, columns_in(Row(a=None, b=None, c=Row(d=2))))
    assert last == (*then[:2], Field("c", Type("struct", (Field("d", number),))))


def test_rows_of_different_fields_are_read_by_their_names() -> None:
    alike = [Row(email="a@x.co", first_name="Ann")] * CHUNK_ROWS
    (batch,) = arrow_batches([*alike, Row(first_name="Bea", email="b@x.co"), Row(email="c@x.co", unsubscribed=True)])
    assert batch.slice(CHUNK_ROWS).to_pylist() == [
        {"email": "b@x.co", "first_name": "Bea", "unsubscribed": None},
        {"email": "c@x.co", "first_name": None, "unsubscribed": True},
    ]


def test_a_dict_says_no_by_a_key_that_the_first_one_lacks(klaviyo: KlaviyoSimulator) -> None:
    options = {"template": "bulk_subscribe_profiles", "channels": "email", "list_id": "Y6nRLr", "api_key": KEY}
    writer = klaviyo_partition_writer(**options, base_url=klaviyo.url)
    writer([{"email": "yes@example.com"}, {"email": "left@example.com", "unsubscribed_at": "2024-05-01"}])
    assert [member["email"] for member in klaviyo.lists["Y6nRLr"]] == ["yes@example.com"]


def test_a_column_that_comes_after_the_first_batch_is_refused() -> None:
    (batch,) = arrow_batches([{"email": "a@x.co", "unsubscribed_at": "2024-05-01"}])
    planned = columns_of(next(arrow_batches([{"email": "a@x.co", "city": "Graz"}])))
    with pytest.raises(SchemaError, match="column 'unsubscribed_at' is in none of the rows before"):
        aligned(batch, planned)
    without = aligned(batch.select(["email"]), planned)
    assert without.to_pylist() == [{"email": "a@x.co", "city": None}]


@pytest.mark.parametrize("value", [{None: 1}, {1.5: 1}, {b"x": 1}, [{"a": {None: 1}}]])
def test_a_map_whose_keys_have_no_json_form_is_refused(value: object, klaviyo: KlaviyoSimulator) -> None:
    writer = klaviyo_partition_writer(template="bulk_import_profiles", api_key=KEY, base_url=klaviyo.url)
    with pytest.raises(SchemaError, match=r"column 'span': a map with (a null key|\w+ keys) has no JSON form"):
        writer([Row(email="a@example.com", span=value)])
    assert all(request.method == "GET" for request in klaviyo.requests)


@pytest.mark.parametrize("values", [([1], 2), ({"a": 1}, [1]), (Row(a=1), Row(a=1, b=2)), (2**63, True, "x")])
def test_values_of_several_types_in_a_column_are_refused(values: Sequence[object], klaviyo: KlaviyoSimulator) -> None:
    writer = klaviyo_partition_writer(template="bulk_import_profiles", api_key=KEY, base_url=klaviyo.url)
    with pytest.raises(SchemaError, match="column 'span': its values cannot be read as one type"):
        writer([Row(email=f"a{n}@example.com", span=value) for n, value in enumerate(values)])


@pytest.mark.parametrize("value", [timedelta(hours=1), object()])
def test_a_type_without_a_json_form_is_refused_by_name(value: object, klaviyo: KlaviyoSimulator) -> None:
    writer = klaviyo_partition_writer(template="bulk_import_profiles", api_key=KEY, base_url=klaviyo.url)
    with pytest.raises(SchemaError, match=f"column 'span'.*{type(value).__name__} has no JSON form"):
        writer([Row(email="a@example.com", span=value)])
    assert all(request.method == "GET" for request in klaviyo.requests)
