"""The errors of a write that ended; they carry its report, so they stand above it and not in `spark_klaviyo.errors`."""

from __future__ import annotations

from typing import Self
from uuid import uuid4

from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.errors import KlaviyoError
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.report.report import WriteReport


class _EndedError(KlaviyoError):
    def __init__(self, message: str, report: WriteReport | None = None) -> None:
        super().__init__(message, report)
        self.message = message
        self.report = report

    def __str__(self) -> str:
        return self.message


class WriteStopped(_EndedError):
    """Sending was stopped: key or account refused, endpoint unreachable, too many rejects, or too long a wait."""

    @classmethod
    def before_sending(cls, code: StopCode, message: str, *, run_id: str = "", template: str = "") -> Self:
        """The error of a write that ended before it sent anything; its report counts nothing."""
        run_id = run_id or uuid4().hex
        report = WriteReport.of(TaskReport(stopped=(code, message)), run_id=run_id, template=template)
        return cls(f"{message} (run {run_id}); nothing was sent", report)


class RowsRejected(_EndedError):
    """Everything sendable was sent, and Klaviyo or the checks before sending refused some rows."""
