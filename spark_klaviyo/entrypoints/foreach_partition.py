"""The door for `foreachPartition`: any pipeline that already ends there, Spark 3.5 and 4."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from spark_klaviyo.account.names import resolve_names
from spark_klaviyo.encode.encoder import encode_batches
from spark_klaviyo.encode.rows import arrow_batches, columns_of, has_gaps, widened
from spark_klaviyo.entrypoints.accumulator import accumulator
from spark_klaviyo.entrypoints.read import options_at
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.plan.make import make_plan, with_columns
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.types import read_schema
from spark_klaviyo.report.errors import WriteStopped
from spark_klaviyo.report.report import WriteReport
from spark_klaviyo.report.task_report import TaskReport
from spark_klaviyo.runs.execute import new_run_id
from spark_klaviyo.runs.outputs.task_outputs import TaskOutputs
from spark_klaviyo.runs.session import current_task
from spark_klaviyo.task.context import SendContextFactory
from spark_klaviyo.task.run import run_task

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

log = logging.getLogger("spark_klaviyo")


def klaviyo_partition_writer(schema: StructType | None = None, **options: object) -> PartitionWriter:
    """A function for `df.foreachPartition`.

    Rows carry no types there: give `schema=df.schema` to have timestamp_ntz and float columns written by their type.
    Without it a time without zone is Spark's timestamp. Raises `OptionError` at once; in a task `SchemaError`, or
    `WriteStopped` where no row could be sent. On classic Spark `writer.report` holds the counts once the action has
    ended.
    """
    return PartitionWriter(schema, options)


class PartitionWriter:
    """What `foreachPartition` calls with each partition's rows; `report` afterwards, on classic Spark."""

    def __init__(self, schema: StructType | None, given: dict[str, object]) -> None:
        self._options = resolve_names(options_at(EntryPoint.PARTITION, given))
        columns = read_schema(schema.jsonValue()) if schema is not None else ()
        self._plan = make_plan(self._options, columns, new_run_id(), schema_known=schema is not None)
        self._contexts = SendContextFactory(share=None)
        self._outputs = TaskOutputs.of(self._options, self._plan.run_id)
        self._total = accumulator()

    def __call__(self, rows: Iterable[Any]) -> None:
        """Send one partition's rows."""
        partition, attempt = current_task()
        plan, batches = self._planned(arrow_batches(rows, self._plan.columns))
        with self._contexts.open(plan, partition, attempt) as context:
            writing = self._outputs.open(context)
            events = run_task(plan, self._encoded(plan, batches), context, follows=True)
            self._tell(writing.all_of(events), partition)

    @property
    def report(self) -> WriteReport | None:
        """The counts of all tasks that have ended; None where Spark offers no accumulator (Connect)."""
        if self._total is None:
            return None
        return WriteReport.of(self._total.value, run_id=self._plan.run_id, template=self._plan.template.name)

    def _planned(self, batches: Iterator[pa.RecordBatch]) -> tuple[WritePlan, Iterator[pa.RecordBatch]]:
        """The plan with the columns that the first rows have, and all batches again."""
        first = None if self._plan.columns else next(batches, None)
        if first is None:
            return self._plan, batches
        return with_columns(self._plan, self._options, columns_of(first)), chain([first], batches)

    def _encoded(self, plan: WritePlan, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """All batches; without a schema, a column that was null so far is planned for when it first has a value."""
        if self._plan.columns or not plan.columns:
            yield from encode_batches(batches, plan)
            return
        for batch in batches:
            wider = widened(plan.columns, columns_of(batch)) if has_gaps(plan.columns) else plan.columns
            if wider != plan.columns:
                plan = with_columns(self._plan, self._options, wider)
            yield from encode_batches([batch], plan)

    def _tell(self, report: TaskReport, partition: int) -> None:
        """Counts go to the accumulator and, where rows were refused, to the log; never a value of a row."""
        if self._total is not None:
            self._total.add(report)
        if report.rejected:
            codes = ", ".join(f"{count} {code}" for code, count in report.reasons.items())
            log.warning(
                "run %s, partition %d: %d rows rejected (%s)", self._plan.run_id, partition, report.rejected, codes
            )
        final = WriteReport.of(report.without_rows(), run_id=self._plan.run_id, template=self._plan.template.name)
        self._outputs.keep_run(final, self._options)  # nobody sees the end of the run, so each task has its line
        if report.stopped is not None:
            raise WriteStopped(f"{report.stopped[1]} (run {self._plan.run_id}): {final}", final)
