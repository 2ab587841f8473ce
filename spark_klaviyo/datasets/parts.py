"""Rows written as they come, a Parquet file now and then: bounded memory, unique names, no half file is ever seen."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime

import pyarrow as pa

from spark_klaviyo.datasets.schemas import Column, arrow_schema
from spark_klaviyo.datasets.storage import PARQUET, Folder

MOST_ROWS = 5_000
MOST_BYTES = 16_000_000  # of the texts in them
MOST_SECONDS = 10.0  # after its first row a part is written at the latest when the next one comes


class PartWriter:
    """Appends rows of one dataset to a folder. `stem` begins the files' names and says who wrote them.

    `before`: a writer whose rows have to be on disk before any of ours is.
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
        """Take a row; `now` is any clock's seconds."""
        if not self._rows:
            self._since = now
        self._rows.append({**row, **{name: _moment(row[name]) for name in self._times}})
        self._size += sum(len(value) for value in row.values() if isinstance(value, str))
        if len(self._rows) >= MOST_ROWS or self._size >= MOST_BYTES or now - self._since >= MOST_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what is held."""
        if not self._rows:
            return
        if self._before is not None:
            self._before.flush()
        name = f"{self._stem}-{len(self.names):05d}{PARQUET}"
        self._folder.write(name, pa.Table.from_pylist(self._rows, self._schema))
        self.names.append(name)
        self._rows, self._size = [], 0

    def appear(self) -> None:
        """Leave an empty part where the folder would hold none, as Spark reads no schema from an empty folder."""
        self.flush()
        if not self.names and not self._folder.names():
            self._folder.write(f"{self._stem}-none{PARQUET}", self._schema.empty_table())

    def undo(self) -> None:
        """Drop what is held, and take the written files away."""
        self._rows = []
        for name in self.names:
            self._folder.delete(name)
        self.names = []


def _moment(value: object) -> object:
    """RFC 3339 text as a moment; Python 3.10 reads no `Z`."""
    return datetime.fromisoformat(value.replace("Z", "+00:00")) if isinstance(value, str) else value
