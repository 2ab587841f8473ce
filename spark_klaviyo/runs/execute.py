"""A run that sends every row with its template; the modes take its steps one by one. Knows no column and no reply."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import pyarrow as pa
from pyspark.sql import DataFrame, Row

from spark_klaviyo.account.target import in_account
from spark_klaviyo.arrow.encoded import record_texts
from spark_klaviyo.batching.screening import plan_warnings
from spark_klaviyo.core.codes import ReceiptOutcome, jobs_can_be_followed
from spark_klaviyo.core.models import RejectedRow, Rejection
from spark_klaviyo.datasets.storage import Folder
from spark_klaviyo.deliver.jobs import JobEnded, OpenJob
from spark_klaviyo.encode.encoder import encode_batches
from spark_klaviyo.encode.rows import arrow_batches
from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.make import make_plan
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.types import columns_of
from spark_klaviyo.report.counts.task_report import TaskReport, merge
from spark_klaviyo.report.report import WriteReport
from spark_klaviyo.runs.results import Results, judge_run, return_or_raise, run_row
from spark_klaviyo.runs.run import INTERRUPTED, OPEN_JOBS, Run, open_run
from spark_klaviyo.runs.send_from_driver import Task
from spark_klaviyo.runs.session import current_task, grouped
from spark_klaviyo.runs.tasks import encode_for_spark, sent_columns
from spark_klaviyo.screen.merges import faulty_merges
from spark_klaviyo.state.compare import GROUP, PLACE, SHUFFLED_DDL, Comparison, pack, unpack
from spark_klaviyo.state.lock import note
from spark_klaviyo.task.run import TaskContext, count_rejected, poll_jobs

NOT_ENDED = "the end of the run could not be recorded at state_path: the next run continues this one"
DRIVER = -1  # the partition number of what the calling process does


def write_rows(df: DataFrame, options: Options, run_id: str, began: float) -> WriteReport:
    """Write every row of a DataFrame with the template; the report, or the error that the options ask for."""
    with open_run(df, make_plan(options, columns_of(df), run_id), options, began) as run:
        total = finish(run, send(run))
    return conclude(run, total)


def send(run: Run) -> Results:
    """Run the sending tasks; evaluates the DataFrame exactly once."""
    frame, plan = sent_columns(run.df, run.plan)
    refused = TaskReport()
    if plan.template.deletes:
        rows = read_confirmed(frame, _deletion_text(plan), run.options)
        rows = _without_faulty_merges(run, plan, rows, refused) if plan.template.merges else rows
        frame = frame.sparkSession.createDataFrame(rows, frame.schema)
    if plan.state is not None:
        results = send_compared(run, frame, partial(encode_for_spark, plan), plan)
    else:
        results = run.run_tasks(frame, replace(run.send_task(), plan=plan))
    results.reports += [refused] if refused.rows else []
    return results


def send_compared(run: Run, frame: DataFrame, encode: Task, plan: WritePlan) -> Results:
    """Compare rows with the state of the plan and run the sending tasks; evaluates the frame exactly once.

    `encode` makes encoded rows with their hashes of the frame's batches. A boolean column `SENT_AGAIN` of its own
    names rows that are sent even where the state says that they were delivered.
    """
    packed = frame.mapInArrow(partial(_packed, plan, encode), SHUFFLED_DDL)
    shuffled = grouped(packed, GROUP, PLACE)
    return run.run_tasks(shuffled, replace(run.send_task(), plan=plan, encode=_unpacked))


def _packed(plan: WritePlan, encode: Task, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    task = current_task()
    yield from pack(encode(batches), Comparison(plan, task.executor_folder), task.partition_id)


def _unpacked(batches: Iterator[pa.RecordBatch], plan: WritePlan) -> Iterator[pa.RecordBatch]:
    yield from unpack(batches, Comparison(plan, current_task().executor_folder))


def _deletion_text(plan: WritePlan) -> str:
    """How rows would be deleted, for the refusal."""
    if plan.template.is_manual:
        return f"{plan.template.method} {plan.template.path}"
    return f"{plan.template.name}, which merges each source away" if plan.template.merges else plan.template.name


def _without_faulty_merges(run: Run, plan: WritePlan, rows: list[Row], refused: TaskReport) -> list[Row]:
    """The rows whose merges may be sent; the others are rejected and counted."""
    # columns go by their position here, as they are renamed on the way to tasks
    encoded = encode_batches(arrow_batches(map(tuple, rows), plan.columns), plan)
    records = [text for batch in encoded for text in record_texts(batch)]
    faults = faulty_merges(plan.template, records)
    for number, code in faults.items():
        refused.rows += 1
        rejection = Rejection(number, records[number], code, code.text)
        run.outputs.add_reject(count_rejected(plan, rejection, refused, DRIVER))
    return [row for number, row in enumerate(rows) if number not in faults]


def read_confirmed(deletes: DataFrame, template: str, options: Options) -> list[Row]:
    """The rows to be deleted, if they are as many as the caller confirmed; else `OptionError`, and nothing was sent.

    They are read once, counted, and these very rows are then sent: a source that gives other rows the second time
    deletes nobody who was not counted. Until then they are held in this process, at most as many as were confirmed:
    identifiers of one person or item each. Change data without any delete needs no confirmation, and in a stream the
    number is a ceiling for each micro-batch.
    """
    rows: list[Row] = deletes.limit((options.confirm_deletion or 0) + 1).collect()
    require_confirmed(len(rows), deletes, template, options)
    return rows


def require_confirmed(found: int, deletes: DataFrame, template: str, options: Options) -> None:
    """Raise `OptionError` unless so many deletes were confirmed; of more than that, `deletes` are counted."""
    most = options.confirm_deletion or 0
    is_ceiling = options.entry_point is EntryPoint.BATCH  # the rows of a micro-batch are not known before
    nothing_to_delete = options.change_column is not None and not found
    if found == most or (is_ceiling and found < most) or nothing_to_delete:
        return
    found = found if found <= most else deletes.count()
    confirmed = f"not {most:,}" if options.confirm_deletion is not None else "and no number was confirmed"
    raise OptionError(
        f"confirm_deletion: {found:,} rows would be deleted for good{in_account(options)} with {template}, "
        f"{confirmed}; nothing was sent. What is deleted cannot be brought back: give the exact number of "
        f"rows, confirm_deletion={found}, once you have checked them"
    )


def finish(run: Run, results: Results, *followed: tuple[WritePlan, Sequence[OpenJob]]) -> TaskReport:
    """After the tasks: fill the datasets and follow the jobs; the counts of all of it.

    `followed`: the jobs of each plan, where the run has several.
    """
    total = merge(results.reports)
    with_job = sum(job.sequence >= 0 for job in results.jobs)  # jobs of earlier attempts have no receipt here
    run.outputs.append_staged(results.staged, total.rejected, total.requests - with_job)
    run.outputs.append_ended(
        [end for plan, jobs in followed or [(run.plan, results.jobs)] for end in _follow(run, plan, jobs, total)]
    )
    if run.plan.state is not None and total.stopped is None:
        try:
            note(Folder.at(run.plan.state.path), open=0)
        except OSError:
            total.warn(NOT_ENDED)
    return total


def _follow(run: Run, plan: WritePlan, jobs: Sequence[OpenJob], total: TaskReport) -> list[JobEnded]:
    """Follow jobs to their end; counts go to `total`, rows that jobs refused to the rejects. An end for each job.

    Jobs are left open, and their rows `accepted`, where the caller does not wait for them or where the write was
    stopped for a reason that also ends the following; `follow_klaviyo` settles them later.
    """
    ends: list[JobEnded] = []
    if jobs and plan.wait_for_jobs and jobs_can_be_followed(total.stopped and total.stopped[0]):
        with run.contexts.open(plan, DRIVER, 0) as context:
            context.counts[OPEN_JOBS] = len({job.job_id for job in jobs})
            for end in _poll(run, plan, jobs, total, context):
                ends.append(end)
                context.counts[OPEN_JOBS] -= 1
            total.ended = context.clock.wall().timestamp()
    ended = {end.job.job_id for end in ends}
    for job in jobs:
        if job.job_id not in ended:
            total.record_job(job.job_id, "open", job.rows)
            ends.append(JobEnded(job, "open", 0, job.rows, ReceiptOutcome.ACCEPTED))
    return ends


def _poll(
    run: Run, plan: WritePlan, jobs: Sequence[OpenJob], total: TaskReport, context: TaskContext
) -> Iterator[JobEnded]:
    try:
        for event in poll_jobs(plan, jobs, context, total):
            if isinstance(event, RejectedRow):
                run.outputs.add_reject(event)
            else:
                yield event
    except KeyboardInterrupt:  # the counts add up after every event
        total.stopped = INTERRUPTED


def conclude(run: Run, total: TaskReport) -> WriteReport:
    """The report of a run; raises `WriteStopped` or `RowsRejected` with it where that is due."""
    for warning in plan_warnings(run.plan, total.warnings):
        total.warn(warning)
    run.outputs.append(run.outputs.runs, [run_row(_report(run, total), run.options)])
    run.outputs.remove_staging()
    for text in [*run.outputs.left_behind, *run.outputs.failures]:
        total.warn(text)
    return return_or_raise(_report(run, total), run.options.on_reject)


def _report(run: Run, total: TaskReport) -> WriteReport:
    judged = judge_run(total, run.plan, run.outputs.failures)
    spent = replace(judged, started=run.began, ended=time.time())
    known = {**run.outputs.readers(judged.stopped and judged.stopped[0]), **vars(spent)}
    return WriteReport(run.plan.run_id, run.plan.template.name, quota=run.plan.quota, target=run.plan.target, **known)
