"""How a run ends: judged as a whole, and raised where the caller asked for that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.options.choices import OnReject
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.report.errors import RowsRejected, WriteStopped
from spark_klaviyo.report.report import WriteReport
from spark_klaviyo.report.task_report import TaskReport
from spark_klaviyo.task.run import too_many


def judged(total: TaskReport, plan: WritePlan, troubles: Sequence[str] = ()) -> TaskReport:
    """The counts of all tasks with the whole run's reason to be called stopped, where one came only at its end."""
    if total.stopped is not None:
        return total
    if plan.max_rejects and too_many(plan.max_rejects, total.rejected, total.rows, final=True):
        reason = f"more than {plan.max_rejects} of the rows were rejected (max_rejects)"
        return replace(total, stopped=(StopCode.TOO_MANY_REJECTS, reason))
    return replace(total, stopped=(StopCode.NOT_WRITTEN, "; ".join(troubles))) if troubles else total


def ended(report: WriteReport, on_reject: OnReject) -> WriteReport:
    """The report, or the `WriteStopped` or `RowsRejected` that carries it."""
    if report.stopped is not None:
        raise WriteStopped(f"{report.stopped[1]} (run {report.run_id}): {report}", report)
    if report.rejected and on_reject is OnReject.FAIL:
        raise RowsRejected(f"{report} (run {report.run_id}); on_reject=keep only reports", report)
    return report
