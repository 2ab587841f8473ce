"""A reader for the calling process: the options' address, key and patience; what cannot be read is raised."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote

from spark_klaviyo.core.clock import SystemClock
from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.core.models import Quota
from spark_klaviyo.core.stop import Stop
from spark_klaviyo.deliver.delivery import SendContext
from spark_klaviyo.deliver.reads import Document, Reader, ReadTarget, Unread
from spark_klaviyo.http.transport import Transport
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.make import JSON_API
from spark_klaviyo.ratelimit.limiter import LocalRateLimiter, RateLimiter, Unlimited

READERS = 8  # most reads under way at once
MOST_PAGES = 1_000_000  # no collection has more; a circle of pages ends here at the latest


class ReadFailed(Exception):
    """No document. `code` is one of `Unread`; the text is safe to repeat."""

    def __init__(self, code: StopCode, message: str) -> None:
        super().__init__(code, message)
        self.code, self.message = code, message

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True)
class ReadPolicy:
    """How long and how often a read is tried; reading twice is always harmless."""

    attempts: int = 4
    longest_wait_seconds: float = 120.0
    first_wait_seconds: float = 0.5
    idempotent: bool = True
    success: tuple[int, ...] = (200,)


@dataclass(frozen=True)
class _SendSpec:
    policy: ReadPolicy


class Asking:
    """Reads documents and whole collections; may be used by several threads at once."""

    def __init__(self, reader: Reader, stop: Stop) -> None:
        self._reader, self._stop = reader, stop

    def one(self, place: ReadTarget) -> Document:
        """One document. Raises `ReadFailed`."""
        return _read(self._reader.read(place))

    def pages(self, place: ReadTarget) -> Iterator[Document]:
        """Every page of a collection, in order. Raises `ReadFailed`."""
        return map(_read, self._reader.pages(place, MOST_PAGES))

    def end(self) -> None:
        """Read nothing more; reads under way in other threads end with `ReadFailed`."""
        self._stop.set(StopCode.CLOSED, "the reading was ended")


def _read(answer: Document | Unread) -> Document:
    if isinstance(answer, Unread):
        raise ReadFailed(answer.code, answer.detail)
    return answer


def place(path: str, quota: Quota, query: Sequence[tuple[str, str]] = (), **filled: str) -> ReadTarget:
    """Where to read: `path` with each `{name}` filled in and percent-encoded."""
    address = path
    for name, value in filled.items():
        address = address.replace("{" + name + "}", quote(value, safe=""))
    return ReadTarget(path, address, quota, tuple(query))


@contextmanager
def asking(options: Options, *, attempts: int | None = None, base_url: str = "") -> Iterator[Asking]:
    """Open what reads need, and close it at the end. `base_url`: of another host than the option's."""
    transport = Transport(
        base_url or options.base_url,
        {"Accept": JSON_API, "revision": options.revision},
        options.credentials,
        timeout_seconds=options.timeout_seconds,
        workers=READERS,
        proxy=options.proxy,
    )
    clock, stop = SystemClock(), Stop()
    limiter: RateLimiter = Unlimited() if options.rate_limit == Quota(()) else LocalRateLimiter(clock)
    policy = ReadPolicy(attempts or options.attempts, options.longest_wait_seconds)
    try:
        yield Asking(Reader(_SendSpec(policy), SendContext(transport, limiter, clock, stop, random.random)), stop)
    finally:
        stop.set(StopCode.CLOSED, "the reading was ended")
        transport.close()
