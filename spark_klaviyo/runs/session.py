"""What kind of Spark a DataFrame belongs to, and the Spark task that code runs in; features decide, never a version."""

from __future__ import annotations

import logging
import mmap
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_klaviyo.datasets.spark_storage import spark_errors
from spark_klaviyo.errors import KlaviyoError, KlaviyoWarning
from spark_klaviyo.plan.types import VARIANT, Type, holds

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

log = logging.getLogger("spark_klaviyo")
QUERY_ID = "sql.streaming.queryId"  # Spark's local property; the same for a checkpoint's whole life
BATCH_ID = "streaming.sql.batchId"
PACKAGES = "spark_klaviyo|arro3|jinja2|numpy|orjson|pandas|phonenumbers|pyarrow|requests|tqdm|urllib3"  # a pattern
MISSING_PACKAGE = (
    "the Python of {where} has no module {module!r}: install spark-klaviyo, in the driver's version, on every worker, "
    "or send it along (README, Where it runs); `spark-klaviyo doctor` shows what each worker has"
)
CHOOSE_PYTHON = "set PYSPARK_PYTHON, before Spark starts, to a Python {} that all workers have"
_HOST = re.compile(r"\(TID \d+\) \(([\w.:-]+) executor")
_MISSING = re.compile(rf"ModuleNotFoundError: No module named '((?:{PACKAGES})[\w.]*)'")
_OTHER_PYTHON = re.compile(r"Python in worker has different version:? (\d[\d.]*\d) than that in driver:? (\d[\d.]*\d)")
_NO_PYTHON = re.compile(r'Cannot run program "([^"]{1,200})"')


def context_of(df: DataFrame) -> Any | None:
    """The SparkContext of a classic DataFrame; None under Connect, which has none."""
    return getattr(df.sparkSession, "_sc", None)


def active_context() -> Any | None:
    """The SparkContext of this process; None where there is none, and under Connect."""
    try:
        from pyspark import SparkContext
        from pyspark.sql.utils import is_remote
    except ImportError:  # the client of Connect alone
        return None
    # a local Connect server leaves its own SparkContext in this process
    return None if is_remote() else SparkContext._active_spark_context


def remove_large_functions(df: DataFrame, run_id: str) -> None:
    """Delete the files in which pyspark keeps those functions of a run that are too large to travel with its tasks.

    They hold the plan, and the key in it, and pyspark leaves them in a folder of `spark.local.dir` until the session
    ends. Called once the run's tasks have ended; each such file holds the id of its run.
    """
    folder = getattr(context_of(df), "_temp_dir", None)
    for file in Path(folder).glob("tmp*") if folder else ():
        with suppress(OSError, ValueError):  # an empty file cannot be mapped
            with file.open("rb") as content, mmap.mmap(content.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                is_ours = mapped.find(run_id.encode()) >= 0
            if is_ours:
                file.unlink()


def choose_worker_python(context: Any | None) -> None:
    """Make the workers' Python the one of `spark.pyspark.python`, else the driver's where both are on this machine.

    pyspark reads that setting from `spark-submit` alone, and otherwise takes `python3` from the PATH, which in a
    virtual environment is another one, without pyarrow. An environment variable `PYSPARK_PYTHON` goes before both.
    """
    if context is None or os.environ.get("PYSPARK_PYTHON"):
        return
    chosen = context.getConf().get("spark.pyspark.python", None)
    if chosen or str(context.master).startswith("local"):
        context.pythonExec = chosen or sys.executable


@contextmanager
def naming_worker_faults() -> Iterator[None]:
    """Raise `KlaviyoError`, in one sentence, where tasks cannot run for want of a package or of the right Python."""
    try:
        yield
    except spark_errors() as error:
        found = worker_fault(str(error))
        if not found:
            raise
        raise KlaviyoError(found) from None  # Spark's text is thousands of characters of both languages


def worker_fault(text: str) -> str:
    """What an error of Spark's says of the workers' Python, and what to do; empty where it says something else."""
    where = found[1] if (found := _HOST.search(text)) else "the workers"
    if found := _MISSING.search(text):
        return MISSING_PACKAGE.format(where=where, module=found[1])
    if found := _OTHER_PYTHON.search(text):
        return f"Python {found[1]} runs on {where}, and {found[2]} in this process: {CHOOSE_PYTHON.format(found[2])}"
    if found := _NO_PYTHON.search(text):
        return f"{found[1]} cannot be started on {where}: {CHOOSE_PYTHON.format(this_python())}"
    return ""


def this_python() -> str:
    """The version of this process' Python, as far as the workers' has to be the same."""
    return "{}.{}".format(*sys.version_info)


def query_id_of(df: DataFrame) -> str:
    """The id of the streaming query that a micro-batch belongs to; empty outside a stream and under Connect."""
    context = context_of(df)
    return str(context.getLocalProperty(QUERY_ID) or "") if context is not None else ""


@dataclass(frozen=True)
class SparkTask:
    """A Spark task. `query_id` and `batch_id`: of the micro-batch it belongs to, empty outside a stream.

    `executor_folder` is where Spark keeps files of the executor, which it deletes with it; empty outside a task.
    """

    partition_id: int = 0
    attempt: int = 0
    query_id: str = ""
    batch_id: str = ""
    stage_id: int = -1
    executor_folder: str = ""


def current_task() -> SparkTask:
    """The Spark task that this code runs in; partition 0 and attempt 0 outside one."""
    from pyspark import TaskContext  # late: following jobs needs no Spark

    task = TaskContext.get()
    if task is None:
        return SparkTask()
    query_id, batch_id = (task.getLocalProperty(name) or "" for name in (QUERY_ID, BATCH_ID))
    found = SparkTask(task.partitionId(), task.attemptNumber(), query_id, batch_id, task.stageId())
    with suppress(ImportError):  # the client of Connect alone has no files
        from pyspark import SparkFiles

        return replace(found, executor_folder=str(SparkFiles.getRootDirectory() or ""))
    return found


def coalesce(frame: DataFrame, most: int) -> DataFrame:
    """The frame in at most so many partitions, without a shuffle and without asking how many it has.

    Spark's optimizer would put this number in the place of one that the user has given with `coalesce` or
    `repartition`; so where there may be one, a filter stands between the two, which all rows pass and which it can
    neither drop (as it would `rand() >= 0`) nor move. It costs about a tenth of a write's CPU.
    """
    plan = _from_jvm(frame, lambda query: query.analyzed().toString())
    if plan is None or "Repartition" in str(plan) or "Rebalance" in str(plan):
        frame = frame.where("rand() * 2 >= 0")
    return frame.coalesce(most)


def grouped(frame: DataFrame, group: str, order: str) -> DataFrame:
    """The frame with the rows of a group next to each other, in one partition and in order.

    Other engines than Spark drop a sort that nothing asks for, so under Connect a number of each row asks for it.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as f

    frame = frame.repartition(group)
    if context_of(frame) is not None:
        return frame.sortWithinPartitions(group, order)
    return frame.withColumn("number_in_group", f.row_number().over(Window.partitionBy(group).orderBy(order)))


def known_row_count(df: DataFrame) -> int | None:
    """How many rows a DataFrame has, where Spark knows it without running anything: of cached and of local data."""

    def rows(query: Any) -> int | None:
        count = query.withCachedData().stats().rowCount()
        return int(str(count.get())) if count.isDefined() else None

    found: int | None = _from_jvm(df, rows)
    return found


def _from_jvm(df: DataFrame, read: Callable[[Any], Any]) -> Any:
    """What the JVM's query execution says of a DataFrame; None under Connect, and where few methods are allowed."""
    if context_of(df) is None:
        return None
    from py4j.protocol import Py4JError  # Spark Connect alone has none

    with suppress(Py4JError):
        return read(df._jdf.queryExecution())
    return None


def warn_caller(texts: Iterable[str]) -> None:
    """Show each text as a `KlaviyoWarning` at the line that called this package; Python shows equal ones once."""
    frame, level, outside = sys._getframe(1), 2, 2
    while frame.f_back is not None:
        if str(frame.f_globals.get("__name__", "")).startswith("spark_klaviyo."):
            outside = level + 1
        frame, level = frame.f_back, level + 1
    for text in texts:
        warnings.warn(text, KlaviyoWarning, stacklevel=outside)


def log_warnings(texts: Iterable[str]) -> None:
    """Log what users must know of a write, where no session shows it."""
    for text in texts:
        log.warning("%s", text)


def with_json_text(name: str, kind: Type, json_mark: str) -> Column | str:
    """A column with JSON text in place of VARIANT, at any depth; tasks cannot read that."""
    from pyspark.sql import functions as f

    return _with_json(f.col(name), kind, json_mark).alias(name) if holds(kind, VARIANT) else name


def _with_json(column: Column, kind: Type, json_mark: str) -> Column:
    from pyspark.sql import functions as f

    if not holds(kind, VARIANT):
        return column
    if kind.name == "struct":
        parts = (_with_json(column[one.name], one.type, json_mark).alias(one.name) for one in kind.fields)
        return f.when(column.isNotNull(), f.struct(*parts))
    if kind.element is not None:
        element = kind.element
        return f.transform(column, lambda item: _with_json(item, element, json_mark))
    if kind.value is not None:
        value = kind.value
        return f.transform_values(column, lambda _, item: _with_json(item, value, json_mark))
    text = f.to_json(column)
    return f.when(text != "null", f.concat(f.lit(json_mark), text))
