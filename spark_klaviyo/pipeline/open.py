"""Opens what a task sends through: one transport, one pace, one word to stop, closed again at the end."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from spark_klaviyo.deliver.delivery import Line
from spark_klaviyo.ledger.recorder import Recorder
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.wire.clock import Clock, SystemClock
from spark_klaviyo.wire.pace import FreePace, Pace, SharedPace
from spark_klaviyo.wire.stop import Stop
from spark_klaviyo.wire.transport import Transport


@dataclass(frozen=True)
class LineMaker:
    """How the tasks of a run reach Klaviyo: picklable, nothing live in it."""

    clock: Clock = SystemClock()

    @contextmanager
    def open(self, plan: WritePlan, partition_id: int, attempt: int, stop: Stop | None = None) -> Iterator[Line]:
        """The line of one task."""
        transport = transport_of(plan)
        stop = stop or Stop()
        recorder = Recorder(plan.state, partition_id, attempt, stop.set) if plan.state is not None else None
        try:
            if recorder is not None:
                recorder.open(stop.wait)
            yield Line(
                transport=transport,
                pace=self._pace(plan),
                clock=self.clock,
                stop=stop,
                roll=random.random,
                partition_id=partition_id,
                attempt=attempt,
                recorder=recorder,
            )
        finally:
            transport.close()
            if recorder is not None:
                recorder.close()

    def _pace(self, plan: WritePlan) -> Pace:
        if not plan.quota.windows:
            return FreePace()
        return SharedPace(self.clock, learns=plan.learns_quota)


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
