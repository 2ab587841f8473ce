"""Secrets among the custom properties of a row: by their names inside maps and records, and columns of card numbers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_klaviyo.arrow.columns import is_card_number, without_secrets
from spark_klaviyo.batching.screening import plan_warnings
from spark_klaviyo.encode.rows import to_arrow
from spark_klaviyo.plan.make import make_plan
from spark_klaviyo.plan.names import is_secret_name
from spark_klaviyo.plan.types import Field, Type, read_type
from spark_klaviyo.screen.unsent_parts import HAS_SECRETS, without_secret_names
from spark_klaviyo.simulator import KlaviyoSimulator
from tests.plan.planning import struct
from tests.task.running import Ran, options_for, plan_for, run, run_plan

ANN = "ann@example.com"
MAP = {"type": "map", "keyType": "string", "valueType": "string", "valueContainsNull": True}
INNER = {"type": "array", "elementType": MAP, "containsNull": True}
CARDS = ["4111 1111 1111 1111", "5555-5555-5555-4444", "378282246310005", "6011111111111117", "4222222222222"]


def send(columns: dict[str, object], rows: Sequence[Sequence[object]], **options: object) -> tuple[Ran, list[object]]:
    """Send rows of these types; what was reported, and the properties that arrived, by email."""
    fields = [Field(name, read_type(kind)) for name, kind in columns.items()]  # type: ignore[arg-type]
    values = [to_arrow(column, field.type) for column, field in zip(zip(*rows, strict=True), fields, strict=True)]
    with KlaviyoSimulator() as klaviyo:
        plan = make_plan(options_for(klaviyo, **options), fields, "run")
        ran = run_plan(plan, [pa.RecordBatch.from_arrays(values, names=list(columns))])
        people = sorted(klaviyo.profiles, key=lambda one: str(one["email"]))
        return ran, [one["properties"] for one in people]


@pytest.mark.parametrize("name", ["properties", "extras"])
def test_entries_of_maps_with_names_of_secrets_are_not_sent(name: str) -> None:
    rows = [(ANN, {"ssn": "078-05-1120", "tier": "gold"}), ("bob@example.com", {"tier": "blue"})]
    ran, sent = send({"email": "string", name: MAP}, rows)
    kept: list[object] = [{"tier": "gold"}, {"tier": "blue"}]
    assert sent == (kept if name == "properties" else [{name: one} for one in kept])
    assert ran.report.warnings[HAS_SECRETS] == 1


def test_entries_are_found_at_any_depth() -> None:
    held = {"type": "struct", "fields": [{"name": "list", "type": INNER, "nullable": True}]}
    ran, sent = send({"email": "string", "deep": held}, [(ANN, {"list": [{"Card Number": "1", "a": "b"}, None]})])
    assert sent == [{"deep": {"list": [{"a": "b"}, None]}}]
    assert ran.report.warnings[HAS_SECRETS] == 1


def test_a_map_that_fields_names_is_sent_whole() -> None:
    given = {"fields": '{"properties.extras":"extras"}'}
    _, sent = send({"email": "string", "extras": MAP}, [(ANN, {"ssn": "1"})], **given)
    assert sent == [{"extras": {"ssn": "1"}}]


def test_secrets_in_a_struct_of_a_persons_properties_are_not_sent_and_said_before() -> None:
    columns = {"email": "string", "metric": "string", "of": struct(plan="string", password="string")}
    fields = [Field(name, read_type(kind)) for name, kind in columns.items()]  # type: ignore[arg-type]
    values = [pa.array([ANN]), pa.array(["Seen"]), pa.array([{"plan": "a", "password": "b"}])]
    given = {"template": "bulk_create_events", "event_time": "now", "fields": '{"profile.properties":"of"}'}
    with KlaviyoSimulator() as klaviyo:
        plan = make_plan(options_for(klaviyo, **given), fields, "run")
        run_plan(plan, [pa.RecordBatch.from_arrays(values, names=list(columns))])
        assert klaviyo.profiles[0]["properties"] == {"plan": "a"}
    assert any("'of.password' has the name of a secret" in warning for warning in plan.warnings)


def test_ready_made_records_lose_secrets_too() -> None:
    properties = {"tier": "gold", "user": {"password_hash": "x", "plan": "a"}, "login": "$2b$12$" + "x" * 53}
    record = json.dumps({"type": "profile", "attributes": {"email": ANN, "properties": properties}})
    with KlaviyoSimulator() as klaviyo:
        ran = run(klaviyo, [{"record": record}], record_column="record")
        assert klaviyo.profiles[0]["properties"] == {"tier": "gold", "user": {"plan": "a"}}
    assert ran.report.warnings[HAS_SECRETS] == 1
    assert sum("hashes of passwords" in warning for warning in ran.report.warnings) == 1


# --- card numbers ---------------------------------------------------------------------------------


def numbered(count: int, of: Sequence[str] = CARDS) -> list[dict[str, str]]:
    return [{"email": f"p{n}@example.com", "reference": of[n % len(of)], "tier": "gold"} for n in range(count)]


def test_a_column_of_card_numbers_is_not_sent() -> None:
    rows = numbered(120)
    rows[5]["reference"] = "none"
    with KlaviyoSimulator() as klaviyo:
        report = run(klaviyo, rows).report
        assert [one["properties"] for one in klaviyo.profiles] == [{"tier": "gold"}] * 120
    (said,) = [warning for warning in report.warnings if "card numbers" in warning]
    assert said == (
        "column 'reference' holds card numbers and is not sent; "
        'only fields={"properties.reference":"reference"} sends it'
    )
    assert report.warnings[said] == 120


@pytest.mark.parametrize("name", ["cc", "Customer Number"])
def test_a_column_of_card_numbers_has_one_warning_whatever_its_name_may_mean(name: str) -> None:
    rows = [{"email": row["email"], name: row["reference"]} for row in numbered(120)]
    with KlaviyoSimulator() as klaviyo:
        found = run(klaviyo, rows).report.warnings
        said = [*plan_warnings(plan_for(klaviyo, rows[0]), found), *found]
    (warning,) = [text for text in said if repr(name) in text]
    assert "card numbers" in warning


@pytest.mark.parametrize(
    "of", [[*CARDS, "A-1", "A-2"], ["4111111111111112"], ["356938035643809"], ["1234567890123452"]]
)
def test_other_numbers_are_sent(of: list[str]) -> None:
    with KlaviyoSimulator() as klaviyo:
        report = run(klaviyo, numbered(120, of)).report
        assert all("reference" in one["properties"] for one in klaviyo.profiles)
    assert not [warning for warning in report.warnings if "card numbers" in warning]


def test_card_numbers_are_sent_where_fields_names_their_column() -> None:
    with KlaviyoSimulator() as klaviyo:
        run(klaviyo, numbered(120), fields='{"properties.reference":"reference"}')
        assert all("reference" in one["properties"] for one in klaviyo.profiles)


@pytest.mark.parametrize("kind", ["long", "double"])
def test_card_numbers_may_be_numbers(kind: str) -> None:
    rows = [(f"p{n}@example.com", 4111111111111111 if kind == "long" else 4111111111111111.0) for n in range(20)]
    ran, sent = send({"email": "string", "ref": kind}, rows)
    assert sent == [{}] * 20 or sent == [None] * 20
    assert any("'ref' holds card numbers" in warning for warning in ran.report.warnings)


@given(st.integers(0, 10**15 - 1))
def test_the_check_digit_makes_a_card_number(number: int) -> None:
    text = f"4{number:014}0"
    digits = [int(digit) for digit in reversed(text)]
    rest = sum(digits[::2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    assert is_card_number(text[:-1] + str(-rest % 10))
    assert not is_card_number(text[:-1] + str((1 - rest) % 10))


# --- in columns as one by one ---------------------------------------------------------------------

NAMES = st.sampled_from(["ssn", "tier", "password", "card_number", "size", "Token"])
LEAVES = st.one_of(st.none(), st.text(max_size=2))


def maps(values: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.one_of(st.none(), st.dictionaries(NAMES, values, max_size=3))


DEEP = st.lists(maps(st.one_of(st.none(), st.lists(maps(LEAVES), max_size=2))), max_size=4)
DEEP_TYPE = Type("map", key=Type("string"), value=Type("array", element=read_type(MAP)))


@given(DEEP)
def test_names_of_secrets_are_taken_out_of_columns_as_one_by_one(values: list[object]) -> None:
    column = to_arrow(values, DEEP_TYPE)
    kept, taken = without_secrets(column)
    plain = [as_dicts(value) for value in column.to_pylist()]
    expected = [without_secret_names(value) > 0 for value in plain]
    assert [as_dicts(value) for value in kept.to_pylist()] == [without_empty(value) for value in plain]
    assert (taken.tolist() if taken is not None else [False] * len(values)) == expected
    assert not any(is_secret_name(name) for value in plain if isinstance(value, dict) for name in value)


def without_empty(value: object) -> object:
    """Empty dictionaries as the empty lists that Arrow makes of them."""
    if isinstance(value, dict):
        return {key: without_empty(inner) for key, inner in value.items()} or []
    return [without_empty(item) for item in value] if isinstance(value, list) else value


def as_dicts(value: Any) -> Any:
    """Arrow's lists of pairs as dictionaries."""
    if isinstance(value, list) and all(isinstance(item, tuple) for item in value) and value:
        return {key: as_dicts(inner) for key, inner in value}
    return [as_dicts(item) for item in value] if isinstance(value, list) else value
