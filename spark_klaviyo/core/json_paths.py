"""Values inside a JSON record by path: a tuple of field names, where `[]` is the one item of a list."""

from __future__ import annotations

import itertools
from typing import TypeAlias, cast

from spark_klaviyo.core.exact_json import Json

Path: TypeAlias = tuple[str, ...]
ONE_ITEM = "[]"  # a list that holds exactly one item


def get(record: object, path: Path) -> Json:
    """The value at a path; None where there is none."""
    value = cast("Json", record)
    for part in path:
        if isinstance(value, list) and part == ONE_ITEM:
            value = value[0] if value else None
        else:
            value = value.get(part) if isinstance(value, dict) else None
    return value


def put(record: dict[str, Json], path: Path, value: Json) -> None:
    """Set the value at a path, creating the objects that lead there."""
    inner: Json = record
    for part, after in itertools.pairwise(path):
        if isinstance(inner, list):
            inner = inner[0] if inner else None
        elif isinstance(inner, dict):
            inner = inner.setdefault(part, [{}] if after == ONE_ITEM else {})
    if isinstance(inner, dict):
        inner[path[-1]] = value


def remove(record: dict[str, Json], path: Path) -> None:
    """Remove the value at a path."""
    holder = get(record, path[:-1])
    if isinstance(holder, dict):
        holder.pop(path[-1], None)
