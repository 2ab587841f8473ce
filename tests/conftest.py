"""What several test files share: one local Spark session, in a zone that is not UTC."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

REPOSITORY = str(Path(__file__).resolve().parent.parent)
# No Spark of the tests lives long enough for the second compiler of its JVM to be worth its time.
os.environ.setdefault("SPARK_SUBMIT_OPTS", "-XX:TieredStopAtLevel=1")

# Files run side by side, so how long an example takes says nothing about the code.
settings.register_profile("side by side", deadline=None)
settings.load_profile("side by side")

# pyspark 3.5 leaves the sockets of its collects to the garbage collector.
SPARK_SOCKETS = (
    "ignore:.*<socket.socket:pytest.PytestUnraisableExceptionWarning",
    "ignore:unclosed <socket:ResourceWarning",
)


# Begun first, so that no core is left with one of them while the other has nothing to do.
LONGEST = ("test_notebooks.py", "test_connect.py", "test_kills.py", "test_channels.py", "test_datasets.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first; bear with Spark's own sockets in the tests that use it, and nowhere else."""
    items.sort(key=lambda item: item.path.name not in LONGEST)
    for item in items:
        if "spark" in getattr(item, "fixturenames", ()):
            for rule in SPARK_SOCKETS:
                item.add_marker(pytest.mark.filterwarnings(rule))


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """A classic session with two cores. Its zone has half an hour and daylight saving, so no mistake can hide."""
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [REPOSITORY, os.environ.get("PYTHONPATH", "")]))
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    session = (
        SparkSession.builder.master("local[2]")
        .appName("spark-klaviyo-tests")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.session.timeZone", "America/St_Johns")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()
