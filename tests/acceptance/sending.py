"""Sends rows as one task would: over real HTTP to the simulator, without Spark.

Rows are given as Arrow batches, as most ways to write see them, or as Python rows, as `foreachPartition` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from spark_klaviyo.core.models import Receipt, RejectedRow
from spark_klaviyo.encode.encoder import encode_batches
from spark_klaviyo.encode.rows import arrow_batches
from spark_klaviyo.entrypoints.read import options_at
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.plan.make import make_plan
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.types import Field, read_type
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.report.report import WriteReport
from spark_klaviyo.simulator import KlaviyoSimulator
from spark_klaviyo.simulator.recorded import RecordedRequest
from spark_klaviyo.task.run import SendContextFactory, TaskEvent, run_task
from tests.core.scaled_clock import ScaledClock

KEY = "pk_test_0123456789abcdef"
LIST = "Y6nRLr"
SINK = "/__sink/anywhere"
Row = Mapping[str, object]
Options = dict[str, Any]
KINDS: dict[type, str] = {str: "string", int: "long", float: "double", bool: "boolean"}
ROWS_AS = ("arrow", "rows")


@dataclass(frozen=True)
class Sent:
    """What a task reported, and what the simulator received."""

    plan: WritePlan
    events: list[TaskEvent]
    requests: list[RecordedRequest]

    @property
    def report(self) -> WriteReport:
        """The report of the task; its counts add up, or this raises."""
        last = self.events[-1]
        assert isinstance(last, TaskReport)
        return WriteReport("run", self.plan.template.name, **vars(last))

    @property
    def rejected(self) -> list[RejectedRow]:
        """Rejected rows."""
        return [event for event in self.events if isinstance(event, RejectedRow)]

    @property
    def receipts(self) -> list[Receipt]:
        """A receipt for each request."""
        return [event for event in self.events if isinstance(event, Receipt)]

    @property
    def bodies(self) -> list[str]:
        """The bodies, in the order of their arrival."""
        return [request.body.decode() for request in self.requests]

    @property
    def only(self) -> RecordedRequest:
        """The request, where there was exactly one."""
        assert len(self.requests) == 1, [request.path for request in self.requests]
        return self.requests[0]


def columns_of(rows: Sequence[Row]) -> list[Field]:
    """The columns of some rows, typed by the first value that is not None; text where there is none."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return [Field(name, read_type(_kind([row.get(name) for row in rows]))) for name in names]


def _kind(values: Sequence[object]) -> str | dict[str, object]:
    known = next((value for value in values if value is not None), "")
    if isinstance(known, dict):
        return {"type": "struct", "fields": [{"name": name, "type": _kind([known[name]])} for name in known]}
    if isinstance(known, list):
        return {"type": "array", "elementType": _kind(known)}
    return KINDS[type(known)]


def plan_for(columns: Sequence[Field], **options: Any) -> WritePlan:
    """A plan as `write_klaviyo` makes it."""
    return make_plan(options_at(EntryPoint.FUNCTION, options), columns, "run")


def send(
    klaviyo: KlaviyoSimulator, rows: Sequence[Row], *, rows_as: str = "arrow", most: int | None = None, **options: Any
) -> Sent:
    """Send the first `most` rows to the simulator. `url` may be a path of it; the key is KEY unless one is given."""
    given = dict(options)
    if str(given.get("url", "")).startswith("/"):
        given["url"] = f"{klaviyo.url}{given['url']}"
    if "template" in given:
        given.setdefault("base_url", klaviyo.url)
    if (
        not any(name in given for name in ("api_key", "access_token"))
        and "api_key" not in str(given.get("url")).lower()
    ):
        given["api_key"] = KEY
    plan = plan_for(columns_of(rows), **given)
    klaviyo.requests.clear()
    with SendContextFactory(ScaledClock(60.0)).open(plan, 0, 0) as context:
        events = list(run_task(plan, _encoded(plan, rows[:most], rows_as), context, follows=True))
    return Sent(plan, events, list(klaviyo.requests))


def _encoded(plan: WritePlan, rows: Sequence[Row], rows_as: str) -> Iterator[pa.RecordBatch]:
    if rows_as == "rows":
        return encode_batches(arrow_batches(dict(row) for row in rows), plan)
    names = [column.name for column in plan.columns]
    table = pa.Table.from_pylist([{name: row.get(name) for name in names} for row in rows])
    return encode_batches(table.to_batches(), plan)
