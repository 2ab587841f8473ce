"""Keeps an exception to raise it later, where raising it at once would do harm."""

from __future__ import annotations


class Capture:
    """A context manager that keeps an exception of a kind in `error`, to be raised later, perhaps in another thread."""

    def __init__(self, kind: type[BaseException]) -> None:
        self._kind = kind
        self.error: BaseException | None = None

    def __enter__(self) -> Capture:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        self.error = error if isinstance(error, self._kind) else None
        return self.error is not None

    def take(self) -> BaseException | None:
        """The kept exception, if there is one, which is forgotten: with its traceback it would keep what it saw."""
        error, self.error = self.error, None
        return error

    def reraise(self) -> None:
        """Raise the kept exception, if there is one."""
        if self.error is not None:
            raise self.error
