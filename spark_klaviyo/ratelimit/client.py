"""A task's end of the keeper's line. Whatever goes wrong on it, the task goes on with its own share in seconds."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Mapping

from spark_klaviyo.core.clock import Clock, SystemClock
from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.core.models import Quota, Reply
from spark_klaviyo.core.stop import Stop
from spark_klaviyo.ratelimit.endpoint_limiter import Seen
from spark_klaviyo.ratelimit.limiter import RateLimiter
from spark_klaviyo.ratelimit.server import RateLimitAddress, proof_of, seen_form

CONNECT_SECONDS = 1.0
ANSWER_SECONDS = 3.0
BEAT_SECONDS = 1.0
Message = Mapping[str, object]


class RateLimitClient:
    """One connection, shared by a task's threads. `lost` once it could not be made or broke; it is not made again."""

    def __init__(self, address: RateLimitAddress) -> None:
        self._address = address
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._unread = b""
        self.lost = False

    def ask(self, message: Message) -> Message | None:
        """Send a message and wait for its answer; None when the line is lost."""
        with self._lock:
            if not self._sent(message):
                return None
            line = self._line()
        if line is None:
            return None
        answer: Message = json.loads(line)
        return answer

    def tell(self, message: Message) -> None:
        """Send a message that has no answer."""
        with self._lock:
            self._sent(message)

    def close(self) -> None:
        """Hang up."""
        with self._lock:
            self._drop()

    def _sent(self, message: Message) -> bool:
        if self.lost:
            return False
        try:
            connection = self._socket or self._connect()
            connection.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            self._drop()
            return False
        return not self.lost

    def _connect(self) -> socket.socket:
        connection = socket.create_connection((self._address.host, self._address.port), CONNECT_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connection
        nonce = self._line()
        if nonce is not None:
            connection.sendall(proof_of(self._address.secret, nonce).encode() + b"\n")
            connection.settimeout(ANSWER_SECONDS)
        return connection

    def _line(self) -> bytes | None:
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
    """Turns from the keeper, and from `fallback` once the keeper cannot be reached."""

    def __init__(
        self, link: RateLimitClient, fallback: RateLimiter, clock: Clock | None = None, *, learns: bool = True
    ) -> None:
        self._link, self._fallback, self._learns = link, fallback, learns
        self._clock: Clock = clock or SystemClock()

    def acquire(self, route: str, quota: Quota, stop: Stop) -> bool:
        """Wait for a turn; False when stopped meanwhile, here or by the keeper."""
        while not stop.is_set():
            answer = self._link.ask({"take": route, "quota": quota.windows})
            if answer is None:
                return self._fallback.acquire(route, quota, stop)
            if heard_stop(answer, stop):
                break
            wait = float(str(answer["wait"]))
            if wait <= 0:
                return True
            self._clock.wait(wait, stop)
        return False

    def observe(self, route: str, reply: Reply) -> None:
        """Tell the keeper what the reply teaches; the fallback hears it too, in case the turn was its own."""
        self._fallback.observe(route, reply)
        seen = Seen.of(reply, learns=self._learns)
        self._link.tell({"saw": route, "seen": seen_form(seen)})


class Heartbeat:
    """Tells the keeper every second what the task has counted, and hears the word to stop. A daemon thread."""

    def __init__(self, link: RateLimitClient, task: str, counts: Callable[[], Mapping[str, int]], stop: Stop) -> None:
        self._link, self._task, self._counts, self._stop = link, task, counts, stop
        self._over = Stop()
        self._thread = threading.Thread(target=self._run, name="klaviyo-heartbeat", daemon=True)

    def start(self) -> Heartbeat:
        """Begin to beat."""
        self._thread.start()
        return self

    def close(self) -> None:
        """Beat a last time, and pass on why the task stopped."""
        self._over.set(StopCode.CLOSED)
        self._thread.join(2 * ANSWER_SECONDS)
        if self._stop.is_set():
            self._link.tell({"stop": self._stop.reason})

    def _run(self) -> None:
        while not self._link.lost:
            answer = self._link.ask({"progress": dict(self._counts()), "task": self._task})
            if answer is not None:
                heard_stop(answer, self._stop)
            if self._over.wait(BEAT_SECONDS):
                self._link.ask({"progress": dict(self._counts()), "task": self._task})
                return


def heard_stop(answer: Message, stop: Stop) -> bool:
    """Pass on the keeper's word to stop."""
    word = answer.get("stop")
    if isinstance(word, list) and len(word) == 2:
        stop.set(StopCode(word[0]), str(word[1]))
        return True
    return False
