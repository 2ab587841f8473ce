"""A request's body as blocks of a known total length, so that it is never joined in memory and never sent chunked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

Part: TypeAlias = "bytes | memoryview"
BLOCK_BYTES = 256 * 1024  # a socket's timeout covers one block, so that a slow connection does not count as a dead one
SMALL_BYTES = 32 * 1024  # smaller parts share a block: a system call for each row would cost more than the copy


class Body:
    """The parts in order."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = [memoryview(part).cast("B") for part in parts if len(part)]
        self._size = sum(part.nbytes for part in self._parts)

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Part]:
        gathered = bytearray()
        for part in self._parts:
            if len(gathered) + part.nbytes > BLOCK_BYTES or part.nbytes >= SMALL_BYTES:
                if gathered:
                    yield bytes(gathered)
                gathered = bytearray()
            if part.nbytes < SMALL_BYTES:
                gathered += part
                continue
            for start in range(0, part.nbytes, BLOCK_BYTES):
                yield part[start : start + BLOCK_BYTES]
        if gathered:
            yield bytes(gathered)


def fill_placeholders(parts: Sequence[Part], values: Mapping[bytes, bytes]) -> list[Part]:
    """The parts with each placeholder replaced by its value; only `bytes` parts hold any, slices of rows do not."""
    filled: list[Part] = []
    for part in parts:
        text = part
        for placeholder, value in values.items() if isinstance(part, bytes) else ():
            text = bytes(text).replace(placeholder, value)
        filled.append(text)
    return filled
