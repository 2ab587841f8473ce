"""What the sender needs, and what it hands back: a Delivery for each request that came to an end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from spark_klaviyo.core.clock import Clock
from spark_klaviyo.core.models import Batch, Quota, Receipt, Rejection, Reply
from spark_klaviyo.core.stop import Stop
from spark_klaviyo.http.policy import Policy, ResendRule
from spark_klaviyo.http.transport import Sends
from spark_klaviyo.ratelimit.limiter import RateLimiter
from spark_klaviyo.templates.model import Template


class SendSpec(Protocol):
    """What sending needs of a plan (`plan.model.WritePlan`)."""

    @property
    def run_id(self) -> str:
        """Names the write."""

    @property
    def template(self) -> Template:
        """The endpoint."""

    @property
    def policy(self) -> Policy:
        """How long and how often."""

    @property
    def resend(self) -> ResendRule:
        """Which requests may be sent twice."""

    @property
    def quota(self) -> Quota:
        """The endpoint's windows until replies list the account's own."""

    @property
    def base_url(self) -> str:
        """Scheme, host and port."""

    @property
    def workers(self) -> int:
        """Most requests in flight."""

    @property
    def params(self) -> Sequence[object]:
        """Non-empty where requests differ by a row's value."""


@dataclass(frozen=True)
class SendContext:
    """What a task sends through. `stop` is the task's own: a refused key sets it. `roll` is the jitter, in [0, 1)."""

    transport: Sends
    limiter: RateLimiter
    clock: Clock
    stop: Stop
    roll: Callable[[], float]
    partition_id: int = 0
    attempt: int = 0
    counts: dict[str, int] = field(default_factory=dict)  # what the task has done so far, for whoever watches


@dataclass(frozen=True)
class Attempt:
    """One request that was made: its reply without the body, and when it was over (epoch seconds).

    `doubtful`: it may have been carried out, though no answer says so.
    """

    reply: Reply
    at: float
    doubtful: bool = False


@dataclass(frozen=True)
class Delivery:
    """How one request ended, and what became of the rows it settles.

    Over all deliveries of a batch, `delivered + accepted + rejected + unsent` is the number of its rows. `batch` holds
    the rows that were delivered or accepted. `receipt` is None for rows that no request was made for. `resent` counts
    rows that may have arrived more than once; `bytes` what was sent in all attempts.
    """

    receipt: Receipt | None
    rejections: tuple[Rejection, ...] = ()
    delivered: int = 0
    accepted: int = 0
    unsent: int = 0
    retries: int = 0
    throttled: int = 0
    resent: int = 0
    requests: int = 0
    bytes: int = 0
    job_id: str | None = None
    batch: Batch | None = field(default=None, repr=False)
    attempts: tuple[Attempt, ...] = field(default=(), repr=False)

    @property
    def rows(self) -> int:
        """Rows that this delivery settles."""
        return self.delivered + self.accepted + self.unsent + len(self.rejections)
