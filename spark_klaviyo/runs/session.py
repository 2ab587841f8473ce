"""What kind of Spark a DataFrame lives in, found out by what it can do and never by its version."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def session_of(df: DataFrame) -> Any:
    """The session of a DataFrame, classic or Connect."""
    return df.sparkSession


def context_of(df: DataFrame) -> Any | None:
    """The SparkContext of a classic DataFrame; None under Connect, which has none."""
    return getattr(session_of(df), "_sc", None)


def choose_worker_python(df: DataFrame) -> None:
    """Make the workers' Python the driver's where nobody chose one and the workers are on this machine.

    Otherwise Spark takes `python3` from the PATH, which in a virtual environment is another one, without pyarrow.
    """
    context = context_of(df)
    if context is None or not str(context.master).startswith("local"):
        return
    chosen = os.environ.get("PYSPARK_PYTHON") or context.getConf().get("spark.pyspark.python", None)
    if not chosen:
        context.pythonExec = sys.executable


def describe_job(df: DataFrame, text: str) -> None:
    """Name what runs in Spark's UI; the text holds no option."""
    context = context_of(df)
    if context is not None:
        context.setJobDescription(text)


def current_task() -> tuple[int, int]:
    """Partition number and attempt number of the Spark task that this code runs in; (0, 0) outside one."""
    from pyspark import TaskContext

    task = TaskContext.get()
    return (task.partitionId(), task.attemptNumber()) if task is not None else (0, 0)


def known_row_count(df: DataFrame) -> int | None:
    """How many rows a DataFrame has, where Spark knows it without counting: cached data, tables with statistics."""
    if context_of(df) is None:
        return None
    count = df._jdf.queryExecution().optimizedPlan().stats().rowCount()
    return int(str(count.get())) if count.isDefined() else None
