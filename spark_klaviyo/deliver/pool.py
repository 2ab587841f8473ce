"""A few threads that carry batches; daemons, so that a hanging connection never keeps a process alive."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Generic, TypeVar

Work = TypeVar("Work")
Result = TypeVar("Result")


class Caught:
    """Keeps an exception of a kind, to be raised later in another place: `with caught: ...`, then `caught.error`."""

    def __init__(self, kind: type[BaseException]) -> None:
        self._kind = kind
        self.error: BaseException | None = None

    def __enter__(self) -> Caught:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self.error = error if isinstance(error, self._kind) else None
        return self.error is not None


class DaemonPool(Generic[Work, Result]):
    """`work` in any free thread, results back one by one; threads start when they are needed, `most` at most.

    `carry` is given the work and a function to hand over each result; what it raises is raised by `result`.
    """

    def __init__(self, carry: Callable[[Work, Callable[[Result], None]], None], most: int) -> None:
        self._carry, self._most = carry, most
        self._todo: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[Result | None, BaseException | None]] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self.busy = 0

    def give(self, work: Work) -> None:
        """Hand over work; the caller keeps `busy` below `most`."""
        self.busy += 1
        if len(self._threads) < min(self.busy, self._most):
            thread = threading.Thread(target=self._run, name=f"klaviyo-send-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._todo.put(work)

    def result(self) -> Result | None:
        """Wait for the next result; None when a piece of work has come to its end."""
        result, error = self._done.get()
        if error is not None:
            raise error
        if result is None:
            self.busy -= 1
        return result

    def finish(self, seconds: float) -> None:
        """Let the threads end, and wait for them so long at most (real seconds)."""
        for _ in self._threads:
            self._todo.put(None)
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(until - time.monotonic(), 0.0))

    def _run(self) -> None:
        while (work := self._todo.get()) is not None:
            caught = Caught(BaseException)
            with caught:
                self._carry(work, lambda result: self._done.put((result, None)))
            self._done.put((None, caught.error))
