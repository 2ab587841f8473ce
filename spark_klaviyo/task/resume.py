"""Where the pipeline meets the state: rows that stand as they are pass by, what was delivered is written down."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spark_klaviyo.arrow.encoded import FINGERPRINT, ROW_STATUS, record_texts
from spark_klaviyo.core.codes import ReceiptOutcome, RejectCode
from spark_klaviyo.core.exact_json import Json
from spark_klaviyo.core.json_paths import get
from spark_klaviyo.core.models import Batch, Rejection
from spark_klaviyo.deliver.delivery import Delivery
from spark_klaviyo.deliver.jobs.follow import JobEnded, Piece, RowsFailed
from spark_klaviyo.plan.model import Checks, WritePlan
from spark_klaviyo.report.task_report import TaskReport
from spark_klaviyo.state.format import INTENT, LOST, PENDING, RESOLVED, SENT, TAKEN, Marks, key_text, marks_of, salted
from spark_klaviyo.state.recorder import Recorder

TO_SEND, DELIVERED, REPLACED, DOUBTFUL = 0, 1, 2, 3  # values of the column `standing`
SKIPPED = {
    DELIVERED: "delivered before, and unchanged since",
    REPLACED: "a later row has the same identifier",
}
RESUMED = "rows were delivered by an earlier attempt of their task"
UNRECORDED = "rows were delivered and could not be written down at state_path: the next run sends them again"
IN_DOUBT = (
    "sending was begun, and was cut off before an answer was written down; sending again could do it twice: look "
    "whether Klaviyo has it, or write it with resend=always"
)
STEERS_NOTHING = frozenset({"default_country"})


@dataclass
class ResumeFilter:
    """One task's view of the state. `jobs`: jobs, with their rows, that an earlier attempt of the task left open."""

    recorder: Recorder
    careful: bool = False  # sending twice could do harm
    jobs: Counter[str] = field(default_factory=Counter)
    _begun: dict[int, Marks] = field(default_factory=dict)

    def left(self, batch: pa.RecordBatch, report: TaskReport) -> tuple[pa.RecordBatch, list[Rejection]]:
        """The rows of an encoded batch that are to be sent, and those in doubt; all others are counted."""
        standing = batch.column(ROW_STATUS).to_numpy(zero_copy_only=False)
        for code, why in SKIPPED.items():
            found = int((standing == code).sum())
            if found:
                report.rows += found
                report.skip(found, why)
        doubtful = (standing == DOUBTFUL) | self._cut_off(batch)
        rejections = list(_in_doubt(batch, doubtful, report)) if doubtful.any() else []
        left = (standing == TO_SEND) & ~doubtful
        if not left.all():
            batch = batch.filter(pa.array(left))
        return (self._not_done(batch, report) if len(self.recorder.earlier) else batch), rejections

    def _cut_off(self, batch: pa.RecordBatch) -> npt.NDArray[np.bool_]:
        """Which rows an earlier attempt of the task began to send, and no more is known of them."""
        doubtful = self.recorder.earlier.doubtful if self.careful else ()
        if not doubtful:
            return np.zeros(batch.num_rows, dtype=bool)
        return np.array([mark in doubtful for mark in batch.column(FINGERPRINT).to_pylist()], dtype=bool)

    def _not_done(self, batch: pa.RecordBatch, report: TaskReport) -> pa.RecordBatch:
        """Without the rows that an earlier attempt of the task has delivered: they count as what they were."""
        places = self.recorder.earlier.place_of(marks_of(batch.column(FINGERPRINT)))
        done = places >= 0
        for job_id, rows in self.recorder.earlier.jobs_of(places[done]):
            report.rows += rows
            report.warn(RESUMED, rows)
            if job_id is None:
                report.delivered += rows
            else:
                self.jobs[job_id] += rows
        return batch.filter(pa.array(~done)) if done.any() else batch

    def record_intent(self, batches: Iterator[Batch | None]) -> Iterator[Batch | None]:
        """The batches, each written down before it is sent: for endpoints where sending twice could do harm."""
        for batch in batches:
            marks = batch.fingerprints() if batch is not None else None
            if batch is not None and marks is not None:
                self.recorder.record(marks, INTENT, at_once=True)
                self._begun.update(zip(batch.numbers().tolist(), marks, strict=True))
            yield batch

    def record(self, delivery: Delivery) -> None:
        """Write down the rows that a request delivered, or that its job accepted."""
        marks = delivery.batch.fingerprints() if delivery.batch is not None else None
        if delivery.batch is not None and marks is not None:
            outcome = PENDING if delivery.job_id else SENT
            self.recorder.record(marks, outcome, delivery.job_id)
            for row in delivery.batch.numbers().tolist() if self._begun else ():
                self._begun.pop(row, None)
        if self._begun:
            gone = [(one.code, self._begun.pop(one.row, None)) for one in delivery.rejections]
            self._over([mark for code, mark in gone if mark is not None and code != RejectCode.IN_DOUBT])

    def _over(self, marks: list[Marks]) -> None:
        if marks:
            self.recorder.record(np.stack(marks), RESOLVED)

    def report_unrecorded(self, report: TaskReport) -> None:
        """Say what could not be written down."""
        self._over(list(self._begun.values()))  # they were handed back unsent
        self._begun.clear()
        self.recorder.flush()
        if self.recorder.unrecorded:
            report.warn(UNRECORDED, self.recorder.unrecorded)


def _in_doubt(batch: pa.RecordBatch, doubtful: npt.NDArray[np.bool_], report: TaskReport) -> Iterator[Rejection]:
    for record in record_texts(batch.filter(pa.array(doubtful))):
        yield Rejection(report.rows, record, RejectCode.IN_DOUBT, IN_DOUBT)
        report.rows += 1


def record_job_outcome(plan: WritePlan, piece: Piece, recorder: Recorder) -> None:
    """Write down what a followed job says: the rows it refused are tried again, an end settles the others.

    A job that nobody could follow to its end stays pending, and the next run asks it. Where it cannot be told which
    rows were refused, all are tried again, unless that could do harm.
    """
    if plan.state is None:
        return
    if isinstance(piece, RowsFailed):
        keys = [_key(plan, rejection.record) for rejection in piece.rejections]
        if None in keys and plan.resend.allows_every_request:
            recorder.job(piece.job.job_id, LOST)
        recorder.job(piece.job.job_id, "", [key for key in keys if key is not None])
    elif piece.outcome is ReceiptOutcome.CANCELLED and plan.resend.allows_every_request:
        recorder.job(piece.job.job_id, LOST)
    elif piece.outcome is not ReceiptOutcome.ACCEPTED:
        recorder.job(piece.job.job_id, TAKEN)


def settled(end: JobEnded) -> bool:
    """Whether nothing more can be learnt of a job."""
    return end.outcome is not ReceiptOutcome.ACCEPTED


def steered(plan: WritePlan) -> bool:
    """Whether a row's state depends on more than its record: its list, its path."""
    return any(aside.name not in STEERS_NOTHING for aside in plan.params)


def _key(plan: WritePlan, record: str) -> bytes | None:
    """The key of a row that a job named; None where that does not tell which row was sent."""
    try:
        found = identifier(plan.checks, json.loads(record))
    except ValueError:
        return None
    doubtful = found is None or steered(plan) or (found[0] == "phone_number" and bool(plan.checks.default_country))
    return None if doubtful or found is None or plan.state is None else salted(plan.state.scope, key_text(found))


def identifier(checks: Checks, record: Json) -> list[str] | None:
    """The identifier of a record as `state.compare` writes it: field, value, what belongs to it; None without one."""
    for at in checks.key:
        value = normal(at[-1], get(record, at))
        if value:
            return [at[-1], value, *(normal(beside[-1], get(record, beside)) for beside in checks.key_with)]
    return None


def normal(name: str, value: Json) -> str:
    """A value of an identifier, in the one form that all its spellings share."""
    text = "" if value is None else str(value).strip(" ")
    if name == "email":
        return text.lower()
    return "".join(c for c in text if c in "+0123456789") if name == "phone_number" else text
