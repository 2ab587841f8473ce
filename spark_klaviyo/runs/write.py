"""One run of a session door: plan, send in tasks, follow, report. Nothing here knows a column or a reply."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
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
from spark_klaviyo.report.task import merge
from spark_klaviyo.runs import session
from spark_klaviyo.runs.results import JOB, REPORT, RESULT, Results
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
    results = send(df, plan, options)
    return conclude(results, plan, options)


def send(df: DataFrame, plan: WritePlan, options: Options) -> Results:
    """Run the sending tasks; evaluates the DataFrame exactly once."""
    in_jvm = jvm.encodable(plan)
    frame = jvm.encoded(df, plan) if in_jvm else df
    task = SendTask(plan, LineMaker(), frozenset({REPORT, JOB}), encode=not in_jvm)
    results = Results()
    for kind, body in _collected(frame.coalesce(options.tasks).mapInArrow(task, RESULT)):
        results.add(kind, body)
    return results


def _collected(frame: DataFrame) -> Iterator[tuple[str, str]]:
    for row in frame.collect():
        yield row["kind"], row["body"]


def conclude(results: Results, plan: WritePlan, options: Options) -> WriteReport:
    """The report of all tasks; raises `WriteStopped` or `RowsRejected` with it where that is due."""
    total = merge(results.reports)
    for warning in plan.warnings:
        total.warn(warning)
    if (
        total.stopped is None
        and plan.max_rejects
        and too_many(plan.max_rejects, total.rejected, total.rows, settled=True)
    ):
        total = replace(total, stopped=("too_many_rejects", f"more than {plan.max_rejects} of the rows were rejected"))
    report = WriteReport.of(total, run_id=plan.run_id, template=plan.template.name, quota=plan.quota)
    if report.stopped is not None:
        raise WriteStopped(f"{report.stopped[1]} (run {plan.run_id}): {report}", report)
    if report.rejected and options.on_reject == "fail":
        raise RowsRejected(f"{report} (run {plan.run_id}); on_reject=keep only reports", report)
    return report
