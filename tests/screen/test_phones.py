"""A phone number is read in any usual notation, and never guessed: a wrong one reaches a stranger."""

from __future__ import annotations

from typing import Any

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_klaviyo.core.codes import RejectCode
from spark_klaviyo.screen.values import Problem, phone
from spark_klaviyo.simulator import KlaviyoSimulator
from tests.task.running import run

READ = [
    ("+16175551234", "", "+16175551234"),
    ("+1 (617) 555-1234", "", "+16175551234"),
    ("(617) 555-1234", "US", "+16175551234"),
    ("617.555.1234", "us", "+16175551234"),
    ("617 - 555 - 0123", "US", "+16175550123"),
    ("1-617-555-1234", "US", "+16175551234"),
    ("416-555-1234", "US", "+14165551234"),  # a Canadian number has the same calling code
    ("011 49 30 123456", "US", "+4930123456"),
    ("0049 30 123456", "", "+4930123456"),
    ("0049 30 123456", "US", "+4930123456"),
    ("+49 (0)30 123456", "", "+4930123456"),
    ("+49 (0)30 / 123456", "", "+4930123456"),
    ("030/1234567", "DE", "+49301234567"),
    ("0171 / 1234567", "DE", "+491711234567"),
    ("4915112345678", "DE", "+4915112345678"),
    ("015112345678", "DE", "+4915112345678"),
    ("3912345678", "IT", "+393912345678"),
    ("390612345678", "IT", "+390612345678"),
    ("8 (912) 345-67-89", "RU", "+79123456789"),
    ("07911 123456", "GB", "+447911123456"),
    ("020 7946 0958", "GB", "+442079460958"),
    ("01 23 45 67 89", "FR", "+33123456789"),
    ("tel:+16175551234", "", "+16175551234"),
    ("'+16175551234", "", "+16175551234"),
    ("\u202a+1\u00a0617\u00a0555\u20111234\u202c", "", "+16175551234"),
    ("\uff10\uff13\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17", "DE", "+49301234567"),
]
NEVER_GUESSED = [
    ("DNC 6175551234", "US"),
    ("no 617-555-1234", "US"),
    ("OPTOUT6175551234", "US"),
    ("617-555-1234 (home)", "US"),
    ("1-800-FLOWERS", "US"),
    ("030 1234 / 030 5678", "DE"),
    ("030 1234 - 030 5678", "DE"),
    ("030 1234  030 5678", "DE"),
    ("030 1234/5678", "DE"),
    ("030 1234; 030 5678", "DE"),
    ("030 1234, 030 5678", "DE"),
    ("030 1234\n030 5678", "DE"),
    ("+4930123456 / +4930654321", ""),
    ("+4930123456+4930654321", ""),
    ("617 555 1234 ext. 5", "US"),
    ("617 555 1234 x5", "US"),
    ("617 555 1234 #5", "US"),
    ("617 555 1234 (2)", "DE"),
    ("6.17555E+09", "US"),
    ("6175551234.0", "US"),
    ("4915112345678.0", "DE"),
    ("6175551234", ""),  # of no known country
    ("07911 123456", "US"),  # British
    ("02079460958", "US"),
    ("5551234", "US"),
    ("911", "US"),
    ("+1617555", ""),
    ("+", ""),
    ("()", "US"),
    ("1 / (", "US"),
    (" " * 10_000 + "1" + " " * 10_000 + "2", "US"),
]


@pytest.mark.parametrize(("text", "country", "expected"), READ)
def test_a_number_is_read_in_any_usual_notation(text: str, country: str, expected: str) -> None:
    assert phone(text, country) == expected


@pytest.mark.parametrize(("text", "country"), NEVER_GUESSED)
def test_anything_else_is_rejected(text: str, country: str) -> None:
    found = phone(text, country)
    assert isinstance(found, Problem)
    assert found.code is RejectCode.BAD_PHONE


@pytest.mark.parametrize(("text", "country"), [pair for pair in NEVER_GUESSED if pair[1]])
@pytest.mark.parametrize("template", ["bulk_subscribe_profiles", "bulk_import_profiles"])
def test_nobody_is_reached_by_a_number_that_was_guessed(template: str, text: str, country: str) -> None:
    consent: dict[str, Any] = {"channels": "sms"} if template == "bulk_subscribe_profiles" else {}
    with KlaviyoSimulator() as klaviyo:
        list_id = next(iter(klaviyo.lists))
        ran = run(
            klaviyo, [{"phone_number": text}], template=template, default_country=country, list_id=list_id, **consent
        )
        assert klaviyo.profiles == []
    assert set(ran.codes) <= {"bad_phone", "no_identifier"}
    assert ran.report.rejected == 1


@given(st.sampled_from(READ), st.integers(0, 30), st.sampled_from("abxEeOo#;,*?\u0430"))
def test_a_number_with_any_letter_or_sign_in_it_is_no_number(case: tuple[str, str, str], at: int, sign: str) -> None:
    text, country, _ = case
    assert isinstance(phone(text[:at] + sign + text[at:], country), Problem)


@given(st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)), st.integers(10**5, 10**12), st.booleans())
def test_what_is_read_as_a_number_of_a_country_is_a_valid_one_of_its_calling_code(
    country: str, digits: int, trunk: bool
) -> None:
    found = phone(f"0{digits}" if trunk else str(digits), country)
    if not isinstance(found, Problem) and not f"0{digits}".startswith("00"):
        number = phonenumbers.parse(found, None)
        assert phonenumbers.is_valid_number(number)


@given(st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)))
def test_the_national_and_the_international_form_of_a_number_are_the_same_person(country: str) -> None:
    example = phonenumbers.example_number(country)
    if example is None or not phonenumbers.is_valid_number(example):
        return
    forms = phonenumbers.PhoneNumberFormat
    expected = phonenumbers.format_number(example, forms.E164)
    assert phone(expected, "") == expected
    assert phone(phonenumbers.format_number(example, forms.INTERNATIONAL), "") == expected
    assert phone(phonenumbers.format_number(example, forms.NATIONAL), country) == expected
