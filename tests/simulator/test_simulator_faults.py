"""Injected faults: which requests they affect, how often, and what is stored all the same."""

from __future__ import annotations

import http.client
import json
import time
from pathlib import Path

import pytest

from spark_klaviyo.simulator import Fault, KlaviyoSimulator
from tests.simulator.wire_client import HEADERS, call, import_body, import_rows

JOBS = "/api/profile-bulk-import-jobs"
ROWS = [{"email": "a@b.co"}]


STATUSES = [
    (Fault("status", status=500), 500, "error"),
    (Fault("status", status=503), 503, "error"),
    (Fault("status", status=524), 524, "error"),
    (Fault("status", status=400), 400, "invalid"),
    (Fault("status", status=403), 403, "permission_denied"),
    (Fault("status", status=404), 404, "not_found"),
    (Fault("status", status=429, retry_after=3600), 429, "throttled"),
    (Fault("conflict_409"), 409, "conflict"),
]


@pytest.mark.parametrize(("fault", "status", "code"), STATUSES, ids=lambda value: getattr(value, "status", value))
def test_a_status_is_answered_with_its_document_and_nothing_is_stored(fault: Fault, status: int, code: str) -> None:
    with KlaviyoSimulator(faults=[fault]) as klaviyo:
        got = import_rows(klaviyo, ROWS)

    assert (got.status, got.errors[0]["code"]) == (status, code)
    assert klaviyo.profiles == []
    assert klaviyo.requests[0].status == status
    assert ("RateLimit-Limit" in got.headers) == (status != 429)


def test_a_400_has_the_pointer_of_the_fault_or_none() -> None:
    with KlaviyoSimulator() as klaviyo:
        klaviyo.inject(Fault("status", status=400, times=1), Fault("status", status=400, pointer="/data/x", after=1))

        assert import_rows(klaviyo, ROWS).errors[0]["source"] == {}
        assert import_rows(klaviyo, ROWS).pointers == ["/data/x"]


@pytest.mark.parametrize(
    ("body", "media_type", "sent"),
    [
        ("html", "text/html; charset=UTF-8", b"<html>"),
        ("empty", None, b""),
        ("upstream failed", "text/plain", b"upstream"),
    ],
)
def test_a_status_may_come_with_another_kind_of_body(body: str, media_type: str | None, sent: bytes) -> None:
    with KlaviyoSimulator(faults=[Fault("status", status=502, body=body, headers={"X-Proxy": "1"})]) as klaviyo:
        got = import_rows(klaviyo, ROWS)

    assert got.status == 502
    assert got.headers.get("Content-Type") == media_type
    assert got.headers["X-Proxy"] == "1"
    assert got.body.startswith(sent)


@pytest.mark.parametrize(("retry_after", "header"), [(None, None), (0, "0"), (3600, "3600"), ("soon", "soon")])
def test_a_429_carries_the_retry_after_of_the_fault(retry_after: int | str | None, header: str | None) -> None:
    with KlaviyoSimulator(faults=[Fault("status", status=429, retry_after=retry_after)]) as klaviyo:
        assert import_rows(klaviyo, ROWS).headers.get("Retry-After") == header


def test_the_challenge_page_of_the_cdn_is_html_without_limits() -> None:
    with KlaviyoSimulator(faults=[Fault("cdn_403")]) as klaviyo:
        got = import_rows(klaviyo, ROWS)

    assert (got.status, got.headers["cf-mitigated"]) == (403, "challenge")
    assert got.body.startswith(b"<!DOCTYPE html>")
    assert "RateLimit-Limit" not in got.headers


def test_a_redirect_has_the_location_of_the_fault() -> None:
    with KlaviyoSimulator(faults=[Fault("redirect", location="http://127.0.0.1:9/")]) as klaviyo:
        got = import_rows(klaviyo, ROWS)

    assert (got.status, got.headers["Location"]) == (302, "http://127.0.0.1:9/")


@pytest.mark.parametrize(("kind", "stored"), [("reset_before", 0), ("reset_after", 1)])
def test_a_connection_reset_comes_before_or_after_the_rows_are_stored(kind: str, stored: int) -> None:
    with KlaviyoSimulator(faults=[Fault(kind)]) as klaviyo:
        with pytest.raises(ConnectionResetError):
            import_rows(klaviyo, ROWS)

        assert len(klaviyo.profiles) == stored
        assert [request.status for request in klaviyo.requests] == [None]


def test_garbage_comes_instead_of_an_answer_though_the_rows_are_stored() -> None:
    with KlaviyoSimulator(faults=[Fault("garbage")]) as klaviyo:
        with pytest.raises(http.client.BadStatusLine):
            import_rows(klaviyo, ROWS)

        assert len(klaviyo.profiles) == 1


def test_a_dripped_answer_takes_its_time_and_is_whole() -> None:
    with KlaviyoSimulator(faults=[Fault("drip", seconds=0.2)]) as klaviyo:
        began = time.monotonic()
        got = import_rows(klaviyo, ROWS)

    assert time.monotonic() - began >= 0.2
    assert (got.status, "data" in json.loads(got.body)) == (202, True)


def test_an_answer_that_never_comes_hides_that_the_rows_are_stored() -> None:
    with KlaviyoSimulator(faults=[Fault("hang_after")]) as klaviyo:
        connection = http.client.HTTPConnection(klaviyo.url.removeprefix("http://"), timeout=0.3)
        connection.request("POST", JOBS, json.dumps(import_body(ROWS)), HEADERS)
        with pytest.raises(TimeoutError):
            connection.getresponse()
        connection.close()

        assert len(klaviyo.profiles) == 1


def test_a_truncated_body_is_no_json_though_the_rows_are_stored() -> None:
    with KlaviyoSimulator(faults=[Fault("truncated")]) as klaviyo:
        got = import_rows(klaviyo, ROWS)

    assert got.status == 202
    with pytest.raises(json.JSONDecodeError):
        json.loads(got.body)
    assert len(klaviyo.profiles) == 1


def test_a_slow_reply_arrives_and_a_hanging_one_ends_with_the_server() -> None:
    with KlaviyoSimulator(faults=[Fault("slow", seconds=0.05, times=1), Fault("hang", after=1)]) as klaviyo:
        assert import_rows(klaviyo, ROWS).status == 202
        host = klaviyo.url.removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=10)
        connection.request("GET", "/api/lists")
        klaviyo.stop()
        with pytest.raises((http.client.HTTPException, OSError)):
            connection.getresponse()
        connection.close()


def test_a_fault_applies_to_its_path_and_as_often_as_it_says() -> None:
    fault = Fault("status", status=503, path="/api/lists*", method="GET", after=1, times=2)
    with KlaviyoSimulator(faults=[fault]) as klaviyo:
        assert [call(klaviyo, "GET", "/api/lists/Y6nRLr/").status for _ in range(4)] == [200, 503, 503, 200]
        assert import_rows(klaviyo, ROWS).status == 202
        klaviyo.inject(Fault("status", status=500))
        assert import_rows(klaviyo, ROWS).status == 500
        klaviyo.clear_faults()
        assert import_rows(klaviyo, ROWS).status == 202


def test_a_rate_applies_to_a_share_of_requests_that_the_seed_decides() -> None:
    def statuses(seed: int) -> list[int]:
        with KlaviyoSimulator(seed=seed, faults=[Fault("status", status=503, rate=0.5)]) as klaviyo:
            return [call(klaviyo, "GET", "/api/lists").status for _ in range(30)]

    first = statuses(1)
    assert 5 < first.count(503) < 25
    assert statuses(1) == first
    assert statuses(2) != first


def test_faults_come_from_a_file_and_unknown_ones_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "faults.json"
    file.write_text(json.dumps([{"kind": "status", "status": 503, "times": 1}]))
    with KlaviyoSimulator(faults=file) as klaviyo:
        assert [import_rows(klaviyo, ROWS).status for _ in range(2)] == [503, 202]

    with pytest.raises(ValueError, match="no such fault: 'earthquake'"):
        Fault("earthquake")
    file.write_text(json.dumps([{"kind": "status", "colour": "red"}]))
    with pytest.raises(ValueError, match="no such setting of a fault: colour"):
        KlaviyoSimulator(faults=str(file))
