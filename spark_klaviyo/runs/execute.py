"""One run of a session door: plan, send in tasks, follow, report. Nothing here knows a column or a reply."""

from __future__ import annotations

import uuid
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
from spark_klaviyo.runs.outputs.outcome import ended, judged
from spark_klaviyo.runs.outputs.results import Results
from spark_klaviyo.runs.outputs.session_outputs import Outputs
from spark_klaviyo.runs.rate_limit_session import rate_limit_session
from spark_klaviyo.runs.run_tasks import run_tasks
from spark_klaviyo.runs.send_from_driver import Task, widened
from spark_klaviyo.runs.send_task import SendTask
from spark_klaviyo.state.compare import compare_with_state
from spark_klaviyo.task.context import SendContextFactory

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def new_run_id() -> str:
    """A name for one run; it joins report, receipts and rejects."""
    return uuid.uuid4().hex


def write_rows(df: DataFrame, options: Options, run_id: str) -> WriteReport:
    """Write every row of a DataFrame with the template; the report, or the error that the options ask for."""
    plan = make_plan(options, columns_of(df), run_id)
    session.choose_worker_python(df)
    outputs = Outputs.of(session.session_of(df), options, plan.run_id)
    outputs.prepare()
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
    outputs: Outputs,
    contexts: SendContextFactory,
    around: Callable[[SendTask], Task] | None = None,
) -> Results:
    """Run the sending tasks; evaluates the DataFrame exactly once. `around` may put another task around each."""
    plan = widened(df, plan, options)
    frame, plan = sent_columns(df, plan)
    encode = plan.state is None and not plan.template.deletes
    if plan.template.deletes:
        frame = confirmed(frame, plan, options)
    if plan.state is not None:
        encoded = frame if plan.template.deletes else encoded_in_tasks(frame, plan)
        frame = compare_with_state(encoded, plan, plan.state)
    task = SendTask(plan, contexts, outputs.kinds, encode=encode, early=outputs.early)
    work: Task = around(task) if around is not None else task
    return run_tasks(frame, work, plan, options, outputs, contexts)


def gathered(results: Results, plan: WritePlan, outputs: Outputs, contexts: SendContextFactory) -> TaskReport:
    """After the tasks: fill the datasets and follow the jobs; what all of it comes to."""
    total = merge(results.reports)
    with_job = sum(job.sequence >= 0 for job in results.jobs)  # jobs of earlier attempts have no receipt here
    outputs.keep_rows(total.rejected, total.requests - with_job)
    follow_jobs(plan, results.jobs, total, outputs, contexts)
    return total


def conclude(total: TaskReport, plan: WritePlan, options: Options, outputs: Outputs) -> WriteReport:
    """The report of a run; raises `WriteStopped` or `RowsRejected` with it where that is due."""
    for warning in plan.warnings:
        total.warn(warning)
    outputs.keep_run(_reported(total, plan, outputs), options)
    for text in filter(None, [outputs.remove_staging(), *outputs.troubles]):
        total.warn(text)
    return ended(_reported(total, plan, outputs), options.on_reject)


def _reported(total: TaskReport, plan: WritePlan, outputs: Outputs) -> WriteReport:
    rejects, receipts = outputs.readers()
    return WriteReport.of(
        judged(total, plan, outputs.troubles),
        run_id=plan.run_id,
        template=plan.template.name,
        quota=plan.quota,
        rejects=rejects,
        receipts=receipts,
    )
