"""Chooses what a write is: rows with one template, change data, or a mirror of a list.

Every way to write that has a Spark session calls `write`. Options were read before; names become ids here.
"""

from __future__ import annotations

from uuid import uuid4

from pyspark.sql import DataFrame

from spark_klaviyo.account.target import resolve
from spark_klaviyo.modes.change_data.execute import write_changes
from spark_klaviyo.modes.mirror.execute import write_mirror
from spark_klaviyo.options.choices import ListMode
from spark_klaviyo.options.model import Options
from spark_klaviyo.report.report import WriteReport
from spark_klaviyo.runs.execute import write_rows
from spark_klaviyo.runs.session import naming_worker_faults


@naming_worker_faults()
def write(df: DataFrame, options: Options, began: float, run_id: str = "") -> WriteReport:
    """Write a DataFrame; the report, or the error that the options ask for.

    `began`: when the caller called, in epoch seconds. `run_id` names the run, else a new name.
    """
    run_id = run_id or uuid4().hex
    options = resolve(options, run_id)
    if options.change_column is not None:
        return write_changes(df, options, run_id, began)
    if options.list_mode is ListMode.MIRROR:
        return write_mirror(df, options, run_id, began)
    return write_rows(df, options, run_id, began)
