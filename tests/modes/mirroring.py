"""Runs a mirror against a local Klaviyo over real HTTP, without Spark: its rows are held as Arrow batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from spark_klaviyo.account.members import list_facts
from spark_klaviyo.account.reads import open_reader
from spark_klaviyo.core.clock import Clock
from spark_klaviyo.encode.encoder import encode_batches
from spark_klaviyo.modes.mirror import execute
from spark_klaviyo.modes.mirror.rows import RowPeople, comparable, identify
from spark_klaviyo.plan.make import make_plan
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.types import Field, read_type
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.runs.results import Results
from spark_klaviyo.runs.run import Run
from spark_klaviyo.runs.session_outputs import SessionOutputs
from spark_klaviyo.simulator import KlaviyoSimulator
from spark_klaviyo.task.run import SendContextFactory
from tests.core.scaled_clock import ScaledClock
from tests.task.running import Row, batches_of, options_for

LIST = "Y6nRLr"


@dataclass
class ArrowRows:
    """What `HeldRows` is, of Arrow batches."""

    encoded: list[pa.RecordBatch]
    plan: WritePlan

    def read_people(self) -> RowPeople:
        return RowPeople.of(identify(batch, self.plan) for batch in self.encoded)


class ArrowRun(Run):
    """A run whose frames are lists of Arrow batches."""

    def run_tasks(self, frame: Any, task: Any, sort: str = "") -> Results:  # noqa: ARG002  the method's parameters
        results = Results()
        for batch in task(iter(frame)):
            for kind, body in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                results.add(kind, body)
        return results


def mirror(klaviyo: KlaviyoSimulator, rows: Sequence[Row], *, clock: Clock | None = None, **more: object) -> TaskReport:
    """Make the list these rows (text or None, all with the same keys); the counts."""
    given = {"template": "add_profiles_to_list", "list_id": LIST, "list_mode": "mirror", "max_removals": "100%"}
    options = options_for(klaviyo, **{**given, **more})
    plan = comparable(make_plan(options, [Field(name, read_type("string")) for name in rows[0]], "run"))
    held: Any = ArrowRows(list(encode_batches(batches_of(rows, 3), plan)), plan)
    outputs = SessionOutputs(None, options, "run")
    contexts = SendContextFactory(clock or ScaledClock(1_000.0))
    run = ArrowRun(None, plan, options, outputs, contexts, 1, True, None, 0.0)
    with open_reader(options) as reader:
        return execute._mirror(run, reader, list_facts(reader, LIST), held)


def members_of(klaviyo: KlaviyoSimulator) -> list[dict[str, Any]]:
    """The members of the list, first joined first."""
    return list(klaviyo.lists[LIST])
