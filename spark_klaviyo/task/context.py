"""Opens what a task sends through: one transport, one pace, one word to stop, closed again at the end."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from spark_klaviyo.core.clock import Clock, SystemClock
from spark_klaviyo.core.stop import Stop
from spark_klaviyo.deliver.delivery import SendContext
from spark_klaviyo.http.transport import Transport
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.ratelimit.client import Heartbeat, RateLimitClient, RemoteRateLimiter
from spark_klaviyo.ratelimit.limiter import LocalRateLimiter, RateLimiter, Unlimited
from spark_klaviyo.ratelimit.server import RateLimitAddress
from spark_klaviyo.state.recorder import Recorder


@dataclass(frozen=True)
class SendContextFactory:
    """How the tasks of a run reach Klaviyo: picklable, nothing live in it.

    `keeper`: where the run's turns are handed out, on classic Spark. Without it, or once it is lost, a task keeps to
    its `share` of the quota: 1.0 where it has it alone, 1/n where n tasks send, None where nobody knows of how many.
    """

    clock: Clock = field(default_factory=SystemClock)
    rate_limit_server: RateLimitAddress | None = None
    share: float | None = 1.0

    @contextmanager
    def open(self, plan: WritePlan, partition_id: int, attempt: int, stop: Stop | None = None) -> Iterator[SendContext]:
        """The line of one task."""
        stop = stop or Stop()
        with ExitStack() as held:
            transport = transport_of(plan)
            held.callback(transport.close)
            counts: dict[str, int] = {}
            limiter = self._pace(plan)
            if self.rate_limit_server is not None:
                link = RateLimitClient(self.rate_limit_server)
                held.callback(link.close)
                if plan.quota.windows:
                    limiter = RemoteRateLimiter(link, limiter, self.clock)
                beat = Heartbeat(link, f"{partition_id}.{attempt}", lambda: counts, stop).start()
                held.callback(beat.close)
            recorder = self._recorder(plan, partition_id, attempt, stop, held)
            yield SendContext(
                transport, limiter, self.clock, stop, random.random, partition_id, attempt, recorder, counts
            )

    def _recorder(
        self, plan: WritePlan, partition_id: int, attempt: int, stop: Stop, held: ExitStack
    ) -> Recorder | None:
        if plan.state is None:
            return None
        recorder = Recorder(plan.state, partition_id, attempt, stop.set)
        held.callback(recorder.close)
        recorder.open(stop.wait)
        return recorder

    def _pace(self, plan: WritePlan) -> RateLimiter:
        if not plan.quota.windows:
            return Unlimited()
        return LocalRateLimiter(self.clock, share=self.share, learns=plan.learns_quota)


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
