"""Result rows: what tasks hand back to the driver through Spark, as (kind, body) with a JSON body."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum

import pyarrow as pa

from spark_klaviyo.core.models import Receipt
from spark_klaviyo.deliver.jobs.poll import OpenJob
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.task.jobs import RejectedRow
from spark_klaviyo.task.run import TaskEvent

MOST_ROWS = 2_000  # result rows of one Arrow batch


class ResultKind(StrEnum):
    """What a result row holds."""

    REPORT = "report"  # counts of a task
    REJECT = "reject"  # a row of the rejects dataset
    RECEIPT = "receipt"  # a row of the receipts dataset
    JOB = "job"  # an asynchronous job that is still open
    IDENTITIES = "identities"  # who the rows of a mirror are


RESULT_DDL = "kind string, body string"
RESULT_SCHEMA = pa.schema([("kind", pa.string()), ("body", pa.string())])
# A JobEnded has no kind: entry points with a session follow jobs after the tasks.
_KINDS: dict[type, ResultKind] = {
    TaskReport: ResultKind.REPORT,
    RejectedRow: ResultKind.REJECT,
    Receipt: ResultKind.RECEIPT,
    OpenJob: ResultKind.JOB,
}


def reject_row(run_id: str, rejected: RejectedRow) -> dict[str, object]:
    """A row of the rejects dataset."""
    rejection = rejected.rejection
    return {
        "run_id": run_id,
        "partition_id": rejected.partition_id,
        "record": rejection.record,
        **rejected.identifiers,
        "code": rejection.code,
        "detail": rejection.detail,
        "pointer": rejection.pointer,
        "status": rejection.status,
    }


def result_batches(events: Iterable[TaskEvent], run_id: str, kinds: frozenset[ResultKind]) -> Iterator[pa.RecordBatch]:
    """Arrow batches of result rows, of the given kinds only, handed over as the events occur."""
    rows: list[tuple[str, str]] = []
    for event in events:
        kind = _KINDS.get(type(event))
        if kind in kinds:
            rows.append((kind, _body(event, run_id)))
        if len(rows) >= MOST_ROWS:
            yield result_batch(rows)
            rows = []
    yield result_batch(rows)


def result_batch(rows: list[tuple[str, str]]) -> pa.RecordBatch:
    """Result rows as one Arrow batch."""
    columns = [pa.array([row[position] for row in rows], pa.string()) for position in range(2)]
    return pa.RecordBatch.from_arrays(columns, schema=RESULT_SCHEMA)


def _body(event: TaskEvent, run_id: str) -> str:
    if isinstance(event, TaskReport):
        return event.to_json()
    row = reject_row(run_id, event) if isinstance(event, RejectedRow) else asdict(event)
    return json.dumps(row, ensure_ascii=False)


@dataclass
class Results:
    """What the driver keeps of a run: a report a task, the open jobs, and for a mirror who the rows are."""

    reports: list[TaskReport] = field(default_factory=list)
    jobs: list[OpenJob] = field(default_factory=list)
    identities: list[str] = field(default_factory=list)

    def add(self, kind: str, body: str) -> None:
        """Read one result row."""
        if kind == ResultKind.REPORT:
            self.reports.append(TaskReport.from_json(body))
        elif kind == ResultKind.JOB:
            self.jobs.append(OpenJob(**json.loads(body)))
        elif kind == ResultKind.IDENTITIES:
            self.identities.append(body)
