"""What a task sends through (SendContext), and what sending returns: a Delivery for each request that ended."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from spark_klaviyo.core.clock import Clock, Stop
from spark_klaviyo.core.models import Batch, Receipt, Rejection, Reply
from spark_klaviyo.http.transport import SupportsSend
from spark_klaviyo.ratelimit.limiter import RateLimiter
from spark_klaviyo.ratelimit.server import RateLimitClient


@dataclass(frozen=True)
class SendContext:
    """What one task sends through."""

    transport: SupportsSend
    limiter: RateLimiter
    clock: Clock
    # The task's own: a refused key sets it, too.
    stop: Stop
    partition_id: int = 0
    attempt: int = 0
    # What the task has done so far, for the progress display.
    counts: dict[str, int] = field(default_factory=dict)
    # Whether an earlier attempt of the task may have sent the same rows, with nothing on record that says which.
    repeats: bool = False
    # The task's connection to the driver, which knows of other tasks and attempts; lost where there is none.
    driver: RateLimitClient = field(default_factory=RateLimitClient)
    # The jitter of waits, in [0, 1).
    roll: Callable[[], float] = random.random


@dataclass(frozen=True)
class Attempt:
    """One attempt of a request: its reply without the body, and when it ended (epoch seconds)."""

    reply: Reply
    at: float
    # Whether it may have been carried out although no reply says so.
    in_doubt: bool = False


@dataclass(frozen=True)
class Delivery:
    """How one request ended, and what became of the rows that it settles.

    Over all deliveries of a batch, `delivered + accepted + rejected + unsent` is the number of its rows.
    """

    # None for rows that no request was made for.
    receipt: Receipt | None
    attempts: tuple[Attempt, ...] = field(default=(), repr=False)
    rejections: tuple[Rejection, ...] = ()
    delivered: int = 0
    accepted: int = 0
    # Why the accepted rows cannot be confirmed; empty where the endpoint confirms none, or its job still may.
    reason: str = ""
    unsent: int = 0
    # Rows that may have arrived more than once.
    resent: int = 0
    # The rows that were delivered or accepted.
    batch: Batch | None = field(default=None, repr=False)

    @property
    def job_id(self) -> str | None:
        """The job that the request started, if any."""
        return self.receipt.job_id if self.receipt is not None else None
