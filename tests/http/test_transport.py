"""Requests over real connections: what is sent, what comes back, and how every kind of failure is classified."""

from __future__ import annotations

import http.client
import logging
import os
import re
import socket
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from spark_klaviyo.core.clock import rfc3339
from spark_klaviyo.core.codes import KeyIn
from spark_klaviyo.core.models import KEY_PLACEHOLDER, NOW_PLACEHOLDER
from spark_klaviyo.core.secrets import Credentials, Secret
from spark_klaviyo.http.plain import MAX_REPLY_BYTES
from spark_klaviyo.http.transport import Transport, is_blackholed
from tests.core.virtual_clock import VirtualClock
from tests.http.loopback_server import Loopback, Received, raw, reply, reset

KEY = "pk_recognisable_key"
CREDENTIALS = Credentials(Secret(KEY))
CERTIFICATE = str(Path(__file__).with_name("loopback_certificate.pem"))
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def _plain_environment() -> Iterator[None]:
    """No proxies, CA bundles and .netrc of the machine that runs the tests."""
    before = dict(os.environ)
    for name in (*PROXIES, "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC"):
        os.environ.pop(name, None)
    yield
    os.environ.clear()
    os.environ.update(before)


def transport(url: str, **options: object) -> Transport:
    settings = {"credentials": CREDENTIALS, "timeout_seconds": 5.0, "headers": {"revision": "2026-10-15"}} | options
    return Transport(url, **settings)  # type: ignore[arg-type]


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_a_body_leaves_part_by_part_with_its_length_and_never_chunked() -> None:
    parts: list[bytes | memoryview] = [b'{"data":[', *[memoryview(b'"row",')] * 5000, memoryview(b"x" * 700_000), b"]}"]
    with Loopback() as server:
        answer = transport(server.url).send("POST", "/api/x", parts=parts)
    (received,) = server.received
    assert answer.status == 200
    assert received.body == b"".join(parts)
    assert received.headers["content-length"] == str(len(received.body))
    assert "transfer-encoding" not in received.headers
    assert received.headers["revision"] == "2026-10-15"


def test_requests_name_the_package_spark_and_python_unless_a_header_is_given() -> None:
    with Loopback() as server:
        for headers in ({}, {"user-agent": "crm/1"}):
            transport(server.url, headers=headers).send("GET", "/api/x")
    own, given = (received.headers["user-agent"] for received in server.received)
    assert re.fullmatch(r"spark-klaviyo/[\d.]+ \(pyspark/([\d.]+|none); python/3\.[\d.]+\)", own)
    assert given == "crm/1"


def test_memory_stays_flat_while_a_large_body_is_sent() -> None:
    megabyte = memoryview(bytes(1_000_000))
    with Loopback(keep_bodies=False) as server:
        sender = transport(server.url)
        sender.send("POST", "/warm-up", parts=[b"x"])
        tracemalloc.start()
        sender.send("POST", "/api/x", parts=[b"head", *[megabyte] * 60, b"tail"])
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert server.received[-1].size == 60_000_008
    assert peak < 2_000_000


def test_connections_are_kept_and_used_again() -> None:
    with Loopback() as server:
        sender = transport(server.url)
        statuses = [sender.send("POST", "/api/x", parts=[b"{}"]).status for _ in range(5)]
        sender.close()
    assert statuses == [200] * 5
    assert server.connections == 1


def test_an_empty_answer_is_an_empty_body() -> None:
    with Loopback([reply(202)]) as server:
        answer = transport(server.url).send("POST", "/api/x", parts=[b"{}"])
    assert (answer.status, answer.body, answer.failure) == (202, b"", None)


def test_a_redirect_is_a_reply_and_the_key_is_not_sent_after_it() -> None:
    with Loopback() as elsewhere, Loopback([reply(302, headers=f"Location: {elsewhere.url}/x\r\n")]) as server:
        answer = transport(server.url).send("POST", "/api/x", parts=[b"{}"])
    assert answer.status == 302
    assert elsewhere.received == []


def test_cookies_are_not_kept() -> None:
    with Loopback([reply(headers="Set-Cookie: __cf_bm=1; Path=/\r\n")]) as server:
        sender = transport(server.url)
        sender.send("GET", "/a")
        sender.send("GET", "/b")
    assert all("cookie" not in received.headers for received in server.received)


def test_netrc_never_replaces_the_key(tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    os.environ["NETRC"] = str(netrc)
    with Loopback() as server:
        transport(server.url).send("GET", "/a")
        transport(server.url, key_in=KeyIn.NONE).send("GET", "/b")
    assert [received.headers.get("authorization") for received in server.received] == [f"Klaviyo-API-Key {KEY}", None]


@pytest.mark.parametrize("given", ["environment", "option", "both"])
def test_proxies_are_honoured_and_the_option_goes_first(given: str) -> None:
    with Loopback() as proxy:
        if given != "option":
            os.environ["http_proxy"] = proxy.url if given == "environment" else f"http://127.0.0.1:{closed_port()}"
        sender = transport("http://klaviyo.invalid", proxy=None if given == "environment" else proxy.url)
        answer = sender.send("GET", "/api/lists")
    assert answer.status == 200
    assert proxy.received[0].target == "http://klaviyo.invalid/api/lists"


@pytest.mark.parametrize(
    ("key_in", "authorization", "query", "body"),
    [
        (KeyIn.HEADER, f"Klaviyo-API-Key {KEY}", "a=b%2Bc", b"[\x00key\x00]"),
        (KeyIn.QUERY, None, f"a=b%2Bc&api_key={KEY}", b"[\x00key\x00]"),
        (KeyIn.BODY, None, "a=b%2Bc", f"[{KEY}]".encode()),
        (KeyIn.NONE, None, "a=b%2Bc", b"[\x00key\x00]"),
    ],
)
def test_the_key_is_sent_where_key_in_says(key_in: KeyIn, authorization: str | None, query: str, body: bytes) -> None:
    with Loopback() as server:
        sender = transport(server.url, key_in=key_in)
        sender.send("POST", "/api/x", query=[("a", "b+c")], parts=[b"[" + KEY_PLACEHOLDER + b"]"])
    (received,) = server.received
    assert received.headers.get("authorization") == authorization
    assert urlsplit(received.target).query == query
    assert received.body == body


def test_an_access_token_travels_as_a_bearer() -> None:
    with Loopback() as server:
        transport(server.url, credentials=Credentials(access_token=Secret("token"))).send("GET", "/api/lists")
    assert server.received[0].headers["authorization"] == "Bearer token"


def test_the_time_of_sending_is_filled_in_anew_for_each_attempt() -> None:
    clock = VirtualClock()
    with Loopback() as server:
        sender = transport(server.url, clock=clock)
        sender.send("POST", "/api/x", parts=[b'{"now":"', NOW_PLACEHOLDER, b'"}'])
        first = rfc3339(clock.wall())
        clock.pass_by(60.0)
        sender.send("POST", "/api/x", parts=[b'{"now":"', NOW_PLACEHOLDER, b'"}'])
    bodies = [received.body.decode() for received in server.received]
    assert bodies == [f'{{"now":"{moment}"}}' for moment in (first, rfc3339(clock.wall()))]


def never(_: socket.socket, __: Received) -> bool:
    """Keeps the caller waiting until the server ends."""
    return True


@pytest.mark.parametrize(
    ("answer", "failure"),
    [(reset, "reset"), (raw(b""), "reset"), (raw(b"garbage\r\n\r\n"), "garbled"), (never, "timeout")],
    ids=["reset", "closed", "garbage", "hanging"],
)
def test_a_lost_reply_is_distinguished_from_a_request_that_never_left(answer: object, failure: str) -> None:
    with Loopback([answer]) as server:  # type: ignore[list-item]
        got = transport(server.url, timeout_seconds=0.3).send("POST", "/api/x", parts=[b"{}"])
    assert (got.status, got.failure, got.sent) == (None, failure, True)
    assert got.answer_lost


def test_a_body_that_did_not_leave_whole_may_have_arrived() -> None:
    with Loopback(hang_up_in_body=True) as server:
        got = transport(server.url).send("POST", "/api/x", parts=[memoryview(bytes(1_000_000))] * 30)
    assert (got.status, got.failure, got.sent) == (None, "reset", True)


def test_a_refused_connection_was_not_sent() -> None:
    got = transport(f"http://127.0.0.1:{closed_port()}").send("POST", "/api/x", parts=[b"{}"])
    assert (got.status, got.failure, got.sent) == (None, "connect", False)


def test_an_unknown_host_was_not_sent() -> None:
    got = transport("http://no-such-host.invalid").send("POST", "/api/x", parts=[b"{}"])
    assert (got.status, got.failure, got.sent) == (None, "dns", False)


def test_an_unreachable_proxy_was_not_sent() -> None:
    got = transport("http://klaviyo.invalid", proxy=f"http://127.0.0.1:{closed_port()}").send("GET", "/x")
    assert (got.status, got.failure, got.sent) == (None, "proxy", False)


def test_a_name_that_a_blocklist_resolves_to_nowhere_is_recognised() -> None:
    assert is_blackholed("0.0.0.0")  # noqa: S104
    assert not is_blackholed("127.0.0.1")


def test_an_untrusted_certificate_is_refused_before_anything_is_sent() -> None:
    with Loopback(certificate=CERTIFICATE) as server:
        got = transport(server.url).send("POST", "/api/x", parts=[b"{}"])
    assert (got.status, got.failure, got.sent) == (None, "tls", False)
    assert server.received == []


def test_the_ca_bundle_of_the_environment_is_honoured() -> None:
    os.environ["REQUESTS_CA_BUNDLE"] = CERTIFICATE
    with Loopback(certificate=CERTIFICATE) as server:
        assert transport(server.url).send("GET", "/api/x").status == 200


def test_a_truncated_reply_keeps_its_status() -> None:
    with Loopback([raw(b'HTTP/1.1 202 X\r\nContent-Length: 100\r\n\r\n{"data":')]) as server:
        got = transport(server.url).send("POST", "/api/x", parts=[b"{}"])
    assert (got.status, got.failure) == (202, "truncated")
    assert got.body in (b'{"data":', b"")


def test_an_endless_reply_is_read_up_to_a_limit() -> None:
    with Loopback([reply(200, bytes(MAX_REPLY_BYTES + 1_000_000))]) as server:
        got = transport(server.url).send("GET", "/api/x")
    assert (got.status, got.failure) == (200, "truncated")
    assert len(got.body) <= MAX_REPLY_BYTES


@pytest.mark.parametrize("path", ["/api/lists/../accounts", "/api/lists/%2e%2E/x", "/./x"])
def test_a_path_never_leads_elsewhere(path: str) -> None:
    with Loopback() as server:
        got = transport(server.url).send("DELETE", path)
    assert (got.failure, got.sent) == ("path", False)
    assert server.received == []


def test_a_header_that_cannot_be_sent_is_a_failure_and_no_exception() -> None:
    with Loopback() as server:
        got = transport(server.url, headers={"X-Name": "a\r\nInjected: yes"}).send("GET", "/x")
    assert (got.status, got.sent) == (None, False)
    assert server.received == []


def test_nothing_that_is_logged_holds_the_key_or_the_address(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Loopback() as server:
        sender = transport(server.url, key_in=KeyIn.QUERY)
        sender.send("GET", "/api/profiles/somebody%40example.com")
        text = repr(sender)
        sender.close()
    assert KEY in server.received[0].target
    assert KEY not in caplog.text + text
    assert "somebody" not in caplog.text + text


def test_what_others_log_after_an_interrupted_request_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Transport, "_open", interrupted)
    with pytest.raises(KeyboardInterrupt):
        transport("http://127.0.0.1:1").send("GET", "/x")
    record = logging.LogRecord("urllib3.connectionpool", logging.DEBUG, "", 0, "of others", None, None)
    assert logging.getLogger("urllib3.connectionpool").filter(record)


def test_the_debug_output_of_the_http_library_never_shows_the_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    with Loopback() as server:
        got = transport(server.url, key_in=KeyIn.QUERY).send("POST", "/x", parts=[b"someone@example.com"])
        transport(server.url).send("POST", "/x", parts=[b"someone@example.com"])
    assert got.status == 200
    printed = "".join(capsys.readouterr())
    assert KEY not in printed
    assert "someone@" not in printed


def test_a_redirect_to_an_unreadable_address_is_a_reply() -> None:
    with Loopback([reply(307, headers="Location: http://[nowhere\r\n")]) as server:
        got = transport(server.url).send("POST", "/x", parts=[b"{}"])
    assert (got.status, got.failure, got.sent) == (307, None, True)


def test_a_proxy_of_the_environment_never_sees_the_key_of_plain_http_to_loopback() -> None:
    with Loopback() as proxy, Loopback() as server:
        os.environ["http_proxy"] = proxy.url
        got = transport(server.url).send("GET", "/x")
    assert got.status == 200
    assert (len(proxy.received), len(server.received)) == (0, 1)


def test_a_reply_lost_behind_a_proxy_counts_as_sent() -> None:
    with Loopback([reset]) as proxy:
        got = transport("http://klaviyo.invalid", proxy=proxy.url).send("POST", "/x", parts=[b"{}"])
    assert (got.status, got.sent) == (None, True)
