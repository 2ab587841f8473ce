"""Exports and warehouse tables as frames: a preview shows every column where it belongs, and a write puts it there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from spark_klaviyo import preview_klaviyo, write_klaviyo
from spark_klaviyo.errors import KlaviyoWarning
from spark_klaviyo.plan.types import Field, Type
from spark_klaviyo.report.pages.preview import CUSTOM_PROPERTY, DROPPED
from spark_klaviyo.simulator import KlaviyoSimulator
from tests.plan.test_names import TEMPLATES, with_required
from tests.plan.test_real_tables import (
    OTHERWISE,
    SOURCES,
    TYPES,
    Outcome,
    Placed,
    columns_of,
    families_of,
    of_family,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.filterwarnings("ignore::spark_klaviyo.errors.KlaviyoWarning")
VALUES: dict[str, object] = {
    "email": "ann@example.com",
    "phone_number": "+16175551234",
    "time": "2024-05-01T10:00:00Z",
    "expires_at": "2030-01-01T00:00:00Z",
    "value_currency": "USD",
    "location.latitude": 42.36,
    "location.longitude": -71.06,
    "_kx": "kx",
    "url": "https://example.com/1",
}
OF_TYPE: dict[str, object] = {"double": 9.5, "integer": 1, "boolean": True}
SECRET = "s3cret"


@pytest.fixture
def klaviyo() -> Iterator[KlaviyoSimulator]:
    with KlaviyoSimulator() as simulator:
        yield simulator


def frame_of(spark: SparkSession, name: str, family: str) -> tuple[DataFrame, dict[str, str]]:
    """A source as a frame of one plausible row and one of nulls, and what each of its columns means."""
    meant = {header: means for header, (means, _) in columns_of(SOURCES[name]["columns"], family).items()}
    fields = with_required(family, [Field(one, Type(TYPES.get(means, "string"))) for one, means in meant.items()])
    row = [_value(meant.get(field.name, field.name), field) for field in fields]
    types = ", ".join(f"`{field.name.replace('`', '``')}` {field.type.name}" for field in fields)
    return spark.createDataFrame([tuple(row), (None,) * len(row)], types).coalesce(1), meant


def _value(means: str, field: Field) -> object:
    if means == "never" and field.name not in OTHERWISE:
        return SECRET
    kind = "text" if means.startswith("location.") else means.removeprefix("profile.")
    value = VALUES.get(means, VALUES.get(kind, OF_TYPE.get(field.type.name)))
    return f"v {field.name}" if value is None or isinstance(value, str) != (field.type.name == "string") else value


def options_of(family: str, klaviyo: KlaviyoSimulator) -> dict[str, Any]:
    template, more = TEMPLATES[family]
    return {"template": template, **more, "api_key": "pk_of_real_tables", "base_url": klaviyo.url}


@pytest.mark.parametrize("family", ["person", "event", "item", "variant", "coupon_code"])
def test_a_preview_shows_every_column_where_it_belongs(
    family: str, spark: SparkSession, klaviyo: KlaviyoSimulator
) -> None:
    wrong, lost, total = [], [], 0
    for name in (source for source in SOURCES if family in families_of(source)):
        df, meant = frame_of(spark, name, family)
        seen = preview_klaviyo(df, **options_of(family, klaviyo))
        assert {line.column for line in seen.mapping} == set(df.columns)
        assert not [request for request in seen.requests if SECRET in request.body.replace(" ", "")], name
        for line in (line for line in seen.mapping if line.column in meant):
            means = of_family(meant[line.column], family)
            becomes = f"properties.{line.column}" if line.becomes == CUSTOM_PROPERTY else line.becomes
            said = " ".join(text for text in seen.warnings if f"column {line.column!r} " in text)
            offered = (means,) if f'"{means}":' in said else ()
            placed = Outcome(line.column, means, "", becomes, offered).placed
            total += 1
            if placed is Placed.WRONGLY and line.column not in OTHERWISE:
                wrong.append((name, line))
            if placed is Placed.NOT and line.becomes != DROPPED:
                lost.append((name, line))
    assert wrong == []
    assert len(lost) <= 0.03 * total, lost


def test_customers_arrive_in_their_fields(spark: SparkSession, klaviyo: KlaviyoSimulator) -> None:
    df, meant = frame_of(spark, "Shopify customers CSV export", "person")
    report = write_klaviyo(df, **options_of("person", klaviyo), on_reject="keep")
    assert (report.delivered, report.reasons) == (1, {"no_identifier": 1})
    (profile,) = klaviyo.profiles
    for column, means in meant.items():
        place = profile["location"] if means.startswith("location.") else profile
        value = df.first()[column]
        if means in ("email", "first_name", "last_name", "location.city", "location.region", "location.zip"):
            assert place[means.removeprefix("location.")] == value
        elif means in ("property", "consent"):
            assert profile["properties"][column] == value


def test_orders_arrive_with_their_person_and_nothing_secret(spark: SparkSession, klaviyo: KlaviyoSimulator) -> None:
    df, meant = frame_of(spark, "WooCommerce orders export", "event")
    with pytest.warns(KlaviyoWarning):
        report = write_klaviyo(df, **options_of("event", klaviyo), on_reject="keep")
    assert (report.accepted, report.rejected) == (1, 1)
    (event,) = klaviyo.events
    assert SECRET not in json.dumps(event)
    kept = {column for column, means in meant.items() if means == "property"}
    assert kept <= event["properties"].keys()
