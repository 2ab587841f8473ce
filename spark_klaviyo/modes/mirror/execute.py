"""A run with `list_mode=mirror`: the list becomes exactly the DataFrame.

Rows are added first. Then the members are read, and those that no row is about are removed: never more than
`max_removals`, and nobody whose row was rejected. Nobody is removed where adding was stopped, or where a row has no
identifier and might mean any member. Who joins the list while the run is under way is a member like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from spark_klaviyo.account.members import ListFacts, Page, list_facts, members
from spark_klaviyo.account.reads import AccountReader, ReadFailed, open_reader, stopped_before_sending
from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.core.models import Receipt
from spark_klaviyo.encode.encoder import encode_batches
from spark_klaviyo.errors import OptionError, SchemaError
from spark_klaviyo.modes.mirror import identities
from spark_klaviyo.modes.mirror.identities import Hashes, IdentitySet
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.make import make_plan
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.types import Field, Type, columns_of
from spark_klaviyo.report.counts.task_report import TaskReport, merge
from spark_klaviyo.report.report import WriteReport
from spark_klaviyo.runs.execute import conclude, finish, send
from spark_klaviyo.runs.results import RESULT_DDL, Results, judge_run
from spark_klaviyo.runs.run import Run, open_run
from spark_klaviyo.runs.send_from_driver import Task
from spark_klaviyo.runs.tasks import SendTask, sent_columns
from spark_klaviyo.task.run import run_task

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

REMOVALS = -2  # the partition number in the receipts of removals
NOBODY_REMOVED = (
    "rows without an id, an external id, a possible email or phone number could mean any member of the list: nobody "
    "was removed; repair these rows, or leave them out"
)
# What a report says of requests, whatever they are about.
_OF_REQUESTS = ("requests", "retries", "throttled", "bytes", "statuses", "warnings", "slowest", "series",
                "receipts_sample", "stopped", "started", "ended")  # fmt: skip
EMPTY = "it has no row, and list_mode=mirror would remove every member of the list; nothing was sent"


def write_mirror(df: DataFrame, options: Options, run_id: str) -> WriteReport:
    """Make the list the DataFrame; the report, or the error that the options ask for.

    Raises `SchemaError` for a DataFrame without rows or without identifiers that members have, and `WriteStopped`
    before any removal where more than `max_removals` members would be removed.
    """
    plan = identities.comparable(make_plan(options, columns_of(df), run_id))
    with open_reader(options) as reader:
        facts = _read_list(reader, plan)
        with open_run(df, plan, options) as run:
            results = send(run, _also_identifying if run.plan.state is None else None)
            if not any(report.rows or report.stopped for report in results.reports):
                run.outputs.remove_staging()
                raise SchemaError(EMPTY)
            total = finish(run, results)
            if judge_run(total, run.plan, run.outputs.failures).stopped is None:
                rows, unidentified = _identities(run, results)
                kept = keep_all(rows, unidentified, total)
                total = _remove(run, reader, facts, rows, total) if kept is None else kept
    return conclude(run, total)


def _read_list(reader: AccountReader, plan: WritePlan) -> ListFacts:
    """The list before anything is sent: it exists, and its members may be read."""
    list_id = plan.settings["list_id"]
    try:
        return list_facts(reader, list_id)
    except ReadFailed as failed:
        if failed.code is StopCode.NOT_FOUND:
            raise OptionError(f"list_id: the account has no list with the id {list_id}") from failed
        forbidden = failed.code is StopCode.FORBIDDEN
        hint = "; list_mode=mirror needs the scopes lists:read and profiles:read" if forbidden else ""
        message = f"the list's members cannot be read: {failed}{hint}"
        raise stopped_before_sending(plan, failed.code, message) from failed


# --- who is in the DataFrame ----------------------------------------------------------------------


def _also_identifying(task: SendTask) -> Task:
    return partial(_send_and_identify, task)


def _send_and_identify(task: SendTask, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """What a sending task yields, and who its rows are."""
    plan, packed = task.plan, list[str]()

    def encoded() -> Iterator[pa.RecordBatch]:
        for batch in encode_batches(batches, plan):
            packed.append(identities.pack(identities.hash_rows(batch, plan)))
            yield batch

    for results in task.send(plan, encoded()):
        yield results
        yield identities.to_results(packed)
        packed.clear()


def _identities(run: Run, results: Results) -> tuple[IdentitySet, int]:
    """Who the rows are, and how many rows are unidentified."""
    if run.plan.state is None:
        return identities.unpack(results.identities)
    # with a state the sending tasks see only rows that are new, so all rows are read again
    frame, plan = sent_columns(run.df, run.plan)
    frame = frame.coalesce(run.options.tasks).mapInArrow(partial(identities.identify, plan), RESULT_DDL)
    return identities.unpack(row["body"] for row in frame.collect())


def keep_all(rows: IdentitySet, unidentified: int, total: TaskReport, most: int = identities.MOST) -> TaskReport | None:
    """The counts of a run that removes nobody, with the reason; None where members may be compared and removed.

    `most`: identifiers that can be compared.
    """
    if len(rows) > most:
        reason = f"{len(rows):,} identifiers are more than the {most:,} that a mirror can compare: nobody was removed"
        return replace(total, stopped=(StopCode.TOO_MANY_ROWS, reason))
    if unidentified:
        total.warn(NOBODY_REMOVED, unidentified)
        return total
    return None


# --- removing -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Removals:
    """Members that no row is about: `count` of all `members`; `ids` are all of them, or as many as may be removed."""

    members: int
    count: int
    ids: list[str]


def hash_pages(pages: Iterable[Page]) -> Iterator[tuple[list[str], Hashes]]:
    """Pages of members as their profile ids and the hashes of their identifiers."""
    for page in pages:
        yield [str(member["id"]) for member in page], identities.hash_people(page)


def ceiling(max_removals: str, members: int) -> int:
    """How many of so many members `max_removals` allows to remove: a number, or a share, rounded down."""
    return int(members * float(max_removals[:-1]) / 100) if max_removals.endswith("%") else int(max_removals)


def find_removals(pages: Iterable[tuple[list[str], Hashes]], rows: IdentitySet, most: int) -> Removals:
    """Go through the members; those beyond `most` are counted, and their ids not held."""
    total = count = 0
    found: list[str] = []
    for ids, hashes in pages:
        missing = np.flatnonzero(~rows.contains(hashes))
        total += len(ids)
        count += len(missing)
        found += [ids[index] for index in missing[: most - len(found)]]
    return Removals(total, count, found)


def _remove(run: Run, reader: AccountReader, facts: ListFacts, rows: IdentitySet, total: TaskReport) -> TaskReport:
    """Read the members and remove those that no row is about; the counts of both parts of the run."""
    most = ceiling(run.options.max_removals, facts.members)
    try:
        found = find_removals(hash_pages(members(reader, facts)), rows, most)
    except ReadFailed as failed:
        reason = f"the list's members could not be read to the end: {failed}; nobody was removed"
        return replace(total, stopped=(failed.code, reason))
    if found.count > most:
        reason = (
            f"{found.count:,} of the list's {found.members:,} members are not in the DataFrame, and "
            f"max_removals={run.options.max_removals} lets {most:,} of {facts.members:,} go: rows were added, "
            "nobody was removed"
        )
        return replace(total, stopped=(StopCode.TOO_MANY_REMOVALS, reason))
    return merge([total, _send_removals(run, found.ids)]) if found.ids else total


def _send_removals(run: Run, profile_ids: list[str]) -> TaskReport:
    settings = {"list_id": run.plan.settings["list_id"]}
    options = run.options.for_template("remove_profile_ids_from_list", settings, max_rejects=None)
    plan = make_plan(options, [Field("id", Type("string"))], run.plan.run_id)
    ids = pa.RecordBatch.from_arrays([pa.array(profile_ids, pa.string())], names=["id"])
    report, receipts = TaskReport(), list[Receipt]()
    with run.contexts.open(plan, REMOVALS, 0) as context:
        for event in run_task(plan, encode_batches([ids], plan), context):
            if isinstance(event, Receipt):
                receipts.append(event)
            elif isinstance(event, TaskReport):
                report = event
    run.outputs.append_receipts(receipts)
    return as_removals(report)


def as_removals(report: TaskReport) -> TaskReport:
    """The report of removals as part of a run's: members are counted as removed, and are no rows of the DataFrame."""
    removals = TaskReport(removed=report.delivered + report.accepted)
    for name in _OF_REQUESTS:
        setattr(removals, name, getattr(report, name))
    for code, times in report.reasons.items():
        removals.warn(f"members could not be removed: {code}", times)
    if report.unsent:
        removals.warn("members were not removed, as sending was stopped", report.unsent)
    return removals
