"""A file system with the limits that Databricks documents for volumes: `volume.py FOLDER MOUNT`, in the background.

Files are written from begin to end and in no other way: no appends, no writes in the middle, no holes, no links, no
locks. Replacing a file by a rename takes two steps, as it does where objects are copied. FOLDER keeps the files.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from typing import Any

import fuse

BETWEEN_SECONDS = 0.02  # the steps of a rename


class Volume(fuse.Operations):  # type: ignore[misc]
    """Passes what a volume can do on to a folder."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def __call__(self, operation: str, path: str, *rest: Any) -> Any:
        """Run an operation; the paths it gets are those in the folder."""
        if not hasattr(self, operation):
            raise fuse.FuseOSError(errno.EOPNOTSUPP)
        return getattr(self, operation)(self._folder + path, *rest)

    def getattr(self, path: str, _: object = None) -> dict[str, object]:
        found = os.lstat(path)
        return {name: getattr(found, name) for name in dir(found) if name.startswith("st_")}

    def readdir(self, path: str, _: object) -> list[str]:
        return [".", "..", *os.listdir(path)]  # noqa: PTH208

    def open(self, path: str, flags: int) -> int:
        if flags & os.O_APPEND:
            raise fuse.FuseOSError(errno.EOPNOTSUPP)
        return os.open(path, flags)

    def create(self, path: str, mode: int, _: object = None) -> int:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, mode)

    def read(self, _: str, size: int, offset: int, file: int) -> bytes:
        return os.pread(file, size, offset)

    def write(self, _: str, content: bytes, offset: int, file: int) -> int:
        if offset != os.fstat(file).st_size:
            raise fuse.FuseOSError(errno.EOPNOTSUPP)
        return os.pwrite(file, content, offset)

    def truncate(self, path: str, length: int, _: object = None) -> None:
        if length:
            raise fuse.FuseOSError(errno.EOPNOTSUPP)
        os.truncate(path, 0)

    def rename(self, old: str, new: str) -> None:
        new = self._folder + new
        if os.path.isfile(new):  # noqa: PTH113
            os.remove(new)  # noqa: PTH107
            time.sleep(BETWEEN_SECONDS)
        os.rename(old, new)  # noqa: PTH104

    def mkdir(self, path: str, mode: int) -> None:
        os.mkdir(path, mode)  # noqa: PTH102

    def chmod(self, path: str, mode: int) -> None:
        os.chmod(path, mode)  # noqa: PTH101

    def rmdir(self, path: str) -> None:
        os.rmdir(path)  # noqa: PTH106

    def unlink(self, path: str) -> None:
        os.unlink(path)  # noqa: PTH108

    def release(self, _: str, file: int) -> None:
        os.close(file)

    def lock(self, *_: object) -> None:
        raise fuse.FuseOSError(errno.EOPNOTSUPP)

    def statfs(self, path: str) -> dict[str, object]:
        found = os.statvfs(path)
        return {name: getattr(found, name) for name in dir(found) if name.startswith("f_") and name != "f_fsid"}


if __name__ == "__main__":
    fuse.FUSE(Volume(sys.argv[1]), sys.argv[2], nothreads=False)
