"""A server on loopback whose answers are written by the test, byte by byte where needed."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType


@dataclass(frozen=True)
class Received:
    """One request as it came over the wire."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    size: int


Answer = Callable[[socket.socket, Received], bool]  # True: keep the connection


def reply(status: int = 200, body: bytes = b"", headers: str = "") -> Answer:
    """An ordinary answer."""

    def answer(connection: socket.socket, _: Received) -> bool:
        connection.sendall(http(status, body, headers))
        return True

    return answer


def raw(text: bytes) -> Answer:
    """Sends these bytes and closes."""

    def answer(connection: socket.socket, _: Received) -> bool:
        connection.sendall(text)
        return False

    return answer


def drip(text: bytes, seconds: float) -> Answer:
    """Sends these bytes one by one, with a pause after each, and closes."""

    def answer(connection: socket.socket, _: Received) -> bool:
        for byte in text:
            connection.sendall(bytes([byte]))
            time.sleep(seconds)
        return False

    return answer


def silent_after(text: bytes) -> Answer:
    """Sends these bytes, then nothing, and keeps the connection."""

    def answer(connection: socket.socket, _: Received) -> bool:
        connection.sendall(text)
        return True

    return answer


def reset_after(text: bytes) -> Answer:
    """Sends these bytes and closes with a reset."""

    def answer(connection: socket.socket, received: Received) -> bool:
        connection.sendall(text)
        return reset(connection, received)

    return answer


def http(status: int, body: bytes, headers: str = "") -> bytes:
    """The bytes of an ordinary answer."""
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


def reset(connection: socket.socket, _: Received) -> bool:
    """Closes with a reset and sends nothing."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


@dataclass
class Loopback:
    """Answers each request with the next of `answers`, the last one for ever. `keep_bodies=False` only counts bytes."""

    answers: list[Answer] = field(default_factory=lambda: [reply()])
    keep_bodies: bool = True
    hang_up_in_body: bool = False
    # Resets a connection once so many bytes of it have come, whatever they are.
    reset_at_byte: int | None = None
    certificate: str = ""
    received: list[Received] = field(default_factory=list)
    connections: int = 0

    def __enter__(self) -> Loopback:
        self.over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        return f"http{'s' if self.certificate else ''}://127.0.0.1:{self.port}"

    def _accept(self) -> None:
        while not self.over.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self.certificate:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(self.certificate)
                connection = context.wrap_socket(connection, server_side=True)
            with connection:
                while self._exchange(connection):
                    pass
        except OSError:
            return

    def _exchange(self, connection: socket.socket) -> bool:
        if self.reset_at_byte is not None:
            left = self.reset_at_byte
            while left and (got := connection.recv(left)):
                left -= len(got)
            return reset(connection, Received("", "", {}, b"", 0))
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = connection.recv(1)
            if not byte:
                return False
            head += byte
        if self.hang_up_in_body:
            return reset(connection, Received("", "", {}, b"", 0))
        first, *lines = head.decode().split("\r\n")[:-2]
        method, target, _ = first.split(" ")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        size, body = int(headers.get("content-length", "0")), bytearray()
        buffer, left = bytearray(65536), size
        while left:
            taken = connection.recv_into(buffer, min(left, len(buffer)))
            if not taken:
                return False
            left -= taken
            if self.keep_bodies:
                body += buffer[:taken]
        received = Received(method, target, headers, bytes(body), size)
        self.received.append(received)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer(connection, received)
