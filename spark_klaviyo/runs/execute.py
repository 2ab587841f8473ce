"""One run of a session door: plan, send in tasks, follow, report. Nothing here knows a column or a reply."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.make import make_plan
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.types import columns_of
from spark_klaviyo.report.report import WriteReport
from spark_klaviyo.report.task_report import TaskReport, merge
from spark_klaviyo.runs import session
from spark_klaviyo.runs.columns import encoded_in_tasks, sent_columns
from spark_klaviyo.runs.confirm_deletion import confirmed
from spark_klaviyo.runs.follow.follow_jobs import follow_jobs
from spark_klaviyo.runs.open_state import open_state
from spark_klaviyo.runs.outputs.outcome import judge_run, return_or_raise
from spark_klaviyo.runs.outputs.results import Results
from spark_klaviyo.runs.outputs.session_outputs import SessionOutputs
from spark_klaviyo.runs.rate_limit_session import rate_limit_session
from spark_klaviyo.runs.run_tasks import run_tasks
from spark_klaviyo.runs.send_from_driver import Task, with_all_workers
from spark_klaviyo.runs.send_task import SendTask
from spark_klaviyo.state.compare import compare_with_state
from spark_klaviyo.task.context import SendContextFactory

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def write_rows(df: DataFrame, options: Options, run_id: str) -> WriteReport:
    """Write every row of a DataFrame with the template; the report, or the error that the options ask for."""
    plan = make_plan(options, columns_of(df), run_id)
    session.choose_worker_python(df)
    outputs = SessionOutputs.open(session.session_of(df), options, plan.run_id)
    with (
        rate_limit_session(df, plan, options) as contexts,
        open_state(session.session_of(df), plan, options, contexts) as plan,
    ):
        results = send(df, plan, options, outputs, contexts)
        total = gathered(results, plan, outputs, contexts)
    return conclude(total, plan, options, outputs)


def send(
    df: DataFrame,
    plan: WritePlan,
    options: Options,
    outputs: SessionOutputs,
    contexts: SendContextFactory,
    around: Callable[[SendTask], Task] | None = None,
) -> Results:
    """Run the sending tasks; evaluates the DataFrame exactly once. `around` may put another task around each."""
    plan = with_all_workers(df, plan, options)
    frame, plan = sent_columns(df, plan)
    encode = plan.state is None and not plan.template.deletes
    if plan.template.deletes:
        frame = confirmed(frame, plan, options)
    if plan.state is not None:
        encoded = frame if plan.template.deletes else encoded_in_tasks(frame, plan)
        frame = compare_with_state(encoded, plan, plan.state)
    task = SendTask(plan, contexts, outputs.kinds, encode, outputs.crash_receipts)
    work: Task = around(task) if around is not None else task
    return run_tasks(frame, work, plan, options, outputs, contexts)


def gathered(results: Results, plan: WritePlan, outputs: SessionOutputs, contexts: SendContextFactory) -> TaskReport:
    """After the tasks: fill the datasets and follow the jobs; what all of it comes to."""
    total = merge(results.reports)
    with_job = sum(job.sequence >= 0 for job in results.jobs)  # jobs of earlier attempts have no receipt here
    outputs.append_staged(total.rejected, total.requests - with_job)
    outputs.append_ended(follow_jobs(plan, results.jobs, total, contexts, outputs.add_reject))
    return total


def conclude(total: TaskReport, plan: WritePlan, options: Options, outputs: SessionOutputs) -> WriteReport:
    """The report of a run; raises `WriteStopped` or `RowsRejected` with it where that is due."""
    for warning in plan.warnings:
        total.warn(warning)
    outputs.append_run(_reported(total, plan, outputs), options)
    for text in filter(None, [outputs.remove_staging(), *outputs.failures]):
        total.warn(text)
    return return_or_raise(_reported(total, plan, outputs), options.on_reject)


def _reported(total: TaskReport, plan: WritePlan, outputs: SessionOutputs) -> WriteReport:
    rejects, receipts = outputs.readers()
    return WriteReport.of(
        judge_run(total, plan, outputs.failures),
        run_id=plan.run_id,
        template=plan.template.name,
        quota=plan.quota,
        rejects=rejects,
        receipts=receipts,
    )
