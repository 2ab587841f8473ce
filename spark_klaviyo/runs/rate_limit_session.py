"""The keeper of a run, where the driver can be reached: turns for all tasks, progress, and one word to stop for all."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.ratelimit.server import RateLimitServer
from spark_klaviyo.report.progress import progress
from spark_klaviyo.report.rate import Snapshot
from spark_klaviyo.runs import session
from spark_klaviyo.runs.send_from_driver import sends_here
from spark_klaviyo.task.context import SendContextFactory

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

BEAT_SECONDS = 1.0
GRACE_SECONDS = 1.5
MINUTE = 60.0
ALONE_TASKS, SMALL_QUOTA = 2, 10  # tasks without a keeper; requests a second that so few tasks can make
PORT = "spark.klaviyo.keeper.port"  # a fixed port where a firewall lets only declared ones through


def sending_tasks(df: DataFrame, plan: WritePlan, options: Options) -> int:
    """How many tasks send at once: fewer where nobody hands out their turns.

    Two tasks fill the quota of a bulk endpoint, and two halves of it waste less than eight eighths when rows lie
    unevenly (`python -m tests.bench quota`).
    """
    second = min((count for count, seconds in plan.quota.windows if seconds == 1), default=None)
    small = second is not None and second <= SMALL_QUOTA
    return min(options.tasks, ALONE_TASKS) if session.context_of(df) is None and small else options.tasks


@contextmanager
def rate_limit_session(df: DataFrame, plan: WritePlan, options: Options) -> Iterator[SendContextFactory]:
    """Lines whose turns come from one keeper in this process; under Connect lines that keep to a share each.

    While they are open a progress bar follows the tasks, where one is wanted.
    """
    context = session.context_of(df)
    here = sends_here(df, plan, options)
    share = 1.0 if here else 1.0 / max(sending_tasks(df, plan, options), 1)
    rate_limit_server = None
    if here:
        rate_limit_server = RateLimitServer(learns=plan.learns_quota).start()
    elif context is not None:
        rate_limit_server = _started(session.session_of(df).conf, plan)
    if rate_limit_server is None:
        yield SendContextFactory(share=share)
        return
    watch = _Watch(rate_limit_server, plan, options)
    try:
        watch.start()
        address = rate_limit_server.address
        if context is not None and not here:
            host = session.session_of(df).conf.get("spark.driver.host", address.host)
            address = replace(address, host=str(host))
        yield SendContextFactory(rate_limit_server=address, share=share)
    except BaseException:
        rate_limit_server.stop.set(StopCode.INTERRUPTED, "the write was interrupted")
        time.sleep(GRACE_SECONDS)  # every task hears it with its next beat, before the line is cut
        raise
    finally:
        watch.stop()
        rate_limit_server.close()


def _started(conf: Any, plan: WritePlan) -> RateLimitServer | None:
    """A keeper that listens on the driver's own interface; None where it cannot. `conf` is the session's."""
    host = conf.get("spark.driver.bindAddress", None) or conf.get("spark.driver.host", None) or "127.0.0.1"
    try:
        return RateLimitServer(host=host, port=int(conf.get(PORT, "0")), learns=plan.learns_quota).start()
    except OSError:  # the interface is not this machine's: tasks keep to their shares
        return None


class _Watch(threading.Thread):
    """Feeds the progress bar once a second with what the tasks told the keeper."""

    def __init__(self, rate_limit_server: RateLimitServer, plan: WritePlan, options: Options) -> None:
        super().__init__(name="klaviyo-progress", daemon=True)
        self._keeper, self._over = rate_limit_server, threading.Event()
        self._bar = progress(options.progress)
        self._minute = next((count for count, seconds in plan.quota.windows if seconds == MINUTE), None)
        self._sent: deque[tuple[float, int]] = deque()

    def run(self) -> None:
        """Until stopped."""
        began = time.monotonic()
        while not self._over.wait(BEAT_SECONDS):
            self._bar.update(self._snapshot(time.monotonic() - began))

    def stop(self) -> None:
        """Take the bar away."""
        self._over.set()
        if self.is_alive():
            self.join()
        self._bar.done(None)

    def _snapshot(self, seconds: float) -> Snapshot:
        counts = self._keeper.counts()
        requests = counts.get("requests", 0)
        self._sent.append((seconds, requests))
        while len(self._sent) > 1 and self._sent[0][0] < seconds - MINUTE:
            self._sent.popleft()
        used = (requests - self._sent[0][1]) / self._minute if self._minute else None
        return Snapshot(
            rows=counts.get("rows", 0),
            requests=requests,
            bytes=counts.get("bytes", 0),
            throttled=counts.get("throttled", 0),
            quota=used,
            seconds=seconds,
        )
