"""What has to be on a machine where a write runs: archives of it, and environments of Python that have it."""

from __future__ import annotations

import re
import socket
import venv
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from spark_klaviyo.cli.doctor import packages


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def is_installed(name: str) -> bool:
    try:
        return bool(distribution(name).files)
    except PackageNotFoundError:
        return False


def required_modules(*more: str) -> list[Path]:
    """What a write needs beside this package and Spark: top-level folders and files of the installed distributions.

    `more` are distributions that are wanted, too.
    """
    names, found = [*packages()[1:], "pandas", *more], dict[str, Path]()
    seen = set(names)
    while names:
        installed = distribution(names.pop())
        for file in installed.files or ():
            top = file.parts[0]
            if top not in found and not top.startswith((".", "__pycache__")):
                found[top] = Path(str(installed.locate_file(top)))
        for text in installed.requires or ():
            name = re.split(r"[^\w.-]", text)[0]
            if "extra ==" not in text and name not in seen and is_installed(name):
                seen.add(name)
                names.append(name)
    return sorted(path for path in found.values() if path.exists())


def linked(folder: Path, *more: str) -> Path:
    """A folder with links to what a write needs, to import from."""
    folder.mkdir()
    for module in required_modules(*more):
        (folder / module.name).symlink_to(module)
    return folder


def python_with(folder: Path, *paths: Path) -> Path:
    """The Python of a new environment that has what is in these folders installed, and nothing else."""
    venv.create(folder, with_pip=False)
    [packages_of] = (folder / "lib").glob("python3*/site-packages")
    (packages_of / "installed.pth").write_text("".join(f"{path}\n" for path in paths), encoding="utf-8")
    return folder / "bin" / "python"


def zipped(target: Path, *sources: Path) -> Path:
    """An uncompressed archive of folders and files, by their names."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for source in sources:
            files = [source] if source.is_file() else [path for path in source.rglob("*") if path.is_file()]
            for file in files:
                if "__pycache__" not in file.parts and "tests" not in file.relative_to(source.parent).parts:
                    archive.write(file, file.relative_to(source.parent))
    return target
