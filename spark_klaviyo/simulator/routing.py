"""From method and path to an operation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import unquote

from spark_klaviyo.simulator.http.operation import Operation


class Route(NamedTuple):
    """The operations of one path, by method, and the values in the path."""

    operations: Mapping[str, Operation]
    params: Mapping[str, str]
    allow: str


class Router:
    """Paths are matched segment by segment, with and without a slash at the end (both are used in production)."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._by_length: dict[int, list[tuple[tuple[str, ...], dict[str, Operation]]]] = {}
        for operation in operations:
            segments = tuple(operation.path.strip("/").split("/"))
            self._entry(segments)[operation.method] = operation

    def _entry(self, segments: tuple[str, ...]) -> dict[str, Operation]:
        templates = self._by_length.setdefault(len(segments), [])
        for template, methods in templates:
            if _blanked(template) == _blanked(segments):
                return methods
        fresh: dict[str, Operation] = {}
        templates.append((segments, fresh))
        return fresh

    def find(self, path: str) -> Route | None:
        """The route of a path, or None where Klaviyo has no such path."""
        segments = path.strip("/").split("/")
        for template, methods in self._by_length.get(len(segments), ()):
            values = _values(template, segments)
            if values is not None:
                # no path holds more than one value; `{job_id}` and `{id}` are the same place
                return Route(methods, {"id": values[0]} if values else {}, _allow(template))
        return None


def _values(template: tuple[str, ...], segments: list[str]) -> list[str] | None:
    values = []
    for part, found in zip(template, segments, strict=True):
        if part.startswith("{"):
            values.append(unquote(found))
        elif part != found:
            return None
    return values


def _blanked(segments: tuple[str, ...]) -> tuple[str, ...]:
    return tuple("{}" if part.startswith("{") else part for part in segments)


def _allow(template: tuple[str, ...]) -> str:
    # recorded 2023-10 to 2026-04
    if template[-1].startswith("{"):
        return "GET, PUT, PATCH, DELETE, HEAD, OPTIONS"
    if "relationships" in template:
        return "GET, POST, PATCH, DELETE, HEAD, OPTIONS"
    return "GET, POST, HEAD, OPTIONS"
