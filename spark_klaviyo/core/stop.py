"""The word to stop: an event with a reason that wakes every sleeper."""

from __future__ import annotations

import threading
import weakref


class Stop:
    """Set once, by anybody, from any thread; the first reason stays.

    A child stops with its parent (and takes over the reason), never the other way round.
    """

    def __init__(self, parent: Stop | None = None) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._children: weakref.WeakSet[Stop] = weakref.WeakSet()
        self.code = ""
        self.message = ""
        if parent is not None:
            parent.adopt(self)

    def set(self, code: str, message: str = "") -> None:
        """Stop, for this reason; later reasons are ignored. The message holds no key, body or value of a row."""
        with self._lock:
            if self._event.is_set():
                return
            self.code, self.message = code, message
            self._event.set()
            children = list(self._children)
        for child in children:
            child.set(code, message)

    def adopt(self, child: Stop) -> None:
        """Let `child` stop whenever this one does, now if this one has."""
        with self._lock:
            self._children.add(child)
            stopped = self._event.is_set()
        if stopped:
            child.set(self.code, self.message)

    def is_set(self) -> bool:
        """Whether somebody has stopped."""
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Sleep for real seconds at most; True as soon as stopped."""
        return self._event.wait(max(seconds, 0.0))
