"""What a cheap pattern calls fine is fine, and stays as it is, in the exact check; and all matchers agree."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_klaviyo.screen import values
from spark_klaviyo.screen.heads import heads
from spark_klaviyo.screen.patterns import (
    DATE,
    EMAIL,
    MAX_EMAIL,
    MOMENT,
    NOT_BLANK,
    UTC_MOMENT,
    cheap_phone_pattern,
    whole,
    word_pattern,
)

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CODES = sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)
numbers = st.builds("+{}{}".format, st.sampled_from(CODES), st.text("0123456789", min_size=3, max_size=14))
pieces = st.text("aZ9.-_+'@ \t\"é\u00a0", max_size=6)
addresses = st.one_of(
    st.builds("{}@{}.{}".format, pieces, pieces, pieces), st.from_regex(EMAIL, fullmatch=True), st.text(max_size=12)
)
moments = st.one_of(st.from_regex(MOMENT, fullmatch=True), st.text("0123456789-:TZ+. ", max_size=26))


@given(numbers)
@settings(max_examples=2000)
def test_a_phone_that_is_clearly_fine_is_sent_as_it_is(number: str) -> None:
    if re.fullmatch(cheap_phone_pattern(), number):
        assert values.phone(number, "") == number


@pytest.mark.parametrize("region", ["US", "GB", "DE", "FR", "IN", "BR", "JP", "AU", "IT", "ES", "MX", "CN", "RU"])
def test_real_phones_are_clearly_fine(region: str) -> None:
    example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    assert example is not None
    assert re.fullmatch(cheap_phone_pattern(), phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164))


@pytest.mark.parametrize(
    "text", ["2015550123", "+1201555012", "+120155501234", "+1 201 555 0123", "+4401632960961", ""]
)
def test_other_phones_are_looked_at(text: str) -> None:
    assert not re.fullmatch(cheap_phone_pattern(), text)


@given(addresses)
@settings(max_examples=1000)
def test_an_email_that_is_clearly_fine_is_sent_as_it_is(address: str) -> None:
    if len(address) <= MAX_EMAIL and re.fullmatch(EMAIL, address):
        assert values.email(address) == address


@pytest.mark.parametrize("text", ["ann@example.com", "o'brien+tag@mail.example.co.uk", "A_b-1@x-y.io"])
def test_usual_emails_are_clearly_fine(text: str) -> None:
    assert re.fullmatch(EMAIL, text)


@pytest.mark.parametrize(
    "text", [" a@b.co", "a@b.co\n", ".a@b.co", "a.@b.co", "a..b@c.de", "a@b", "a b@c.de", "é@c.de"]
)
def test_other_emails_are_looked_at(text: str) -> None:
    assert not re.fullmatch(EMAIL, text)


@given(moments)
@settings(max_examples=1000)
def test_a_time_that_is_clearly_fine_is_sent_as_it_is(text: str) -> None:
    if re.fullmatch(MOMENT, text):
        assert values.moment(text, "", None) == text


@given(st.text(max_size=5))
def test_a_text_that_is_clearly_not_blank_is_not(text: str) -> None:
    if re.fullmatch(NOT_BLANK, text):
        assert text.strip()


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("0", "0"),
        ("06", "06"),
        ("[08]", "0 8"),
        ("0|80?", "0 8 80"),
        ("", ""),
        ("(1(?:[12]\\d|79)\\d\\d)|0", "11 12 17 0"),
        ("(?:0|90)(?:(1[45])(\\d{10}))?", "0 01 90"),
        ("0?(?:(11|2(?:2))15)?", "0 01 02 11 22"),
        ("([2-4]7{2})$|0", "27 37 47 0"),
        ("1{2,}3*", "11"),
        ("12*", "1 12"),
        ("(?=1)2", " ".join(f"{digit}2" for digit in range(10))),
    ],
)
def test_how_a_number_with_a_trunk_prefix_begins_is_read_from_its_pattern(pattern: str, expected: str) -> None:
    assert heads(pattern, 2) == set(expected.split())


def test_a_word_is_found_among_words() -> None:
    held = ("sms", "SMS", "email, sms", "sms,email", "a sms\tb")
    assert all(re.search(word_pattern("sms"), text) for text in held)
    assert not any(re.search(word_pattern("sms"), text) for text in ("", "smsx", "sms.transactional", "xsms"))


TEXTS = [
    "ann@example.com", "ann@example.com\n", " ann@example.com", "a..b@c.de", "a.b.c@d.e.f", "a@b", "+12015550123",
    "+12015550123\n", "+4915123456789", "+49", "2024-02-29T10:00:00Z", "2024-02-29T10:00:00.123456+05:30",
    "2024-02-29T10:00:00+00:00", "2024-13-01T00:00:00Z", "+8613123456789", "+8617912345678",
    "2024-02-30", "2024-11-30", "", " ", "\u00a0x", "\u3000", "x\ny",
    "é", "email, sms", "sms", "smsx",
]  # fmt: skip
PATTERNS = [EMAIL, cheap_phone_pattern(), MOMENT, UTC_MOMENT, DATE, NOT_BLANK]


def test_arrow_s_matcher_agrees_with_python_s() -> None:
    for pattern in PATTERNS:
        found = pc.match_substring_regex(pa.array(TEXTS), whole(pattern)).to_pylist()
        assert found == [bool(re.fullmatch(pattern, text)) for text in TEXTS]


def test_java_s_matcher_agrees_with_python_s(spark: SparkSession) -> None:
    frame = spark.createDataFrame([(text,) for text in TEXTS], "text string").coalesce(1)
    searched = [whole(pattern) for pattern in PATTERNS] + [word_pattern("sms")]
    rows = frame.select(*(frame.text.rlike(pattern) for pattern in searched)).collect()
    expected = [[bool(re.fullmatch(pattern, text)) for pattern in PATTERNS] for text in TEXTS]
    assert [list(row)[:-1] for row in rows] == expected
    assert [row[-1] for row in rows] == [bool(re.search(word_pattern("sms"), text)) for text in TEXTS]


def test_a_very_long_text_does_not_overwhelm_java_s_matcher(spark: SparkSession) -> None:
    frame = spark.createDataFrame([("a." * 200_000,), ("a@" + "b." * 200_000,), ("x" * 400_000,)], "text string")
    rows = frame.select(*(frame.text.rlike(whole(pattern)) for pattern in PATTERNS)).collect()
    assert [any(row[:-1]) for row in rows] == [False, False, False]
