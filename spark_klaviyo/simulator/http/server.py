"""HTTP/1.1 over loopback: keep-alive, one thread a connection, one write a reply."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

from spark_klaviyo.simulator.http.wire import Reply, Request
from spark_klaviyo.simulator.recorded import Headers

MOST_BYTES = 256 * 1024 * 1024
GARBAGE = b"\x00\xff\xfe{]<html>\r\n\x80garbage\r\n\r\n"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class SimulatorServer(ThreadingHTTPServer):
    """Serves a function from requests to replies until it is closed; `now` is the Unix time of the header Date."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 512

    def __init__(self, port: int, answer: Callable[[Request], Reply], now: Callable[[], float]) -> None:
        self.answer, self.now = answer, now
        self.stopping = threading.Event()
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Handler)

    def opened(self, connection: socket.socket) -> None:
        """Remember a connection, so that stopping ends it."""
        with self._open_lock:
            self._open.add(connection)

    def closed(self, connection: socket.socket) -> None:
        """A connection has ended."""
        with self._open_lock:
            self._open.discard(connection)

    def end(self) -> None:
        """Stop serving: no new connection, and the open ones are cut."""
        self.stopping.set()
        self.shutdown()
        self.server_close()
        with self._open_lock:
            open_now = list(self._open)
        for connection in open_now:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:  # the client was quicker
                continue

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: SimulatorServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server_version = "simulator"
    sys_version = ""
    _reasons: ClassVar[dict[int, str]] = {status.value: status.phrase for status in HTTPStatus}

    def setup(self) -> None:
        super().setup()
        self.server.opened(self.connection)

    def finish(self) -> None:
        self.server.closed(self.connection)
        super().finish()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        """Nothing is logged: bodies and keys never reach a log."""

    def _serve(self) -> None:
        body = self._body()
        if body is None:
            self.close_connection = True
            return
        reply = self.server.answer(Request(self.command, self.path, Headers(dict(self.headers.items())), body))
        if reply.delay:
            self.server.stopping.wait(reply.delay)
        if reply.act == "hang":
            self.server.stopping.wait()
            self.close_connection = True
        elif reply.act == "reset":
            self._reset()
        elif reply.act == "garbage":
            self.wfile.write(GARBAGE)
            self.close_connection = True
        else:
            self._send(reply)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _serve  # noqa: N815  http.server's names

    def _body(self) -> bytes | None:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return self._chunks()
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if 0 < length <= MOST_BYTES else b""
        return body if len(body) == length else None

    def _chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            continue
        return b"".join(parts)

    def _send(self, reply: Reply) -> None:
        head = [
            f"HTTP/1.1 {reply.status} {self._reasons.get(reply.status, 'Unknown')}",
            f"Date: {self.date_time_string(self.server.now())}",
        ]
        head.extend(f"{name}: {value}" for name, value in reply.headers.items())
        if reply.status != HTTPStatus.NO_CONTENT:
            head.append(f"Content-Length: {len(reply.body)}")
        body = b"" if self.command == "HEAD" else reply.body
        whole = "\r\n".join([*head, "", ""]).encode("latin-1", "replace") + body
        step = 1 if reply.drip_seconds else len(whole)
        for start in range(0, len(whole), step):
            self.wfile.write(whole[start : start + step])
            if reply.drip_seconds:
                self.server.stopping.wait(reply.drip_seconds / len(whole))

    def _reset(self) -> None:
        """Close with a reset instead of a goodbye."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.rfile.close()  # it holds the socket open
        self.connection.close()
