"""What each reply means, as a table and as properties."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_klaviyo.core.codes import Failure
from spark_klaviyo.core.models import Reply
from spark_klaviyo.core.policy import Policy
from spark_klaviyo.http.documents import is_page
from spark_klaviyo.http.judge import (
    Done,
    Halt,
    Reject,
    ReplyRules,
    RequestRefused,
    RetryState,
    Verdict,
    Wait,
    is_success,
    judge,
)

HTML = b"<!DOCTYPE html><html><body>Just a moment...</body></html>"


POLICY = Policy(attempts=3)
MAY_RESEND, NO_RESEND = ReplyRules(), ReplyRules(may_resend=False)


def document(status: int, code: str, detail: str, pointer: str = "/data/", **more: object) -> bytes:
    fault = {"id": "x", "status": status, "code": code, "title": "T", "detail": detail, "source": {"pointer": pointer}}
    return json.dumps({"errors": [fault | more]}).encode()


def lost(failure: Failure = Failure.RESET) -> Reply:
    return Reply(None, failure=failure, sent=True)


def unsent(failure: Failure) -> Reply:
    return Reply(None, failure=failure, sent=False)


def verdict(reply: Reply, rules: ReplyRules = MAY_RESEND, attempts: int = 1, **state: float) -> Verdict:
    return judge(reply, RetryState(attempts, **state), POLICY, 0.0, rules)  # type: ignore[arg-type]


@pytest.mark.parametrize("status", [200, 201, 202, 204])
@pytest.mark.parametrize("body", [b"", b"not JSON", b'{"errors":[]}'])
def test_a_success_status_is_a_success_whatever_the_body(status: int, body: bytes) -> None:
    assert verdict(Reply(status, body=body)) == Done()


def test_an_html_page_is_not_a_success_of_klaviyos_api() -> None:
    assert isinstance(verdict(Reply(200, body=HTML)), Wait)
    assert isinstance(verdict(Reply(200, body=HTML), attempts=3), Reject)
    in_doubt = verdict(Reply(200, body=HTML), NO_RESEND)
    assert isinstance(in_doubt, Reject)
    assert in_doubt.code == "in_doubt"
    assert judge(Reply(200, body=HTML), RetryState(1), POLICY, 0.0, ReplyRules(by_status=True)) == Done()


@pytest.mark.parametrize(
    ("reply", "code", "said"),
    [
        (Reply(401, body=document(401, "not_authenticated", "Missing or invalid private key.")), "unauthorized", "key"),
        (Reply(403, body=document(403, "permission_denied", "missing: events:write")), "forbidden", "events:write"),
        (Reply(410, body=b'{"message":"retired"}'), "retired", "set revision"),
        (Reply(404, body=document(404, "not_found", "No valid revisions found for method")), "not_found", "revision"),
        (Reply(302, {"location": "https://elsewhere"}), "redirected", "final address"),
        (Reply(405), "refused", "405"),
        (Reply(415), "refused", "415"),
        (unsent(Failure.TLS), "unreachable", "TLS"),
    ],
)  # fmt: skip
def test_a_refusal_of_every_request_stops_the_write(reply: Reply, code: str, said: str) -> None:
    got = verdict(reply)
    assert isinstance(got, Halt)
    assert got.code == code
    assert said in got.message


def test_a_retired_endpoint_gives_the_advice_of_its_rules() -> None:
    got = judge(Reply(410), RetryState(1), POLICY, 0.0, ReplyRules(retired_advice="set api=current"))
    assert isinstance(got, Halt)
    assert got.message.endswith("(HTTP 410); set api=current")


def test_a_404_means_the_row_where_the_address_is_known_to_be_right() -> None:
    reply = Reply(404, body=document(404, "not_found", "A profile with id X does not exist."))
    got = judge(reply, RetryState(1), POLICY, 0.0, ReplyRules(not_found_is_a_row=True))
    assert isinstance(got, RequestRefused)
    assert got.faults[0].code == "not_found"


def test_a_refusal_that_means_the_wanted_state_is_done() -> None:
    reply = Reply(404, body=document(404, "not_found", 'No profile with email "a@b.c" found.'))
    done = ReplyRules(already_satisfied=((404, "not_found"),))
    assert judge(reply, RetryState(1), POLICY, 0.0, done) == Done()
    assert judge(Reply(404), RetryState(1), POLICY, 0.0, done) != Done()
    assert judge(Reply(404), RetryState(1), POLICY, 0.0, ReplyRules(already_satisfied=((404, ""),))) == Done()


@pytest.mark.parametrize("status", [400, 409, 422])
def test_a_refused_body_hands_on_its_faults(status: int) -> None:
    body = document(status, "invalid", "Invalid email address", "/data/attributes/profiles/data/1/attributes/email")
    got = verdict(Reply(status, body=body))
    assert isinstance(got, RequestRefused)
    assert (got.status, got.faults[0].pointer) == (status, "/data/attributes/profiles/data/1/attributes/email")


def test_a_duplicate_names_the_other_profile() -> None:
    body = document(409, "duplicate_profile", "Exists.", meta={"duplicate_profile_id": "01ABC"})
    got = verdict(Reply(409, body=body))
    assert isinstance(got, RequestRefused)
    assert got.faults[0].meta == {"duplicate_profile_id": "01ABC"}


def test_a_body_over_the_limit_is_too_large() -> None:
    assert verdict(Reply(413, body=HTML)) == RequestRefused(413, ())


@pytest.mark.parametrize("body", [b"", b'{"errors": [{"id": "x", "cod', HTML])
def test_a_400_without_a_readable_body_is_still_a_refusal(body: bytes) -> None:
    assert verdict(Reply(400, body=body)) == RequestRefused(400, ())


@pytest.mark.parametrize(
    ("reply", "rules", "expected"),
    [
        (lost(), MAY_RESEND, "wait"),
        (lost(Failure.TIMEOUT), MAY_RESEND, "wait"),
        (lost(), NO_RESEND, "in_doubt"),
        (lost(Failure.TIMEOUT), NO_RESEND, "in_doubt"),
        (unsent(Failure.CONNECT), NO_RESEND, "wait"),
        (unsent(Failure.RESET), NO_RESEND, "wait"),
        (Reply(500, body=document(500, "error", "A server error occurred.")), NO_RESEND, "wait"),
        (Reply(500, body=HTML), NO_RESEND, "in_doubt"),
        (Reply(502), NO_RESEND, "in_doubt"),
        (Reply(504), NO_RESEND, "in_doubt"),
        (Reply(524), NO_RESEND, "in_doubt"),
        *((Reply(status), NO_RESEND, "in_doubt") for status in (507, 520, 522, 530, 599)),
        (Reply(503), NO_RESEND, "wait"),
        (Reply(408), NO_RESEND, "wait"),
        *((Reply(status, body=HTML), MAY_RESEND, "wait") for status in (408, 500, 502, 503, 504, 520, 524)),
        *((Reply(status), MAY_RESEND, "refused") for status in (501, 505)),
    ],
)
def test_a_request_that_may_have_been_done_is_sent_again_only_where_allowed(
    reply: Reply, rules: ReplyRules, expected: str
) -> None:
    got = verdict(reply, rules)
    assert (got.code if isinstance(got, Reject) else "wait" if isinstance(got, Wait) else got) == expected


@pytest.mark.parametrize("reply", [lost(), Reply(503), unsent(Failure.RESET)])
def test_attempts_are_bounded_and_then_the_rows_are_unavailable(reply: Reply) -> None:
    got = verdict(reply, attempts=3)
    assert isinstance(got, Reject)
    assert got.code == "unavailable"


@pytest.mark.parametrize(
    "failure", [Failure.DNS, Failure.CONNECT, Failure.BLOCKED, Failure.CONNECT_TIMEOUT, Failure.PROXY]
)
def test_an_endpoint_that_no_attempt_reached_stops_the_write(failure: Failure) -> None:
    assert isinstance(verdict(unsent(failure), attempts=3, unreachable=2), Reject)
    got = verdict(unsent(failure), attempts=3, unreachable=3)
    assert isinstance(got, Halt)
    assert got.code == "unreachable"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "120"}, 120.0),
        ({"retry-after": "0"}, 1.0),
        ({}, 1.0),
        ({"retry-after": "soon"}, 1.0),
        ({"retry-after": "-3"}, 1.0),
        ({"retry-after": "Thu, 15 Oct 2026 08:01:00 GMT", "date": "Thu, 15 Oct 2026 08:00:30 GMT"}, 30.0),
        ({"retry-after": "Thu, 15 Oct 2026 08:01:00 GMT"}, 1.0),
    ],
)
def test_a_throttled_request_waits_as_asked(headers: dict[str, str], seconds: float) -> None:
    assert verdict(Reply(429, headers)) == Wait(seconds, throttled=True)


def test_throttling_uses_up_no_attempt() -> None:
    assert verdict(Reply(429, {"retry-after": "1"}), attempts=99) == Wait(1.0, throttled=True)


def test_a_429_that_asks_to_wait_for_hours_stops_the_write() -> None:
    got = verdict(Reply(429, {"retry-after": "3600"}))
    assert isinstance(got, Halt)
    assert got.code == "throttled"


def test_throttling_without_end_stops_the_write() -> None:
    got = verdict(Reply(429, {"retry-after": "1"}), throttles=300, throttled_seconds=601.0)
    assert isinstance(got, Halt)
    assert got.code == "throttled"


def test_waits_without_retry_after_grow() -> None:
    waits = [verdict(Reply(429), throttles=count) for count in range(8)]
    seconds = [wait.seconds for wait in waits if isinstance(wait, Wait)]
    assert seconds == sorted(seconds)
    assert seconds[-1] > 20


replies = st.builds(
    Reply,
    st.one_of(st.none(), st.integers(200, 599)),
    st.dictionaries(st.sampled_from(["retry-after", "date", "ratelimit-limit"]), st.text(max_size=12)),
    st.one_of(st.binary(max_size=60), st.just(HTML), st.just(document(400, "invalid", "a@b.c is bad"))),
    failure=st.sampled_from([None, *Failure]),
    sent=st.booleans(),
)


@given(replies, st.integers(1, 5), st.floats(0, 0.999), st.booleans())
def test_any_reply_gets_a_verdict_and_every_wait_is_bounded(
    reply: Reply, attempts: int, roll: float, may_resend: bool
) -> None:
    got = judge(reply, RetryState(attempts, attempts), POLICY, roll, ReplyRules(may_resend=may_resend))
    if isinstance(got, Wait):
        assert 0 < got.seconds <= POLICY.longest_wait_seconds + 1
        assert got.throttled == (reply.status == 429)
        assert got.throttled or attempts < POLICY.attempts
        assert got.throttled or may_resend or not reply.answer_lost
    refused = b'"errors"' in reply.body
    assert isinstance(got, Done) == (is_success(reply.status) and not is_page(reply) and not refused)
    assert "a@b.c" not in repr(got) or isinstance(got, RequestRefused)


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_success_status_is_accepted_whichever_the_endpoint_publishes(status: int) -> None:
    assert isinstance(judge(Reply(status), RetryState(1), POLICY, 0.0), Done)
