"""Rows are called delivered only where Klaviyo's own answer says so; pages, refusals and empty answers never do."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from spark_klaviyo.simulator import Fault, KlaviyoSimulator
from spark_klaviyo.templates import CURRENT
from spark_klaviyo.templates.model import Confirmation
from tests.core.scaled_clock import ScaledClock
from tests.http.loopback_server import Loopback, Received, http, reply
from tests.task.running import KEY, Ran, Row, people, run
from tests.templates.examples import EXAMPLES
from tests.templates.made import write

STORED = b'{"data":{"type":"profile","id":"01ABC"}}'
REFUSED = b'{"errors":[{"code":"invalid","title":"Invalid input.","detail":"Invalid email address"}]}'
PAGES = {
    "plain": b"<html><body>Just a moment...</body></html>",
    "mark": b"\xef\xbb\xbf<!DOCTYPE html><html></html>",
    "comment": b"<!-- served by a cache -->\n<html></html>",
    "mark and comment": b"\xef\xbb\xbf \n<!-- x --><!-- y --><html>",
    "utf-16": "\ufeff<html></html>".encode("utf-16-le"),
}
HTML = "Content-Type: text/html\r\n"


def answered(status: int, body: bytes, headers: str = "", **options: Any) -> Ran:
    """Three people, written to a server that always answers so."""
    with Loopback([reply(status, body, headers)]) as server:
        return run(server, people(3), **{"template": "create_profile", "attempts": 2, **options})


@pytest.mark.parametrize("status", [200, 201, 202, 204, 500, 503])
@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_a_page_with_a_success_or_a_server_error_is_a_lost_answer(page: bytes, status: int) -> None:
    if status != 204:  # which has no body
        assert answered(status, page).codes == ["in_doubt"] * 3
        assert answered(status, page, template="bulk_import_profiles").codes == ["unavailable"] * 3


def test_a_line_of_text_that_says_it_is_html_is_a_page() -> None:
    assert answered(201, b"blocked", HTML).codes == ["in_doubt"] * 3


@pytest.mark.parametrize("template", ["create_profile", "bulk_import_profiles", "create_or_update_profile"])
def test_an_errors_document_is_a_refusal_whatever_its_status(template: str) -> None:
    ran = answered(200, REFUSED, template=template)
    assert ran.codes == ["invalid"] * 3
    assert {row.detail for row in ran.rejected} == {"Invalid email address"}


@pytest.mark.parametrize(
    ("template", "status", "body", "because"),
    [
        ("create_profile", 201, b"", "the answer was empty"),
        ("create_or_update_profile", 200, b"  ", "the answer was empty"),
        ("create_profile", 201, b"OK", "not the document"),
        ("create_profile", 201, b"{}", "not the document"),
        ("bulk_import_profiles", 202, b"", "names no job"),
        ("bulk_import_profiles", 202, b'{"data":{"type":"profile-bulk-import-job"}}', "names no job"),
        ("bulk_import_profiles", 202, b'{"data":{"id":"' + b"x" * 10_000 + b'"}}', "names no job"),
        ("bulk_import_profiles", 200, STORED.replace(b'"01ABC"', b"7"), "names no job"),
    ],
)
def test_what_is_promised_and_missing_leaves_rows_accepted_with_the_reason(
    template: str, status: int, body: bytes, because: str
) -> None:
    report = answered(status, body, template=template).whole()
    assert (report.delivered, report.accepted, report.rejected) == (0, 3, 0)
    (reason,) = report.accepted_because
    assert because in reason


def test_a_document_that_is_stored_is_delivered() -> None:
    assert answered(201, STORED).report.delivered == 3


@pytest.mark.parametrize("body", [b"", PAGES["plain"], REFUSED, b"OK"])
def test_other_hosts_and_retired_calls_go_by_status(body: bytes) -> None:
    with Loopback([reply(200, body)]) as server:
        manual: dict[str, Any] = {"template": None, "base_url": None, "url": f"{server.url}/hook"}
        assert run(server, people(2), **manual).report.delivered == 2
        legacy: dict[str, Any] = {"template": "add_profiles_to_list", "api": "v2", "list_id": "Y6nRLr"}
        assert run(server, people(2), **legacy).report.delivered == 2


@pytest.mark.parametrize("name", sorted(CURRENT))
def test_a_page_of_the_network_in_front_is_tried_again_at_every_template(name: str) -> None:
    path = re.sub(r"\{[^}]*\}", "*", CURRENT[name].path)
    with KlaviyoSimulator(job_polls=0, faults=[Fault("cdn_403", path, CURRENT[name].method, times=1)]) as klaviyo:
        klaviyo.reviews["review-1"] = {"id": "review-1", "status": "pending"}
        report = write(klaviyo, name, EXAMPLES[name], ScaledClock(60.0))
        assert 403 in {request.status for request in klaviyo.requests}
    assert (report.stopped, report.rejects_sample, report.resent) == (None, [], 0)
    assert report.delivered + report.accepted == report.rows
    assert CURRENT[name].confirmation is Confirmation.NONE or report.delivered == report.rows


def test_only_the_persistence_of_such_pages_stops_the_write_and_the_key_is_not_blamed() -> None:
    ran = answered(403, PAGES["comment"], attempts=3)
    assert ran.report.stopped is not None
    code, message = ran.report.stopped
    assert (code, ran.report.unsent, ran.report.requests) == ("unreachable", 3, 1)
    assert "a network in front of Klaviyo answered with a page (HTTP 403), 3 times" in message
    assert "the key was not refused" in message


def test_klaviyos_own_403_stops_at_once() -> None:
    body = (
        b'{"errors":[{"code":"permission_denied","detail":"Your API key is missing required scopes: profiles:write"}]}'
    )
    ran = answered(403, body, attempts=3)
    assert ran.report.stopped is not None
    assert ran.report.stopped[0] == "forbidden"
    assert [receipt.attempts for receipt in ran.receipts] == [1]


# --- what a server repeats ------------------------------------------------------------------------


def echo(status: int, detail: str, code: str = "invalid") -> Any:
    """Answers with this detail; {key} and {authorization} stand for what the request held."""

    def answer(connection: Any, received: Received) -> bool:
        authorization = received.headers.get("authorization", "")
        text = detail.replace("{key}", authorization.rpartition(" ")[2]).replace("{authorization}", authorization)
        body = json.dumps({"errors": [{"code": code, "detail": text, "source": {"pointer": text}}]}).encode()
        connection.sendall(http(status, body, f"X-Klaviyo-Req-Id: {authorization}\r\n"))
        return True

    return answer


def texts_of(ran: Ran) -> str:
    """All texts that a task hands on."""
    return json.dumps([ran.report.to_json(), *map(str, ran.receipts), *(str(vars(row)) for row in ran.rejected)])


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 429, 500])
@pytest.mark.parametrize("code", ["invalid", "{key}"])
def test_a_key_that_the_server_repeats_is_masked_everywhere(status: int, code: str) -> None:
    key = "pk_live_Recognisable0123"
    with Loopback([echo(status, "the key {key} in {authorization} is odd", code.replace("{key}", key))]) as server:
        ran = run(server, people(2), template="create_profile", attempts=1, api_key=key, longest_wait_seconds=5)
    assert key not in texts_of(ran)
    assert "Recognisable" not in texts_of(ran)


def test_an_access_token_and_given_headers_are_masked_too() -> None:
    secret, token = "s3cret-of-the-gateway", "oauth-token-0123456789"
    with Loopback([echo(400, f"{{key}} {secret} {token}")]) as server:
        options: dict[str, Any] = {"api_key": None, "access_token": token, "header.X-Gateway": secret}
        manual: dict[str, Any] = {"template": None, "base_url": None, "url": f"{server.url}/hook"}
        ran = run(server, people(2), **{**options, **manual})
    assert len(ran.rejected) == 2
    assert secret not in texts_of(ran)
    assert token not in texts_of(ran)


ROWS: list[Row] = [{"email": "x@y.co", "first_name": "Annabelle Lee", "tier": "gold", "code": "12345", "short": "abc"}]
DETAILS = [
    ("profile x@y.co is bad", "x@y.co"),
    ("Annabelle Lee may not", "Annabelle"),
    ("of annabelle lee: no", "annabelle"),
    ("tier gold is unknown", "gold"),
]


@pytest.mark.parametrize(("detail", "value"), DETAILS)
@pytest.mark.parametrize("status", [400, 401, 410, 404])
def test_values_of_the_requests_own_rows_are_masked_in_receipts_and_messages(
    detail: str, value: str, status: int
) -> None:
    with Loopback([echo(status, detail)]) as server:
        ran = run(server, ROWS, template="bulk_import_profiles", attempts=1)
    shown = json.dumps([[receipt.detail for receipt in ran.receipts], ran.report.stopped, ran.report.warnings])
    assert value not in shown


def test_a_value_that_comes_back_as_a_code_reaches_no_report() -> None:
    rows: list[Row] = [{"email": "x@y.co", "external_id": "cust-1"}]
    with Loopback([echo(400, "no", "cust-1")]) as server:
        ran = run(server, rows, template="bulk_import_profiles", attempts=1)
    assert ran.codes == ["refused"]
    assert "cust-1" not in json.dumps(ran.whole().to_dict())


def test_details_stay_readable() -> None:
    with Loopback([echo(400, "abc: a profile must have 1 of the properties golden or email")]) as server:
        ran = run(server, ROWS, template="bulk_import_profiles", attempts=1)
    assert ran.receipts[0].detail == "abc: a profile must have 1 of the properties golden or email"


def test_the_key_of_the_tests_is_one_that_the_mask_knows() -> None:
    assert len(KEY) > 6


# --- quotas ---------------------------------------------------------------------------------------


def test_a_quota_of_a_day_does_not_hold_a_write_in_silence() -> None:
    headers = "RateLimit-Limit: 1;w=86400\r\nContent-Type: application/json\r\n"
    with Loopback([reply(201, STORED, headers)]) as server:
        ran = run(server, people(6), template="create_profile", workers=1)
    report = ran.whole()
    assert report.stopped is not None
    assert report.stopped[0] == "throttled"
    assert "longest_wait_seconds is 120" in report.stopped[1]
    assert (report.delivered + report.unsent, report.rejected) == (6, 0)
    assert report.unsent > 0
