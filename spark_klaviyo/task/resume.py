"""Sending with a state: drops rows that need no sending, and records what was delivered.

Which rows earlier runs delivered is in the batches already (`state.compare`); what earlier attempts of the same task
delivered is read here, from the recorder. Knows neither Spark nor the files of a state.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spark_klaviyo.arrow.encoded import FINGERPRINT, ROW_STATUS, record_texts
from spark_klaviyo.core import exact_json
from spark_klaviyo.core.codes import ReceiptOutcome, RejectCode
from spark_klaviyo.core.exact_json import get
from spark_klaviyo.core.identifiers import SEPARATOR, normalise_identifier
from spark_klaviyo.core.models import Batch, Batches, Rejection, RejectRow
from spark_klaviyo.deliver.delivery import Delivery
from spark_klaviyo.deliver.jobs import JobEvent, RowsFailed
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.state.fingerprints import record_key
from spark_klaviyo.state.format import Fingerprints, RowStatus, StateOutcome, digest, fingerprints_of, salted
from spark_klaviyo.state.recorder import Recorder

SKIPPED = {
    RowStatus.DELIVERED: "delivered before, and unchanged since",
    RowStatus.REPLACED: "a later row has the same identifier",
}
RESUMED = "rows were delivered by an earlier attempt of their task"
UNRECORDED = "rows were delivered and could not be recorded at state_path: the next run sends them again"
IN_DOUBT = (
    "sending was begun, and was cut off before an answer was recorded; sending again could do it twice: check whether "
    "Klaviyo has it, or write it with resend=always"
)


@dataclass
class ResumeFilter:
    """Applies a state to the rows of one task; `open_jobs`: how many rows the open jobs of earlier attempts have."""

    plan: WritePlan
    recorder: Recorder
    report: TaskReport
    open_jobs: Counter[str] = field(default_factory=Counter)
    _intents: dict[int, Fingerprints] = field(default_factory=dict)  # by row number: no outcome recorded yet

    def drop_delivered(self, encoded: Iterator[pa.RecordBatch], reject: RejectRow) -> Iterator[pa.RecordBatch]:
        """The encoded batches with the rows that are to be sent; rows in doubt are rejected, all others counted."""
        for batch in encoded:
            status = batch.column(ROW_STATUS).to_numpy(zero_copy_only=False)
            for skipped, reason in SKIPPED.items():
                rows = int((status == skipped).sum())
                self.report.rows += rows
                if rows:
                    self.report.skip(rows, reason)
            in_doubt = (status == RowStatus.IN_DOUBT) | self._left_in_doubt(batch)
            if in_doubt.any():
                self._reject_in_doubt(batch.filter(pa.array(in_doubt)), reject)
            yield self._without_sent(_only(batch, (status == RowStatus.TO_SEND) & ~in_doubt))

    def record_intent(self, batches: Batches) -> Batches:
        """The batches; where a second delivery could do harm, their rows are recorded before they are sent."""
        for batch in batches:
            if batch is not None and not self.plan.resend.allows_every_request:
                fingerprints = batch.fingerprints()
                self.recorder.record(fingerprints, StateOutcome.INTENT, at_once=True)
                self._intents.update(zip(batch.numbers().tolist(), fingerprints, strict=True))
            yield batch

    def record(self, delivery: Delivery) -> None:
        """Record the rows that a request delivered, or that its job accepted."""
        batch = delivery.batch
        if batch is not None:
            removed = list(removals_of(self.plan, batch))
            if removed:  # first, so that both are written to disk at once
                self.recorder.record_removed(removed)
            outcome = StateOutcome.PENDING if delivery.job_id else StateOutcome.SENT
            self.recorder.record(batch.fingerprints(), outcome, delivery.job_id)
            for row in batch.numbers().tolist():
                self._intents.pop(row, None)
        rejected = [(one.code, self._intents.pop(one.row, None)) for one in delivery.rejections]
        self._resolve([held for code, held in rejected if held is not None and code != RejectCode.IN_DOUBT])

    def report_unrecorded(self) -> None:
        """Record what is left, and warn about rows that could not be recorded."""
        self._resolve(list(self._intents.values()))  # they were handed back unsent
        self._intents.clear()
        self.recorder.flush()
        if self.recorder.unrecorded:
            self.report.warn(UNRECORDED, self.recorder.unrecorded)

    def _left_in_doubt(self, batch: pa.RecordBatch) -> npt.NDArray[np.bool_]:
        """Which rows an earlier attempt of the task was about to send, with no outcome recorded."""
        in_doubt = set() if self.plan.resend.allows_every_request else self.recorder.earlier.in_doubt
        if not in_doubt:
            return np.zeros(batch.num_rows, dtype=bool)
        return np.array([one in in_doubt for one in batch.column(FINGERPRINT).to_pylist()], dtype=bool)

    def _reject_in_doubt(self, batch: pa.RecordBatch, reject: RejectRow) -> None:
        for record in record_texts(batch):
            reject(Rejection(self.report.rows, record, RejectCode.IN_DOUBT, IN_DOUBT))
            self.report.rows += 1

    def _without_sent(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch without the rows that an earlier attempt has sent; they count as it counted them."""
        sent, jobs = self.recorder.earlier.sent(fingerprints_of(batch.column(FINGERPRINT)))
        for job_id, rows in jobs.items():
            self.report.rows += rows
            self.report.warn(RESUMED, rows)
            if job_id is None:
                self.report.delivered += rows
            else:
                self.open_jobs[job_id] += rows
        return _only(batch, ~sent)

    def _resolve(self, fingerprints: list[Fingerprints]) -> None:
        if fingerprints:
            self.recorder.record(np.stack(fingerprints), StateOutcome.RESOLVED)


def removals_of(plan: WritePlan, batch: Batch) -> Iterator[tuple[bytes, bytes]]:
    """Who was taken off a list or erased by these rows: keys among the state's removals, and the list's hash."""
    state, template = plan.state, plan.template
    if state is None or not template.takes_away or not (template.deletes or batch.envelope.list_id):
        return
    if not template.identifiers:  # manual mode: nothing says where rows name people
        return
    of_list = digest("" if template.deletes else batch.envelope.list_id)
    paths = [template.paths[name] for name in template.identifiers]
    for record in map(exact_json.loads, batch.records()):
        values = ((path[-1], normalise_identifier(path[-1], get(record, path))) for path in paths)
        named = next((SEPARATOR.join(pair) for pair in values if pair[1]), None)
        if named is not None:
            yield salted(state.removals, named), of_list


def _only(batch: pa.RecordBatch, kept: npt.NDArray[np.bool_]) -> pa.RecordBatch:
    return batch if kept.all() else batch.filter(pa.array(kept))


def record_job_outcome(plan: WritePlan, piece: JobEvent, recorder: Recorder | None) -> None:
    """Record what a job says: rows that it refused are sent again by the next run, its end settles the others.

    A job that could not be followed to its end stays pending, and the next run asks it again. Where its errors do not
    show which rows were refused, all of its rows are sent again, unless that could do harm.
    """
    if recorder is None:
        return
    job_id = piece.job.job_id
    if isinstance(piece, RowsFailed):
        keys = [record_key(plan, rejection.record) for rejection in piece.rejections]
        if None in keys and plan.resend.allows_every_request:
            recorder.record_job(job_id, StateOutcome.JOB_LOST)
        recorder.record_job(job_id, StateOutcome.REFUSED, [key for key in keys if key is not None])
    elif piece.outcome is ReceiptOutcome.CANCELLED and plan.resend.allows_every_request:
        recorder.record_job(job_id, StateOutcome.JOB_LOST)
    elif piece.outcome is not ReceiptOutcome.ACCEPTED:
        recorder.record_job(job_id, StateOutcome.JOB_DONE)
