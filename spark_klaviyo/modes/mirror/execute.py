"""A run with `list_mode=mirror`: the list becomes exactly the DataFrame.

The DataFrame is read once, and its rows are held. Then the members are read, and who would be removed is known, and
checked against `max_removals`, before the first row is added. Rows are added first, members removed after them. These
stay: members who have any identifier of a row, rejected or not; all members, where a row in doubt may mean any of them;
those who joined after the run began; all members, where adding was stopped.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from pyspark.sql import DataFrame

from spark_klaviyo.account.members import ListFacts, list_facts, members
from spark_klaviyo.account.reads import open_reader, stopped_before_sending
from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.deliver.reads import Reader, ReadFailed
from spark_klaviyo.errors import OptionError, SchemaError
from spark_klaviyo.modes.mirror.hold import HeldRows, held_rows
from spark_klaviyo.modes.mirror.removals import Removals, ceiling, find_removals, read_pages, remove_members
from spark_klaviyo.modes.mirror.rows import RowPeople, comparable, mark_absent
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.make import make_plan
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.types import columns_of
from spark_klaviyo.report.counts.task_report import TaskReport, merge
from spark_klaviyo.report.counts.text import counted
from spark_klaviyo.report.report import WriteReport
from spark_klaviyo.runs.execute import conclude, finish, send_compared
from spark_klaviyo.runs.results import Results, judge_run
from spark_klaviyo.runs.run import Run, open_run

MOST_IDENTIFIERS = 30_000_000  # that the calling process holds at once: 240 MB
EMPTY = "it has no row, and list_mode=mirror would remove every member of the list; nothing was sent"
BLANK = (
    "none of its rows has an identifier, so list_mode=mirror would remove every member of the list; nothing was sent"
)
UNIDENTIFIED = (
    "{} may mean any member of the list, as they hold values and no id, external id, email or phone number "
    "that can be compared: rows were added, and nobody was removed; repair these rows, or leave them out"
)
Reason = tuple[StopCode, str]


def write_mirror(df: DataFrame, options: Options, run_id: str, began: float) -> WriteReport:
    """Make the list the DataFrame; the report, or the error that the options ask for.

    Raises `SchemaError` for a DataFrame without rows or without identifiers that members have, and `WriteStopped`
    before anything is sent where more than `max_removals` members would be removed.
    """
    plan = comparable(make_plan(options, columns_of(df), run_id))
    with open_reader(options) as reader:
        facts = _read_list(reader, plan)
        with open_run(df, plan, options, began) as run, held_rows(run) as held:
            total = _mirror(run, reader, facts, held)
    return conclude(run, total)


def _read_list(reader: Reader, plan: WritePlan) -> ListFacts:
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


def _mirror(run: Run, reader: Reader, facts: ListFacts, held: HeldRows) -> TaskReport:
    """Compare, add and remove; the counts of all of it."""
    rows = held.read_people()
    if not rows.count or not (len(rows.people) or len(rows.in_doubt)):
        run.outputs.remove_staging()
        raise SchemaError(BLANK if rows.count else EMPTY)
    found = _compare(run, reader, facts, rows)
    if not isinstance(found, Removals):
        return replace(finish(run, Results()), rows=rows.count, unsent=rows.count, stopped=found)
    total = finish(run, _send(run, held, found))
    if judge_run(total, run.plan, run.outputs.failures).stopped is not None:
        return total
    if found.unplaced:
        reason = UNIDENTIFIED.format(counted(found.unplaced, "row"))
        return replace(total, stopped=(StopCode.UNIDENTIFIED_ROWS, reason))
    return merge([total, remove_members(run, reader, facts, found)]) if found.count else total


def _compare(run: Run, reader: Reader, facts: ListFacts, rows: RowPeople) -> Removals | Reason:
    """Read the members and find those that no row is about; the reason where they cannot, or may not, be removed."""
    if len(rows.people) > MOST_IDENTIFIERS:
        most = f"the {MOST_IDENTIFIERS:,} that a mirror can compare"
        return StopCode.TOO_MANY_ROWS, f"{len(rows.people):,} identifiers are more than {most}: nothing was sent"
    allowed = run.options.max_removals
    try:
        found = find_removals(read_pages(members(reader, facts), facts), rows, ceiling(allowed, facts.members))
    except ReadFailed as failed:
        return failed.code, f"the list's members could not be read to the end: {failed}; nobody was added or removed"
    if not found.too_many:
        return found
    return StopCode.TOO_MANY_REMOVALS, (
        f"{found.count:,} of the list's {found.members:,} members are not in the DataFrame, and "
        f"max_removals={allowed} allows to remove {found.most:,} of {facts.members:,}: "
        "nobody was added or removed"
    )


def _send(run: Run, held: HeldRows, found: Removals) -> Results:
    """Send the rows; of those that a state knows also the ones whose people are not on the list."""
    if held.plan.state is None:
        return run.run_tasks(held.encoded, replace(run.send_task(), plan=held.plan, encode=lambda batches, _: batches))
    return send_compared(run, held.frame, partial(mark_absent, found.absent), held.plan)
