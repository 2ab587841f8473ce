"""The one action of a run: its task over all rows, in Spark's tasks or in the calling process, and interruptible."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.options.choices import SendFrom
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.ratelimit.client import RateLimitClient
from spark_klaviyo.report.task_report import TaskReport
from spark_klaviyo.runs.interrupt import run_interruptibly
from spark_klaviyo.runs.outputs.results import RESULT_DDL, Results
from spark_klaviyo.runs.outputs.session_outputs import SessionOutputs
from spark_klaviyo.runs.rate_limit_session import sending_tasks
from spark_klaviyo.runs.send_from_driver import Task, run_in_driver, sends_from_driver
from spark_klaviyo.task.context import SendContextFactory

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

GRACE_SECONDS = 3.0  # for senders that were stopped to hand back what they did
SENT_FROM_DRIVER = "Spark's tasks cannot reach the endpoint, so the calling process sent the rows (send_from=auto)"


def run_tasks(
    frame: DataFrame,
    task: Task,
    plan: WritePlan,
    options: Options,
    outputs: SessionOutputs,
    contexts: SendContextFactory,
    sort: str = "",
) -> Results:
    """What the task hands back over all rows; the frame is evaluated exactly once, by at most `tasks` tasks.

    `sort`: a column by which each task's rows come sorted. An interruption ends it with what was done until then.
    """
    stopped = threading.Event()
    from_driver = sends_from_driver(frame, plan, options)
    if not from_driver or sort:
        frame = frame.coalesce(1 if from_driver else sending_tasks(frame, plan, options))
    if sort:
        frame = frame.sortWithinPartitions(sort)

    def work() -> Results:
        if from_driver:
            return run_in_driver(frame, task, outputs, stopped)
        results = Results()
        for row in outputs.stage(frame.mapInArrow(task, RESULT_DDL)).collect():
            results.add(row["kind"], row["body"])
        return results

    def stop() -> None:
        stopped.set()
        if contexts.rate_limit_server is not None:
            link = RateLimitClient(contexts.rate_limit_server)
            link.notify({"stop": [StopCode.INTERRUPTED, StopCode.INTERRUPTED.text]})
            link.close()

    can_stop = from_driver or contexts.rate_limit_server is not None
    results = run_interruptibly(frame, plan.run_id, work, stop, GRACE_SECONDS if can_stop else 0.0)
    if stopped.is_set() and all(report.stopped is None for report in results.reports):
        # the rows simply ended for every task: what follows must not take them for all rows there are
        results.reports.append(TaskReport(stopped=(StopCode.INTERRUPTED, StopCode.INTERRUPTED.text)))
    if from_driver and options.send_from is SendFrom.AUTO and results.reports:
        results.reports[0].warn(SENT_FROM_DRIVER)
    return results
