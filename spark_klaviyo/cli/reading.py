"""Opens a dataset with Spark for a command, and closes what it started."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from spark_klaviyo.cli.local_spark import dataset, session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@contextmanager
def opened(path: str, file_format: str) -> Iterator[DataFrame]:
    """The DataFrame at a path; under `spark-submit` in its session, else in a local one that ends with the command."""
    with session("spark-klaviyo") as spark:
        yield dataset(spark, path, file_format)
