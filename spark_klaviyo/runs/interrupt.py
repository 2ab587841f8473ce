"""A run that can be interrupted: Ctrl-C, or a cancelled cell, stops new requests and still gets the report.

The work goes on in a thread of its own while the calling one waits: the interruption reaches the one that waits, who
tells the senders to stop, lets them hand back what they did, and cancels Spark's jobs if that takes too long.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, TypeVar

from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.deliver.pool import Caught
from spark_klaviyo.report.errors import WriteStopped
from spark_klaviyo.runs import session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

CODE, MESSAGE = StopCode.INTERRUPTED, StopCode.INTERRUPTED.text
GRACE_SECONDS = 3.0  # for the senders to hand back what they did, before Spark's jobs are cancelled
LEFT_SECONDS = 6.0  # for what a cancelled job hands back
BEAT_SECONDS = 0.2  # a thread that waits longer in one go hears no interruption on some systems
UNKNOWN = f"{MESSAGE}; requests under way were left, so nobody can say what became of the rows"
Value = TypeVar("Value")


def attended(
    df: DataFrame, run_id: str, work: Callable[[], Value], tell: Callable[[StopCode, str], None], grace_seconds: float
) -> Value:
    """What `work` returns, also when it is interrupted: then `tell` is given the word to stop, a code and a message.

    Spark's jobs are cancelled if the work has not ended `grace_seconds` later. Only the main thread is ever
    interrupted, so elsewhere the work is simply done. Raises `WriteStopped` where an interrupted work had to be
    abandoned; a second interruption goes through as it is.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()
    working = _Working(df, f"klaviyo_{run_id}", work)
    try:
        with _only_interrupted():
            return working.result()
    except KeyboardInterrupt as interruption:
        tell(CODE, MESSAGE)
        if not working.ended(grace_seconds):
            working.cancel()
        if not working.ended(LEFT_SECONDS) or working.error is not None:
            raise WriteStopped(f"{UNKNOWN} (run {run_id})") from interruption
        return working.result()


@contextmanager
def _only_interrupted() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt and no more; classic Spark would cancel all jobs, and lose their reports."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class _Working(Generic[Value]):
    """Work in a thread that has the caller's Spark settings, its jobs tagged."""

    def __init__(self, df: DataFrame, tag: str, work: Callable[[], Value]) -> None:
        self._df, self._tag, self._work = df, tag, work
        self._value: list[Value] = []
        self._over = threading.Event()  # an interrupted `join` leaves a thread that says it has ended
        self.error: BaseException | None = None
        self._made().start()

    def result(self) -> Value:
        """Wait for the end, and return or raise what the work did."""
        while not self.ended(BEAT_SECONDS):
            continue
        if self.error is not None:
            raise self.error
        return self._value[0]

    def ended(self, seconds: float) -> bool:
        """Whether the work ends within these seconds."""
        return self._over.wait(seconds)

    def cancel(self) -> None:
        """Cancel the work's Spark jobs; their tasks are killed within seconds."""
        context = session.context_of(self._df)
        if context is None:
            session.session_of(self._df).interruptTag(self._tag)
        else:
            context.cancelJobsWithTag(self._tag)

    def _made(self) -> threading.Thread:
        from pyspark.util import InheritableThread

        connect = session.context_of(self._df) is None
        own = {"session": session.session_of(self._df)} if connect else {}
        thread: threading.Thread = InheritableThread(self._run, name="klaviyo-write", daemon=True, **own)
        return thread

    def _run(self) -> None:
        caught = Caught(BaseException)
        with caught:
            context = session.context_of(self._df)
            (session.session_of(self._df).addTag if context is None else context.addJobTag)(self._tag)
            self._value.append(self._work())
        self.error = caught.error
        self._over.set()
