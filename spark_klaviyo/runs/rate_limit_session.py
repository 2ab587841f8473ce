"""The rate-limit server of one run: grants send permits to all its tasks, collects their progress, and stops them.

It listens in the driver, where tasks can connect to it (classic Spark). Elsewhere each task keeps to a share of the
account's quota.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.core.models import Quota
from spark_klaviyo.core.stop import Stop
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.ratelimit.server import RateLimitServer
from spark_klaviyo.report.counts.summary import Counters
from spark_klaviyo.report.progress import ProgressDisplay, open_progress
from spark_klaviyo.runs.spark import session
from spark_klaviyo.task.context import SendContextFactory

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

UPDATE_SECONDS = 1.0
GRACE_SECONDS = 1.5
MINUTE = 60.0
PORT = "spark.klaviyo.rateLimitServer.port"  # a fixed port, for firewalls that pass declared ports only


@contextmanager
def rate_limit_session(
    df: DataFrame, plan: WritePlan, options: Options, tasks: int, *, from_driver: bool
) -> Iterator[tuple[SendContextFactory, Stop | None]]:
    """What the tasks of a run send through, and what stops them all; None where they cannot be reached.

    Meanwhile a progress bar shows their progress, where one is wanted.
    """
    share = 1.0 / max(tasks, 1)
    server = _start_server(df, plan, from_driver=from_driver)
    if server is None:
        yield SendContextFactory(share=share), None
        return
    progress = _show_progress(server, df, plan, options)
    ended = False
    try:
        address = server.address
        if not from_driver:
            host = session.session_of(df).conf.get("spark.driver.host", address.host)
            address = replace(address, host=str(host))
        yield SendContextFactory(rate_limit_server=address, share=share), server.stop
        ended = True
    finally:
        if not ended:
            server.stop.set(StopCode.INTERRUPTED, StopCode.INTERRUPTED.text)
            time.sleep(GRACE_SECONDS)  # every task sees it with its next heartbeat, before the server is gone
        if progress is not None:
            progress.close()
        server.close()


def _start_server(df: DataFrame, plan: WritePlan, *, from_driver: bool) -> RateLimitServer | None:
    """A server on the loopback or, for tasks, on the driver's own interface; None where tasks cannot connect to it."""
    if from_driver:
        return RateLimitServer(learns=plan.learns_quota).start()
    if session.context_of(df) is None:
        return None
    conf: Any = session.session_of(df).conf
    host = conf.get("spark.driver.bindAddress", None) or conf.get("spark.driver.host", None) or "127.0.0.1"
    try:
        return RateLimitServer(host=host, port=int(conf.get(PORT, "0")), learns=plan.learns_quota).start()
    except OSError:  # the interface is not this machine's: tasks keep to their shares
        return None


def _show_progress(server: RateLimitServer, df: DataFrame, plan: WritePlan, options: Options) -> _ProgressThread | None:
    display = open_progress(options.progress, lambda: session.known_row_count(df))
    if display is None:
        return None
    thread = _ProgressThread(server, display, plan.quota)
    thread.start()
    return thread


class _ProgressThread(threading.Thread):
    """Shows once a second what the tasks have reported to the server."""

    def __init__(self, server: RateLimitServer, display: ProgressDisplay, quota: Quota) -> None:
        super().__init__(name="klaviyo-progress", daemon=True)
        self._server, self._display, self._ended = server, display, threading.Event()
        self._minute_limit = next((count for count, seconds in quota.windows if seconds == MINUTE), None)
        self._sent: deque[tuple[float, int]] = deque()

    def run(self) -> None:
        """Until closed."""
        while not self._ended.wait(UPDATE_SECONDS):
            self._update()

    def close(self) -> None:
        """Show the last counters, and end."""
        self._ended.set()
        self.join()
        self._update()
        self._display.close()

    def _update(self) -> None:
        counters = Counters(**self._server.counts())
        now = time.monotonic()
        self._sent.append((now, counters.requests))
        while len(self._sent) > 1 and self._sent[0][0] < now - MINUTE:
            self._sent.popleft()
        sent_in_minute = counters.requests - self._sent[0][1]
        self._display.update(counters, sent_in_minute / self._minute_limit if self._minute_limit else None)
