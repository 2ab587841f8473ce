"""The rate-limit server of one run: gives permits to all tasks, collects their progress and broadcasts a stop.

It runs in the driver and speaks lines of JSON over TCP. A client first proves that it knows the run's secret, which
itself is never sent. It knows nothing of rows: counts only.
"""

from __future__ import annotations

import hmac
import json
import secrets
import socketserver
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, BinaryIO, cast

from spark_klaviyo.core.clock import Clock
from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.core.models import Quota, Reply
from spark_klaviyo.core.stop import Stop
from spark_klaviyo.ratelimit.limiter import LocalRateLimiter

MOST_LINE_BYTES = 1_000_000
IDLE_SECONDS = 600.0  # a task that is silent for so long has ended; living ones send a heartbeat every second
REPLY_HEADERS = ("retry-after", "date", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset")
Message = Mapping[str, Any]


@dataclass(frozen=True)
class RateLimitAddress:
    """Where the server listens, and the secret that its clients know; sent inside pickles only."""

    host: str
    port: int
    secret: bytes = field(repr=False)


class RateLimitServer:
    """A context manager; `host` is an interface that tasks can reach, port 0 any free one."""

    def __init__(
        self, clock: Clock | None = None, *, host: str = "127.0.0.1", port: int = 0, learns: bool = True
    ) -> None:
        self.limiter = LocalRateLimiter(clock, learns=learns)
        self.stop = Stop()
        self._lock = threading.Lock()
        self._counts: dict[str, Mapping[str, int]] = {}
        self._server = _Server((host, port), self)
        self._secret = secrets.token_bytes(32)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="klaviyo-rate-limit", daemon=True
        )

    @property
    def address(self) -> RateLimitAddress:
        """What clients need to connect."""
        host, port = self._server.server_address[:2]
        return RateLimitAddress(str(host), int(port), self._secret)

    def start(self) -> RateLimitServer:
        """Begin to listen."""
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop listening; tasks that still send go on with their share."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def __enter__(self) -> RateLimitServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def counts(self) -> dict[str, int]:
        """What all tasks together have counted so far, by name."""
        with self._lock:
            total: Counter[str] = Counter()
            for counts in self._counts.values():
                total.update(counts)
            return dict(total)

    def accepts(self, nonce: bytes, proof: str) -> bool:
        """Whether the proof shows that its sender knows the secret."""
        return hmac.compare_digest(proof_of(self._secret, nonce), proof)

    def answer(self, message: Message) -> Message | None:
        """The answer to one message; None where none is expected. Raises for messages of an unknown form."""
        if "acquire" in message:
            quota = Quota(tuple((int(requests), float(seconds)) for requests, seconds in message["quota"]))
            return {"wait_seconds": self.limiter.try_acquire(str(message["acquire"]), quota), "stop": self.stop.reason}
        if "observe" in message:
            reply = Reply(message["status"], dict(message["headers"]), seconds=float(message["seconds"]))
            self.limiter.observe(str(message["observe"]), reply)
            return None
        if "progress" in message:
            counts = {str(name): int(count) for name, count in message["progress"].items()}
            with self._lock:
                self._counts[str(message["task"])] = counts
            return {"stop": self.stop.reason}
        code, text = message["stop"]
        self.stop.set(StopCode(code), str(text))
        return None


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], rate_limit_server: RateLimitServer) -> None:
        self.rate_limit_server = rate_limit_server
        super().__init__(address, _Connection)

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore a client that went away or sent something unreadable: only its own connection ends."""


class _Connection(socketserver.StreamRequestHandler):
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True

    def handle(self) -> None:
        rate_limit_server = cast("_Server", self.server).rate_limit_server
        nonce = secrets.token_hex(16).encode()
        self.wfile.write(nonce + b"\n")
        proof = self.rfile.readline(200).strip().decode("ascii", "replace")
        if not rate_limit_server.accepts(nonce, proof):
            return
        stream = cast("BinaryIO", self.rfile)
        while (line := stream.readline(MOST_LINE_BYTES)).endswith(b"\n"):
            answer = rate_limit_server.answer(json.loads(line))
            if answer is not None:
                self.wfile.write(json.dumps(answer).encode() + b"\n")


def proof_of(secret: bytes, nonce: bytes) -> str:
    """What proves that a client knows the secret."""
    return hmac.new(secret, nonce, "sha256").hexdigest()
