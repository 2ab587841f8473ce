"""What passes a rule for columns is valid in the exact check, too, and is sent as it is."""

from __future__ import annotations

import re

import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_klaviyo.screen import values
from spark_klaviyo.screen.rules import (
    DATE,
    EMAIL,
    NOT_BLANK,
    TIME_WITH_OFFSET,
    whole,
    word_pattern,
)
from spark_klaviyo.screen.values import possible_numbers

CODES = sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)
numbers = st.builds("+{}{}".format, st.sampled_from(CODES), st.text("0123456789", min_size=3, max_size=14))
pieces = st.text("aZ9.-_+'@ \t\"é\u00a0", max_size=6)
addresses = st.one_of(
    st.builds("{}@{}.{}".format, pieces, pieces, pieces), st.from_regex(EMAIL, fullmatch=True), st.text(max_size=12)
)
moments = st.one_of(st.from_regex(TIME_WITH_OFFSET, fullmatch=True), st.text("0123456789-:TZ+. ", max_size=26))


def possible(number: str) -> bool:
    """Whether the check in columns passes a number."""
    return bool(possible_numbers(pa.array([number, None]))[0])


@given(numbers)
@settings(max_examples=20 * settings().max_examples)
def test_a_phone_that_passes_is_sent_as_it_is(number: str) -> None:
    if possible(number):
        assert values.phone(number, "") == number


@pytest.mark.parametrize("region", ["US", "GB", "DE", "FR", "IN", "BR", "JP", "AU", "IT", "ES", "MX", "CN", "RU"])
def test_real_phones_are_certainly_valid(region: str) -> None:
    example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    assert example is not None
    assert possible(phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164))


@pytest.mark.parametrize(
    "text", ["2015550123", "+1201555012", "+120155501234", "+1 201 555 0123", "+4401632960961", ""]
)
def test_other_phones_are_checked_exactly(text: str) -> None:
    assert not possible(text)


@given(addresses)
@settings(max_examples=10 * settings().max_examples)
def test_an_email_that_passes_is_sent_as_it_is(address: str) -> None:
    if len(address) <= values.MAX_EMAIL and re.fullmatch(EMAIL, address):
        assert values.email(address) == address


@pytest.mark.parametrize("text", ["ann@example.com", "o'brien+tag@mail.example.co.uk", "A_b-1@x-y.io"])
def test_usual_emails_are_certainly_valid(text: str) -> None:
    assert re.fullmatch(EMAIL, text)


@pytest.mark.parametrize(
    "text", [" a@b.co", "a@b.co\n", ".a@b.co", "a.@b.co", "a..b@c.de", "a@b", "a b@c.de", "é@c.de"]
)
def test_other_emails_are_checked_exactly(text: str) -> None:
    assert not re.fullmatch(EMAIL, text)


@given(moments)
@settings(max_examples=10 * settings().max_examples)
def test_a_time_that_passes_is_sent_as_it_is(text: str) -> None:
    if re.fullmatch(TIME_WITH_OFFSET, text):
        assert values.time(text, "", None) == text


@given(st.text(max_size=5))
def test_a_text_that_passes_as_not_blank_is_not(text: str) -> None:
    if re.fullmatch(NOT_BLANK, text):
        assert text.strip()


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
PATTERNS = [EMAIL, TIME_WITH_OFFSET, DATE, NOT_BLANK]


def test_arrow_s_matcher_agrees_with_python_s() -> None:
    for pattern in PATTERNS:
        found = pc.match_substring_regex(pa.array(TEXTS), whole(pattern)).to_pylist()
        assert found == [bool(re.fullmatch(pattern, text)) for text in TEXTS]


def test_numbers_of_many_countries_are_checked_in_one_batch() -> None:
    examples = [phonenumbers.example_number(region) for region in phonenumbers.SUPPORTED_REGIONS]
    texts = [phonenumbers.format_number(one, phonenumbers.PhoneNumberFormat.E164) for one in examples if one]
    passed = possible_numbers(pa.array(texts))
    assert passed.mean() > 0.9
    assert all(values.phone(text, "") == text for text, valid in zip(texts, passed, strict=True) if valid)
