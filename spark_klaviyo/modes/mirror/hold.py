"""Evaluates the DataFrame of a mirror once, and holds its encoded rows until they are sent.

Who the rows are and what is sent must come from one evaluation: a source that is empty, or another one, the second time
would remove people who were just added. So no lineage may lead back to the source:

- On classic Spark the rows are checkpointed in the executors (`localCheckpoint`). Where an executor is lost, Spark
  fails instead of reading the source again.
- Under Spark Connect, where serverless compute cannot cache, they are written as Parquet beside the rejects or
  receipts, in a hidden folder that is deleted at the end. Without such a path they are checkpointed, too, where the
  server can.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial

from pyspark.sql import DataFrame

from spark_klaviyo.account.reads import stopped_before_sending
from spark_klaviyo.arrow.encoded import SPARK_ENCODED
from spark_klaviyo.core.arrow_types import ddl_of
from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.datasets.spark_storage import SparkLocation, checkpointed, spark_errors
from spark_klaviyo.errors import OptionError
from spark_klaviyo.modes.mirror.rows import HELD, PACKED, RowPeople, encode_and_identify, mirrored_columns, pack
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.report.report import WriteStopped
from spark_klaviyo.runs import session
from spark_klaviyo.runs.interrupt import run_interruptibly
from spark_klaviyo.runs.run import Run
from spark_klaviyo.runs.send_from_driver import STOP_SECONDS

CANNOT_HOLD = (
    "list_mode: mirror reads the DataFrame once and holds its rows until the list is read, and this Spark cannot hold "
    "them: give receipts_path or rejects_path, beside which they are kept until they are sent; nothing was sent"
)

NOT_DELETED = "the rows of this run could not be deleted from {}; delete it yourself"


@dataclass(frozen=True)
class HeldRows:
    """Encoded rows with the columns of `HELD`, evaluated; `plan` is the plan that they were encoded by."""

    frame: DataFrame
    plan: WritePlan

    @property
    def encoded(self) -> DataFrame:
        """The encoded rows alone."""
        return self.frame.select(SPARK_ENCODED.names)

    def read_people(self) -> RowPeople:
        """Who the rows are."""
        return RowPeople.unpack(self.frame.mapInArrow(pack, ddl_of(PACKED)).collect())


@contextmanager
def held_rows(run: Run) -> Iterator[HeldRows]:
    """Evaluate the DataFrame of a run; its rows are held until the block ends.

    Raises `OptionError` where they cannot be held, and `WriteStopped` when this is interrupted.
    """
    frame, plan = mirrored_columns(run.df, run.plan)
    encoded = frame.mapInArrow(partial(encode_and_identify, plan), ddl_of(HELD))
    staging, is_classic = run.outputs.staging, session.context_of(frame) is not None
    with ExitStack() as held:
        evaluate = partial(_checkpoint, encoded)
        if not is_classic and staging is not None and not staging.through_arrow:
            beside = replace(staging, location=f"{staging.location}_rows")
            held.callback(run.outputs.remove, beside, NOT_DELETED)
            evaluate = partial(_stage, encoded, beside)
        rows = _interruptibly(run, evaluate)
        if is_classic:  # a Connect server does it when the DataFrame is gone
            held.callback(_release, rows)
        yield HeldRows(rows, plan)


def _interruptibly(run: Run, evaluate: Callable[[], DataFrame]) -> DataFrame:
    stopped = threading.Event()

    def work() -> DataFrame:
        try:
            return evaluate()
        except spark_errors():
            stopped.wait(STOP_SECONDS)  # its jobs may have been cancelled
            raise

    with suppress(WriteStopped):  # what is said of rows that were abandoned while they were sent
        held = run_interruptibly(run.df, run.plan.run_id, work, stopped.set, 0.0)
        if not stopped.is_set():
            return held
    raise stopped_before_sending(run.plan, StopCode.INTERRUPTED, StopCode.INTERRUPTED.text)


def _stage(encoded: DataFrame, staging: SparkLocation) -> DataFrame:
    staging.append_frame(encoded)
    return staging.read(HELD)


def _checkpoint(encoded: DataFrame) -> DataFrame:
    held = checkpointed(encoded)
    if held is None:
        raise OptionError(CANNOT_HOLD)
    return held


def _release(held: DataFrame) -> None:
    """Free the executors' memory at once."""
    with suppress(*spark_errors()):  # a cluster that allows few methods of the JVM: Spark's cleaner does it later
        held._jdf.queryExecution().logical().rdd().unpersist(False)
