"""A column of JSON text as `properties`: it merges with the loose columns, and what is no object rejects its row."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_klaviyo.batching.screening import VALUE_IS_INSIDE
from spark_klaviyo.screen.unsent_parts import HAS_SECRETS
from spark_klaviyo.simulator import KlaviyoSimulator
from tests.task.running import Ran, run

ANN = "ann@example.com"


def sent(text: str | None, *, tier: str | None = None, column: str = "properties", **options: Any) -> tuple[Ran, Any]:
    """What was reported of a row with this text, and the properties that arrived."""
    rows = [{"email": ANN, column: text, "tier": tier}]
    with KlaviyoSimulator() as klaviyo:
        ran = run(klaviyo, rows, **options)
        return ran, klaviyo.profiles[0]["properties"] if klaviyo.profiles else None


@pytest.mark.parametrize(
    ("text", "properties"),
    [
        ('{"deep": {"n": 1.50, "list": [1, null, "x"]}}', {"deep": {"n": 1.5, "list": [1, None, "x"]}}),
        ('{\n  "plan": "a"\n}', {"plan": "a"}),
        ('{"a": null, "b": {"c": null, "d": 1}}', {"b": {"d": 1}}),
        ('{"say": "\\"hi\\" \\\\ \\u00e9 \\n"}', {"say": '"hi" \\ é \n'}),
        ("{}", {}),
        ("  ", {}),
        ("null", {}),
        (None, {}),
    ],
)  # fmt: skip
def test_an_object_joins_the_custom_properties(text: str | None, properties: dict[str, Any]) -> None:
    ran, found = sent(text, tier="gold")
    assert found == {**properties, "tier": "gold"}
    assert ran.report.delivered == 1


def test_fields_names_another_column() -> None:
    assert sent('{"plan": "a"}', column="extras", fields='{"properties":"extras"}')[1] == {"plan": "a"}


def test_a_column_of_its_own_wins_over_an_entry_of_the_same_name() -> None:
    assert sent('{"tier": "text", "plan": "a"}', tier="gold")[1] == {"tier": "gold", "plan": "a"}
    assert sent('{"tier": "text"}')[1] == {"tier": "text"}


@pytest.mark.parametrize("text", ["house, garden", "[1]", '"text"', "7", '{"a": NaN}', '{"a": 1', "[" * 5000])
def test_text_that_is_no_object_rejects_the_row(text: str) -> None:
    ran, found = sent(text)
    assert found is None
    (row,) = ran.rejected
    assert (row.code, row.detail) == ("bad_value", "column 'properties' holds text that is no JSON object")


@pytest.mark.parametrize("depth", [700, 900, 980, 5000])
def test_text_that_is_nested_deep_rejects_the_row(depth: int) -> None:
    """Pythons come to their limits at different depths: where they read, where they walk through it, or not at all."""
    ran, found = sent('{"a":' * depth + "1" + "}" * depth)
    assert found is None
    (row,) = ran.rejected
    assert row.code in ("bad_value", "too_deep")


def test_secrets_inside_the_text_are_not_sent() -> None:
    text = json.dumps({"plan": "a", "ssn": "1", "user": {"password": "x", "n": 1}, "login": "$2b$12$" + "x" * 53})
    ran, found = sent(text)
    assert found == {"plan": "a", "user": {"n": 1}}
    assert ran.report.warnings[HAS_SECRETS] == 1
    assert any("hashes of passwords" in warning for warning in ran.report.warnings)


def test_the_limits_of_an_event_hold_inside_the_text() -> None:
    rows = [
        {"email": ANN, "metric": "Seen", "properties": json.dumps({f"k{n}": n for n in range(count)}), "tier": "gold"}
        for count in (399, 400)
    ]
    deep = {"a": json.loads("[" * 12 + "]" * 12)}
    rows.append({"email": ANN, "metric": "Seen", "properties": json.dumps(deep), "tier": "gold"})
    with KlaviyoSimulator() as klaviyo:
        ran = run(klaviyo, rows, template="bulk_create_events", event_time="now")
    assert sorted(ran.codes) == ["too_deep", "too_many_properties"]


def test_a_value_inside_the_properties_of_an_event_is_counted() -> None:
    rows: list[dict[str, object]] = [{"email": ANN, "metric": "Ordered", "properties": '{"value": 12.5}'}]
    rows.append({**rows[0], "properties": '{"size": "M"}'})
    with KlaviyoSimulator() as klaviyo:
        report = run(klaviyo, rows, template="bulk_create_events", event_time="now").report
    assert report.warnings[VALUE_IS_INSIDE] == 1


KEYS = st.text("abc", min_size=1, max_size=2)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, max_size=2)
    ),
    max_leaves=6,
)


def without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_null(inner) for key, inner in value.items() if inner is not None}
    return [without_null(item) for item in value] if isinstance(value, list) else value


@given(st.lists(st.dictionaries(KEYS, VALUES, max_size=3), min_size=1, max_size=4))
def test_every_object_arrives_as_it_is(objects: list[dict[str, Any]]) -> None:
    from spark_klaviyo.arrow.encoded import record_texts
    from spark_klaviyo.encode.encoder import encode_batches
    from tests.plan.planning import fields, plan_of
    from tests.task.running import batches_of

    plan = plan_of(fields(email="string", properties="string"))
    rows: list[dict[str, object]] = [{"email": ANN, "properties": json.dumps(held)} for held in objects]
    made = [json.loads(text) for batch in encode_batches(batches_of(rows, 2), plan) for text in record_texts(batch)]
    assert [one["attributes"].get("properties", {}) for one in made] == [without_null(held) for held in objects]
