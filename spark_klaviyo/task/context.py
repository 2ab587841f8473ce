"""Opens what a task sends through: transport, rate limiter, stop signal and the recorder of a state."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from spark_klaviyo.core.clock import Clock, Stop
from spark_klaviyo.deliver.delivery import SendContext
from spark_klaviyo.http.transport import Transport
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.ratelimit.limiter import LocalRateLimiter, RateLimiter
from spark_klaviyo.ratelimit.server import Heartbeat, RateLimitAddress, RateLimitClient, RemoteRateLimiter
from spark_klaviyo.state.recorder import Recorder


@dataclass(frozen=True)
class TaskContext(SendContext):
    """What a task sends through, and where it records what it delivered (None without a state)."""

    recorder: Recorder | None = None


@dataclass(frozen=True)
class SendContextFactory:
    """How the tasks of a run reach Klaviyo: picklable, nothing live in it.

    `rate_limit_server` grants the permits of the whole run, on classic Spark. Without it, or once it is lost, a task
    keeps to its `share` of the quota: 1.0 where it sends alone, 1/n where n tasks send, None where their number is
    unknown.
    """

    clock: Clock = field(default_factory=Clock)
    rate_limit_server: RateLimitAddress | None = None
    share: float | None = 1.0

    @contextmanager
    def open(self, plan: WritePlan, partition_id: int, attempt: int, stop: Stop | None = None) -> Iterator[TaskContext]:
        """The context of one task, closed when the block ends."""
        stop = stop or Stop()
        with ExitStack() as held:
            transport = transport_of(plan)
            held.callback(transport.close)
            counts: dict[str, int] = {}
            limiter = RateLimiter(self.clock)
            if plan.quota.windows:
                limiter = LocalRateLimiter(self.clock, share=self.share, learns=plan.learns_quota)
            if self.rate_limit_server is not None:
                client = RateLimitClient(self.rate_limit_server)
                held.callback(client.close)
                if plan.quota.windows:
                    limiter = RemoteRateLimiter(client, limiter, self.clock)
                heartbeat = Heartbeat(client, f"{partition_id}.{attempt}", counts, stop)
                held.callback(heartbeat.close)
            recorder = None
            if plan.state is not None:
                recorder = Recorder(plan.state, partition_id, attempt, stop.set)
                held.callback(recorder.close)
                recorder.open(stop.wait)
            yield TaskContext(
                transport, limiter, self.clock, stop, random.random, partition_id, attempt, counts, recorder
            )


def transport_of(plan: WritePlan) -> Transport:
    """A transport with the plan's headers, credentials and time limits."""
    return Transport(
        plan.base_url,
        plan.headers,
        plan.credentials,
        key_in=plan.key_in,
        timeout_seconds=plan.policy.timeout_seconds,
        workers=plan.workers,
        proxy=plan.proxy,
    )
