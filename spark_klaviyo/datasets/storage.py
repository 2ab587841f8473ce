"""Directories on any file system that pyarrow, or an installed fsspec, can open, and the files of datasets in them.

No other module opens a path, but for keys in files. Files become visible when they are complete. Where the file system
has permissions, a folder that is made here is its owner's alone, as it holds personal data, and files have those of
their folder.
"""

from __future__ import annotations

import json
import os
import stat
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from spark_klaviyo.core.stores import NoStoreError, open_store
from spark_klaviyo.datasets.schemas import Column, arrow_schema
from spark_klaviyo.errors import OptionError

PARQUET = ".parquet"
_RENAMING = frozenset({"local", "hdfs"})  # elsewhere an object appears when it is complete
_REPLACING = frozenset({"local"})  # where a rename replaces a file of that name
_HIDDEN = ("_", ".")
VOLUMES = "/Volumes"  # where Databricks mounts volumes
DBFS = "/dbfs"  # where Databricks mounts `dbfs:/`
NOT_MOUNTED = "dbfs: {} is not mounted here; give a volume (/Volumes/...) or the URI of a store"
MOST_ROWS = 5_000
MOST_BYTES = 16_000_000  # of the texts in them
MOST_SECONDS = 10.0  # a row that comes so long after the first one of its file makes the file be written


def is_local(location: str) -> bool:
    """Whether a path or URI is on this machine's own file system, mounts included."""
    scheme = urlsplit(location).scheme
    return scheme in ("", "file") or len(scheme) == 1  # a drive of Windows


def local_path(location: str) -> str:
    """The path of a local location; `dbfs:/x` is Databricks' mount of it."""
    if location.startswith("dbfs:"):
        return f"{DBFS}/" + location.removeprefix("dbfs:").lstrip("/")
    return urlsplit(location).path if location.startswith("file:") else location


@dataclass(frozen=True)
class Folder:
    """A directory that need not exist yet. Methods raise OSError as its file system does."""

    system: pafs.FileSystem
    path: str

    @staticmethod
    def at(location: str) -> Folder:
        """The directory at a path or URI; `OptionError` where nothing installed here can open it."""
        if location.startswith("dbfs:") and not Path(DBFS).is_dir():  # a folder made there would be lost
            raise OptionError(NOT_MOUNTED.format(DBFS))
        if is_local(location) or location.startswith("dbfs:"):
            path = Path(local_path(location)).expanduser().absolute()
            return Folder(pafs.LocalFileSystem(), path.as_posix())
        try:
            return Folder(*open_store(location))
        except NoStoreError as error:
            raise OptionError(str(error)) from error.__cause__

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine."""
        return bool(self.system.type_name == "local")

    @property
    def is_object_store(self) -> bool:
        """Whether it may be one, also behind a mount of Databricks: a write takes a while until all see it."""
        return not self.is_local or self.path.startswith((f"{VOLUMES}/", f"{DBFS}/"))

    def child(self, name: str) -> Folder:
        """A directory inside."""
        return Folder(self.system, f"{self.path}/{name}")

    def make(self) -> None:
        """Create it, and its parents, where they do not exist."""
        if self.is_local:
            Path(self.path).mkdir(mode=0o700, parents=True, exist_ok=True)
        else:
            self.system.create_dir(self.path, recursive=True)

    def names(self) -> list[str]:
        """Names of the visible Parquet files, sorted; none where the directory does not exist.

        An empty file is one whose writer was killed: some object stores show it before it is complete.
        """
        found = (entry.base_name for entry in self._entries() if entry.is_file and entry.size != 0)
        return sorted(name for name in found if name.endswith(PARQUET) and not name.startswith(_HIDDEN))

    def names_with(self, prefix: str) -> list[str]:
        """Names of all files that begin so, hidden ones included, sorted."""
        return sorted(e.base_name for e in self._entries() if e.is_file and e.base_name.startswith(prefix))

    def size(self) -> int:
        """Bytes of all files in it."""
        return sum(entry.size or 0 for entry in self._entries())

    def is_empty(self) -> bool:
        """Whether it holds nothing but hidden files and directories, which Spark's readers do not see."""
        return all(entry.base_name.startswith(_HIDDEN) for entry in self._entries())

    def folders(self) -> list[Folder]:
        """The directories in it, hidden ones included."""
        return [self.child(entry.base_name) for entry in self._entries() if entry.type == pafs.FileType.Directory]

    def read(self, name: str, columns: list[str]) -> pa.Table:
        """Some columns of a Parquet file; those that it does not have are left out."""
        with self.system.open_input_file(f"{self.path}/{name}") as file:
            return pq.ParquetFile(file).read(columns)

    def columns_of(self, name: str) -> list[str]:
        """The names of the columns of a Parquet file."""
        with self.system.open_input_file(f"{self.path}/{name}") as file:
            return list(pq.read_schema(file).names)

    def is_readable(self, name: str) -> bool:
        """Whether a file is a whole Parquet file: reads all of it."""
        try:
            for _ in self.read_batches(name, None, MOST_ROWS):
                pass
        except (pa.ArrowException, OSError):
            return False
        return True

    def read_batches(self, name: str, columns: list[str] | None, rows: int) -> Iterator[pa.RecordBatch]:
        """Some columns of a Parquet file (None: all), `rows` rows at a time: for files that may not fit into memory."""
        with self.system.open_input_file(f"{self.path}/{name}") as file:
            yield from pq.ParquetFile(file).iter_batches(rows, columns=columns)

    def write(self, name: str, table: pa.Table) -> None:
        """Write a new Parquet file."""
        self.make()
        with self._new_file(name, _RENAMING) as file:
            pq.write_table(table, file)

    def write_batches(self, name: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
        """Write a new Parquet file, a batch at a time; where that fails, there is none."""
        self.make()
        with self._new_file(name, _RENAMING) as file, pq.ParquetWriter(file, schema) as writer:
            for batch in batches:
                writer.write_batch(batch)

    def read_json(self, name: str) -> dict[str, Any] | None:
        """A JSON object; None where there is no such file, empty while it is being written."""
        try:
            with self.system.open_input_stream(f"{self.path}/{name}") as file:
                found = json.loads(file.read())
        except FileNotFoundError:
            return None
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def write_json(self, name: str, content: Mapping[str, object]) -> None:
        """Write a JSON object, replacing the file of this name; on a local file system in one step."""
        with self._new_file(name, _REPLACING) as file:
            file.write(json.dumps(content).encode())

    def delete(self, *names: str) -> None:
        """Delete files, those that are still there."""
        for name in names:
            with suppress(FileNotFoundError):
                self.system.delete_file(f"{self.path}/{name}")

    def restrict_files(self) -> None:
        """Take from local files the permissions that the directory does not give; files of other users stay."""
        folder = Path(self.path)
        allowed = _file_mode(folder) if folder.is_dir() else 0
        for entry in os.scandir(folder) if allowed else ():
            mode = stat.S_IMODE(entry.stat(follow_symlinks=False).st_mode)
            if entry.is_file(follow_symlinks=False) and mode & ~allowed:
                with suppress(OSError):
                    Path(entry.path).chmod(mode & allowed)

    def remove(self) -> None:
        """Delete the directory and everything in it, if it is there."""
        with suppress(FileNotFoundError):
            self.system.delete_dir(self.path)

    def remove_if_empty(self) -> None:
        """Delete the directory if nothing is in it; here nothing is lost that another process adds meanwhile."""
        if self.is_local:
            with suppress(OSError):
                Path(self.path).rmdir()
        elif not self._entries():
            self.remove()

    def _entries(self) -> list[pafs.FileInfo]:
        found: list[pafs.FileInfo] = self.system.get_file_info(pafs.FileSelector(self.path, allow_not_found=True))
        inside = f"{self.path}/"  # some file systems list what is in the directories inside, too
        below = (entry.path[len(inside) :].rstrip("/") if entry.path.startswith(inside) else "" for entry in found)
        return [entry for entry, rest in zip(found, below, strict=True) if "/" not in rest]

    @contextmanager
    def _new_file(self, name: str, renaming: frozenset[str]) -> Iterator[pa.NativeFile]:
        """A file to write to; on the file systems in `renaming` it gets its name when it is complete.

        On an error it is deleted, unless it may be an older one that was to be replaced.
        """
        path = hidden = f"{self.path}/{name}"
        if self.system.type_name in renaming:
            hidden = f"{self.path}/_{uuid.uuid4().hex}.part"
        if self.is_local:
            os.close(os.open(hidden, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, _file_mode(Path(self.path))))
        with ExitStack() as on_error:
            if renaming is _RENAMING or hidden != path:
                on_error.callback(self.delete, Path(hidden).name)
            with self.system.open_output_stream(hidden) as file:
                yield file
            if hidden != path:
                self.system.move(hidden, path)
            on_error.pop_all()


def _file_mode(folder: Path) -> int:
    """The permissions of a file in a folder: others may do no more than the folder allows."""
    return 0o600 | stat.S_IMODE(folder.stat().st_mode) & 0o666


class PartWriter:
    """Appends rows of one dataset to a folder as they come, in files of bounded size whose names no other writer uses.

    `folder`: None where nobody asked for the dataset; its rows are dropped. `stem` begins the names of the files;
    `before` is a writer whose rows have to be on disk before any of these is.
    """

    def __init__(
        self, folder: Folder | None, columns: tuple[Column, ...], stem: str, before: PartWriter | None = None
    ) -> None:
        self._folder, self._columns, self._before = folder, columns, before
        self._stem = f"{stem}-{uuid.uuid4().hex[:8]}"
        self._rows: list[Mapping[str, object]] = []
        self._size, self._since = 0, 0.0
        self.names: list[str] = []

    def add(self, row: Mapping[str, object], now: float) -> None:
        """Add a row, in which columns may be missing; `now` is any clock's seconds."""
        if self._folder is None:
            return
        if not self._rows:
            self._since = now
        self._rows.append(row)
        self._size += sum(len(value) for value in row.values() if isinstance(value, str))
        if len(self._rows) >= MOST_ROWS or self._size >= MOST_BYTES or now - self._since >= MOST_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write the rows that are held."""
        if self._folder is None or not self._rows:
            return
        if self._before is not None:
            self._before.flush()
        name = f"{self._stem}-{len(self.names):05d}{PARQUET}"
        self._folder.write_batches(name, arrow_schema(self._columns), [record_batch(self._rows, self._columns)])
        self.names.append(name)
        self._rows, self._size = [], 0

    def write_schema(self) -> None:
        """Write an empty file where the folder holds none: Spark cannot read a schema from an empty folder."""
        self.flush()
        if self._folder is not None and not self.names and not self._folder.names():
            self._folder.write(f"{self._stem}-none{PARQUET}", arrow_schema(self._columns).empty_table())

    def undo(self) -> None:
        """Drop the rows that are held, and delete the files written."""
        self._rows = []
        if self._folder is not None:
            self._folder.delete(*self.names)
        self.names = []


def record_batch(rows: Iterable[Mapping[str, object]], columns: tuple[Column, ...]) -> pa.RecordBatch:
    """Rows of a dataset, in which columns may be missing and times may be text."""
    times = [column.name for column in columns if column.type == "timestamp"]
    typed = [{**row, **{name: as_time(row.get(name)) for name in times}} for row in rows] if times else list(rows)
    return pa.RecordBatch.from_pylist(typed, arrow_schema(columns))


def as_time(value: object) -> object:
    """A time that is text as a time; anything else as it is."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value
