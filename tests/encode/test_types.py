"""Each type of the type table has exactly the text that the table promises."""

from __future__ import annotations

from datetime import date, datetime, timezone
from decimal import Decimal

import pytest

from spark_klaviyo.plan.types import SENDABLE, Field, Type, read_type
from tests.docs import TYPE_TABLE
from tests.encode.encoded import Made, by_arrow, by_rows
from tests.encode.plans import flat
from tests.encode.values import Value

# Type -> (Spark's JSON form of it, the value of the table's example)
EXAMPLES: dict[str, tuple[object, Value]] = {
    "string": ("string", "Ann"),
    "char": ("char(5)", "Ann  "),
    "varchar": ("varchar(5)", "Ann"),
    "byte": ("byte", 1),
    "short": ("short", 1),
    "integer": ("integer", 1),
    "long": ("long", 9007199254740993),
    "float": ("float", 0.10000000149011612),
    "double": ("double", 0.1),
    "decimal": ("decimal(10,2)", Decimal("12.50")),
    "boolean": ("boolean", True),
    "date": ("date", date(2026, 10, 15)),
    "timestamp": ("timestamp", datetime(2026, 10, 15, 8, tzinfo=timezone.utc)),
    "timestamp_ntz": ("timestamp_ntz", datetime(2026, 10, 15, 8)),  # noqa: DTZ001
    "binary": ("binary", b"\x00\x01\xff"),
    "array": ({"type": "array", "elementType": "integer"}, [1, None]),
    "map": ({"type": "map", "keyType": "string", "valueType": "integer"}, {"a": 1}),
    "struct": ({"type": "struct", "fields": [{"name": "city", "type": "string"}]}, ("Boston",)),
    "void": ("void", None),
}


def field_of(name: str) -> Field:
    """A column of this type, called v."""
    return Field("v", read_type(EXAMPLES[name][0]))  # type: ignore[arg-type]


def promised(name: str) -> str:
    """The record that the table promises, without blanks between tokens."""
    text = TYPE_TABLE[name][1].replace(", ", ",").replace(": ", ":")
    return f'{{"v":{text}}},' if text else "{},"


def test_the_examples_cover_the_type_table() -> None:
    assert list(EXAMPLES) == list(TYPE_TABLE)
    assert set(TYPE_TABLE) == SENDABLE


@pytest.mark.parametrize("name", TYPE_TABLE)
def test_arrow_columns_have_the_text_of_the_table(name: str) -> None:
    field = field_of(name)
    kind = Type("string") if name in ("char", "varchar") else field.type
    assert by_arrow(flat([Field("v", kind)]), [(EXAMPLES[name][1],)]).records == [promised(name)]


@pytest.mark.parametrize("name", TYPE_TABLE)
def test_rows_have_the_text_of_the_table(name: str) -> None:
    assert by_rows(flat([field_of(name)]), [(EXAMPLES[name][1],)]).records == [promised(name)]


@pytest.mark.parametrize("name", sorted(set(TYPE_TABLE) - {"float", "timestamp_ntz"}))
def test_rows_without_a_schema_have_it_too_but_for_what_python_cannot_tell(name: str) -> None:
    plan = flat([field_of(name)])
    assert by_rows(plan, [(EXAMPLES[name][1],)], typed=False).records == [promised(name)]


# --- the edges of single types ---------------------------------------------


def everywhere(kind: object, values: list[Value]) -> list[Made]:
    """One column as Arrow and as rows."""
    plan = flat([Field("v", read_type(kind))])  # type: ignore[arg-type]
    rows = [(value,) for value in values]
    return [by_arrow(plan, rows), by_rows(plan, rows)]


def test_decimals_keep_every_digit() -> None:
    digits = "12345678901234567890123456789012345.678"
    for made in everywhere("decimal(38,3)", [Decimal(digits), Decimal("0.000"), Decimal("-0.001")]):
        assert made.records == [f'{{"v":{digits}}},', '{"v":0.000},', '{"v":-0.001},']


@pytest.mark.parametrize("micros", [0, 1, 10, 999_999])
def test_timestamps_always_have_six_digits(micros: int) -> None:
    when = datetime(2026, 3, 8, 6, 30, 0, micros, tzinfo=timezone.utc)
    for made in everywhere("timestamp", [when]):
        assert made.records == [f'{{"v":"2026-03-08T06:30:00.{micros:06d}Z"}},']


def test_a_time_without_zone_that_the_session_zone_skips_stays_as_it_is() -> None:
    skipped = datetime(2026, 3, 8, 2, 30)  # noqa: DTZ001  (clocks in St. John's go from 2:00 to 3:00)
    for made in everywhere("timestamp_ntz", [skipped]):
        assert made.records == ['{"v":"2026-03-08T02:30:00.000000"},']


@pytest.mark.parametrize("value", [float("inf"), float("-inf")])
@pytest.mark.parametrize("kind", ["double", "float"])
def test_what_json_cannot_hold_is_flagged_and_still_json(kind: str, value: float) -> None:
    for made in everywhere(kind, [1.5, value, None]):
        assert made.verdicts == [0, 2, 0]
        assert [list(record) for record in made.meanings] == [["v"], ["v"], []]  # type: ignore[call-overload]


def test_numbers_beyond_64_bits_keep_every_digit_without_a_schema() -> None:
    plan = flat([Field("v", Type("long"))])
    made = by_rows(plan, [(2**70,), (-(2**70),)], typed=False)
    assert made.records == [f'{{"v":{2**70}}},', f'{{"v":{-(2**70)}}},']
