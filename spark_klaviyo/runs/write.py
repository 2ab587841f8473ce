"""One run of a session door: plan, send in tasks, follow, report. Nothing here knows a column or a reply."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

from spark_klaviyo.encode import jvm
from spark_klaviyo.errors import RowsRejected, WriteStopped
from spark_klaviyo.options.model import Options
from spark_klaviyo.pipeline.open import LineMaker
from spark_klaviyo.pipeline.task import too_many
from spark_klaviyo.plan.make import make_plan
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.types import read_schema
from spark_klaviyo.report.report import WriteReport
from spark_klaviyo.report.task import TaskReport, merge
from spark_klaviyo.runs import session
from spark_klaviyo.runs.following import follow_jobs
from spark_klaviyo.runs.outputs import Outputs
from spark_klaviyo.runs.results import RESULT, Results
from spark_klaviyo.runs.resuming import remembered, resuming
from spark_klaviyo.runs.sending import SendTask

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def new_run_id() -> str:
    """A name for one run; it joins report, receipts and rejects."""
    return uuid.uuid4().hex


def write(df: DataFrame, options: Options) -> WriteReport:
    """Write a DataFrame; the report, or the error that the options ask for."""
    plan = make_plan(options, read_schema(df.schema.jsonValue()), new_run_id())
    session.choose_worker_python(df)
    outputs = Outputs.of(session.session_of(df), options, plan.run_id)
    outputs.prepare()
    lines = LineMaker()
    with resuming(session.session_of(df), plan, options, lines) as plan:
        results = send(df, plan, options, outputs, lines)
        return finish(results, plan, options, outputs, lines)


def send(df: DataFrame, plan: WritePlan, options: Options, outputs: Outputs, lines: LineMaker) -> Results:
    """Run the sending tasks; evaluates the DataFrame exactly once."""
    in_jvm = jvm.encodable(plan)
    frame = jvm.encoded(df, plan) if in_jvm else df
    if plan.state is not None:
        frame = remembered(df, frame if in_jvm else None, plan)
    task = SendTask(plan, lines, outputs.kinds, encode=not in_jvm and plan.state is None)
    results = Results()
    for row in outputs.ran(frame.coalesce(options.tasks).mapInArrow(task, RESULT)).collect():
        results.add(row["kind"], row["body"])
    return results


def finish(results: Results, plan: WritePlan, options: Options, outputs: Outputs, lines: LineMaker) -> WriteReport:
    """After the tasks: fill the datasets, follow the jobs, and report."""
    total = merge(results.reports)
    outputs.keep_rows(total.rejected)
    follow_jobs(plan, results.jobs, total, outputs, lines)
    return conclude(total, plan, options, outputs)


def conclude(total: TaskReport, plan: WritePlan, options: Options, outputs: Outputs) -> WriteReport:
    """The report of a run; raises `WriteStopped` or `RowsRejected` with it where that is due."""
    report = _reported(total, plan, outputs)
    outputs.keep_run(report, options)
    left = outputs.remove_staging()
    if left or outputs.troubles:
        for text in filter(None, [left, *outputs.troubles]):
            total.warn(text)
        report = _reported(total, plan, outputs)
    if report.stopped is not None:
        raise WriteStopped(f"{report.stopped[1]} (run {plan.run_id}): {report}", report)
    if report.rejected and options.on_reject == "fail":
        raise RowsRejected(f"{report} (run {plan.run_id}); on_reject=keep only reports", report)
    return report


def _reported(total: TaskReport, plan: WritePlan, outputs: Outputs) -> WriteReport:
    for warning in plan.warnings:
        if warning not in total.warnings:
            total.warn(warning)
    if total.stopped is None:
        total = replace(total, stopped=_stopped(total, plan, outputs))
    rejects, receipts = outputs.readers()
    name = plan.template.name
    return WriteReport.of(
        total, run_id=plan.run_id, template=name, quota=plan.quota, rejects=rejects, receipts=receipts
    )


def _stopped(total: TaskReport, plan: WritePlan, outputs: Outputs) -> tuple[str, str] | None:
    """What makes a write that sent everything end as stopped."""
    if plan.max_rejects and too_many(plan.max_rejects, total.rejected, total.rows, settled=True):
        return "too_many_rejects", f"more than {plan.max_rejects} of the rows were rejected"
    return ("not_written", "; ".join(outputs.troubles)) if outputs.troubles else None
