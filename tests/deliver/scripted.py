"""An endpoint in memory that takes numbered rows, and fails as a script says."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from spark_klaviyo.core.clock import Stop
from spark_klaviyo.core.codes import Failure
from spark_klaviyo.core.models import Batch, EncodedRows, Envelope, Reply, Span
from spark_klaviyo.core.policy import Limits, Policy, Quota, ResendRule
from spark_klaviyo.deliver.delivery import Delivery, SendContext
from spark_klaviyo.deliver.sender import deliver
from spark_klaviyo.plan.model import SendSpec
from spark_klaviyo.ratelimit.limiter import RateLimiter
from spark_klaviyo.templates.model import Job, Template
from tests.core.virtual_clock import VirtualClock

POINTER = "/data/attributes/profiles/data"
NO_QUOTA, POLICY, RESEND = Quota(()), Policy(), ResendRule()
ENVELOPE = Envelope("/api/rows", b'{"data":[', b"]}")
HTML = b"<!DOCTYPE html><html></html>"


def refusal(status: int, *faults: Mapping[str, object]) -> bytes:
    """Klaviyo's error document."""
    whole = {"id": "x", "status": status, "code": "invalid", "title": "Invalid input.", "detail": "Invalid."}
    return json.dumps({"errors": [{**whole, **fault} for fault in faults]}).encode()


def at_row(position: int) -> Mapping[str, object]:
    """A fault that names a row."""
    return {"detail": "Invalid email address", "source": {"pointer": f"{POINTER}/{position}/attributes/email"}}


@dataclass
class Account:
    """Takes rows unless some are bad; `names`: which bad rows a refusal names (all, first, none).

    `script` says what happens to each request before that: ok, or a kind of trouble. `max_rows`: more is a 413.
    """

    bad: frozenset[int] = frozenset()
    names: str = "all"
    script: Iterator[str] = field(default_factory=lambda: iter(()))
    max_rows: int = 10_000
    on_send: Callable[[], None] = lambda: None
    success: Reply = field(default_factory=lambda: Reply(200, body=b'{"data":{"id":"1"}}'))
    stored: Counter[int] = field(default_factory=Counter)
    sent: list[list[int]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),  # noqa: ARG002
        parts: Sequence[bytes | memoryview] = (),
    ) -> Reply:
        assert (method, path) == ("POST", "/api/rows")
        rows = json.loads(b"".join(parts))["data"]
        self.on_send()
        with self._lock:
            self.sent.append(rows)
            return self._answer(next(self.script, "ok"), rows)

    def _answer(self, trouble: str, rows: list[int]) -> Reply:
        if trouble == "reset before":
            return Reply(None, failure=Failure.RESET, sent=True)
        if trouble == "unreachable":
            return Reply(None, failure=Failure.CONNECT, sent=False)
        if trouble.isdigit():
            headers = {"retry-after": "1"} if trouble == "429" else {}
            return Reply(int(trouble), headers, HTML if trouble == "500" else b"")
        reply = self._judged(rows)
        lost = Reply(None, failure=Failure.RESET, sent=True)
        return lost if trouble == "reset after" else reply

    def _judged(self, rows: list[int]) -> Reply:
        if len(rows) > self.max_rows:
            return Reply(413)
        bad = [place for place, row in enumerate(rows) if row in self.bad]
        if not bad:
            self.stored.update(rows)
            return self.success
        named = {"all": bad, "first": bad[:1], "none": []}[self.names]
        return Reply(400, body=refusal(400, *[at_row(place) for place in named] or [{"source": {"pointer": "/data"}}]))


def send_spec(
    policy: Policy = POLICY,
    *,
    workers: int = 3,
    job: Job | None = None,
    confirmed_by_reply: bool = True,
    resend: ResendRule = RESEND,
    quota: Quota = NO_QUOTA,
) -> SendSpec:
    """What sending needs of a plan, for the account's endpoint."""
    template = Template(
        name="rows",
        summary="",
        method="POST",
        path="/api/rows",
        body={"data": {"attributes": {"profiles": {"data": "{rows}"}}}},
        fields=(),
        limits=Limits(100, 1000),
        quota=quota,
        confirmed_by_reply=confirmed_by_reply,
        job=job,
    )
    return SendSpec(
        run_id="run",
        template=template,
        quota=quota,
        policy=policy,
        resend=resend,
        base_url="https://a.klaviyo.com",
        workers=workers,
    )


def encoded_rows(numbers: Sequence[int]) -> EncodedRows:
    """Rows whose record is their number."""
    records = [f"{number},".encode() for number in numbers]
    offsets = np.cumsum([0, *map(len, records)], dtype=np.int64)
    keys = pa.nulls(len(numbers), pa.string())
    return EncodedRows(memoryview(b"".join(records)), offsets, np.array(numbers, dtype=np.int64), keys)


def batches(*sizes: int) -> Iterator[Batch]:
    """Batches of rows numbered on and on, each of two spans where it can be."""
    first = 0
    for sequence, size in enumerate(sizes):
        held = encoded_rows(range(first, first + size))
        middle = size // 2
        spans = [Span(held, 0, middle), Span(held, middle, size)] if middle else [Span(held, 0, size)]
        yield Batch(sequence, tuple(spans), ENVELOPE)
        first += size


def settled_rows(delivery: Delivery) -> int:
    """The number of rows that a delivery settles."""
    return delivery.delivered + delivery.accepted + delivery.unsent + len(delivery.rejections)


def context_of(account: Account, *, limiter: RateLimiter | None = None, stop: Stop | None = None) -> SendContext:
    """A context in virtual time that sends to this account."""
    return SendContext(account, limiter or RateLimiter(), VirtualClock(), stop or Stop(), roll=lambda: 0.5)


def delivered(spec: SendSpec, rows: Iterator[Batch], context: SendContext) -> list[Delivery]:
    """All deliveries of a write."""
    return [delivery for delivery in deliver(spec, rows, context) if delivery is not None]


def numbers_of(deliveries: Sequence[Delivery]) -> list[int]:
    """The rows that were delivered or accepted."""
    return sorted(int(row) for delivery in deliveries if delivery.batch for row in delivery.batch.numbers())
