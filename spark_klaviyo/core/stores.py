"""File systems behind URIs: pyarrow's own, else an installed fsspec's. Endpoints and keys come from the environment."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

# The distribution that teaches fsspec a scheme.
FSSPEC = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "abfss": "adlfs", "az": "adlfs"}
_ALIASES = {"s3a": "s3", "gcs": "gs"}  # what pyarrow calls them


class NoStoreError(Exception):
    """Nothing installed here can open the URI; the message holds nothing of it but the scheme."""


def open_store(uri: str) -> tuple[FileSystem, str]:
    """The file system and the path of a URI; raises `NoStoreError`."""
    import pyarrow as pa  # late: options are read without it

    scheme = urlsplit(uri).scheme
    reason: Exception | None = None
    # pyarrow takes a login for Azure, adlfs the storage account's key or connection string as well
    for opened in (_by_fsspec, _by_arrow) if FSSPEC.get(scheme) == "adlfs" else (_by_arrow, _by_fsspec):
        try:
            return opened(uri)
        except (pa.ArrowException, ImportError, ValueError, OSError, NotImplementedError) as error:
            reason = error if reason is None or "fsspec" in sys.modules else reason
    advice = f": pip install fsspec {FSSPEC[scheme]}" if scheme in FSSPEC else ""
    message = (
        f"{scheme}: no file system of this kind can be opened here with pyarrow {pa.__version__} or fsspec{advice}"
    )
    # their errors quote the whole URI, which may hold a store's secrets
    raise NoStoreError(message) from (None if set("@?") & set(uri) else reason)


def _by_arrow(uri: str) -> tuple[FileSystem, str]:
    import pyarrow.fs as pafs  # late: options are read without it

    scheme, rest = uri.split(":", 1)
    found: tuple[FileSystem, str] = pafs.FileSystem.from_uri(f"{_ALIASES.get(scheme, scheme)}:{rest}")
    return found


def _by_fsspec(uri: str) -> tuple[FileSystem, str]:
    import pyarrow.fs as pafs  # late: options are read without it

    system, path = import_module("fsspec").core.url_to_fs(uri)
    return pafs.PyFileSystem(pafs.FSSpecHandler(system)), path
