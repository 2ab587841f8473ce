"""A local Spark session for the command line and the demo, where there is none yet.

pyspark is imported when a session is asked for: the package must import on machines that do not have it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from spark_klaviyo.cli.java import java_home
from spark_klaviyo.errors import OptionError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# Set by spark-submit and Spark Connect, which bring a session with its own settings.
SESSION_VARIABLES = ("PYSPARK_GATEWAY_PORT", "SPARK_REMOTE", "SPARK_CONNECT_MODE_ENABLED")
LOGGING = Path(__file__).with_name("quiet.properties")
SETTINGS = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={LOGGING.as_uri()}",
}


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
    if SparkSession.getActiveSession() is not None or any(name in os.environ for name in SESSION_VARIABLES):
        return builder.getOrCreate()
    home = java_home()
    if home is not None:
        os.environ["JAVA_HOME"] = home
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    for name, value in {**SETTINGS, **conf}.items():
        builder = builder.config(name, value)
    return builder.master(master).getOrCreate()


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


def dataset(spark: SparkSession, path: str, file_format: str) -> DataFrame:
    """The DataFrame at a path; the first line of CSV files holds the names of the columns.

    Raises:
        OptionError: Spark finds nothing there, or does not know the format.
    """
    from pyspark.errors import PySparkException

    read_errors: tuple[type[Exception], ...] = (PySparkException,)
    with suppress(ImportError):  # Spark Connect alone has none
        from py4j.protocol import Py4JError

        read_errors += (Py4JError,)  # raised where a source's own classes are missing
    reader = spark.read.format(file_format)
    try:
        return (reader.option("header", "true") if file_format == "csv" else reader).load(path)
    except read_errors as error:
        reason = " ".join(str(error).strip().splitlines()[:2])
        raise OptionError(f"--input: Spark cannot read it as {file_format}: {reason}") from error
