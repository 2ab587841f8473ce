"""The error of a run that ended before it sent anything."""

from __future__ import annotations

from uuid import uuid4

from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.errors import WriteStopped
from spark_klaviyo.report.report import WriteReport
from spark_klaviyo.report.task_report import TaskReport


def stopped_before(code: StopCode, message: str, *, run_id: str = "", template: str = "") -> WriteStopped:
    """`WriteStopped` with a report that counts nothing; a run that has no name yet gets one."""
    name = run_id or uuid4().hex
    report = WriteReport.of(TaskReport(stopped=(code, message)), run_id=name, template=template)
    return WriteStopped(f"{message} (run {name}); nothing was sent", report)
