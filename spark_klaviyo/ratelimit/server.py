"""The rate-limit server of one run, and a task's connection to it: permits for all tasks, their progress, and a stop.

The server runs in the driver and speaks lines of JSON over TCP. A client first proves that it knows the run's secret,
which itself is never sent. When its connection breaks, the task goes on with its share within seconds. Tasks also hand
over their results here, in case Spark cannot take them. No value of a row is sent: counts, names of files and job ids.
"""

from __future__ import annotations

import hmac
import json
import secrets
import socket
import socketserver
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from io import BufferedRWPair
from typing import Any, TypeAlias, cast

from spark_klaviyo.core.clock import Clock, Stop
from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.core.models import Reply
from spark_klaviyo.core.policy import Quota
from spark_klaviyo.ratelimit.limiter import LocalRateLimiter, RateLimiter

MOST_LINE_BYTES = 100_000_000  # the results of a task with a job for each of a million rows
IDLE_SECONDS = 600.0  # a task that is silent for so long has ended; living ones send a heartbeat every second
CONNECT_SECONDS = 1.0
ANSWER_SECONDS = 3.0
HEARTBEAT_SECONDS = 1.0
REPLY_HEADERS = ("retry-after", "date", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset")
POLL_SECONDS = 0.1
Reason: TypeAlias = tuple[StopCode, str] | None  # why the run was stopped, if it was
ResultRow = tuple[str, str]  # kind and JSON body; only tasks and runs know what they mean


@dataclass(frozen=True)
class RateLimitAddress:
    """Where the server listens, and the secret that its clients know; sent inside pickles only."""

    host: str
    port: int
    secret: bytes = field(repr=False)

    def proof(self, nonce: bytes) -> str:
        """What proves that a client knows the secret."""
        return hmac.new(self.secret, nonce, "sha256").hexdigest()


class RateLimitServer(socketserver.ThreadingTCPServer):
    """Listens until it is closed; `host` is an interface that tasks can reach, port 0 any free one."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    allow_reuse_address = True

    def __init__(self, limiter: LocalRateLimiter | None = None, *, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__((host, port), _Connection)
        self.limiter = limiter or LocalRateLimiter()
        self.stop = Stop()
        name, number = self.server_address[:2]
        self.address = RateLimitAddress(str(name), int(number), secrets.token_bytes(32))
        self._lock = threading.RLock()
        self._counts: dict[str, Mapping[str, int]] = {}
        self._begun: Counter[int] = Counter()  # attempts by partition
        self._results: dict[int, list[ResultRow]] = {}  # by partition, of the attempt that was the first to end
        self.connections = 0
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), name="klaviyo-rate-limit", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening; tasks that still send go on with their share."""
        self.shutdown()
        self._thread.join()
        self.server_close()

    def counts(self) -> dict[str, int]:
        """What all tasks together have counted so far, by name."""
        with self._lock:
            total: Counter[str] = Counter()
            for counts in self._counts.values():
                total.update(counts)
            return dict(total)

    def results(self, seconds: float) -> tuple[list[ResultRow], int]:
        """What tasks have handed over, once all are gone or after so many seconds; and how many did not hand over."""
        until = time.monotonic() + seconds
        while self.connections and time.monotonic() < until:
            time.sleep(POLL_SECONDS)
        with self._lock:
            partitions = {int(task.partition(".")[0]) for task in self._counts} - self._results.keys()
            return [row for rows in self._results.values() for row in rows], sum(one >= 0 for one in partitions)

    def answer(self, call: Sequence[Any]) -> object:
        """What a call returns: the name of a method `_on_...`, and its arguments. Raises for one of an unknown form."""
        name, *arguments = call
        with self._lock:
            result: object = getattr(self, f"_on_{name}")(*arguments)
            return result

    def _on_acquire(self, route: str, windows: Sequence[tuple[int, float]]) -> tuple[float, Reason]:
        quota = Quota(tuple((requests, seconds) for requests, seconds in windows))
        return self.limiter.try_acquire(route, quota, self.stop), self.stop.reason

    def _on_observe(self, route: str, status: int | None, headers: Mapping[str, str], seconds: float) -> None:
        self.limiter.observe(route, Reply(status, dict(headers), seconds=seconds))

    def _on_report(self, task: str, counts: Mapping[str, int]) -> Reason:
        self._counts[task] = dict(counts)
        return self.stop.reason

    def _on_attempts(self, partition: int, begins: bool) -> int:
        self._begun[partition] += begins
        return self._begun[partition]

    def _on_hand_over(self, partition: int, rows: Sequence[ResultRow]) -> None:
        self._results.setdefault(partition, [(kind, body) for kind, body in rows])

    def _on_handed_over(self, partition: int) -> list[ResultRow]:
        return self._results.get(partition, [])

    def _on_stop(self, code: str, message: str) -> None:
        self.stop.set(StopCode(code), message)

    def _on_has_delivered(self) -> bool:
        counts = self.counts()
        return counts.get("delivered", 0) + counts.get("accepted", 0) > 0

    def count_connections(self, change: int) -> None:
        """A task has connected, or has gone."""
        with self._lock:
            self.connections += change

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore a client that went away or sent something unreadable: only its own connection ends."""


class _Connection(socketserver.StreamRequestHandler):
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True

    def handle(self) -> None:
        server = cast("RateLimitServer", self.server)
        nonce = secrets.token_hex(16).encode()
        self.wfile.write(nonce + b"\n")
        proof = self.rfile.readline(200).strip().decode("ascii", "replace")
        if not hmac.compare_digest(server.address.proof(nonce), proof):
            return
        server.count_connections(1)
        try:
            while (line := self.rfile.readline(MOST_LINE_BYTES)).endswith(b"\n"):
                self.wfile.write(json.dumps(server.answer(json.loads(line))).encode() + b"\n")
        finally:
            server.count_connections(-1)


# --- in a task ------------------------------------------------------------------------------------


class RateLimitClient:
    """A task's connection, shared by its threads. It is `lost` once it fails, and is never made again.

    Without an address, where tasks cannot reach the driver, it is lost from the start.
    """

    def __init__(self, address: RateLimitAddress | None = None, partition_id: int = -1) -> None:
        self._address, self._partition_id = address, partition_id
        self._lock = threading.Lock()
        self._stream: BufferedRWPair | None = None
        self._own_attempt = 0
        self._closed = threading.Event()
        self._heart: threading.Thread | None = None

    @property
    def lost(self) -> bool:
        """Whether the server can no longer be asked."""
        return self._address is None

    def call(self, name: str, *arguments: object) -> Any:
        """What the server returns for a call; None once the connection is lost."""
        with self._lock:
            if self._address is None:
                return None
            try:
                stream = self._stream or self._connect(self._address)
                stream.write(json.dumps([name, *arguments]).encode() + b"\n")
                stream.flush()
                answer = stream.readline()
            except OSError:
                answer = b""
            if not answer.endswith(b"\n"):
                self._drop()
                return None
            return json.loads(answer)

    def begin(self) -> bool:
        """Count an attempt at the partition; whether the run has seen one before.

        Spark counts the attempts of a task within one attempt of its stage, whose own number Python is not shown.
        """
        self._own_attempt = self.call("attempts", self._partition_id, True) or 0
        return self._own_attempt > 1

    def overtaken(self) -> bool:
        """Whether another attempt has begun since; False once the connection is lost."""
        return 0 < self._own_attempt < (self.call("attempts", self._partition_id, False) or 0)

    def hand_over(self, rows: Sequence[ResultRow]) -> None:
        """Give the driver the results of the partition, before Spark takes them."""
        self.call("hand_over", self._partition_id, rows)

    def handed_over(self) -> list[ResultRow]:
        """The results that an attempt at the partition has handed over; empty where none has come to its end."""
        return [(kind, body) for kind, body in self.call("handed_over", self._partition_id) or ()]

    def others_delivered(self) -> bool:
        """Whether any task of the run has reported rows that were delivered or accepted; False once it is lost."""
        return bool(self.call("has_delivered"))

    def start_heartbeat(self, task: str, counts: Mapping[str, int], stop: Stop) -> None:
        """Report a task's counts every second in a thread, until it is closed; stop it when the server says so.

        Closing reports a last time, and why the task stopped, if it did for a reason that concerns others.
        """

        def report() -> None:
            apply_stop(self.call("report", task, dict(counts)), stop)

        def beat() -> None:
            report()
            while not self.lost and not self._closed.wait(HEARTBEAT_SECONDS):
                report()
            report()
            if stop.reason is not None and stop.code is not StopCode.CLOSED:
                self.call("stop", *stop.reason)

        self._heart = threading.Thread(target=beat, name="klaviyo-heartbeat", daemon=True)
        self._heart.start()

    def close(self) -> None:
        """Close the connection."""
        self._closed.set()
        if self._heart is not None:
            self._heart.join(2 * ANSWER_SECONDS)
        with self._lock:
            self._drop()

    def _connect(self, address: RateLimitAddress) -> BufferedRWPair:
        # closing the socket leaves it open until its stream is closed
        with socket.create_connection((address.host, address.port), CONNECT_SECONDS) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            stream = self._stream = connection.makefile("rwb")
            stream.write(address.proof(stream.readline().strip()).encode() + b"\n")
            connection.settimeout(ANSWER_SECONDS)
            return stream

    def _drop(self) -> None:
        self._address = None
        if self._stream is not None:
            with suppress(OSError):
                self._stream.close()


class RemoteRateLimiter(RateLimiter):
    """Permits from the server, and from `fallback` once the connection is lost."""

    def __init__(self, client: RateLimitClient, fallback: RateLimiter, clock: Clock | None = None) -> None:
        super().__init__(clock)
        self._client, self._fallback = client, fallback

    def try_acquire(self, route: str, quota: Quota, stop: Stop) -> float:
        """0.0 when a permit is given, or when the server stops the task; else the seconds to wait."""
        answer = self._client.call("acquire", route, quota.windows)
        if answer is None:
            return self._fallback.try_acquire(route, quota, stop)
        wait_seconds, reason = answer
        apply_stop(reason, stop)
        return float(wait_seconds)

    def observe(self, route: str, reply: Reply) -> None:
        """Report the reply to the server; the fallback learns too, in case the permit was its own."""
        self._fallback.observe(route, reply)
        headers = {name: reply.headers[name] for name in REPLY_HEADERS if name in reply.headers}
        self._client.call("observe", route, reply.status, headers, reply.seconds)


def apply_stop(reason: Reason, stop: Stop) -> None:
    """Set `stop` where the server says that the run was stopped."""
    if reason is not None:
        code, message = reason
        stop.set(StopCode(code), message)
