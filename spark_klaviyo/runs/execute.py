"""A run that sends every row with its template; the modes take its steps one by one. Knows no column and no reply."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.make import make_plan
from spark_klaviyo.plan.types import columns_of
from spark_klaviyo.report.counts.task_report import TaskReport, merge
from spark_klaviyo.report.report import WriteReport
from spark_klaviyo.runs.confirm_deletion import read_confirmed
from spark_klaviyo.runs.follow.follow_jobs import follow_jobs
from spark_klaviyo.runs.outputs.outcome import judge_run, return_or_raise
from spark_klaviyo.runs.outputs.results import Results
from spark_klaviyo.runs.run import Run, open_run
from spark_klaviyo.runs.send_from_driver import Task
from spark_klaviyo.runs.send_task import SendTask
from spark_klaviyo.runs.spark.columns import encoded_in_tasks, sent_columns
from spark_klaviyo.state.compare import compare_with_state

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def write_rows(df: DataFrame, options: Options, run_id: str) -> WriteReport:
    """Write every row of a DataFrame with the template; the report, or the error that the options ask for."""
    with open_run(df, make_plan(options, columns_of(df), run_id), options) as run:
        total = finish(run, send(run))
    return conclude(run, total)


def send(run: Run, wrap: Callable[[SendTask], Task] | None = None) -> Results:
    """Run the sending tasks; evaluates the DataFrame exactly once. `wrap` may put another task around each."""
    frame, plan = sent_columns(run.df, run.plan)
    if plan.template.deletes:
        rows = read_confirmed(frame, plan.template.name, run.options)
        frame = frame.sparkSession.createDataFrame(rows, frame.schema)
    if plan.state is not None:
        frame = compare_with_state(encoded_in_tasks(frame, plan), plan, plan.state)
    task = SendTask(plan, run.contexts, run.outputs.kinds, plan.state is None, run.outputs.crash_receipts)
    return run.run_tasks(frame, task if wrap is None else wrap(task))


def finish(run: Run, results: Results) -> TaskReport:
    """After the tasks: fill the datasets and follow the jobs; the counts of all of it."""
    total = merge(results.reports)
    with_job = sum(job.sequence >= 0 for job in results.jobs)  # jobs of earlier attempts have no receipt here
    run.outputs.append_staged(total.rejected, total.requests - with_job)
    ends = follow_jobs(run.plan, results.jobs, total, run.contexts, run.outputs.add_reject)
    run.outputs.append_ended(ends)
    return total


def conclude(run: Run, total: TaskReport) -> WriteReport:
    """The report of a run; raises `WriteStopped` or `RowsRejected` with it where that is due."""
    for warning in run.plan.warnings:
        total.warn(warning)
    run.outputs.append_run(_report(run, total), run.options)
    for text in filter(None, [run.outputs.remove_staging(), *run.outputs.failures]):
        total.warn(text)
    return return_or_raise(_report(run, total), run.options.on_reject)


def _report(run: Run, total: TaskReport) -> WriteReport:
    rejects, receipts = run.outputs.readers()
    return WriteReport(
        run.plan.run_id,
        run.plan.template.name,
        quota=run.plan.quota,
        rejects_reader=rejects,
        receipts_reader=receipts,
        **vars(judge_run(total, run.plan, run.outputs.failures)),
    )
