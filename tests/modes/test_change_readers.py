"""Identifiers of changes compare as they are sent, and orders in text by number or time."""

from __future__ import annotations

from decimal import Decimal

import pytest

from spark_klaviyo.modes.change_data.readers import read_identifiers, read_order

NAMES = ("email", "external_id", "phone_number")


@pytest.mark.parametrize(
    ("texts", "forms"),
    [
        (("Ann@Example.com", "7", "+16175551234"), ["ann@example.com", "7", "+16175551234"]),
        ((" mailto:Ann@example.com", "'007", "tel:617-555-1234"), ["ann@example.com", "007", "+16175551234"]),
        (("N/A", "null", "-"), [None, None, None]),
        (("", "\\N", None), [None, None, None]),
        (("nobody", "none of them", "12"), [None, "none of them", None]),
    ],
)
def test_an_identifier_compares_as_it_is_sent(texts: tuple[str | None, ...], forms: list[str | None]) -> None:
    assert read_identifiers(NAMES, "US", *texts, None) == forms


def test_a_country_of_the_row_reads_its_phone() -> None:
    assert read_identifiers(["phone_number"], "", "015112345678", "DE") == ["+4915112345678"]


@pytest.mark.parametrize(
    ("text", "number", "is_time"),
    [
        ("10", Decimal(10), False),
        (" 1e2 ", Decimal(100), False),
        ("1970-01-01T01:00:00+01:00", Decimal(0), True),
        ("1970-01-02", Decimal(86_400), True),
        ("1970-01-01 00:00:00.25", Decimal("0.25"), True),
        ("NaN", None, None),
        ("9" * 40, None, None),
        ("v9", None, None),
        (None, None, None),
    ],
)
def test_an_order_in_text_is_a_number_or_a_time(text: str | None, number: Decimal | None, is_time: bool | None) -> None:
    assert read_order(text) == (number, is_time)
