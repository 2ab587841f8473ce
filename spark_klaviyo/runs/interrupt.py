"""Runs work that Ctrl-C or a cancelled notebook cell interrupts: requests stop, and the caller still gets the report.

The work runs in another thread while the calling one waits and receives the interruption. It then stops the senders,
lets them hand back what they did, and cancels Spark's jobs if that takes too long.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import TypeVar

from pyspark.sql import DataFrame
from pyspark.util import InheritableThread

from spark_klaviyo.core.capture import Capture
from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.report.report import WriteStopped
from spark_klaviyo.runs import session

LEFT_SECONDS = 6.0  # for what a cancelled job hands back
POLL_SECONDS = 0.2  # on some systems a thread that waits longer in one go is not interrupted
UNKNOWN = f"{StopCode.INTERRUPTED.text}; requests in flight were abandoned, so it is unknown what became of the rows"
UNDER_CONNECT = "; tasks of Spark Connect cannot report once they are interrupted: send_from=driver keeps the report"
Value = TypeVar("Value")


def run_interruptibly(
    df: DataFrame, run_id: str, work: Callable[[], Value], stop: Callable[[], None], grace_seconds: float
) -> Value:
    """What `work` returns. When it is interrupted, `stop` is called, and Spark's jobs are cancelled if the work has not
    ended `grace_seconds` later.

    Under Spark Connect nothing reaches the tasks, so the report of what they sent is lost, and the error says so. Only
    the main thread is ever interrupted, so elsewhere the work is simply done. Raises `WriteStopped` where interrupted
    work had to be abandoned; a second interruption is not handled.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()
    tag = f"klaviyo_{run_id}"
    running = _start(df, tag, work)
    try:
        with _plain_interrupts():
            while not wait([running], POLL_SECONDS).done:
                continue
    except KeyboardInterrupt as interruption:
        stop()
        if not wait([running], grace_seconds).done:
            _cancel_jobs(df, tag)
        if not wait([running], LEFT_SECONDS).done or running.exception() is not None:
            hint = UNDER_CONNECT if session.context_of(df) is None else ""
            raise WriteStopped(f"{UNKNOWN}{hint} (run {run_id})") from interruption
    return running.result()


@contextmanager
def _plain_interrupts() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt and no more; classic Spark would cancel all jobs, and lose their reports."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _start(df: DataFrame, tag: str, work: Callable[[], Value]) -> Future[Value]:
    """Run the work in a thread that has the caller's Spark settings, its jobs tagged."""
    spark, context = df.sparkSession, session.context_of(df)
    running: Future[Value] = Future()

    def run() -> None:
        with Capture(BaseException) as failure:
            (spark.addTag if context is None else context.addJobTag)(tag)
            running.set_result(work())
        if failure.error is not None:
            running.set_exception(failure.error)

    settings = {"session": spark} if context is None else {}
    InheritableThread(run, name="klaviyo-write", daemon=True, **settings).start()
    return running


def _cancel_jobs(df: DataFrame, tag: str) -> None:
    """Cancel the work's Spark jobs; their tasks are killed within seconds."""
    context = session.context_of(df)
    (df.sparkSession.interruptTag if context is None else context.cancelJobsWithTag)(tag)
