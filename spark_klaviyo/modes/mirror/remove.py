"""Takes the members that are not in the DataFrame off the list, and keeps who they were."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone

import pyarrow as pa

from spark_klaviyo.account.members import ListFacts, members_since
from spark_klaviyo.core.clock import rfc3339
from spark_klaviyo.core.codes import RejectCode, StopCode
from spark_klaviyo.core.models import Batch, Receipt, RemovedMember
from spark_klaviyo.deliver.reads import Reader, ReadFailed
from spark_klaviyo.encode.encoder import encode_batches
from spark_klaviyo.modes.mirror.removals import Removals
from spark_klaviyo.plan.make import make_plan
from spark_klaviyo.plan.types import Field, Type
from spark_klaviyo.report.counts.summary import MAX_REMOVED
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.report.counts.text import counted
from spark_klaviyo.runs.run import INTERRUPTED, Run
from spark_klaviyo.task.run import TaskEvent, run_task

PARTITION = -2  # the partition number in the receipts of removals
CHUNK = 10_000  # removed members that are written at a time
# What a report says of requests, whatever they are about.
_OF_REQUESTS = ("requests", "retries", "throttled", "bytes", "statuses", "warnings", "slowest", "series",
                "receipts_sample", "stopped", "started", "ended")  # fmt: skip


def remove_members(run: Run, reader: Reader, facts: ListFacts, found: Removals) -> TaskReport:
    """Remove the members that were found, but for those who have left and joined again meanwhile.

    The report counts them as `removed`. Where it cannot be read who has joined, nobody is removed, and it is stopped.
    """
    try:
        back = members_since(reader, facts, found.people.to_pylist())
    except ReadFailed as failed:
        reason = f"who joined the list meanwhile could not be read: {failed}; rows were added, nobody was removed"
        return TaskReport(stopped=(failed.code, reason))
    ids = found.people.column("id").to_pylist()
    leaving = found.people.filter(pa.array([profile_id not in back for profile_id in ids], pa.bool_()))
    options = run.options.for_template("remove_profile_ids_from_list", {"list_id": facts.list_id}, max_rejects=None)
    plan = make_plan(options, [Field("id", Type("string"))], run.plan.run_id)
    removing = _Removing(run, facts.list_id, leaving)
    with run.contexts.open(plan, PARTITION, 0) as context:
        encoded = encode_batches(leaving.select(["id"]).to_batches(), plan)
        try:
            for event in run_task(plan, encoded, context, on_taken=removing.add):
                removing.note(event)
        except KeyboardInterrupt:  # requests in flight are abandoned: whether their members were removed is unknown
            removing.report = TaskReport(delivered=removing.count, stopped=INTERRUPTED)
        finally:
            removing.write()
    return as_removals(removing.report, removing.sample)


@dataclass
class _Removing:
    """Who was removed so far, and what of it is not written yet."""

    run: Run
    list_id: str
    people: pa.Table
    report: TaskReport = field(default_factory=TaskReport)
    receipts: list[Receipt] = field(default_factory=list)
    sample: list[RemovedMember] = field(default_factory=list)
    count: int = 0
    _numbers: list[int] = field(default_factory=list)

    def add(self, batch: Batch) -> None:
        """Note the members of a request that Klaviyo has carried out."""
        self._numbers += batch.numbers().tolist()
        self.count += batch.rows

    def note(self, event: TaskEvent) -> None:
        """Keep a receipt or the report; write what there is once it is a chunk."""
        if isinstance(event, Receipt):
            self.receipts.append(event)
        elif isinstance(event, TaskReport):
            self.report = event
        if len(self._numbers) >= CHUNK:
            self.write()

    def write(self) -> None:
        """Write who was removed, and the receipts."""
        people = self.people.take(pa.array(self._numbers, pa.int64())).to_pylist()
        run_id, now = self.run.plan.run_id, rfc3339(datetime.now(timezone.utc))
        members = [RemovedMember(run_id, self.list_id, **person, removed_at=now) for person in people]
        self.sample += members[: MAX_REMOVED - len(self.sample)]
        self.run.outputs.append_removed(members)
        self.run.outputs.append_receipts(self.receipts)
        self._numbers, self.receipts = [], []


def as_removals(report: TaskReport, sample: list[RemovedMember]) -> TaskReport:
    """The report of removals as part of a run's: members are counted as removed, and are no rows of the DataFrame."""
    removals = TaskReport(removed=report.delivered + report.accepted, removed_sample=sample)
    for name in _OF_REQUESTS:
        setattr(removals, name, getattr(report, name))
    for code, times in report.reasons.items():
        removals.warn(f"members could not be removed: {code}", times)
    left = sum(report.reasons.get(code, 0) for code in (RejectCode.UNAVAILABLE, RejectCode.IN_DOUBT))
    if left and removals.stopped is None:
        reason = f"{counted(left, 'member')} could not be removed, as no answer came; the next run removes them"
        removals.stopped = (StopCode.UNAVAILABLE, reason)
    if report.unsent:
        removals.warn("members were not removed, as sending was stopped", report.unsent)
    return removals
