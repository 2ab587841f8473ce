"""A local Spark for the command line and the demo, where nobody brought one."""

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

# Whoever set one of these has a Spark already (spark-submit, Connect); its settings are theirs.
BROUGHT_BY = ("PYSPARK_GATEWAY_PORT", "SPARK_REMOTE", "SPARK_CONNECT_MODE_ENABLED")
QUIET = Path(__file__).with_name("quiet.properties")
SETTINGS = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={QUIET.as_uri()}",
}


def local_session(app_name: str, master: str = "local[*]", **conf: str) -> SparkSession:
    """The session there is, or a new quiet one on this machine whose workers run this Python.

    `conf` are Spark settings by their dotted names. Raises KlaviyoError where there is no Java to start with.
    """
    from pyspark.sql import SparkSession

    if SparkSession.getActiveSession() is not None or any(name in os.environ for name in BROUGHT_BY):
        return SparkSession.builder.appName(app_name).getOrCreate()
    home = java_home()
    if home is not None:
        os.environ["JAVA_HOME"] = home
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    builder = SparkSession.builder.master(master).appName(app_name)
    for name, value in {**SETTINGS, **conf}.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def dataset(spark: SparkSession, path: str, file_format: str) -> DataFrame:
    """The DataFrame at a path. Raises OptionError where Spark finds none there, or does not know the format."""
    from pyspark.errors import PySparkException

    known: tuple[type[Exception], ...] = (PySparkException,)
    with suppress(ImportError):  # Spark Connect alone has none
        from py4j.protocol import Py4JError

        known += (Py4JError,)  # what comes where a source's own classes are missing
    reader = spark.read.format(file_format)
    try:
        return (reader.option("header", "true") if file_format == "csv" else reader).load(path)
    except known as error:
        said = " ".join(str(error).strip().splitlines()[:2])
        raise OptionError(f"--input: Spark cannot read it as {file_format}: {said}") from error


@contextmanager
def session(app_name: str, master: str = "local[*]", **conf: str) -> Iterator[SparkSession]:
    """The session there is, left running afterwards; or a local one that ends with the block."""
    from pyspark.sql import SparkSession

    there = SparkSession.getActiveSession()
    spark = there or local_session(app_name, master, **conf)
    try:
        yield spark
    finally:
        if there is None:
            spark.stop()
