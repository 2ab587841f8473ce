"""`klaviyo_batch_writer`: every micro-batch of a stream is one run of the pipeline of `write_klaviyo`, on any Spark.

Under Spark Connect Spark calls it in a process of the server, so it is picklable, and its `report` stays there.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

from spark_klaviyo.entrypoints.datasource import batch_run_id, log_report
from spark_klaviyo.entrypoints.read import options_at
from spark_klaviyo.entrypoints.shipped import Shipped
from spark_klaviyo.options.choices import Progress
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.report.report import RowsRejected, WriteReport, WriteStopped
from spark_klaviyo.runs.session import query_id_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def klaviyo_batch_writer(**options: object) -> BatchWriter:
    """Make a function for `stream.writeStream.foreachBatch`.

    Args:
        **options: Those of `write_klaviyo` but `list_mode=mirror`. `on_reject` is `keep` unless given, since one bad
            row would stop the query for ever; a progress bar is shown only with `progress="true"`.

    Returns:
        The function, called by Spark with each micro-batch. Its `report` is that of the last micro-batch; under Spark
        Connect it stays None. It raises what `write_klaviyo` raises, which ends the query: started again, Spark
        repeats that micro-batch.

    Raises:
        OptionError: The options are wrong, with every complaint.
    """
    return BatchWriter(options)


class BatchWriter(Shipped):
    """What `foreachBatch` calls with each micro-batch; `report` is that of the last one."""

    def __init__(self, given: dict[str, object]) -> None:
        options = options_at(EntryPoint.BATCH, given)
        self._options = options if "progress" in options.given else replace(options, progress=Progress.NEVER)
        self._name = uuid.uuid4().hex
        self.report: WriteReport | None = None

    def __call__(self, df: DataFrame, batch_id: int) -> None:
        """Write one micro-batch, in one action."""
        began = time.time()
        from spark_klaviyo.modes.dispatch import write  # late: for start-up, and without Spark

        # Spark may repeat a micro-batch, so its runs also need a part of their own
        run_id = f"{batch_run_id(query_id_of(df) or self._name, batch_id)}_{uuid.uuid4().hex[:8]}"
        try:
            self.report = write(df, self._options, began, run_id)
        except (WriteStopped, RowsRejected) as error:
            self.report = error.report
            raise
        log_report(self.report, batch_id)
