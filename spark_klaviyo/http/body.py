"""A request's body as a stream of blocks with a known length, so that it is never joined and never sent chunked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

BLOCK = 256 * 1024  # a socket's timeout covers one block, so that a slow line is told from a dead one
SMALL = 32 * 1024  # below this, parts share a block: a system call for each row would cost more than the copy


class Body:
    """The parts in order. `handed_over` tells whether the last block has been given to the connection.

    Until then the server cannot hold a whole request, since Content-Length announces more than it got.
    """

    def __init__(self, parts: Sequence[bytes | memoryview]) -> None:
        self._parts = [memoryview(part).cast("B") for part in parts if len(part)]
        self._size = sum(part.nbytes for part in self._parts)
        self.handed_over = self._size == 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes | memoryview]:
        left = self._size
        for block in self._blocks():
            left -= len(block)
            self.handed_over = left == 0
            yield block

    def _blocks(self) -> Iterator[bytes | memoryview]:
        gathered = bytearray()
        for part in self._parts:
            if len(gathered) + part.nbytes > BLOCK or part.nbytes >= SMALL:
                if gathered:
                    yield bytes(gathered)
                gathered = bytearray()
            if part.nbytes < SMALL:
                gathered += part
                continue
            for start in range(0, part.nbytes, BLOCK):
                yield part[start : start + BLOCK]
        if gathered:
            yield bytes(gathered)


def filled(parts: Sequence[bytes | memoryview], marks: Sequence[tuple[bytes, bytes]]) -> list[bytes | memoryview]:
    """The parts with each mark replaced by its text. They stand in `bytes` parts; slices of rows pass."""
    done: list[bytes | memoryview] = []
    for part in parts:
        if isinstance(part, bytes):
            for mark, text in marks:
                part = part.replace(mark, text)  # noqa: PLW2901
        done.append(part)
    return done
