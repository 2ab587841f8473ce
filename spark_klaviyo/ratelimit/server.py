"""The keeper of a run: a small server in the driver that hands out the account's turns to all tasks.

The same line carries what each task has sent so far, the word to stop, and what a reply taught one task. Lines of JSON
over TCP; a caller first proves that it knows the run's secret, which itself never travels. `handlers` answer further
kinds of questions by name. It knows nothing of rows: counts only.
"""

from __future__ import annotations

import hmac
import json
import secrets
import socketserver
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import BinaryIO, cast

from spark_klaviyo.core.clock import Clock
from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.core.models import Quota
from spark_klaviyo.core.stop import Stop
from spark_klaviyo.ratelimit.endpoint_limiter import Seen
from spark_klaviyo.ratelimit.limiter import LocalRateLimiter
from spark_klaviyo.ratelimit.quota_headers import Standing

LONGEST_LINE = 1_000_000
IDLE_SECONDS = 600.0  # a task that is silent so long has gone; living ones beat every second
Message = Mapping[str, object]
Handler = Callable[[object], object]


@dataclass(frozen=True)
class RateLimitAddress:
    """Where the keeper listens; travels inside pickles only."""

    host: str
    port: int
    secret: bytes = field(repr=False)


class RateLimitServer:
    """Used by `with`, or `start` and `close`. `host` is the interface that tasks can reach; port 0 is any free one."""

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        learns: bool = True,
        handlers: Mapping[str, Handler] | None = None,
    ) -> None:
        self.limiter = LocalRateLimiter(clock, learns=learns)
        self.stop = Stop()
        self._handlers = dict(handlers or {})
        self._lock = threading.Lock()
        self._counts: dict[str, dict[str, int]] = {}
        self._server = _Server((host, port), self)
        self._secret = secrets.token_bytes(32)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="klaviyo-keeper", daemon=True
        )

    @property
    def address(self) -> RateLimitAddress:
        """What tasks are given."""
        host, port = self._server.server_address[:2]
        return RateLimitAddress(str(host), int(port), self._secret)

    def start(self) -> RateLimitServer:
        """Begin to listen."""
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop listening; tasks that are still under way go on with their share."""
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
        """What all tasks together have counted so far."""
        with self._lock:
            every = list(self._counts.values())
        return {name: sum(one.get(name, 0) for one in every) for name in {name for one in every for name in one}}

    def tasks(self) -> dict[str, dict[str, int]]:
        """What each task has counted so far, by the task's name."""
        with self._lock:
            return {task: dict(counts) for task, counts in self._counts.items()}

    def known(self, nonce: bytes, proof: str) -> bool:
        """Whether the caller knows the secret."""
        return hmac.compare_digest(proof_of(self._secret, nonce), proof)

    def answer(self, message: Message) -> Message | None:
        """The answer to one message; None where none is expected. KeyError, TypeError, ValueError for nonsense."""
        if "take" in message:
            wait = self.limiter.ask(str(message["take"]), quota_of(message["quota"]))
            return {"wait": wait, **self._word()}
        if "saw" in message:
            self.limiter.learn(str(message["saw"]), seen_of(cast("Message", message["seen"])))
            return None
        if "progress" in message:
            counts = cast("Mapping[str, int]", message["progress"])
            with self._lock:
                self._counts[str(message["task"])] = {str(name): int(count) for name, count in counts.items()}
            return self._word()
        if "stop" in message:
            code, text = cast("tuple[str, str]", message["stop"])
            self.stop.set(StopCode(code), str(text))
            return None
        return {"answer": self._handlers[str(message["ask"])](message.get("with"))}

    def _word(self) -> dict[str, object]:
        return {"stop": self.stop.reason} if self.stop.is_set() else {}


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], rate_limit_server: RateLimitServer) -> None:
        self.rate_limit_server = rate_limit_server
        super().__init__(address, _Caller)

    def handle_error(self, request: object, client_address: object) -> None:
        """A caller that went away, or talked nonsense, is no news."""


class _Caller(socketserver.StreamRequestHandler):
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True

    def handle(self) -> None:
        rate_limit_server = cast("_Server", self.server).rate_limit_server
        nonce = secrets.token_hex(16).encode()
        self.wfile.write(nonce + b"\n")
        proof = self.rfile.readline(200).strip().decode("ascii", "replace")
        if not rate_limit_server.known(nonce, proof):
            return
        stream = cast("BinaryIO", self.rfile)
        while (line := stream.readline(LONGEST_LINE)).endswith(b"\n"):
            answer = rate_limit_server.answer(json.loads(line))
            if answer is not None:
                self.wfile.write(json.dumps(answer).encode() + b"\n")


def proof_of(secret: bytes, nonce: bytes) -> str:
    """What proves that a caller knows the secret."""
    return hmac.new(secret, nonce, "sha256").hexdigest()


def quota_of(windows: object) -> Quota:
    """A quota from its JSON form."""
    return Quota(
        tuple((int(requests), float(seconds)) for requests, seconds in cast("list[tuple[int, float]]", windows))
    )


def seen_of(message: Message) -> Seen:
    """What a reply taught, from its JSON form."""
    stands, quota = message.get("standing"), message.get("quota")
    return Seen(
        throttled=bool(message["throttled"]),
        asked_seconds=float(cast("float", message["asked_seconds"])),
        quota=quota_of(quota) if quota else None,
        standing=Standing(*cast("tuple[int, int, float]", tuple(cast("list[float]", stands)))) if stands else None,
        took_seconds=float(cast("float", message["took_seconds"])),
    )


def seen_form(seen: Seen) -> Message:
    """The JSON form of what a reply taught."""
    stands = seen.standing
    return {
        "throttled": seen.throttled,
        "asked_seconds": seen.asked_seconds,
        "quota": seen.quota.windows if seen.quota else None,
        "standing": (stands.quota, stands.remaining, stands.ends_in) if stands else None,
        "took_seconds": seen.took_seconds,
    }
