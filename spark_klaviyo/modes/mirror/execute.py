"""A run with `list_mode=mirror`: the list becomes exactly the DataFrame.

Rows are added first. Then the members are read, and those that no row is about are removed: never beyond
`max_removals`, never somebody whose row was rejected, and nobody where the adding ended midway, or where a row names
nobody who could be compared and so might mean any member. Somebody who joins while the run is at work is a member like
any other: the DataFrame decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from spark_klaviyo.account.account import stopped
from spark_klaviyo.account.members import ListFacts, list_facts, members
from spark_klaviyo.account.reads import AccountReader, ReadFailed, open_reader
from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.core.models import Receipt
from spark_klaviyo.encode.encoder import encode_batches
from spark_klaviyo.errors import OptionError, SchemaError
from spark_klaviyo.modes.mirror.identities import (
    MOST,
    IdentitySet,
    Seen,
    WhoTask,
    comparable,
    member_pages,
    packed,
    result,
    unpacked,
)
from spark_klaviyo.modes.mirror.removals import Removals, ceiling, removals
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.make import make_plan
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.types import Field, Type, columns_of
from spark_klaviyo.report.report import WriteReport
from spark_klaviyo.report.task_report import TaskReport, merge
from spark_klaviyo.runs import session
from spark_klaviyo.runs.columns import sent_columns
from spark_klaviyo.runs.execute import conclude, gathered, send
from spark_klaviyo.runs.open_state import open_state
from spark_klaviyo.runs.outputs.outcome import judge_run
from spark_klaviyo.runs.outputs.results import RESULT_DDL, Results
from spark_klaviyo.runs.outputs.session_outputs import SessionOutputs
from spark_klaviyo.runs.rate_limit_session import rate_limit_session
from spark_klaviyo.runs.send_task import SendTask
from spark_klaviyo.task.context import SendContextFactory
from spark_klaviyo.task.run import run_task

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

REMOVALS = -2  # the partition that the receipts of removals name
NOBODY_REMOVED = (
    "rows without an id, an external id, a possible email or phone number could mean any member of the list: nobody "
    "was removed; mend these rows, or leave them out"
)
EMPTY = "it has no row, and list_mode=mirror would remove every member of the list; nothing was sent"


def write_mirror(df: DataFrame, options: Options, run_id: str) -> WriteReport:
    """Make the list the DataFrame; the report, or the error that the options ask for.

    Raises `SchemaError` for a DataFrame without rows or without identifiers that members have, and `WriteStopped`
    before any removal where more than `max_removals` members would go.
    """
    plan = comparable(make_plan(options, columns_of(df), run_id))
    session.choose_worker_python(df)
    with open_reader(options) as reader:
        facts = _before(reader, plan)
        outputs = SessionOutputs.open(session.session_of(df), options, plan.run_id)
        with (
            rate_limit_session(df, plan, options) as contexts,
            open_state(session.session_of(df), plan, options, contexts) as plan,
        ):
            results = send(df, plan, options, outputs, contexts, _watching(plan))
            if not any(report.rows or report.stopped for report in results.reports):
                outputs.remove_staging()
                raise SchemaError(EMPTY)
            total = gathered(results, plan, outputs, contexts)
            if judge_run(total, plan, outputs.failures).stopped is None:
                people, lost = _people(df, plan, options, results)
                kept = all_kept(people, lost, total)
                total = kept or _remove(reader, facts, people, total, plan, options, outputs, contexts)
    return conclude(total, plan, options, outputs)


def _before(reader: AccountReader, plan: WritePlan) -> ListFacts:
    """The list before anything is sent: it exists, and its members may be read."""
    list_id = plan.settings["list_id"]
    try:
        return list_facts(reader, list_id)
    except ReadFailed as failed:
        if failed.code is StopCode.NOT_FOUND:
            raise OptionError(f"list_id: the account has no list with the id {list_id}") from failed
        hint = (
            "; list_mode=mirror needs the scopes lists:read and profiles:read"
            if failed.code is StopCode.FORBIDDEN
            else ""
        )
        message = f"the list's members cannot be read: {failed}{hint}"
        raise stopped(plan, failed.code, message) from failed


# --- who is in the DataFrame ----------------------------------------------------------------------


@dataclass(frozen=True)
class WatchTask:
    """A sending task that also tells who its rows are, as they pass; picklable."""

    task: SendTask

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """What `mapInArrow` calls."""
        plan = self.task.plan
        seen, told = Seen(plan), list[str]()

        def watched() -> Iterator[pa.RecordBatch]:
            for encoded in encode_batches(batches, plan) if self.task.encode else batches:
                told.append(packed(seen.people(encoded)))
                yield encoded

        for rows in replace(self.task, encode=False)(watched()):
            yield rows
            if told:
                yield result(told)
                told.clear()
        yield result(told)


def _watching(plan: WritePlan) -> type[WatchTask] | None:
    """With a state the tasks see only the rows that are new, so who is in the DataFrame is asked apart."""
    return None if plan.state is not None else WatchTask


def _people(df: DataFrame, plan: WritePlan, options: Options, results: Results) -> tuple[IdentitySet, int]:
    """Who the rows are, and how many rows name nobody who could be compared."""
    texts = results.identities
    if plan.state is not None:
        frame, plan = sent_columns(df, plan)
        texts = [row["body"] for row in frame.coalesce(options.tasks).mapInArrow(WhoTask(plan), RESULT_DDL).collect()]
    return unpacked(texts)


def all_kept(people: IdentitySet, lost: int, total: TaskReport, most: int = MOST) -> TaskReport | None:
    """The counts of a run that removes nobody, with the reason; None where members may be compared and removed.

    `lost`: rows that name nobody who could be compared; `most`: identifiers that are compared.
    """
    if len(people) > most:
        told = f"{len(people):,} identifiers are more than the {most:,} that a mirror can compare: nobody was removed"
        return replace(total, stopped=(StopCode.TOO_MANY_ROWS, told))
    if lost:
        total.warn(NOBODY_REMOVED, lost)
        return total
    return None


# --- removing -------------------------------------------------------------------------------------


def _remove(
    reader: AccountReader,
    facts: ListFacts,
    people: IdentitySet,
    total: TaskReport,
    plan: WritePlan,
    options: Options,
    outputs: SessionOutputs,
    contexts: SendContextFactory,
) -> TaskReport:
    """Read the members and remove those that no row is about; the counts of both parts of the run."""
    try:
        found = removals(member_pages(members(reader, facts)), people, ceiling(options.max_removals, facts.members))
    except ReadFailed as failed:
        told = f"the list's members could not be read to the end: {failed}; nobody was removed"
        return replace(total, stopped=(failed.code, told))
    if found.too_many:
        return replace(total, stopped=(StopCode.TOO_MANY_REMOVALS, too_many(found, facts, options.max_removals)))
    removed = _removed(found, plan, options, outputs, contexts)
    return merge([total, removed])


def too_many(found: Removals, facts: ListFacts, asked: str) -> str:
    """Why nobody is removed, with both counts."""
    return (
        f"{found.count:,} of the list's {found.members:,} members are not in the DataFrame, and max_removals={asked} "
        f"lets {found.most:,} of {facts.members:,} go: rows were added, nobody was removed"
    )


def _removed(
    found: Removals, plan: WritePlan, options: Options, outputs: SessionOutputs, contexts: SendContextFactory
) -> TaskReport:
    if not found.ids:
        return TaskReport()
    settings = {"list_id": plan.settings["list_id"]}
    other = options.for_template("remove_profile_ids_from_list", settings, max_rejects=None)
    removing = make_plan(other, [Field("id", Type("string"))], plan.run_id)
    report, receipts = TaskReport(), list[Receipt]()
    with contexts.open(removing, REMOVALS, 0) as context:
        ids = pa.RecordBatch.from_arrays([pa.array(found.ids, pa.string())], names=["id"])
        for event in run_task(removing, encode_batches([ids], removing), context):
            if isinstance(event, Receipt):
                receipts.append(event)
            elif isinstance(event, TaskReport):
                report = event
    outputs.append_receipts(receipts)
    return beside(report)


def beside(report: TaskReport) -> TaskReport:
    """The report of removals as part of a run's: members are no rows of the DataFrame."""
    counted = replace(
        report,
        rows=0,
        delivered=0,
        accepted=0,
        rejected=0,
        skipped=0,
        unsent=0,
        resent=0,
        removed=report.delivered + report.accepted,
        reasons={},
        examples={},
        accepted_because={},
        skipped_because={},
        rejects_sample=[],
    )
    for code, times in report.reasons.items():
        counted.warn(f"members could not be removed: {code}", times)
    if report.unsent:
        counted.warn("members were not removed, as sending was stopped", report.unsent)
    return counted
