"""The door of Spark 4: `df.write.format("klaviyo")`, found without any registering, or registered with a bound key.

Spark plans, writes and commits in three kinds of process; what travels between them is a picklable plan, and counts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa

from spark_klaviyo.account.names import resolve_names
from spark_klaviyo.encode.encoder import encode_batches
from spark_klaviyo.entrypoints.read import options_at
from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.options.model import Options
from spark_klaviyo.options.secrets import read_secret
from spark_klaviyo.options.table import plain
from spark_klaviyo.plan.make import make_plan
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.types import read_schema
from spark_klaviyo.report.report import WriteReport
from spark_klaviyo.report.task_report import TaskReport, merge
from spark_klaviyo.runs.execute import new_run_id
from spark_klaviyo.runs.outputs.outcome import ended, judged
from spark_klaviyo.runs.outputs.task_outputs import TaskOutputs
from spark_klaviyo.runs.session import current_task
from spark_klaviyo.task.context import SendContextFactory
from spark_klaviyo.task.run import run_task

try:  # the class decides, never the version: Databricks' "3.5" has it
    from pyspark.sql.datasource import DataSource, DataSourceArrowWriter, WriterCommitMessage
except ImportError:
    DataSource = DataSourceArrowWriter = WriterCommitMessage = object

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

NAME = "klaviyo"
NO_API = (
    'this Spark has no Python data source API, so df.write.format("klaviyo") does not exist here; '
    "use write_klaviyo(df, ...) or df.foreachPartition(klaviyo_partition_writer(...))"
)


class KlaviyoDataSource(DataSource):  # type: ignore[misc]
    """The data source `klaviyo`, for writing only."""

    bound: ClassVar[Mapping[str, object]] = {}  # options that `register` binds, the key among them

    @classmethod
    def name(cls) -> str:
        """What `format(...)` says."""
        return NAME

    def writer(self, schema: StructType, overwrite: bool) -> Any:
        """Plan the write; complaints come from here, before anything is sent."""
        if overwrite:
            raise OptionError('mode("overwrite") is not possible: Klaviyo has no table to replace; use mode("append")')
        options = resolve_names(
            options_at(EntryPoint.SOURCE, merged(self.bound, self.options), recorded=under_connect())
        )
        return KlaviyoWriter(make_plan(options, read_schema(schema.jsonValue()), new_run_id()), options)

    def streamWriter(self, schema: StructType, overwrite: bool) -> Any:  # noqa: N802  Spark's name, as are the others
        """Plan a query's writes; complaints end the query before anything is sent. Spark calls this by keyword."""
        from spark_klaviyo.entrypoints.stream_writer import COMPLETE, stream_writer

        if overwrite:
            raise OptionError(COMPLETE)
        options = resolve_names(options_at(EntryPoint.STREAM, merged(self.bound, self.options), recorded=True))
        return stream_writer(make_plan(options, read_schema(schema.jsonValue()), new_run_id()), options)


@dataclass
class Counts(WriterCommitMessage):  # type: ignore[misc]
    """What one task tells the commit: counts only, however many rows were rejected."""

    report: TaskReport


class KlaviyoWriter(DataSourceArrowWriter):  # type: ignore[misc]
    """Sends the partitions; nothing live in it, connections open inside `write`."""

    def __init__(self, plan: WritePlan, options: Options) -> None:
        self.plan, self.options, self.contexts = plan, options, SendContextFactory(share=None)
        self.outputs = TaskOutputs.of(options, plan.run_id)

    def write(self, iterator: Iterator[pa.RecordBatch]) -> Counts:
        """Send one partition."""
        partition, attempt = current_task()
        encoded = encode_batches(iterator, self.plan)
        with self.contexts.open(self.plan, partition, attempt) as context:
            writing = self.outputs.open(context)
            return Counts(writing.all_of(run_task(self.plan, encoded, context, follows=True)).without_rows())

    def commit(self, messages: Sequence[Counts | None]) -> None:
        """Judge the whole write: raises where it was stopped, or rows were rejected and `on_reject=fail`."""
        total = judged(merge(message.report for message in messages if message is not None), self.plan)
        report = WriteReport.of(total, run_id=self.plan.run_id, template=self.plan.template.name)
        self.outputs.keep_run(report, self.options)
        ended(report, self.options.on_reject)

    def abort(self, messages: Sequence[Counts | None]) -> None:
        """Nothing to undo: what was sent is with Klaviyo, and Spark's own error says why the write ended."""


def under_connect() -> bool:
    """Whether Spark Connect asked for this write, seen from the process that plans it.

    Connect's server writes every option of a write into its event log. Spark tells its Python processes whose files
    they may see: a session of Connect has its own, classic Spark has `default`.
    """
    return os.environ.get("SPARK_JOB_ARTIFACT_UUID", "default") != "default"


def register(spark: Any, **options: object) -> None:
    """Register the data source by hand, binding options: a key bound here stands in no plan and no event log.

    References to keys are resolved here, in the calling process. Raises `OptionError` where Spark has no data source
    API, naming the doors to use instead.
    """
    if DataSource is object or not hasattr(spark, "dataSource"):
        raise OptionError(NO_API)
    held = {name: _hidden(name, value) for name, value in options.items()}

    class Bound(KlaviyoDataSource):
        bound = held

    spark.dataSource.register(Bound)


def merged(bound: Mapping[str, object], given: Mapping[str, object]) -> dict[str, object]:
    """What was bound and what was given, which goes first, however either spells a name."""
    named = {plain(name) for name in given}
    return {name: value for name, value in bound.items() if plain(name) not in named} | dict(given)


def _hidden(name: str, value: object) -> object:
    """A key in a masked wrapping, whatever it was given as."""
    is_key = plain(name) in ("apikey", "accesstoken")
    return read_secret(name, value) if is_key and isinstance(value, str) else value
