"""A pool of daemon threads, so that a hanging connection never keeps the process alive."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Generic, TypeVar

Work = TypeVar("Work")
Result = TypeVar("Result")


class Capture:
    """A context manager that keeps an exception of a kind in `error`, to be raised later, perhaps in another thread."""

    def __init__(self, kind: type[BaseException]) -> None:
        self._kind = kind
        self.error: BaseException | None = None

    def __enter__(self) -> Capture:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self.error = error if isinstance(error, self._kind) else None
        return self.error is not None

    def reraise(self) -> None:
        """Raise the kept exception, if there is one."""
        if self.error is not None:
            raise self.error


class DaemonPool(Generic[Work, Result]):
    """Runs `function` for each piece of work in one of `most` threads, which are started as they are needed.

    `function` gets the work and a callable that takes its results, any number of them.
    """

    def __init__(self, function: Callable[[Work, Callable[[Result], None]], None], most: int) -> None:
        self._function, self._most = function, most
        self._todo: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[Result | Capture] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self.busy = 0  # pieces of work whose end `next_result` has not returned yet

    def submit(self, work: Work) -> None:
        """Run a piece of work in a thread; the caller keeps `busy` below `most`."""
        self.busy += 1
        if len(self._threads) < min(self.busy, self._most):
            thread = threading.Thread(target=self._run, name=f"klaviyo-send-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._todo.put(work)

    def next_result(self) -> Result | None:
        """Wait for the next result; None when a piece of work has ended. Raises what the work raised."""
        result = self._results.get()
        if isinstance(result, Capture):
            self.busy -= 1
            result.reraise()
            return None
        return result

    def shutdown(self, seconds: float) -> None:
        """Let the threads end, and wait for at most so many real seconds."""
        for _ in self._threads:
            self._todo.put(None)
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(until - time.monotonic(), 0.0))

    def _run(self) -> None:
        while (work := self._todo.get()) is not None:
            with Capture(BaseException) as end:
                self._function(work, self._results.put)
            self._results.put(end)
