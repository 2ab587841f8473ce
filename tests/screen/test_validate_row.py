"""The exact check of one row: repaired, rejected with a code, or sent as it came."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_klaviyo.core import exact_json
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.screen.validate_row import validate_row
from tests.plan.planning import fields, plan_of

COLUMNS = fields(email="string", phone_number="string", external_id="string", tier="double")


def plan(**options: object) -> WritePlan:
    return plan_of(COLUMNS, **options)


def profile(**attributes: object) -> bytes:
    return json.dumps({"type": "profile", "attributes": attributes}, ensure_ascii=False).encode()


def sent(made: WritePlan, text: bytes, **params: str) -> dict[str, object]:
    """The attributes that are sent for a record."""
    judged = validate_row(made, text, params)
    assert judged.text is not None, judged.problem
    attributes = json.loads(judged.text)["attributes"]
    assert isinstance(attributes, dict)
    return attributes


def test_a_fine_row_is_sent_to_the_letter() -> None:
    text = b'{"type":"profile", "attributes":{"email":"a@b.co","properties":{"n":1.50}}}'
    assert validate_row(plan(), text, {}).text is text


@pytest.mark.parametrize("email", ["a@b.co", "  a@b.co\t", "o'neill+x@mail.example.com", "jörg@exämple.de"])
def test_an_email_is_trimmed(email: str) -> None:
    assert sent(plan(), profile(email=email))["email"] == email.strip()


@pytest.mark.parametrize("email", ["a", "a@b", "@b.co", "a b@c.de", ".a@b.co", "a..b@c.de", "a@b..co", "a@b.co,c@d.ef"])
def test_what_is_no_address_is_rejected(email: str) -> None:
    judged = validate_row(plan(), profile(email=email), {})
    assert judged.text is None
    assert judged.problem is not None
    assert judged.problem.code == "bad_email"
    assert judged.pointer == "/attributes/email"
    assert judged.problem.detail == "email: invalid email address (expected name@domain.tld)"


@pytest.mark.parametrize("email", ["a@gm\u0430il.com", "a@\uff45xample.com", "a@mail.example.c\u03bfm"])
def test_a_domain_with_letters_that_look_latin_means_another_person(email: str) -> None:
    judged = validate_row(plan(), profile(email=email), {})
    assert judged.text is None
    assert judged.problem is not None
    assert "look like" in judged.problem.detail
    leaves = plan_of(fields(email="string"), template="bulk_suppress_profiles", validate="off")
    assert validate_row(leaves, profile(email=email), {}).text is None


@pytest.mark.parametrize("email", ["a@\u043f\u0440\u0438.com", "a@jo\u0308rg.de", "a@\u65e5\u672cshop.jp"])
def test_a_domain_of_another_script_is_one(email: str) -> None:
    assert sent(plan(), profile(email=email))["email"] == email


def test_a_number_written_for_people_becomes_e164() -> None:
    assert sent(plan(), profile(phone_number="+1 (617) 555-0123"))["phone_number"] == "+16175550123"


def test_a_national_number_needs_a_country() -> None:
    assert validate_row(plan(), profile(phone_number="030 123456"), {}).text is None
    made = plan(default_country="DE")
    assert sent(made, profile(phone_number="030 123456"))["phone_number"] == "+4930123456"


def test_the_country_may_come_from_the_row() -> None:
    made = plan_of([*COLUMNS, *fields(land="string")], default_country="column:land")
    assert sent(made, profile(phone_number="030 123456"), default_country="DE")["phone_number"] == "+4930123456"


def test_a_bad_phone_may_be_dropped_where_another_identifier_stays() -> None:
    made = plan(on_bad_phone="drop")
    assert sent(made, profile(email="a@b.co", phone_number="12")) == {"email": "a@b.co"}
    alone = validate_row(made, profile(phone_number="12"), {})
    assert alone.problem is not None
    assert alone.problem.code == "bad_phone"


def test_blank_text_is_no_identifier() -> None:
    judged = validate_row(plan(), profile(email=" ", external_id=""), {})
    assert judged.problem is not None
    assert judged.problem.code == "no_identifier"


def test_an_external_id_of_256_characters_is_one_too_long() -> None:
    assert validate_row(plan(), profile(external_id="x" * 255), {}).problem is None
    assert validate_row(plan(), profile(external_id="x" * 256), {}).problem is not None


def test_warn_sends_the_row_and_says_what_is_wrong() -> None:
    judged = validate_row(plan(validate="warn"), profile(email="a@b"), {})
    assert judged.text is not None
    assert json.loads(judged.text) == json.loads(profile(email="a@b"))
    assert judged.problem is not None


def test_a_record_that_grew_past_100_kb_is_rejected() -> None:
    fits = profile(email="a@b.co", x="y" * 99_900)
    assert validate_row(plan(), fits, {}).problem is None
    judged = validate_row(plan(), profile(email="a@b.co", x="y" * 100_000), {})
    assert judged.problem is not None
    assert judged.problem.code == "too_large"


numbers = st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)


@given(st.lists(numbers.filter(lambda text: text != "-0"), max_size=5))
def test_no_digit_of_a_number_is_lost_on_the_way(texts: list[str]) -> None:
    body = ("[" + ",".join(texts) + "]").encode()
    assert exact_json.dumps(exact_json.loads(body)) == body


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda c: st.lists(c) | st.dictionaries(st.text(), c)
    )
)
def test_any_json_survives_a_look(value: object) -> None:
    assert json.loads(exact_json.dumps(exact_json.loads(json.dumps(value)))) == value


# --- ready-made records ---------------------------------------------------------------------------


def ready(text: str) -> object:
    judged = validate_row(plan_of(fields(record="string"), record_column="record"), text.encode(), {})
    return judged.problem.code if judged.problem else json.loads(judged.text or b"null")


def test_a_ready_made_record_is_sent_as_it_is() -> None:
    record = '{"type":"profile","attributes":{"email":"a@b.co","properties":{"x":{"y":[1]}}}}'
    assert ready(record) == json.loads(record)


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "[]",
        '{"type":"event","attributes":{"email":"a@b.co"}}',
        '{"type":"profile","attributes":{"email":"a@b.co","subscriptions":{}}}',
        '{"type":"profile","attributes":{"email":"a@b.co"},"relationships":{}}',
        '{"type":"profile","attributes":{"email":"a@b.co","email":"c@d.co"}}',
        '{"type":"profile","attributes":{"email":"a@b.co","properties":{"x":[{"y":1,"y":2}]}}}',
        '{"type":"profile","attributes":{"email":"a@b.co","first_name":"\\ud83d"}}',
        '{"type":"profile","attributes":{"email":"a@b.co","properties":{"\\udc02x\\udc03":1}}}',
    ],
)
def test_a_ready_made_record_of_another_form_is_rejected(text: str) -> None:
    assert ready(text) == "bad_record"


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        (
            '\ufeff{"type":"profile","attributes":{"email":"a@b.co"}}',
            '{"type":"profile","attributes":{"email":"a@b.co"}}',
        ),
        (
            '{\r\n "type": "profile",\n "attributes": {"email": "a@b.co"}\n}\n',
            '{   "type": "profile",  "attributes": {"email": "a@b.co"} } ',
        ),
    ],
    ids=["byte order mark", "lines"],
)
def test_a_ready_made_record_is_one_line_without_a_byte_order_mark(text: str, sent: str) -> None:
    judged = validate_row(plan_of(fields(record="string"), record_column="record"), text.encode(), {})
    assert (judged.problem, (judged.text or b"").decode()) == (None, sent)


def test_a_pair_of_surrogates_is_a_character_and_no_text_is_taken_for_a_number() -> None:
    properties = r'{"a":"\ud83d\ude00","b":"\ue0021\ue003","c":1.50}'
    record = '{"type":"profile","attributes":{"email":" a@b.co","properties":' + properties + "}}"
    judged = validate_row(plan_of(fields(record="string"), record_column="record"), record.encode(), {})
    sent = json.loads(judged.text or b"null", parse_float=str)
    assert sent["attributes"] == {"email": "a@b.co", "properties": {"a": "😀", "b": "\ue0021\ue003", "c": "1.50"}}
