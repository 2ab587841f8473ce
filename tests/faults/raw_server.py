"""An account in memory, and a server of raw sockets before it that misbehaves at one moment of one request."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import struct
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

ROW = re.compile(rb"row\d+x")
GARBAGE = b"\x00\xff\xfe{]<html>\r\n\x80garbage\r\n\r\n"
DRIP_SECONDS = 0.001  # between two bytes: slow, but within the time allowed
PART = 16  # bytes of a request or a reply that count as its beginning


class Moment(IntEnum):
    """When a fault strikes, in the order of a request's life."""

    BEFORE_CONNECT = 0
    CONNECTED = 1
    HALF_SENT = 2  # half of the body has come
    SENT = 3  # all of it has come, and it was carried out
    IN_HEAD = 4  # of the answer
    IN_ANSWER = 5
    ANSWERED = 6
    RECORDED = 7  # what became of its rows is being recorded
    POLLED = 8  # its job is


class NetworkFault(StrEnum):
    """What the network does."""

    RESET = "reset"
    SILENCE = "silence"
    DRIP = "drip"
    GARBAGE = "garbage"


@dataclass
class Account:
    """Carries requests out and answers them; a row is known by its text. Thread-safe."""

    refuses_repeats: bool = False
    carried_out: Counter[str] = field(default_factory=Counter)
    jobs: dict[str, int] = field(default_factory=dict)
    records: dict[str, object] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def handle(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer."""
        with self.lock:
            return self._written(path, body) if method == "POST" else self._read(path)

    def _written(self, path: str, body: bytes) -> tuple[int, bytes]:
        rows = sorted({row.decode() for row in ROW.findall(body)})
        if self.refuses_repeats and self.records.keys() & rows:
            meta = {"duplicate_profile_id": rows[0]} if path.startswith("/api/profiles") else {}
            fault = {"status": 409, "code": "conflict", "title": "Conflict.", "detail": "It exists.", "meta": meta}
            return 409, json.dumps({"errors": [fault]}).encode()
        self.carried_out.update(rows)
        self.records.update(dict.fromkeys(rows, json.loads(body)["data"]))
        if not path.rstrip("/").endswith("-jobs"):
            return 201, json.dumps({"data": {"type": "x", "id": rows[0]}}).encode()
        if "event" in path:
            return 202, b""
        job = f"job{len(self.jobs)}"
        self.jobs[job] = len(rows)
        return 202, json.dumps({"data": {"type": "job", "id": job}}).encode()

    def _read(self, path: str) -> tuple[int, bytes]:
        own_id = path.partition("?")[0].rstrip("/").rpartition("/")[2]
        if own_id in self.jobs:
            counts = {"total_count": self.jobs[own_id], "completed_count": self.jobs[own_id], "failed_count": 0}
            attributes = {"status": "complete", **counts}
            return 200, json.dumps({"data": {"type": "job", "id": own_id, "attributes": attributes}}).encode()
        if own_id in self.records:
            return 200, json.dumps({"data": self.records[own_id]}).encode()
        return 404, b""


class RawServer:
    """Serves an account over HTTP/1.1; the request number `strike` meets the fault at its moment, others do not."""

    def __init__(self, account: Account, moment: Moment, fault: NetworkFault, strike: int) -> None:
        self._account, self._moment, self._fault, self._strike = account, moment, fault, strike
        self._met, self._connections, self._struck, self._ended = 0, 0, False, threading.Event()
        self._lock = threading.Lock()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        if moment is Moment.BEFORE_CONNECT and fault is NetworkFault.RESET:
            self._listening.close()  # nobody listens there at all

    def __enter__(self) -> RawServer:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError, _Hung):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._moment <= Moment.CONNECTED:
                self._fail(connection, b"", connected=True)
            while (head := _until(connection, b"\r\n\r\n")) and not self._ended.is_set():
                self._answer(connection, head)

    def _answer(self, connection: socket.socket, head: bytes) -> None:
        method, path = head.split(b" ", 2)[:2]
        head, _, body = head.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
        size = int(length[1]) if length else 0
        strikes = self._strikes(method)
        if strikes and self._moment is Moment.HALF_SENT:
            while len(body) < size // 2:
                body += connection.recv(max(size // 2 - len(body), 1))
            self._fail(connection, b"")
        while len(body) < size:
            body += connection.recv(65536)
        status, content = self._account.handle(method.decode(), path.decode(), body)
        start = (
            f"HTTP/1.1 {status} X\r\nContent-Type: application/vnd.api+json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        reply = start.encode() + content
        if not strikes or self._moment is Moment.HALF_SENT:
            connection.sendall(reply)
            return
        before = {Moment.IN_HEAD: PART, Moment.IN_ANSWER: len(start) + len(content) // 2, Moment.ANSWERED: len(reply)}
        sent = before.get(self._moment, 0)
        connection.sendall(reply[:sent])
        self._fail(connection, reply[sent:])

    def _strikes(self, method: bytes) -> bool:
        """Whether this request meets the fault; a fault while jobs are polled meets the first read."""
        if self._moment <= Moment.CONNECTED or (method == b"GET") != (self._moment is Moment.POLLED):
            return False
        with self._lock:
            self._met += 1
            wanted = 1 if self._moment is Moment.POLLED else self._strike
            struck, self._struck = self._struck, self._struck or self._met >= wanted
            return self._met >= wanted and not struck

    def _fail(self, connection: socket.socket, rest: bytes, *, connected: bool = False) -> None:
        """Do the fault, once; a drip ends with the rest of the answer."""
        if connected:
            with self._lock:
                struck, self._struck = self._struck, True
            if struck:
                return
        if self._fault is NetworkFault.DRIP:
            for byte in rest or b"":
                connection.sendall(bytes([byte]))
                time.sleep(DRIP_SECONDS)
            return
        if self._fault is NetworkFault.SILENCE:
            self._ended.wait(5.0)
        if self._fault is NetworkFault.GARBAGE:
            connection.sendall(GARBAGE)
        if self._fault is NetworkFault.RESET:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise _Hung


class _Hung(Exception):
    """The connection ends here."""


def _until(connection: socket.socket, end: bytes) -> bytes:
    received = b""
    while end not in received:
        block = connection.recv(65536)
        if not block:
            return b""
        received += block
    return received
