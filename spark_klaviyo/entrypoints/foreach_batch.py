"""The door for `foreachBatch`: every micro-batch of a stream is one run of the same pipeline, on any Spark.

Under Spark Connect Spark calls it in a process of the server, so it holds nothing live, and its `report` stays there.
"""

from __future__ import annotations

import logging
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

from spark_klaviyo.entrypoints.read import options_at
from spark_klaviyo.options.choices import Progress
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.report.errors import RowsRejected, WriteStopped
from spark_klaviyo.report.report import WriteReport
from spark_klaviyo.runs import session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

QUERY_PROPERTY = "sql.streaming.queryId"  # Spark's own, the same for a checkpoint's whole life
log = logging.getLogger("spark_klaviyo")


def klaviyo_batch_writer(**options: object) -> BatchWriter:
    """A function for `stream.writeStream.foreachBatch`.

    It takes every option of `write_klaviyo`; `on_reject` is `keep` unless given, since one bad row would stop the query
    for ever, and a progress bar is drawn only where asked for. Raises `OptionError` at once; in a micro-batch what
    `write_klaviyo` raises, which ends the query: started again, Spark repeats that micro-batch.
    """
    return BatchWriter(options)


class BatchWriter:
    """What `foreachBatch` calls with each micro-batch. `report` is the last one's, where that is in this process."""

    def __init__(self, given: dict[str, object]) -> None:
        options = options_at(EntryPoint.BATCH, given)
        self._options = options if "progress" in options.given else replace(options, progress=Progress.NEVER)
        self._name = uuid.uuid4().hex
        self.report: WriteReport | None = None

    def __call__(self, df: DataFrame, batch_id: int) -> None:
        """Write one micro-batch, in one action."""
        from spark_klaviyo.modes.dispatch import write

        try:
            self.report = write(df, self._options, run_id=self._run_id(df, batch_id))
        except (WriteStopped, RowsRejected) as error:
            self.report = error.report
            raise
        tell(self.report, batch_id)

    def _run_id(self, df: DataFrame, batch_id: int) -> str:
        """Query and micro-batch, and something of its own: a micro-batch that Spark repeats is another run."""
        context = session.context_of(df)
        query = context.getLocalProperty(QUERY_PROPERTY) if context is not None else None
        return f"{batch_run_id(query or self._name, batch_id)}_{uuid.uuid4().hex[:8]}"


def batch_run_id(query_id: str, batch_id: int | str) -> str:
    """The name that the runs of one micro-batch share or begin with; letters, digits and `_` only."""
    return f"{query_id.replace('-', '')}_{batch_id}"


def tell(report: WriteReport, batch_id: int) -> None:
    """A line in the log: counts and codes, never a value of a row; a warning where rows were rejected."""
    level = logging.WARNING if report.rejected or report.stopped else logging.INFO
    log.log(level, "micro-batch %d, run %s: %s", batch_id, report.run_id, report)
