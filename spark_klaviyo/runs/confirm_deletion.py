"""Deleting asks for the number of rows first: they are read once, counted, and these very rows are then sent.

So a source that gives other rows the second time deletes nobody who was not counted. Between counting and sending the
rows are held in this process, at most as many as the caller confirmed: identifiers of one person or item each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.options.model import Options

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row


def read_confirmed(deletes: DataFrame, template: str, options: Options) -> list[Row]:
    """The rows to be deleted, if they are as many as the caller confirmed; else `OptionError`, and nothing was sent.

    Change data without any delete needs no confirmation, and in a stream the number is a ceiling for each micro-batch.
    """
    most = options.confirm_deletion or 0
    rows: list[Row] = deletes.limit(most + 1).collect()
    is_ceiling = options.entry_point is EntryPoint.BATCH  # the rows of a micro-batch are not known before
    nothing_to_delete = options.change_column is not None and not rows
    if len(rows) == most or (is_ceiling and len(rows) < most) or nothing_to_delete:
        return rows
    found = len(rows) if len(rows) <= most else deletes.count()
    confirmed = f"not {most:,}" if options.confirm_deletion is not None else "and no number was confirmed"
    raise OptionError(
        f"confirm_deletion: {found:,} rows would be deleted for good with {template}, {confirmed}; nothing was sent. "
        f"What is deleted cannot be brought back: check the rows, then give confirm_deletion={found}"
    )
