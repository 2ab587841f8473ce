"""The one action of a run: its task over all rows, in Spark's tasks or in the calling process, and interruptible."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.ratelimit.client import RateLimitClient
from spark_klaviyo.report.task_report import TaskReport
from spark_klaviyo.runs.interrupt import CODE, GRACE_SECONDS, MESSAGE, attended
from spark_klaviyo.runs.outputs.results import RESULT, Results
from spark_klaviyo.runs.outputs.session_outputs import Outputs
from spark_klaviyo.runs.rate_limit_session import sending_tasks
from spark_klaviyo.runs.send_from_driver import Task, ran_here, sends_here
from spark_klaviyo.task.context import SendContextFactory

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

NO_WAY_OUT = "Spark's tasks cannot reach the endpoint, so the calling process sent the rows (send_from=auto)"


def run_tasks(
    frame: DataFrame,
    task: Task,
    plan: WritePlan,
    options: Options,
    outputs: Outputs,
    contexts: SendContextFactory,
    sort: str = "",
) -> Results:
    """What the task hands back over all rows; the frame is evaluated exactly once, by at most `tasks` tasks.

    `sort`: a column by which each task's rows come sorted. An interruption ends it with what was done until then.
    """
    stopped = threading.Event()
    here = sends_here(frame, plan, options)
    if not here or sort:
        frame = frame.coalesce(1 if here else sending_tasks(frame, plan, options))
    if sort:
        frame = frame.sortWithinPartitions(sort)

    def work() -> Results:
        if here:
            return ran_here(frame, task, outputs, stopped)
        results = Results()
        for row in outputs.ran(frame.mapInArrow(task, RESULT)).collect():
            results.add(row["kind"], row["body"])
        return results

    def tell(code: str, message: str) -> None:
        stopped.set()
        if contexts.rate_limit_server is not None:
            link = RateLimitClient(contexts.rate_limit_server)
            link.notify({"stop": [code, message]})
            link.close()

    hears = here or contexts.rate_limit_server is not None
    results = attended(frame, plan.run_id, work, tell, GRACE_SECONDS if hears else 0.0)
    if stopped.is_set() and all(report.stopped is None for report in results.reports):
        # no task heard it, so the rows simply ended: what follows must not take them for all there are
        results.reports.append(TaskReport(stopped=(CODE, MESSAGE)))
    if here and options.send_from == "auto" and results.reports:
        results.reports[0].warn(NO_WAY_OUT)
    return results
