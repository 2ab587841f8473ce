"""What the simulator received: a record a request."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


class Headers(Mapping[str, str]):
    """Headers under any spelling of their names."""

    def __init__(self, pairs: Mapping[str, str]) -> None:
        self._pairs = {name.lower(): (name, value) for name, value in pairs.items()}

    def __getitem__(self, name: str) -> str:
        return self._pairs[name.lower()][1]

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._pairs.values())

    def __len__(self) -> int:
        return len(self._pairs)


@dataclass(frozen=True)
class RecordedRequest:
    """One request and the status it got (None where no answer was sent); `at` in simulated seconds since the start.

    The Authorization header is kept: this is a test double.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Headers
    body: bytes
    status: int | None
    at: float
    operation: str

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)
