"""A task's connection to the rate-limit server. When it breaks, the task goes on with its share within seconds."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Mapping

from spark_klaviyo.core.clock import Clock, SystemClock
from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.core.models import Quota, Reply
from spark_klaviyo.core.stop import Stop
from spark_klaviyo.ratelimit.limiter import RateLimiter
from spark_klaviyo.ratelimit.server import REPLY_HEADERS, Message, RateLimitAddress, proof_of

CONNECT_SECONDS = 1.0
ANSWER_SECONDS = 3.0
HEARTBEAT_SECONDS = 1.0


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
            connection.sendall(proof_of(self._address.secret, nonce).encode() + b"\n")
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


class RemoteRateLimiter:
    """Permits from the server, and from `fallback` once the connection is lost."""

    def __init__(self, client: RateLimitClient, fallback: RateLimiter, clock: Clock | None = None) -> None:
        self._client, self._fallback = client, fallback
        self._clock: Clock = clock or SystemClock()

    def acquire(self, route: str, quota: Quota, stop: Stop) -> bool:
        """Wait for a permit; False when stopped first, here or by the server."""
        while not stop.is_set():
            answer = self._client.request({"acquire": route, "quota": quota.windows})
            if answer is None:
                return self._fallback.acquire(route, quota, stop)
            if apply_stop(answer, stop):
                break
            if answer["wait_seconds"] <= 0:
                return True
            self._clock.wait(answer["wait_seconds"], stop)
        return False

    def observe(self, route: str, reply: Reply) -> None:
        """Report the reply to the server; the fallback learns too, in case the permit was its own."""
        self._fallback.observe(route, reply)
        headers = {name: reply.headers[name] for name in REPLY_HEADERS if name in reply.headers}
        message = {"observe": route, "status": reply.status, "headers": headers, "seconds": reply.seconds}
        self._client.notify(message)


class Heartbeat:
    """A daemon thread that reports a task's counts every second, and stops the task when the server says so."""

    def __init__(self, client: RateLimitClient, task: str, counts: Callable[[], Mapping[str, int]], stop: Stop) -> None:
        self._client, self._task, self._counts, self._stop = client, task, counts, stop
        self._closed = Stop()
        self._thread = threading.Thread(target=self._run, name="klaviyo-heartbeat", daemon=True)

    def start(self) -> Heartbeat:
        """Start the thread."""
        self._thread.start()
        return self

    def close(self) -> None:
        """Report a last time, and why the task stopped, if it did."""
        self._closed.set(StopCode.CLOSED)
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
        answer = self._client.request({"progress": dict(self._counts()), "task": self._task})
        if answer is not None:
            apply_stop(answer, self._stop)


def apply_stop(answer: Message, stop: Stop) -> bool:
    """Set `stop` where the server's answer says so; whether it did."""
    reason = answer["stop"]
    if reason is not None:
        stop.set(StopCode(reason[0]), reason[1])
    return reason is not None
