"""`klaviyo_partition_writer`: for pipelines that already end in `foreachPartition`, on Spark 3.5 and 4."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow as pa

from spark_klaviyo.account.target import named_target, resolve
from spark_klaviyo.encode.encoder import encode_batches
from spark_klaviyo.encode.rows import aligned, arrow_batches, columns_of, widened
from spark_klaviyo.entrypoints.read import options_at
from spark_klaviyo.entrypoints.shipped import Shipped
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.plan.make import make_plan, with_columns
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.types import read_schema
from spark_klaviyo.report.counts.task_report import TaskReport, merge
from spark_klaviyo.report.report import WriteReport, WriteStopped
from spark_klaviyo.runs.session import active_context, choose_worker_python, current_task, log_warnings
from spark_klaviyo.runs.tasks import TaskWrite, append_run

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

log = logging.getLogger("spark_klaviyo")


def klaviyo_partition_writer(schema: StructType | None = None, **options: object) -> PartitionWriter:
    """Make a function for `df.foreachPartition`.

    Args:
        schema: `df.schema`. Rows carry no types there; without a schema, types come from the rows' values, a time
            without a zone is Spark's timestamp, and float columns are written as doubles.
        **options: The options of `write_klaviyo` but for those that need a session: `state_path`, `list_mode`,
            `change_column`, `send_from=driver`, `table:` destinations and deletion. `on_reject` is `keep`, since Spark
            runs a task that raises again and sends its rows again.

    Returns:
        The function, called by Spark with each partition's rows. In a task it raises `SchemaError` where the rows do
        not fit the endpoint, and `WriteStopped` where sending was stopped, and nothing was sent yet or sending again is
        harmless; otherwise it logs an error. On classic Spark its `report` holds the
        counts of all tasks once the action has ended; under Spark Connect it is None.

    Raises:
        OptionError: The options are wrong, with every complaint.
        SchemaError: The schema does not fit the endpoint.
    """
    return PartitionWriter(schema, options)


class PartitionWriter(Shipped):
    """What `foreachPartition` calls with each partition's rows; `report` afterwards, on classic Spark."""

    def __init__(self, schema: StructType | None, given: dict[str, object]) -> None:
        options = resolve(options_at(EntryPoint.PARTITION, given))
        columns = read_schema(schema.jsonValue()) if schema is not None else ()
        plan = named_target(make_plan(options, columns, uuid4().hex, schema_known=schema is not None), options)
        self._plan, self._options, self._write = plan, options, TaskWrite(plan, options)
        self._total = accumulator()
        choose_worker_python(active_context())

    def __call__(self, rows: Iterable[Any]) -> None:
        """Send one partition's rows."""
        plan, batches = self._planned(arrow_batches(rows, self._plan.columns))
        new = plan.warnings[len(self._plan.warnings) :]  # of columns that nothing but the rows shows
        log_warnings(new)
        report = self._write.send(self._encoded(plan, batches), plan)
        for text in new:
            report.warn(text)
        self._conclude(report, plan)

    @property
    def report(self) -> WriteReport | None:
        """The counts of all tasks that have ended; None where Spark has no accumulators (Connect)."""
        return None if self._total is None else self._write.report_of(self._total.value, self._plan.run_id)

    def _planned(self, batches: Iterator[pa.RecordBatch]) -> tuple[WritePlan, Iterator[pa.RecordBatch]]:
        """The plan with the columns that the first rows have, and all batches again."""
        first = None if self._plan.columns else next(batches, None)
        if first is None:
            return self._plan, batches
        return with_columns(self._plan, self._options, columns_of(first)), chain([first], batches)

    def _encoded(self, plan: WritePlan, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """All batches; without a schema, a column that was null so far is planned for when it first has a value.

        Raises `SchemaError` for a column that no row of the batches before had.
        """
        if self._plan.columns or not plan.columns:
            yield from encode_batches(batches, plan)
            return
        for given in batches:
            batch = aligned(given, plan.columns)
            wider = widened(plan.columns, columns_of(batch))
            if wider != plan.columns:
                plan = with_columns(self._plan, self._options, wider)
            yield from encode_batches([batch], plan)

    def _conclude(self, report: TaskReport, plan: WritePlan) -> None:
        """Add the task's counts to the accumulator and the runs, and log rejects; never a value of a row.

        A stop is raised only where Spark, which then runs the task again, does no harm with that.
        """
        if self._total is not None:
            self._total.add(report)
        bare = self._write.report_of(report.without_rows(), self._plan.run_id)
        if report.rejected:
            log.warning("run %s, partition %d: %s", bare.run_id, current_task().partition_id, bare)
        bare = append_run(bare, self._options)  # no code runs at the end of the run: a row for each task
        if bare.stopped is None:
            return
        message = f"{bare.stopped[1]} (run {bare.run_id}): {bare}"
        if not bare.may_have_sent or plan.resend.allows_every_request:
            raise WriteStopped(message, bare)
        log.error("partition %d was stopped, and must not be sent again: %s", current_task().partition_id, message)


def accumulator() -> Any | None:
    """Adds task reports up in the driver; None where Spark has no accumulators (Connect), or no context."""
    context = active_context()
    if context is None:
        return None
    from pyspark.accumulators import AccumulatorParam

    class Reports(AccumulatorParam[TaskReport]):  # type: ignore[misc]  # untyped where pyspark is absent
        """Adds task reports up."""

        def zero(self, value: TaskReport) -> TaskReport:  # noqa: ARG002  Spark asks with the initial value
            """A report that counts nothing."""
            return TaskReport()

        def addInPlace(self, one: TaskReport, other: TaskReport) -> TaskReport:  # noqa: N802  Spark's name
            """The report of both."""
            return merge([one, other])

    return context.accumulator(TaskReport(), Reports())
