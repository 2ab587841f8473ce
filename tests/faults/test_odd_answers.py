"""Answers that HTTP allows, or that only a broken or hostile server gives: counts hold, and memory stays bounded."""

from __future__ import annotations

import gzip
import json
import socket
import tracemalloc
from itertools import count
from typing import Any

import pytest

from tests.http.loopback_server import Answer, Loopback, Received, http, raw, reply, silent_after
from tests.task.running import Ran, people, run

STORED = b'{"data":{"type":"profile","id":"01A"}}'
QUICK: dict[str, Any] = {"attempts": 2, "timeout_seconds": 20, "longest_wait_seconds": 3, "rate_limit": "none"}
MB = 1_000_000


def sent_to(answer: Answer, template: str = "create_profile", **options: object) -> Ran:
    with Loopback([answer]) as server:
        ran = run(server, people(3), template=template, **{**QUICK, **options})
    ran.whole()  # raises where the counts do not add up
    return ran


def answered(status: int, body: bytes = b"", headers: str = "") -> Answer:
    return reply(status, body, headers)


@pytest.mark.parametrize(
    ("answer", "delivered", "accepted", "codes", "stopped"),
    [
        (silent_after(b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + http(201, STORED)), 3, 0, [], ""),
        (raw(b"HTTP/1.0 201 OK\r\n\r\n" + STORED), 3, 0, [], ""),
        (raw(b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n"), 0, 0, ["in_doubt"] * 3, ""),
        (raw(STORED), 0, 0, ["in_doubt"] * 3, ""),
        (raw(b"SSH-2.0-OpenSSH_9.6\r\n"), 0, 0, ["in_doubt"] * 3, ""),
        (answered(201, b"hello", "Content-Encoding: br\r\n"), 0, 3, [], ""),
        (answered(201, b"hello", "Content-Encoding: gzip\r\n"), 0, 3, [], ""),
        (answered(201, STORED, "Content-Encoding: " + "gzip," * 40 + "gzip\r\n"), 0, 3, [], ""),
        (raw(b"HTTP/1.1 201 X\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n"), 0, 3, [], ""),
        (raw(b"HTTP/1.1 201 X\r\nContent-Length: 9\r\n\r\n"), 0, 3, [], ""),
        (answered(203, STORED), 0, 3, [], ""),
        (answered(206, STORED), 0, 3, [], ""),
        (answered(302, b"", "Location: http://127.0.0.1:9/\r\n"), 0, 0, [], "redirected"),
        (answered(304), 0, 0, [], "redirected"),
        (answered(407), 0, 0, [], "unreachable"),
        (answered(520), 0, 0, ["in_doubt"] * 3, ""),
        (answered(501), 0, 0, ["refused"] * 3, ""),
    ],
)
def test_an_odd_answer_is_counted_for_what_it_says(
    answer: Answer, delivered: int, accepted: int, codes: list[str], stopped: str
) -> None:
    ran = sent_to(answer)
    assert (ran.report.delivered, ran.report.accepted, ran.codes) == (delivered, accepted, codes)
    assert (str(ran.report.stopped[0]) if ran.report.stopped else "") == stopped
    assert ran.report.unsent == (3 if stopped else 0)


@pytest.mark.parametrize("template", ["create_profile", "bulk_import_profiles"])
def test_a_small_answer_that_unpacks_to_a_gigabyte_is_read_up_to_a_limit(template: str) -> None:
    bomb = gzip.compress(b"\0" * 1_000 * MB, 1)
    tracemalloc.start()
    ran = sent_to(answered(202, bomb, "Content-Encoding: gzip\r\n"), template)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 120 * MB
    assert (ran.report.delivered, ran.report.accepted) == (0, 3)


@pytest.mark.parametrize("asked", ["-1", "1e3", "inf", "nan", "0x10", "1, 1", "", ".", "2s", "+2", "9" * 300, "PT5S"])
def test_a_wait_of_any_form_is_bounded_and_then_stops_the_write(asked: str) -> None:
    ran = sent_to(answered(429, b"", f"Retry-After: {asked}\r\n"))
    assert ran.report.stopped is not None
    assert (ran.report.stopped[0], ran.report.unsent, ran.report.resent) == ("throttled", 3, 0)


# --- jobs -----------------------------------------------------------------------------------------


def jobs(job_id: str, state: object, errors: object = None) -> Answer:
    """Accepts every import as the job `job_id`, which has this state; `{n}` becomes a number that counts requests."""
    number = count()

    def answer(connection: socket.socket, received: Received) -> bool:
        if received.method == "POST":
            document: object = {"data": {"type": "job", "id": job_id}}
        else:
            document = errors if errors is not None and "import-errors" in received.target else {"data": state}
        text = json.dumps(document).replace("{n}", str(next(number)))
        connection.sendall(http(202 if received.method == "POST" else 200, text.encode()))
        return True

    return answer


COMPLETE = {"status": "complete", "total_count": 3, "completed_count": 3, "failed_count": 0}
ONE_FAILED = {**COMPLETE, "completed_count": 2, "failed_count": 1}
ENDLESS = {"data": [], "links": {"next": "http://evil.example/?page[cursor]={n}"}}


@pytest.mark.parametrize(
    ("answer", "delivered", "reason"),
    [
        (jobs("J1", {"id": "J1", "attributes": COMPLETE}), 3, ""),
        (jobs("J1", {"id": "J2", "attributes": COMPLETE}), 0, "the answer was about another job"),
        (
            jobs("J1", {"id": "J1", "attributes": {"status": "processing"}}),
            0,
            "not finished within job_timeout_seconds",
        ),
        (jobs("J1", {"id": "J1", "attributes": {"status": {"a": ["exploded"]}}}), 0, "not finished within"),
        (jobs("J1", {"id": "J1", "attributes": {"status": "complete", "failed_count": -5}}), 0, "without naming"),
        (jobs("J1", {"id": "J1", "attributes": ONE_FAILED}, ENDLESS), 0, "without naming"),
        (jobs("../../x?y#z", {"id": "../../x?y#z", "attributes": COMPLETE}), 3, ""),
    ],
)
def test_a_job_is_called_complete_only_by_its_own_answer(answer: Answer, delivered: int, reason: str) -> None:
    ran = sent_to(answer, "bulk_import_profiles", job_timeout_seconds=60)
    assert (ran.report.delivered, ran.report.accepted) == (delivered, 3 - delivered)
    assert reason in ran.ends[0].reason


def test_a_text_of_the_request_is_no_id_of_a_job() -> None:
    ran = sent_to(jobs("p1@example.com", {}), "bulk_import_profiles")
    assert (ran.report.accepted, ran.jobs) == (3, [])
    assert "p1@example.com" not in ran.report.to_json()
    assert [receipt.job_id for receipt in ran.receipts] == [None]
