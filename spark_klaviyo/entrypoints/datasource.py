"""The data source `klaviyo`: `df.write.format("klaviyo")` and `writeStream.format("klaviyo")` of Spark 4.

It is found without registering, or registered with bound options. Spark plans, writes and commits in three kinds of
process; a picklable plan travels between them, and counts come back. A micro-batch of a stream is a run of the same
pipeline: one that Spark repeats is sent again, under the same name, made of the query's id and the batch's.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

import pyarrow as pa

from spark_klaviyo.account.target import named_target, resolve
from spark_klaviyo.encode.encoder import encode_batches
from spark_klaviyo.encode.rows import arrow_batches
from spark_klaviyo.entrypoints.read import options_at
from spark_klaviyo.entrypoints.shipped import RegisteredSource, Shipped, pickled
from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.options.model import CREDENTIALS, Options, normalized
from spark_klaviyo.options.secrets import read_secret
from spark_klaviyo.plan.make import make_plan
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.types import read_schema
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.report.report import WriteReport
from spark_klaviyo.runs.session import choose_worker_python, current_task
from spark_klaviyo.runs.tasks import TaskWrite

try:  # the class decides, never the version: Databricks' "3.5" has it
    from pyspark.sql.datasource import DataSource, DataSourceArrowWriter, DataSourceStreamWriter, WriterCommitMessage
except ImportError:
    DataSource = DataSourceArrowWriter = DataSourceStreamWriter = WriterCommitMessage = object
try:
    from pyspark.sql.datasource import DataSourceStreamArrowWriter
except ImportError:  # Spark 4.0
    DataSourceStreamArrowWriter = object

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

NO_API = (
    'this Spark has no Python data source API, so df.write.format("klaviyo") does not exist here; '
    "use write_klaviyo(df, ...) or df.foreachPartition(klaviyo_partition_writer(...))"
)
log = logging.getLogger("spark_klaviyo")
OVERWRITE = 'mode("overwrite") is not possible: Klaviyo has no table to replace; use mode("append")'
COMPLETE = (
    'outputMode("complete") would send the whole result again with every micro-batch; use outputMode("append"), or '
    'outputMode("update") with foreachBatch(klaviyo_batch_writer(...)), which sends what has changed'
)


class KlaviyoDataSource(DataSource):  # type: ignore[misc]
    """The data source `klaviyo`, for writing only."""

    bound: ClassVar[Mapping[str, object]] = {}  # options that `register` binds, the key among them

    @classmethod
    def name(cls) -> str:
        """The name that `format(...)` takes."""
        return "klaviyo"

    def writer(self, schema: StructType, overwrite: bool) -> Any:
        """Plan the write; raises `OptionError` or `SchemaError` before anything is sent."""
        if overwrite:
            raise OptionError(OVERWRITE)
        return KlaviyoWriter(*self._planned(EntryPoint.SOURCE, schema, recorded=under_connect()))

    def streamWriter(self, schema: StructType, overwrite: bool) -> Any:  # noqa: N802  Spark's name, as are the others
        """Plan a query's writes; an error ends the query before anything is sent. Spark passes both by keyword."""
        if overwrite:
            raise OptionError(COMPLETE)
        kind = RowStreamWriter if DataSourceStreamArrowWriter is object else ArrowStreamWriter
        return kind(*self._planned(EntryPoint.STREAM, schema, recorded=True))

    def _planned(self, entry_point: EntryPoint, schema: StructType, *, recorded: bool) -> tuple[WritePlan, Options]:
        """`recorded`: Spark writes the options into plans or its event log, so a literal key is refused."""
        options = resolve(options_at(entry_point, merge_options(self.bound, self.options), recorded=recorded))
        if isinstance(schema, pa.Schema):  # Sail hands over Arrow's
            from pyspark.sql.pandas.types import from_arrow_schema

            schema = from_arrow_schema(schema)
        plan = make_plan(options, read_schema(schema.jsonValue()), uuid4().hex)
        return named_target(plan, options), options


@dataclass
class Counts(WriterCommitMessage):  # type: ignore[misc]
    """What a task hands to the commit: counts only, however many rows were rejected, and their run."""

    report: TaskReport
    run_id: str


class KlaviyoWriter(Shipped, TaskWrite, DataSourceArrowWriter):  # type: ignore[misc]
    """Sends the partitions of a batch write. Nothing can be undone, so no writer has an `abort` of its own."""

    def write(self, iterator: Iterator[pa.RecordBatch]) -> Counts:
        """Send one partition."""
        return Counts(self.send(encode_batches(iterator, self.plan), self.plan).without_rows(), self.plan.run_id)

    def commit(self, messages: Sequence[Counts | None]) -> None:
        """Conclude the write: raises where it was stopped, or rows were rejected and `on_reject=fail`."""
        self.conclude((message.report for message in messages if message is not None), self.plan.run_id)


def batch_run_id(query_id: str, batch_id: int | str) -> str:
    """The name that the runs of one micro-batch have, or begin with; letters, digits and `_` only."""
    return f"{query_id.replace('-', '')}_{batch_id}"


def log_report(report: WriteReport, batch_id: int) -> None:
    """Log counts and codes, never a value of a row; as a warning where rows were rejected."""
    level = logging.WARNING if report.rejected or report.stopped else logging.INFO
    log.log(level, "micro-batch %d, run %s: %s", batch_id, report.run_id, report)


class StreamWrite(Shipped, TaskWrite):
    """What both kinds of stream writer do."""

    def commit(self, messages: Sequence[Counts | None], batchId: int) -> None:  # noqa: N803  Spark's name
        """Conclude the micro-batch: raises where it was stopped, or rows were rejected and `on_reject=fail`."""
        counts = [message for message in messages if message is not None]
        run_id = counts[0].run_id if counts else self.plan.run_id
        log_report(self.conclude((message.report for message in counts), run_id), batchId)

    def send_batch(self, batches: Iterator[pa.RecordBatch]) -> Counts:
        """Send one partition of a micro-batch, under the name of the micro-batch's run."""
        task = current_task()
        run_id = batch_run_id(task.query_id or self.plan.run_id, task.batch_id or "0")
        plan = replace(self.plan, run_id=run_id)
        return Counts(self.send(encode_batches(batches, plan), plan).without_rows(), run_id)


class RowStreamWriter(StreamWrite, DataSourceStreamWriter):  # type: ignore[misc]
    """For Spark 4.0, which hands over rows."""

    def write(self, iterator: Iterator[Any]) -> Counts:
        """Send the rows of one partition."""
        return self.send_batch(arrow_batches(iterator, self.plan.columns))


class ArrowStreamWriter(StreamWrite, DataSourceStreamArrowWriter):  # type: ignore[misc]
    """For Spark 4.1 and later, which hands over Arrow batches."""

    def write(self, iterator: Iterator[pa.RecordBatch]) -> Counts:
        """Send the Arrow batches of one partition."""
        return self.send_batch(iterator)


def under_connect() -> bool:
    """Whether Spark Connect asked for this write, seen from the process that plans it.

    Connect's server writes every option of a write into its event log. Spark tells its Python processes whose files
    they may see: a session of Connect has its own, classic Spark has `default`.
    """
    return os.environ.get("SPARK_JOB_ARTIFACT_UUID", "default") != "default"


def register(spark: Any, **options: object) -> None:
    """Register the data source `klaviyo` with a session, and bind options to it.

    The source is found without this; registering binds a key, which then is in no plan and no event log, and defaults.

    Args:
        spark: The Spark session, classic or Connect.
        **options: Options of every write of the session. Those given at a write replace them. References to keys
            (`env:`, `file:`, `secret:`) are resolved now, in the calling process.

    Raises:
        OptionError: Spark has no data source API (3.5), naming what to use instead; or a key cannot be read.
    """
    if DataSource is object or not hasattr(spark, "dataSource"):
        raise OptionError(NO_API)

    hidden = {name: _hide_key(name, value) for name, value in options.items()}

    class Bound(RegisteredSource):
        content = pickled((KlaviyoDataSource, hidden))

    choose_worker_python(getattr(spark, "_sc", None))
    spark.dataSource.register(Bound)


def merge_options(bound: Mapping[str, object], given: Mapping[str, object]) -> dict[str, object]:
    """The bound options and those given at the write, which replace them however a name is spelled."""
    names = {normalized(name) for name in given}
    return {name: value for name, value in bound.items() if normalized(name) not in names} | dict(given)


def _hide_key(name: str, value: object) -> object:
    """A key as a secret that is never printed; any other value as it is."""
    is_key = normalized(name) in map(normalized, CREDENTIALS)
    return read_secret(name, value) if is_key and isinstance(value, str) else value
