"""The rate-limit server of one run, and a task's connection to it: permits for all tasks, their progress, and a stop.

The server runs in the driver and speaks lines of JSON over TCP. A client first proves that it knows the run's secret,
which itself is never sent. When its connection breaks, the task goes on with its share within seconds. Tasks also hand
over their results here, in case Spark cannot take them. No value of a row is sent: counts, names of files and job ids.
"""

from __future__ import annotations

import hmac
import json
import math
import secrets
import socket
import socketserver
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

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
Message = Mapping[str, Any]
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

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        learns: bool = True,
        longest_wait_seconds: float = math.inf,
    ) -> None:
        super().__init__((host, port), _Connection)
        self.limiter = LocalRateLimiter(clock, learns=learns, longest_wait_seconds=longest_wait_seconds)
        self.stop = Stop()
        name, number = self.server_address[:2]
        self.address = RateLimitAddress(str(name), int(number), secrets.token_bytes(32))
        self._lock = threading.Lock()
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

    def answer(self, message: Message) -> Message | None:
        """The answer to one message; None where none is expected. Raises for messages of an unknown form."""
        if "acquire" in message:
            quota = Quota(tuple((int(requests), float(seconds)) for requests, seconds in message["quota"]))
            wait_seconds = self.limiter.try_acquire(str(message["acquire"]), quota, self.stop)
            return {"wait_seconds": wait_seconds, "stop": self.stop.reason}
        if "observe" in message:
            reply = Reply(message["status"], dict(message["headers"]), seconds=float(message["seconds"]))
            self.limiter.observe(str(message["observe"]), reply)
            return None
        if "progress" in message:
            counts = {str(name): int(count) for name, count in message["progress"].items()}
            with self._lock:
                self._counts[str(message["task"])] = counts
            return {"stop": self.stop.reason}
        if "attempts" in message:
            partition = int(message["attempts"])
            with self._lock:
                self._begun[partition] += bool(message["begins"])
                return {"attempts": self._begun[partition]}
        if "results" in message:
            partition = int(message["results"])
            with self._lock:
                if "rows" in message:
                    self._results.setdefault(partition, [(str(kind), str(body)) for kind, body in message["rows"]])
                    return {"taken": True}
                return {"rows": self._results.get(partition, [])}
        if "delivered" in message:
            counts = self.counts()
            return {"delivered": counts.get("delivered", 0) + counts.get("accepted", 0)}
        code, text = message["stop"]
        self.stop.set(StopCode(code), str(text))
        return None

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
            self._answer_all(server)
        finally:
            server.count_connections(-1)

    def _answer_all(self, server: RateLimitServer) -> None:
        while (line := self.rfile.readline(MOST_LINE_BYTES)).endswith(b"\n"):
            answer = server.answer(json.loads(line))
            if answer is not None:
                self.wfile.write(json.dumps(answer).encode() + b"\n")


# --- in a task ------------------------------------------------------------------------------------


class RateLimitClient:
    """One connection, shared by a task's threads. It is `lost` once it fails, and is never made again."""

    def __init__(self, address: RateLimitAddress) -> None:
        self._address = address
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._unread = b""
        self.lost = False

    def request(self, message: Message) -> Message | None:
        """Send a message and wait for its answer; None when the connection is lost."""
        with self._lock:
            line = self._read_line() if self._write(message) else None
        if line is None:
            return None
        answer: Message = json.loads(line)
        return answer

    def notify(self, message: Message) -> None:
        """Send a message that has no answer."""
        with self._lock:
            self._write(message)

    def begin(self, partition_id: int) -> tuple[bool, Callable[[], bool]]:
        """Whether the run has seen an attempt at a partition before, and what says later whether another has begun."""
        own_number = self.attempts(partition_id, begins=True)
        return own_number > 1, lambda: self.attempts(partition_id) > own_number

    def attempts(self, partition_id: int, *, begins: bool = False) -> int:
        """How many attempts at a partition the run has seen; 0 once the connection is lost. `begins`: one more.

        Spark counts the attempts of a task within one attempt of its stage, whose own number Python is not shown.
        """
        answer = self.request({"attempts": partition_id, "begins": begins})
        return int(answer["attempts"]) if answer is not None else 0

    def hand_over(self, partition_id: int, rows: Sequence[ResultRow]) -> None:
        """Give the driver the results of a partition, before Spark takes them."""
        self.request({"results": partition_id, "rows": rows})

    def handed_over(self, partition_id: int) -> list[ResultRow]:
        """The results that an attempt at the partition has handed over; empty where none has come to its end."""
        answer = self.request({"results": partition_id})
        return [(str(kind), str(body)) for kind, body in answer["rows"]] if answer is not None else []

    def others_delivered(self) -> bool:
        """Whether any task of the run has reported rows that were delivered or accepted; False once it is lost."""
        answer = self.request({"delivered": True})
        return answer is not None and bool(answer["delivered"])

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._drop()

    def _write(self, message: Message) -> bool:
        if self.lost:
            return False
        try:
            connection = self._socket or self._connect()
            connection.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            self._drop()
        return not self.lost

    def _connect(self) -> socket.socket:
        connection = socket.create_connection((self._address.host, self._address.port), CONNECT_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connection
        nonce = self._read_line()
        if nonce is not None:
            connection.sendall(self._address.proof(nonce).encode() + b"\n")
            connection.settimeout(ANSWER_SECONDS)
        return connection

    def _read_line(self) -> bytes | None:
        while b"\n" not in self._unread:
            try:
                block = self._socket.recv(65536) if self._socket else b""
            except OSError:
                block = b""
            if not block:
                self._drop()
                return None
            self._unread += block
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _drop(self) -> None:
        self.lost = True
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class RemoteRateLimiter(RateLimiter):
    """Permits from the server, and from `fallback` once the connection is lost."""

    def __init__(self, client: RateLimitClient, fallback: RateLimiter, clock: Clock | None = None) -> None:
        super().__init__(clock)
        self._client, self._fallback = client, fallback

    def try_acquire(self, route: str, quota: Quota, stop: Stop) -> float:
        """0.0 when a permit is given, or when the server stops the task; else the seconds to wait."""
        answer = self._client.request({"acquire": route, "quota": quota.windows})
        if answer is None:
            return self._fallback.try_acquire(route, quota, stop)
        apply_stop(answer, stop)
        return float(answer["wait_seconds"])

    def observe(self, route: str, reply: Reply) -> None:
        """Report the reply to the server; the fallback learns too, in case the permit was its own."""
        self._fallback.observe(route, reply)
        headers = {name: reply.headers[name] for name in REPLY_HEADERS if name in reply.headers}
        message = {"observe": route, "status": reply.status, "headers": headers, "seconds": reply.seconds}
        self._client.notify(message)


class Heartbeat:
    """A daemon thread that reports a task's counts every second, and stops the task when the server says so."""

    def __init__(self, client: RateLimitClient, task: str, counts: Mapping[str, int], stop: Stop) -> None:
        self._client, self._task, self._counts, self._stop = client, task, counts, stop
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="klaviyo-heartbeat", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Report a last time, and why the task stopped, if it did."""
        self._closed.set()
        self._thread.join(2 * ANSWER_SECONDS)
        if self._stop.is_set():
            self._client.notify({"stop": self._stop.reason})

    def _run(self) -> None:
        while not self._client.lost:
            self._report()
            if self._closed.wait(HEARTBEAT_SECONDS):
                self._report()
                return

    def _report(self) -> None:
        answer = self._client.request({"progress": dict(self._counts), "task": self._task})
        if answer is not None:
            apply_stop(answer, self._stop)


def apply_stop(answer: Message, stop: Stop) -> None:
    """Set `stop` where the server's answer says so."""
    if answer["stop"] is not None:
        code, text = answer["stop"]
        stop.set(StopCode(code), text)
