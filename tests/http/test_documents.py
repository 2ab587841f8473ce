"""Error documents: what they say, and what of it is safe to repeat."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_klaviyo.core.models import Reply
from spark_klaviyo.http.documents import Fault, clean, faults, is_page, job_id, safe_detail


def test_klaviyos_document_gives_code_detail_pointer_and_meta() -> None:
    entry = {
        "id": "1",
        "status": 409,
        "code": "duplicate_profile",
        "title": "Conflict.",
        "detail": "A profile already exists with one of these identifiers.",
        "source": {"pointer": "/data/attributes"},
        "links": {},
        "meta": {"duplicate_profile_id": "01A"},
    }
    (fault,) = faults(json.dumps({"errors": [entry]}).encode())
    said, whose = "A profile already exists with one of these identifiers.", {"duplicate_profile_id": "01A"}
    assert fault == Fault("duplicate_profile", "Conflict.", said, "/data/attributes", whose)


def test_a_refused_filter_names_its_parameter() -> None:
    body = b'{"errors":[{"code":"invalid","title":"T","detail":"D","source":{"parameter":"filter"}}]}'
    assert faults(body)[0].pointer == "filter"


@pytest.mark.parametrize(
    ("body", "said"), [(b'{"detail":"no list"}', "no list"), (b'{"message":"retired"}', "retired")]
)
def test_documents_of_the_old_apis_have_a_detail_alone(body: bytes, said: str) -> None:
    assert faults(body) == (Fault(detail=said),)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b'{"errors":[{"code":',
        b"[1]",
        b'{"errors":"x"}',
        b'{"errors":[1,null]}',
        b"\xff\xfe",
        b"[" * 9999,
    ],
)
def test_an_unreadable_body_has_no_faults(body: bytes) -> None:
    assert faults(body) == ()
    assert job_id(body) is None


@given(st.binary(max_size=200))
def test_no_body_whatever_raises(body: bytes) -> None:
    faults(body)
    job_id(body)
    is_page(Reply(200, body=body))


def test_the_job_id_of_a_202_is_read() -> None:
    assert job_id(b'{"data":{"type":"profile-bulk-import-job","id":"QUJj"}}') == "QUJj"
    assert job_id(b'{"data":{"id":7}}') is None


@pytest.mark.parametrize(
    ("said", "safe"),
    [
        ("Invalid email address", "Invalid email address"),
        ("Invalid email address: ann@example.com.", "Invalid email address: …"),
        ('No profile with email "ann@example.com" found.', "No profile with email '…' found."),
        ("'+1 (415) 555-0100' is not a phone number", "'…' is not a phone number"),
        ("Phone +14155550100 is taken", "Phone … is taken"),
        ("Invalid profile IDs: 01GDDKASAP8TKDDA2GRZDSVP4H", "Invalid profile IDs: …"),
        ("Invalid profile IDs: AnnX, Bob", "Invalid profile IDs: …"),
        ("A tag with id TT does not exist.", "A tag with id … does not exist."),
        ("'Ann' is not a valid choice for 'id'.", "'…' is not a valid choice for '…'."),
    ],
)
def test_a_safe_detail_keeps_the_sentence_without_its_values(said: str, safe: str) -> None:
    assert safe_detail(said) == safe


@pytest.mark.parametrize(
    "said",
    [
        "'last_name' is not a valid field for the resource 'profile'.",
        "'metric' is a required field.",
        "Request was throttled. Expected available in 1 second.",
        "Your API key is missing required scopes: events:write",
        "List ID Y6nRLr does not exist.",
        "List not found with id Y6nRLr.",
        "Invalid job id",
    ],
)
def test_a_detail_without_values_stays_as_it_is(said: str) -> None:
    assert safe_detail(said) == said


emails = st.from_regex(r"[a-z0-9._%+-]{1,12}@[a-z0-9-]{1,8}\.[a-z]{2,4}", fullmatch=True)
phones = st.from_regex(r"\+[1-9][0-9]{7,13}", fullmatch=True)
frames = st.sampled_from(["Invalid value {}", "'{}' is taken", 'Profile "{}" exists.', "({}) <- {}", "{}", "a: {}, b"])


@given(frames, st.one_of(emails, phones))
def test_no_email_and_no_number_is_left_in_a_safe_detail(frame: str, value: str) -> None:
    assert value not in safe_detail(frame.replace("{}", value))


@given(st.text(max_size=1000))
def test_details_are_one_bounded_line_without_control_characters(text: str) -> None:
    detail = clean(text)
    assert len(detail) <= 300
    assert detail.isprintable() or not any(ord(letter) < 32 or 0x7F <= ord(letter) < 0xA0 for letter in detail)
