"""Sends batches with a few requests in flight and yields deliveries as they complete; memory stays flat.

The requests are in daemon threads, so that a hanging connection never keeps the process alive.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from spark_klaviyo.core.capture import Capture
from spark_klaviyo.core.clock import Stop
from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.core.models import Batch, Batches
from spark_klaviyo.deliver.batch_sender import BatchSender
from spark_klaviyo.deliver.delivery import Delivery, SendContext
from spark_klaviyo.plan.model import SendSpec

JOIN_SECONDS = 5.0  # a stopped write sends nothing new, and waits so long for requests in flight
Work = TypeVar("Work")
Result = TypeVar("Result")


def deliver(spec: SendSpec, batches: Batches, context: SendContext) -> Iterator[Delivery | None]:
    """Send every batch and yield a delivery for each request that ended.

    `None` among the batches is passed on at once, so that the caller can drain rejections. The first batch is sent
    alone, so that a refused key costs one request. After it up to `spec.workers` requests are in flight, and a batch
    is pulled only when a worker is free. Once `context.stop` is set no batch is pulled any more; those pulled before
    come back as unsent. When `batches` raises, requests in flight are finished and yielded first. Closing the
    generator sets the stop, and sends nothing new.
    """
    failure, workers, in_flight, ended = Capture(Exception), max(spec.workers, 1), 1, False
    pool: DaemonPool[Batch, Delivery] = DaemonPool(BatchSender(spec, context).send, workers)
    try:
        for batch in _until_stopped(batches, context.stop, failure):
            if batch is None:
                yield None
                continue
            pool.submit(batch)
            yield from pool.results(in_flight)
            in_flight = workers  # the first batch has ended
        yield from pool.results(1)
        ended = True
        failure.reraise()
    finally:
        if not ended:
            context.stop.set(StopCode.CLOSED, "the write was ended")
        pool.shutdown()


def _until_stopped(batches: Batches, stop: Stop, failure: Capture) -> Batches:
    """The batches until they end, fail or the write is stopped; a failure is kept for later."""
    with failure:
        if stop.is_set():
            return
        for batch in batches:
            yield batch
            if stop.is_set():
                return


# --- threads --------------------------------------------------------------------------------------


class DaemonPool(Generic[Work, Result]):
    """Runs `function` for each piece of work in one of `most` threads, which are started as they are needed.

    `function` gets the work and a callable that takes its results, any number of them.
    """

    def __init__(self, function: Callable[[Work, Callable[[Result], None]], None], most: int) -> None:
        self._function, self._most = function, most
        self._todo: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[Result | Capture] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self.busy = 0  # pieces of work whose end `results` has not seen yet

    def submit(self, work: Work) -> None:
        """Run a piece of work in a thread; the caller keeps `busy` below `most`."""
        self.busy += 1
        if len(self._threads) < min(self.busy, self._most):
            thread = threading.Thread(target=self._run, name=f"klaviyo-send-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._todo.put(work)

    def results(self, in_flight: int) -> Iterator[Result]:
        """The results that come while so many pieces of work, or more, are under way. Raises what the work raised."""
        while self.busy >= in_flight:
            result = self._results.get()
            if isinstance(result, Capture):
                self.busy -= 1
                result.reraise()
            else:
                yield result

    def run(self, todo: deque[Work]) -> Iterator[Result]:
        """The results of all work, to which the caller may add meanwhile."""
        while todo or self.busy:
            while todo and self.busy < self._most:
                self.submit(todo.popleft())
            yield from self.results(self.busy)

    def shutdown(self) -> None:
        """Let the threads end, and wait for them for at most `JOIN_SECONDS` of real time."""
        for _ in self._threads:
            self._todo.put(None)
        until = time.monotonic() + JOIN_SECONDS
        for thread in self._threads:
            thread.join(max(until - time.monotonic(), 0.0))

    def _run(self) -> None:
        while (work := self._todo.get()) is not None:
            with Capture(BaseException) as end:
                self._function(work, self._results.put)
            self._results.put(end)
