"""The door for notebooks and jobs: a DataFrame and options in, a report out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_klaviyo.entrypoints.read import options_at
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.report.report import WriteReport

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def write_klaviyo(df: DataFrame, **options: object) -> WriteReport:
    """Write every row of a DataFrame to Klaviyo and say what became of each.

    Works on classic Spark and Spark Connect, 3.5 and later. The DataFrame is evaluated exactly once, by at most `tasks`
    sending tasks, without a shuffle. Raises `OptionError` or `SchemaError` before anything is sent, `WriteStopped` when
    the key or the account is refused midway, and `RowsRejected` when rows were refused (`on_reject=keep` only reports).
    """
    from spark_klaviyo.modes.dispatch import write

    return write(df, options_at(EntryPoint.FUNCTION, options))
