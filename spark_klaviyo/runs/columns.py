"""The columns of a DataFrame that its tasks need: the others, of whatever type, stay in Spark."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.shape import column_names

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def sent_columns(df: DataFrame, plan: WritePlan) -> tuple[DataFrame, WritePlan]:
    """The DataFrame with the columns that the plan uses, and the plan for these.

    They are called c0, c1, ..., as a name may hold anything, and two names may differ in case alone; `mapInArrow` fails
    on a name with a dot. The encoder takes columns by their position.
    """
    leaves = [param.leaf for param in plan.params] + [check.leaf for check in plan.checks.fields if check.leaf]
    used = {leaf.source[0] for leaf in leaves} | {plan.record_column}
    if plan.record is not None:
        used |= column_names(plan.record)
    if plan.body_text:  # the header of CSV, and the types of placeholders, come from all columns
        used |= {column.name for column in plan.columns}
    kept = [number for number, column in enumerate(plan.columns) if column.name in used] or [0]
    numbered = df.toDF(*(f"c{number}" for number in range(len(plan.columns))))
    columns = tuple(plan.columns[number] for number in kept)
    return numbered.select(*(f"c{number}" for number in kept)), replace(plan, columns=columns)
