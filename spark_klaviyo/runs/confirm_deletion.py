"""Deleting asks for the number of rows first: the rows are read once, counted, and only then sent.

What is held between counting and sending are the encoded rows, at most as many as the caller confirmed: identifiers of
one person, item or list each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from spark_klaviyo.arrow.encoded import ENCODED_DDL, SPARK_ENCODED
from spark_klaviyo.encode.encoder import encode_batches
from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.model import WritePlan

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

COUNTED_DDL = f"{ENCODED_DDL}, rows bigint"
COUNTED = pa.schema([*SPARK_ENCODED, ("rows", pa.int64())])
CEILING_ENTRY_POINTS = frozenset({EntryPoint.BATCH})  # the number of rows of a micro-batch is not known before


@dataclass(frozen=True)
class CountTask:
    """Rows of one partition in; the first `most` of them encoded, and how many there are, out. Picklable."""

    plan: WritePlan
    most: int

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """What `mapInArrow` calls."""
        rows = 0
        for encoded in encode_batches(batches, self.plan):
            kept = encoded.slice(0, max(self.most - rows, 0))
            rows += encoded.num_rows
            if kept.num_rows:
                columns = [column.cast(field.type) for column, field in zip(kept.columns, SPARK_ENCODED, strict=True)]
                yield pa.RecordBatch.from_arrays([*columns, pa.nulls(kept.num_rows, pa.int64())], schema=COUNTED)
        yield pa.RecordBatch.from_pylist([{"rows": rows}], schema=COUNTED)


def confirmed(frame: DataFrame, plan: WritePlan, options: Options) -> DataFrame:
    """The encoded rows, if they are as many as the caller confirmed; else an `OptionError` before anything is sent.

    `frame` holds the user's columns; it is evaluated exactly once, here.
    """
    most = options.confirm_deletion or 0
    task = CountTask(plan, most)
    held = frame.coalesce(options.tasks).mapInArrow(task, COUNTED_DDL).collect()
    rows = sum(row["rows"] for row in held if row["rows"] is not None)
    if rows > most or (rows != most and options.entry_point not in CEILING_ENTRY_POINTS):
        raise OptionError(
            f"confirm_deletion: {rows:,} rows would be deleted with {plan.template.name}, not {most:,}; "
            "nothing was sent. What is deleted cannot be brought back: look at the rows, then give "
            f"confirm_deletion={rows}"
        )
    kept = [tuple(row)[:4] for row in held if row["rows"] is None]
    return frame.sparkSession.createDataFrame(kept, ENCODED_DDL)
