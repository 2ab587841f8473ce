"""Sends one sample row, only where the caller of `check_klaviyo` gives one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast
from uuid import uuid4

import pyarrow as pa

from spark_klaviyo.account.names import resolve_names
from spark_klaviyo.encode.encoder import encode
from spark_klaviyo.encode.rows import Row, arrow_batches, columns_of
from spark_klaviyo.errors import OptionError
from spark_klaviyo.http.documents import safe_detail
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.make import make_plan, with_columns
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.report.pages.check import CheckLine
from spark_klaviyo.task.context import SendContextFactory
from spark_klaviyo.task.run import run_task

SAMPLE_ROW = "sample row"


def send_sample_row(options: Options, row: object) -> CheckLine:
    """Send one row through the pipeline that every write uses; the line says what became of it.

    Raises `OptionError` for anything but a row, and where the template deletes.
    """
    if not (isinstance(row, Mapping) or hasattr(row, "__fields__")) or not row:
        raise OptionError("send_sample: expected one row: a dict of column and value, or a Spark Row")
    resolved = resolve_names(options)
    plan = make_plan(resolved, (), uuid4().hex, schema_known=False)
    if plan.template.deletes:
        raise OptionError(f"send_sample: template {plan.template.name} deletes, so no sample of it is ever sent")
    batch = next(arrow_batches([cast("Row", row)]))
    return _line(_send(with_columns(plan, resolved, columns_of(batch)), batch))


def _send(plan: WritePlan, batch: pa.RecordBatch) -> TaskReport:
    report = TaskReport()
    with SendContextFactory().open(plan, 0, 0) as context:
        for event in run_task(plan, iter([encode(batch, plan)]), context):
            report = event if isinstance(event, TaskReport) else report
    return report


def _line(report: TaskReport) -> CheckLine:
    statuses = ", ".join(f"HTTP {status}" for status in report.statuses if status)
    if report.stopped is not None:
        return CheckLine(SAMPLE_ROW, False, report.stopped[1])
    if report.rejected:
        reject = report.rejects_sample[0]
        parts = [statuses, reject.code, safe_detail(reject.detail)]
        return CheckLine(SAMPLE_ROW, False, " ".join(filter(None, parts)))
    outcome = "delivered" if report.delivered else "accepted: " + ", ".join(report.accepted_because)
    return CheckLine(SAMPLE_ROW, True, f"{statuses}, {outcome}")
