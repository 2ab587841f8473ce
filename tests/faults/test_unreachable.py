"""No server, no trusted certificate, no name: the write stops, no row is rejected, and the key is not sent."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pytest

from spark_klaviyo import OptionError
from spark_klaviyo.entrypoints.read import options_at
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.plan.make import make_plan
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.types import Field, read_type
from spark_klaviyo.simulator import KlaviyoSimulator
from tests.core.scaled_clock import ScaledClock
from tests.task.running import KEY, Ran, people, run_plan


def plan_at(url: str, attempts: int = 2) -> WritePlan:
    given: dict[str, object] = {"template": "bulk_import_profiles", "api_key": KEY, "base_url": url}
    fields = [Field(name, read_type("string")) for name in ("email", "first_name")]
    given |= {"attempts": attempts, "timeout_seconds": 5, "trusted_hosts": "a.klaviyo.invalid,klaviyo.example.com"}
    return make_plan(options_at(EntryPoint.FUNCTION, given), fields, "run")


def sent(plan: WritePlan) -> Ran:
    return run_plan(plan, batches())


def batches() -> list[pa.RecordBatch]:
    return list(pa.Table.from_pylist(people(3)).to_batches())


def assert_stopped_unreachable(ran: Ran, word: str) -> None:
    report = ran.report
    assert report.adds_up()
    assert (report.unsent, report.rejected, report.resent) == (3, 0, 0)
    assert report.stopped is not None
    assert report.stopped[0] == "unreachable"
    assert word in report.stopped[1]
    assert KEY not in repr(ran)


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_refused_connection() -> None:
    assert_stopped_unreachable(sent(plan_at(f"http://127.0.0.1:{free_port()}")), "refused")


def test_a_name_that_cannot_be_resolved() -> None:
    assert_stopped_unreachable(sent(plan_at("https://a.klaviyo.invalid")), "name of the host")


@dataclass
class Listener:
    """A server on loopback that keeps everything it is sent, in clear text or over TLS."""

    context: ssl.SSLContext | None
    received: bytearray = field(default_factory=bytearray)
    listening: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            with connection:
                self._receive(connection)

    def _receive(self, connection: socket.socket) -> None:
        try:
            inner = self.context.wrap_socket(connection, server_side=True) if self.context else connection
            inner.settimeout(2)
            self.received += inner.recv(65536)
            inner.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
        except OSError:
            return


@pytest.fixture
def context(tmp_path: Path) -> ssl.SSLContext:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    made += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(made, check=True, capture_output=True)
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(certificate, key)
    return served


def listening(context: ssl.SSLContext | None) -> Iterator[Listener]:
    listener = Listener(context)
    thread = threading.Thread(target=listener.serve, daemon=True)
    thread.start()
    yield listener
    listener.listening.shutdown(socket.SHUT_RDWR)
    listener.listening.close()
    thread.join(5)


def test_an_untrusted_certificate(context: ssl.SSLContext) -> None:
    for listener in listening(context):
        ran = sent(plan_at(f"https://localhost:{listener.listening.getsockname()[1]}"))
        assert_stopped_unreachable(ran, "certificate")
        assert listener.received == b""


def test_a_server_without_tls_gets_no_key() -> None:
    for listener in listening(None):
        ran = sent(plan_at(f"https://localhost:{listener.listening.getsockname()[1]}"))
        assert_stopped_unreachable(ran, "TLS")
        assert KEY.encode() not in listener.received


def test_plain_http_is_used_for_loopback_only() -> None:
    with pytest.raises(OptionError, match="http"):
        plan_at("http://klaviyo.example.com")


def test_a_server_that_starts_late_is_waited_for() -> None:
    port = free_port()
    came: list[KlaviyoSimulator] = []
    starting = threading.Timer(0.3, lambda: came.append(KlaviyoSimulator(port=port).start()))
    starting.start()
    ran = run_plan(plan_at(f"http://127.0.0.1:{port}", attempts=40), batches(), clock=ScaledClock(200.0))
    starting.join()
    came[0].stop()
    assert (ran.report.delivered, ran.report.resent) == (3, 0)
    assert ran.report.retries > 0
