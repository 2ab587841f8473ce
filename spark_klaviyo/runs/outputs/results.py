"""What tasks hand back through Spark: rows of (kind, body), the body being JSON, and how the driver reads them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field

import pyarrow as pa

from spark_klaviyo.core.models import Receipt
from spark_klaviyo.deliver.jobs.follow import JobEnded, OpenJob
from spark_klaviyo.report.task_report import TaskReport
from spark_klaviyo.task.jobs import RejectedRow
from spark_klaviyo.task.run import TaskEvent

RESULT = "kind string, body string"
SCHEMA = pa.schema([("kind", pa.string()), ("body", pa.string())])
MOST_ROWS = 2_000  # result rows held before they are handed to Spark
REPORT, REJECT, RECEIPT, JOB = "report", "reject", "receipt", "job"
IDENTITIES = "identities"  # of a mirror: who the rows are
_KINDS: dict[type, str] = {TaskReport: REPORT, Receipt: RECEIPT, OpenJob: JOB, JobEnded: "end"}


def reject_body(run_id: str, partition_id: int, refused: RejectedRow) -> dict[str, object]:
    """A row of the rejects dataset."""
    rejection = refused.rejection
    return {
        "run_id": run_id,
        "partition_id": partition_id,
        "record": rejection.record,
        **refused.identifiers,
        "code": rejection.code,
        "detail": rejection.detail,
        "pointer": rejection.pointer,
        "status": rejection.status,
    }


def result_batches(
    happened: Iterable[TaskEvent], run_id: str, partition_id: int, kinds: frozenset[str]
) -> Iterator[pa.RecordBatch]:
    """Arrow batches of what happened, only of the kinds that somebody reads, handed over as it happens."""
    rows: list[tuple[str, str]] = []
    for event in happened:
        kind = _KINDS.get(type(event), REJECT)
        if kind in kinds:
            rows.append((kind, _body(event, run_id, partition_id)))
        if len(rows) >= MOST_ROWS:
            yield _batch(rows)
            rows = []
    yield _batch(rows)


def _body(event: TaskEvent, run_id: str, partition_id: int) -> str:
    if isinstance(event, TaskReport):
        return event.to_json()
    if isinstance(event, Receipt | OpenJob):
        return json.dumps(asdict(event))
    if isinstance(event, JobEnded):
        return ""  # jobs of a session door are followed after the tasks
    return json.dumps(reject_body(run_id, partition_id, event), ensure_ascii=False)


def _batch(rows: list[tuple[str, str]]) -> pa.RecordBatch:
    columns = [pa.array([kind for kind, _ in rows], pa.string()), pa.array([body for _, body in rows], pa.string())]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


@dataclass
class Results:
    """What the driver keeps of a run: a report a task, the jobs left open, and for a mirror who the rows are."""

    reports: list[TaskReport] = field(default_factory=list)
    jobs: list[OpenJob] = field(default_factory=list)
    people: list[str] = field(default_factory=list)  # who the rows are, as a mirror packs them

    def add(self, kind: str, body: str) -> None:
        """Read one result row."""
        if kind == REPORT:
            self.reports.append(TaskReport.from_json(body))
        elif kind == JOB:
            told = json.loads(body)
            self.jobs.append(OpenJob(**told))
        elif kind == IDENTITIES:
            self.people.append(body)
