"""Adds task reports up in the driver with a Spark accumulator, where Spark has accumulators (not under Connect)."""

from __future__ import annotations

from typing import Any

from spark_klaviyo.report.counts.task_report import TaskReport, merge


def accumulator() -> Any | None:
    """An accumulator of task reports in the active SparkContext; None where there is none."""
    from pyspark import SparkContext
    from pyspark.accumulators import AccumulatorParam
    from pyspark.sql.utils import is_remote

    if is_remote():  # a local Connect server leaves its own SparkContext in this process
        return None

    class Reports(AccumulatorParam[TaskReport]):  # type: ignore[misc]  # untyped where pyspark is absent
        """Adds task reports up."""

        def zero(self, value: TaskReport) -> TaskReport:  # noqa: ARG002  Spark asks with the initial value
            """A report that counts nothing."""
            return TaskReport()

        def addInPlace(self, one: TaskReport, other: TaskReport) -> TaskReport:  # noqa: N802  Spark's name
            """The report of both."""
            return merge([one, other])

    context = getattr(SparkContext, "_active_spark_context", None)
    return None if context is None else context.accumulator(TaskReport(), Reports())
