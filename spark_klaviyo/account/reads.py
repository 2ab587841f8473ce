"""Reads from the account in the calling process, with the options' address, key and retry settings.

Knows no plan and no Spark. A read that brings no document raises `ReadFailed`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

from spark_klaviyo.core.clock import Clock, Stop
from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.core.models import Quota
from spark_klaviyo.core.policy import Policy
from spark_klaviyo.deliver.delivery import SendContext
from spark_klaviyo.deliver.reads import Document, NoDocument, Reader, ReadTarget
from spark_klaviyo.http.transport import Transport
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.make import JSON_API
from spark_klaviyo.ratelimit.limiter import LocalRateLimiter, RateLimiter

READERS = 8  # most reads in flight at once
MOST_PAGES = 1_000_000  # no collection has more; bounds a collection whose pages point at each other


class ReadFailed(Exception):
    """A read brought no document; the message is safe to show."""

    def __init__(self, code: StopCode, message: str) -> None:
        super().__init__(code, message)
        self.code, self.message = code, message

    def __str__(self) -> str:
        return self.message


class AccountReader:
    """Reads documents and whole collections; may be used by several threads at once."""

    def __init__(self, reader: Reader, stop: Stop) -> None:
        self._reader, self._stop = reader, stop

    def read(self, target: ReadTarget) -> Document:
        """One document. Raises `ReadFailed`."""
        return _document(self._reader.read(target))

    def pages(self, target: ReadTarget) -> Iterator[Document]:
        """Every page of a collection, in order. Raises `ReadFailed`."""
        return map(_document, self._reader.pages(target, MOST_PAGES))

    def stop(self) -> None:
        """Read nothing more; reads under way in other threads end with `ReadFailed`."""
        self._stop.set(StopCode.CLOSED, "the reading was ended")


def _document(answer: Document | NoDocument) -> Document:
    if isinstance(answer, NoDocument):
        raise ReadFailed(answer.code, answer.detail)
    return answer


@contextmanager
def open_reader(options: Options, *, attempts: int | None = None, base_url: str = "") -> Iterator[AccountReader]:
    """Open a reader, and close its connections at the end. `base_url`: another host than the option's."""
    transport = Transport(
        base_url or options.base_url,
        {"Accept": JSON_API, "revision": options.revision},
        options.credentials,
        timeout_seconds=options.timeout_seconds,
        workers=READERS,
        proxy=options.proxy,
    )
    clock, stop = Clock(), Stop()
    limiter = RateLimiter(clock) if options.rate_limit == Quota(()) else LocalRateLimiter(clock)
    policy = Policy(attempts=attempts or options.attempts, longest_wait_seconds=options.longest_wait_seconds)
    reader = AccountReader(Reader(policy, SendContext(transport, limiter, clock, stop, random.random)), stop)
    try:
        yield reader
    finally:
        reader.stop()
        transport.close()
