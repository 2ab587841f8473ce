"""Which members of a list are not in a DataFrame, whether so many may be removed, and their removal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spark_klaviyo.account.members import IDENTIFIERS, ListFacts, Page, members_since
from spark_klaviyo.core.clock import rfc3339
from spark_klaviyo.core.codes import RejectCode, StopCode
from spark_klaviyo.core.models import Batch, Receipt, RemovedMember
from spark_klaviyo.deliver.reads import Reader, ReadFailed
from spark_klaviyo.encode.encoder import encode_batches
from spark_klaviyo.modes.mirror.identities import Hashes, hash_people
from spark_klaviyo.modes.mirror.rows import RowPeople
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
OF_REQUESTS = ("requests", "retries", "throttled", "bytes", "statuses", "warnings", "slowest", "series",
               "receipts_sample", "stopped", "started", "ended")  # fmt: skip
PEOPLE = pa.schema([(name, pa.string()) for name in ("id", *IDENTIFIERS)])


@dataclass(frozen=True)
class MemberPage:
    """Some members of a list: their ids and identifiers, the hashes of these, and who joined after the run began."""

    people: pa.RecordBatch
    hashes: Hashes
    is_new: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Removals:
    """Members that no row is about: `count` of all `members`; `people` are all of them, or the first `most`.

    With `unplaced` rows, which may mean any of them, nobody is removed. `absent` are the hashes of identifiers of rows
    that no member has.
    """

    members: int
    count: int
    people: pa.Table
    most: int
    unplaced: int
    absent: Hashes

    @property
    def too_many(self) -> bool:
        """Whether the ceiling forbids removing them, even if each unplaced row is about one of them."""
        return self.count - self.unplaced > self.most


def read_pages(pages: Iterable[Page], facts: ListFacts) -> Iterator[MemberPage]:
    """Pages of members in the form in which they are compared."""
    for page in pages:
        columns = [pa.array([_text(member.get(name)) for member in page], pa.string()) for name in PEOPLE.names]
        is_new = np.array([facts.has_joined_since(member) for member in page], dtype=bool)
        yield MemberPage(pa.RecordBatch.from_arrays(columns, schema=PEOPLE), hash_people(page), is_new)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def ceiling(max_removals: str, members: int) -> int:
    """How many of so many members `max_removals` allows to remove: a number, or a share, rounded down."""
    return int(members * float(max_removals[:-1]) / 100) if max_removals.endswith("%") else int(max_removals)


def find_removals(pages: Iterable[MemberPage], rows: RowPeople, most: int) -> Removals:
    """Go through the members; those beyond `most` are counted, and not held."""
    members = count = held = 0
    people: list[pa.RecordBatch] = []
    for page in pages:
        missing = np.flatnonzero(~rows.people.contains(page.hashes) & ~page.is_new)
        members += len(page.is_new)
        count += len(missing)
        taken = missing[: max(most - held, 0)]
        held += len(taken)
        people += [page.people.take(pa.array(taken))] if len(taken) else []
    absent = np.setdiff1d(rows.people.hashes, rows.people.found.hashes, assume_unique=True)
    table = pa.Table.from_batches(people, PEOPLE)
    return Removals(members, count, table, most, rows.count_unplaced(), absent)


# --- taking them off the list ---------------------------------------------------------------------


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
    removed = _Removed(run, facts.list_id, leaving)
    with run.contexts.open(plan, PARTITION, 0) as context:
        encoded = encode_batches(leaving.select(["id"]).to_batches(), plan)
        try:
            for event in run_task(plan, encoded, context, on_taken=removed.add):
                removed.note(event)
        except KeyboardInterrupt:  # requests in flight are abandoned: whether their members were removed is unknown
            removed.report = TaskReport(delivered=removed.count, stopped=INTERRUPTED)
        finally:
            removed.write()
    return as_removals(removed.report, removed.sample)


@dataclass
class _Removed:
    """Who was removed so far; what of it is not written yet."""

    run: Run
    list_id: str
    people: pa.Table
    report: TaskReport = field(default_factory=TaskReport)
    count: int = 0
    sample: list[RemovedMember] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)

    def add(self, batch: Batch) -> None:
        """Note the members of a request that Klaviyo has carried out; write those before once they are a chunk."""
        if len(self.numbers) >= CHUNK:
            self.write()
        self.numbers += batch.numbers().tolist()
        self.count += batch.rows

    def note(self, event: TaskEvent) -> None:
        """Keep a receipt or the report."""
        if isinstance(event, Receipt):
            self.receipts.append(event)
        elif isinstance(event, TaskReport):
            self.report = event

    def write(self) -> None:
        """Write who was removed, and the receipts."""
        people = self.people.take(pa.array(self.numbers, pa.int64())).to_pylist()
        run_id, now = self.run.plan.run_id, rfc3339(datetime.now(timezone.utc))
        members = [RemovedMember(run_id, self.list_id, **person, removed_at=now) for person in people]
        self.sample += members[: MAX_REMOVED - len(self.sample)]
        outputs = self.run.outputs
        outputs.append(outputs.removed, list(map(vars, members)))
        outputs.append(outputs.receipts, list(map(vars, self.receipts)))
        self.numbers, self.receipts = [], []


def as_removals(report: TaskReport, sample: list[RemovedMember]) -> TaskReport:
    """The report of removals as part of a run's: members are counted as removed, and are no rows of the DataFrame."""
    removals = TaskReport(removed=report.delivered + report.accepted, removed_sample=sample)
    for name in OF_REQUESTS:
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
