"""Writes rows of a dataset as they come, in Parquet files of bounded size whose names no other writer uses."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime

import pyarrow as pa

from spark_klaviyo.datasets.schemas import Column, arrow_schema
from spark_klaviyo.datasets.storage import PARQUET, Folder

MOST_ROWS = 5_000
MOST_BYTES = 16_000_000  # of the texts in them
MOST_SECONDS = 10.0  # a row that comes so long after the first one of its file makes the file be written


class PartWriter:
    """Appends rows of one dataset to a folder.

    `stem` begins the names of the files; `before` is a writer whose rows have to be on disk before any of these is.
    """

    def __init__(
        self, folder: Folder, columns: tuple[Column, ...], stem: str, before: PartWriter | None = None
    ) -> None:
        self._folder, self._schema, self._before = folder, arrow_schema(columns), before
        self._times = [column.name for column in columns if column.type == "timestamp"]
        self._stem = f"{stem}-{uuid.uuid4().hex[:8]}"
        self._rows: list[dict[str, object]] = []
        self._size, self._since = 0, 0.0
        self.names: list[str] = []

    def add(self, row: Mapping[str, object], now: float) -> None:
        """Add a row, in which columns may be missing; `now` is any clock's seconds."""
        if not self._rows:
            self._since = now
        self._rows.append({**row, **{name: _time(row.get(name)) for name in self._times}})
        self._size += sum(len(value) for value in row.values() if isinstance(value, str))
        if len(self._rows) >= MOST_ROWS or self._size >= MOST_BYTES or now - self._since >= MOST_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write the rows that are held."""
        if not self._rows:
            return
        if self._before is not None:
            self._before.flush()
        name = f"{self._stem}-{len(self.names):05d}{PARQUET}"
        self._folder.write(name, pa.Table.from_pylist(self._rows, self._schema))
        self.names.append(name)
        self._rows, self._size = [], 0

    def write_schema(self) -> None:
        """Write an empty file where the folder holds none: Spark cannot read a schema from an empty folder."""
        self.flush()
        if not self.names and not self._folder.names():
            self._folder.write(f"{self._stem}-none{PARQUET}", self._schema.empty_table())

    def undo(self) -> None:
        """Drop the rows that are held, and delete the files written."""
        self._rows = []
        for name in self.names:
            self._folder.delete(name)
        self.names = []


def _time(value: object) -> object:
    return datetime.fromisoformat(value) if isinstance(value, str) else value
