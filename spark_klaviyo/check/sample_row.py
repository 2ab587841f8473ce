"""One sample row, really sent: only when somebody asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from spark_klaviyo.account.names import with_ids
from spark_klaviyo.encode.inferred import inferred_columns
from spark_klaviyo.encode.rows import row_encoder
from spark_klaviyo.errors import OptionError
from spark_klaviyo.http.documents import safe_detail
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.make import make_plan, with_columns
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.report.pages.check import CheckLine
from spark_klaviyo.report.task_report import TaskReport
from spark_klaviyo.task.context import SendContextFactory
from spark_klaviyo.task.run import run_task

NAME = "sample row"


def send(options: Options, row: object) -> CheckLine:
    """Send one row through the pipeline every write goes through, and tell what became of it.

    Raises `OptionError` for what is no row, and where the template deletes.
    """
    if not (isinstance(row, Mapping) or hasattr(row, "__fields__")) or not row:
        raise OptionError("send_sample: expected one row: a dict of column and value, or a Spark Row")
    resolved = with_ids(options)
    plan = make_plan(resolved, (), uuid4().hex, schema_known=False)
    if plan.template.deletes:
        raise OptionError(f"send_sample: template {plan.template.name} deletes; there is no sample of that")
    return _told(_sent(with_columns(plan, resolved, inferred_columns([row])), row))


def _sent(plan: WritePlan, row: Any) -> TaskReport:
    report = TaskReport()
    with SendContextFactory().open(plan, 0, 0) as context:
        for event in run_task(plan, iter(row_encoder(plan)([row])), context):
            report = event if isinstance(event, TaskReport) else report
    return report


def _told(report: TaskReport) -> CheckLine:
    statuses = ", ".join(f"HTTP {status}" for status in report.statuses if status)
    if report.stopped is not None:
        return CheckLine(NAME, False, report.stopped[1])
    if report.rejected:
        reject = report.rejects_sample[0]
        return CheckLine(NAME, False, " ".join(filter(None, [statuses, reject.code, safe_detail(reject.detail)])))
    taken = "delivered" if report.delivered else "accepted: " + ", ".join(report.accepted_because)
    return CheckLine(NAME, True, f"{statuses}, {taken}")
