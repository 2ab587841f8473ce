"""How a run ends: whether it counts as stopped, and the error that the caller asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.options.choices import OnReject
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.report.report import RowsRejected, WriteReport, WriteStopped
from spark_klaviyo.task.run import too_many


def judge_run(total: TaskReport, plan: WritePlan, failures: Sequence[str] = ()) -> TaskReport:
    """The counts of all tasks, stopped where only the whole run shows the reason.

    That is more rejects than `max_rejects`, or `failures`: datasets that could not be written.
    """
    if total.stopped is not None:
        return total
    if plan.max_rejects and too_many(plan.max_rejects, total.rejected, total.rows, final=True):
        reason = f"more than {plan.max_rejects} of the rows were rejected (max_rejects)"
        return replace(total, stopped=(StopCode.TOO_MANY_REJECTS, reason))
    return replace(total, stopped=(StopCode.NOT_WRITTEN, "; ".join(failures))) if failures else total


def return_or_raise(report: WriteReport, on_reject: OnReject) -> WriteReport:
    """The report; raises `WriteStopped` or, with `on_reject=fail`, `RowsRejected`, which carry it."""
    if report.stopped is not None:
        raise WriteStopped(f"{report.stopped[1]} (run {report.run_id}): {report}", report)
    if report.rejected and on_reject is OnReject.FAIL:
        raise RowsRejected(f"{report} (run {report.run_id}); on_reject=keep only reports", report)
    return report
