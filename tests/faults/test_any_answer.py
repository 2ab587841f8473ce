"""Whatever bytes a server answers with, at whatever pace: no task fails, and every row ends in exactly one count."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spark_klaviyo.core.models import Reply
from spark_klaviyo.core.policy import Policy
from spark_klaviyo.deliver.reads import Document
from spark_klaviyo.http.documents import faults, first_detail, is_page, job_id, json_object
from spark_klaviyo.http.headers import listed_quota, retry_after_seconds, window_status
from spark_klaviyo.http.judge import ReplyRules, RetryState, judge, may_have_committed
from spark_klaviyo.http.plain import MOST_TEXT, plain_body, plain_headers
from tests.http.loopback_server import Answer, Loopback, drip, http, raw, reset_after, silent_after
from tests.task.running import Ran, people, run

JOB = b'{"data":{"type":"profile-bulk-import-job","id":"QUJj","attributes":{"status":"complete"}}}'
DEEP = b'{"errors":' + b"[" * 10_000 + b"]" * 10_000 + b"}"
# JSON that any text could hold, and what no Klaviyo would send: lone surrogates, numbers that no machine holds.
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.text(st.characters(codec=None), max_size=8),
        st.sampled_from(["1e999", "-1e999", "NaN", "Infinity", "9" * 5_000, "1" * 30, '"\\ud800"', '"\\u0000"', '""']),
        st.integers(),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                [
                    "data",
                    "errors",
                    "links",
                    "next",
                    "id",
                    "status",
                    "code",
                    "title",
                    "detail",
                    "source",
                    "pointer",
                    "meta",
                    "attributes",
                    "total_count",
                    "completed_count",
                    "failed_count",
                    "duplicate_profile_id",
                    "original_payload",
                    "email",
                ]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)
NUMBERS = ("1e999", "-1e999", "NaN", "Infinity", '"\\ud800"', '"\\u0000"')


def written(value: object) -> str:
    """JSON of a value; some texts stand for what `json.dumps` would not write."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{written(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    return value if value in NUMBERS or (isinstance(value, str) and value.isdigit()) else json.dumps(value)


DOCUMENTS = VALUES.map(lambda value: written(value).encode("utf-8", "surrogatepass"))
BODIES = st.one_of(
    st.binary(max_size=60),
    DOCUMENTS,
    st.builds(lambda document, at: document[:at], DOCUMENTS, st.integers(0, 40)),
    st.sampled_from(
        [b"", b"\xef\xbb\xbf<html>", b"<!-- x --><html>", b"\xff\xfe<\0h\0", JOB, DEEP, b'{"errors":[{}]}']
    ),
)
NAMES = (
    "Retry-After Date RateLimit-Limit RateLimit-Remaining RateLimit-Reset Content-Type X-Klaviyo-Req-Id "
    "Content-Encoding Set-Cookie Location Link"
)
SILLY = ("9" * 400, "1;w=86400", "²", "\xff", "1, 1;w=1", "0", "-1", "gzip", "br", "a=b; expires=x", "1e999")
DATES = ("Thu, 01 Jan 99999 00:00:00 GMT", "Thu, 15 Oct 2026 08:01:00 +9999999")
VALUE = st.one_of(st.text(max_size=20), st.sampled_from([*SILLY, *DATES]))
HEADERS = st.dictionaries(st.sampled_from(NAMES.split()), VALUE, max_size=4)


def plain(reply: Reply) -> Reply:
    return replace(reply, headers=plain_headers(reply.headers.items(), str), body=plain_body(reply.body, str))


@settings(deadline=None, max_examples=400)
@given(st.integers(200, 599), HEADERS, BODIES)
@example(400, {}, DEEP)
@example(202, {}, b'{"data":{"id":"' + b"x" * 10_000_000 + b'"}}')
@example(400, {}, b'{"errors":[{"detail":"\\ud800","code":"\\udfff","source":{"pointer":1e999}}]}')
def test_nothing_behind_the_plain_values_raises(status: int, headers: dict[str, str], body: bytes) -> None:
    reply = plain(Reply(status, headers, body))
    for text in (
        *reply.headers.values(),
        reply.body.decode(),
        first_detail(faults(reply.body)),
        job_id(reply.body) or "",
    ):
        assert text.encode("utf-8").decode("utf-8") == text
    assert all(len(value) <= 1_000 and value.isascii() for value in reply.headers.values())
    assert bounded(json_object(reply.body))
    assert len(job_id(reply.body) or "") <= 500
    for read in (retry_after_seconds, listed_quota, window_status):
        read(reply.headers)
    assert (retry_after_seconds(reply.headers) or 0) <= 1e9
    Document(json_object(reply.body)).next_query  # noqa: B018
    may_have_committed(reply)
    is_page(reply)
    for rules in (ReplyRules(), ReplyRules(by_status=True), ReplyRules(promises_job=True, promises_resource=True)):
        judge(reply, RetryState(1), Policy(), 0.5, rules)


def bounded(value: object) -> bool:
    if isinstance(value, dict):
        return all(bounded(key) and bounded(inner) for key, inner in value.items())
    if isinstance(value, list):
        return all(map(bounded, value))
    if isinstance(value, str):
        return len(value) <= MOST_TEXT
    return value is None or abs(value) < 2**63 or isinstance(value, float)  # type: ignore[arg-type]


# --- the whole send path --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[Loopback]:
    with Loopback() as loopback:
        yield loopback


QUICK: dict[str, Any] = {"attempts": 2, "timeout_seconds": 0.3, "job_timeout_seconds": 5, "longest_wait_seconds": 3}


def sent_to(server: Loopback, answer: Answer, template: str = "bulk_import_profiles", **options: object) -> Ran:
    server.answers = [answer]
    return run(server, people(3), template=template, **{**QUICK, **options})


def settled(ran: Ran) -> bool:
    ran.whole()  # raises where the counts do not add up
    rows = sum(receipt.rows for receipt in ran.receipts)
    texts = [receipt.detail for receipt in ran.receipts] + [row.detail for row in ran.rejected] + ran.codes
    ran.report.to_json().encode("utf-8")
    return rows >= 0 and all(text.encode("utf-8") is not None and len(text) < 2_000 for text in texts)


@settings(deadline=None, max_examples=50)
@given(
    st.sampled_from(["bulk_import_profiles", "create_profile", "create_or_update_profile"]),
    st.one_of(
        st.binary(max_size=80),
        st.builds(lambda tail: b"HTTP/1.1 " + tail, st.binary(max_size=60)),
        st.builds(
            lambda status, body, headers: http(
                status, body, "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value.isprintable())
            ),
            st.sampled_from([200, 201, 202, 204, 400, 404, 409, 413, 429, 500, 503, 101, 999]),
            BODIES,
            HEADERS,
        ),
    ),
)
def test_any_bytes_for_an_answer_leave_every_row_in_one_count(server: Loopback, template: str, answer: bytes) -> None:
    ran = sent_to(server, raw(answer), template)
    assert settled(ran)
    assert ran.report.delivered == 0 or b"20" in answer[:12]


@settings(deadline=None, max_examples=60)
@given(st.sampled_from([reset_after, raw]), st.integers(0, 200), st.sampled_from([201, 202, 400, 429, 500]))
def test_an_answer_that_ends_at_any_byte_leaves_every_row_in_one_count(
    server: Loopback, end: object, at: int, status: int
) -> None:
    whole = http(status, JOB, "Content-Type: application/json\r\n")
    ran = sent_to(server, end(whole[:at]), "create_profile", resend="never", attempts=1)  # type: ignore[operator]
    assert settled(ran)
    head = whole.index(b"\r\n\r\n") + 4
    if at < head:
        assert set(ran.codes) <= {"in_doubt", "unavailable", "refused"}
        assert ran.report.delivered == 0


@pytest.mark.parametrize("at", [1, 5, 30, 200, 700])
def test_a_connection_that_breaks_after_the_first_byte_leaves_the_row_in_doubt(at: int) -> None:
    with Loopback(reset_at_byte=at) as server:
        ran = run(
            server,
            people(1),
            template="create_coupon",
            fields='{"external_id":"first_name"}',
            other_columns="drop",
            **QUICK,
        )
    assert ran.codes == ["in_doubt"]


@pytest.mark.parametrize(
    "head", [b"Content-Length: 5\r\nContent-Length: 7\r\n", b"Content-Length: 5, 7\r\n"], ids=["two", "listed"]
)
def test_two_differing_lengths_are_a_lost_answer(server: Loopback, head: bytes) -> None:
    answer = raw(b"HTTP/1.1 201 X\r\n" + head + b"\r\nhello")
    ran = sent_to(server, answer, "create_profile")
    assert ran.codes == ["in_doubt"] * 3
    assert sent_to(server, answer).codes == ["unavailable"] * 3  # idempotent: sent again, by the rule


@pytest.mark.parametrize("dripped", ["the status line", "the headers", "the body"])
def test_a_dripped_answer_is_bounded_by_timeout_seconds(server: Loopback, dripped: str) -> None:
    pauses = {"the status line": b"HTTP/1.1 " + b" " * 60, "the headers": b"HTTP/1.1 202 X\r\nA: " + b"b" * 90}
    text = pauses.get(dripped, http(202, JOB))
    began = time.monotonic()
    ran = sent_to(server, drip(text, 0.05), "create_profile", attempts=1, workers=3)
    assert time.monotonic() - began < 3.0  # two after each other, and the pace of the test's machine
    assert ran.report.rows == 3
    assert ran.report.delivered == 0


def test_silence_in_the_middle_of_an_answer_is_bounded_too(server: Loopback) -> None:
    began = time.monotonic()
    ran = sent_to(server, silent_after(b"HTTP/1.1 20"), "create_profile", attempts=1, workers=3)
    assert time.monotonic() - began < 3.0
    assert ran.codes == ["in_doubt"] * 3


POLLED = st.one_of(
    BODIES,
    st.builds(
        lambda total, failed, errors: (
            json.dumps(
                {
                    "data": {
                        "id": "QUJj",
                        "attributes": {"status": "complete", "total_count": total, "failed_count": failed},
                    }
                }
            ).encode()[:-1]
            + b',"links":{"next":"http://[x"},"errors":'
            + errors
            + b"}"
        ),
        st.sampled_from([3, "9" * 5_000, 10**30, -1, 1.5, "²", None]),
        st.sampled_from([0, 1, "1", 10**30, None, True]),
        DOCUMENTS,
    ),
)


@settings(deadline=None, max_examples=50)
@given(POLLED, st.sampled_from([200, 200, 200, 404, 500]))
def test_any_bytes_for_the_state_of_a_job_leave_every_row_in_one_count(body: bytes, status: int) -> None:
    with Loopback([raw(http(202, JOB)), raw(http(status, body))]) as server:
        ran = run(server, people(3), **{**QUICK, "job_timeout_seconds": 2})
    assert settled(ran)
    assert ran.report.rows == 3


@settings(deadline=None, max_examples=60)
@given(st.one_of(BODIES, st.builds(lambda body: b'{"data":[' + body + b'],"links":{"next":"//[:"}}', DOCUMENTS)))
def test_any_bytes_for_a_look_up_of_profiles_leave_every_row_in_one_count(server: Loopback, body: bytes) -> None:
    server.answers = [raw(http(200, body))]
    rows = [{"email": row["email"]} for row in people(3)]
    ran = run(server, rows, template="remove_profiles_from_list", list_id="Y6nRLr", **QUICK)
    assert settled(ran)
    assert ran.report.rows == 3


@pytest.mark.parametrize(
    "name", ["X-\xff\xfe", "Retry-After", "Date", "Content-Type", "Set-Cookie", "Content-Encoding"]
)
@pytest.mark.parametrize("value", [b"\xff\xfe\x00", "\u2603".encode(), b"\x01", b"x" * 60_000, b"x" * 70_000])
def test_headers_of_any_bytes_and_length_do_not_fail_a_task(server: Loopback, name: str, value: bytes) -> None:
    head = f"HTTP/1.1 202 X\r\nContent-Length: {len(JOB)}\r\n".encode() + name.encode("latin-1") + b": " + value
    assert settled(sent_to(server, raw(head + b"\r\n\r\n" + JOB)))
