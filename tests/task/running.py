"""Runs one task against a local Klaviyo over real HTTP, without Spark: rows as dicts in, events out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from spark_klaviyo.core.clock import Clock
from spark_klaviyo.core.models import Receipt, RejectedRow
from spark_klaviyo.deliver.jobs import JobEnded, OpenJob
from spark_klaviyo.encode.encoder import encode_batches
from spark_klaviyo.entrypoints.read import options_at
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.make import make_plan
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.types import Field, read_type
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.report.report import WriteReport
from spark_klaviyo.task.run import SendContextFactory, TaskEvent, run_task
from tests.core.virtual_clock import VirtualClock

KEY = "pk_test_key_of_the_simulator"
Row = dict[str, object]


class Served(Protocol):
    """Anything that listens at a URL."""

    @property
    def url(self) -> str: ...


@dataclass
class Ran:
    """The events of a task, by kind."""

    report: TaskReport = field(default_factory=TaskReport)
    rejected: list[RejectedRow] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    jobs: list[OpenJob] = field(default_factory=list)
    ends: list[JobEnded] = field(default_factory=list)

    def add(self, event: TaskEvent) -> None:
        if isinstance(event, TaskReport):
            self.report = event
        elif isinstance(event, RejectedRow):
            self.rejected.append(event)
        elif isinstance(event, Receipt):
            self.receipts.append(event)
        elif isinstance(event, OpenJob):
            self.jobs.append(event)
        else:
            self.ends.append(event)

    @property
    def codes(self) -> list[str]:
        return [one.code for one in self.rejected]

    def whole(self) -> WriteReport:
        """The report as an entry point returns it; raises when the counts do not add up."""
        return WriteReport("run", "t", **vars(self.report))


def options_for(klaviyo: Served, **options: object) -> Options:
    """Options as `write_klaviyo` reads them; bulk import unless another template is named."""
    given: dict[str, object] = {"template": "bulk_import_profiles", "api_key": KEY, "base_url": klaviyo.url}
    return options_at(EntryPoint.FUNCTION, {**given, **options})


def plan_for(klaviyo: Served, columns: Iterable[str], **options: object) -> WritePlan:
    """The plan of a write whose columns are all text."""
    fields = [Field(name, read_type("string")) for name in columns]
    return make_plan(options_for(klaviyo, **options), fields, "run")


def run(
    klaviyo: Served,
    rows: Sequence[Mapping[str, object]],
    *,
    clock: Clock | None = None,
    encoded_rows: int = 1_000,
    follows: bool = True,
    **options: object,
) -> Ran:
    """Send rows (text or None, all with the same keys) as one task would, `encoded_rows` rows an Arrow batch."""
    plan = plan_for(klaviyo, list(rows[0]), **options)
    return run_plan(plan, batches_of(rows, encoded_rows), clock=clock, follows=follows)


def batches_of(rows: Sequence[Mapping[str, object]], encoded_rows: int) -> list[pa.RecordBatch]:
    """Rows (text or None, all with the same keys) as Arrow batches of so many rows."""
    schema = pa.schema([(name, pa.string()) for name in rows[0]])
    batches: list[pa.RecordBatch] = pa.Table.from_pylist(list(rows), schema).to_batches(max_chunksize=encoded_rows)
    return batches


def run_plan(
    plan: WritePlan, batches: Iterable[pa.RecordBatch], *, clock: Clock | None = None, follows: bool = True
) -> Ran:
    """Run a task with this plan, on a clock that waits for nothing unless another one is given."""
    ran = Ran()
    contexts = SendContextFactory(clock or VirtualClock())
    with contexts.open(plan, 0, 0) as context:
        for event in run_task(plan, encode_batches(batches, plan), context, follows=follows):
            ran.add(event)
    return ran


def people(count: int, first: int = 0) -> list[Row]:
    """So many rows with an email and a name."""
    return [{"email": f"p{n}@example.com", "first_name": f"N{n}"} for n in range(first, first + count)]
