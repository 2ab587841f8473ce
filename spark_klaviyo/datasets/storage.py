"""The only opener of paths: a directory on whatever file system pyarrow, or an installed fsspec, knows.

Files become visible whole or not at all, and where the system has permissions, they are their owner's alone: they hold
people's data.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from spark_klaviyo.errors import OptionError

PARQUET = ".parquet"
_RENAMING = frozenset({"local", "hdfs"})  # elsewhere an object appears when it is complete
_HIDDEN = ("_", ".")


def is_local(place: str) -> bool:
    """Whether a place is on this machine's own file system, mounts included."""
    return urlsplit(place).scheme in ("", "file") or _is_windows(place)


def local_path(place: str) -> str:
    """The path of a local place; `dbfs:/x` is Databricks' mount of it."""
    if place.startswith("dbfs:"):
        return "/dbfs/" + place.removeprefix("dbfs:").lstrip("/")
    return urlsplit(place).path if place.startswith("file:") else place


def _is_windows(place: str) -> bool:
    return len(place) > 2 and place[1] == ":" and place[2] in "/\\"


@dataclass(frozen=True)
class Folder:
    """A directory that need not exist yet. Raises OSError as the file system does."""

    system: pafs.FileSystem
    path: str

    @staticmethod
    def at(place: str) -> Folder:
        """The directory at a path or URI; `OptionError` where nothing installed here can open it."""
        if is_local(place) or place.startswith("dbfs:"):
            path = Path(local_path(place)).expanduser().absolute()
            return Folder(pafs.LocalFileSystem(), path.as_posix())
        folder, reason = _by_arrow(place)
        if folder is None:
            folder, reason = _by_fsspec(place, reason)
        if folder is None:
            scheme = urlsplit(place).scheme
            message = f"no file system of this kind can be opened here with pyarrow {pa.__version__} or fsspec"
            # their errors quote the whole URI, which may hold a store's secrets
            raise OptionError(f"{scheme}: {message}") from (None if set("@?") & set(place) else reason)
        return folder

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine."""
        return bool(self.system.type_name == "local")

    def child(self, name: str) -> Folder:
        """A directory inside."""
        return Folder(self.system, f"{self.path}/{name}")

    def make(self) -> None:
        """Create it, and its parents, where it is not there."""
        if self.is_local:
            Path(self.path).mkdir(mode=0o700, parents=True, exist_ok=True)
        else:
            self.system.create_dir(self.path, recursive=True)

    def names(self, ending: str = PARQUET) -> list[str]:
        """Names of the visible files in it, sorted; none where it does not exist.

        A file without a byte is one whose writer was cut off: some object stores show it before it is complete.
        """
        selector = pafs.FileSelector(self.path, allow_not_found=True)
        every = [entry.base_name for entry in self.system.get_file_info(selector) if entry.is_file and entry.size != 0]
        return sorted(name for name in every if name.endswith(ending) and not name.startswith(_HIDDEN))

    def is_empty(self) -> bool:
        """Whether nothing is in it, hidden or not."""
        return not self.system.get_file_info(pafs.FileSelector(self.path, allow_not_found=True))

    def folders(self) -> list[Folder]:
        """The directories in it, hidden ones included."""
        selector = pafs.FileSelector(self.path, allow_not_found=True)
        every = [entry for entry in self.system.get_file_info(selector) if entry.type == pafs.FileType.Directory]
        return [self.child(entry.base_name) for entry in every]

    def read(self, name: str, columns: list[str]) -> pa.Table:
        """Some columns of a Parquet file."""
        with self.system.open_input_file(f"{self.path}/{name}") as file:
            return pq.read_table(file, columns=columns)

    def pieces(self, name: str, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Some columns of a Parquet file, so many rows at a time: for files that may not fit the memory."""
        with self.system.open_input_file(f"{self.path}/{name}") as file:
            yield from pq.ParquetFile(file).iter_batches(rows, columns=columns)

    def write(self, name: str, table: pa.Table) -> None:
        """A Parquet file that is there when it is complete."""
        self.make()
        renamed = self.system.type_name in _RENAMING
        path = f"{self.path}/_{name}.part" if renamed else f"{self.path}/{name}"
        if self.is_local:
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600))
        with self.system.open_output_stream(path) as file:
            pq.write_table(table, file)
        if renamed:
            self.system.move(path, f"{self.path}/{name}")

    def delete(self, name: str) -> None:
        """Take a file away, if it is still there."""
        try:
            self.system.delete_file(f"{self.path}/{name}")
        except FileNotFoundError:
            return

    def remove(self) -> None:
        """Take the directory away with all that is in it."""
        self.system.delete_dir(self.path)


def _by_arrow(place: str) -> tuple[Folder | None, Exception | None]:
    try:
        return Folder(*pafs.FileSystem.from_uri(place.replace("s3a://", "s3://", 1))), None
    except (pa.ArrowException, ValueError, OSError, NotImplementedError) as error:
        return None, error


def _by_fsspec(place: str, reason: Exception | None) -> tuple[Folder | None, Exception | None]:
    try:
        system, path = import_module("fsspec").core.url_to_fs(place)
        return Folder(pafs.PyFileSystem(pafs.FSSpecHandler(system)), path), None
    except (ImportError, ValueError, OSError) as error:
        return None, error if "fsspec" in sys.modules else reason
