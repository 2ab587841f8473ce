"""`write_klaviyo`, `preview_klaviyo` and `follow_klaviyo`: functions for notebooks and jobs.

Spark is imported late: following jobs needs none, nor waits for its start-up.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from spark_klaviyo.entrypoints.read import options_at
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.options.parse import read_options
from spark_klaviyo.report.report import WriteReport
from spark_klaviyo.runs.follow_receipts import follow_receipts

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from spark_klaviyo.report.pages.preview import Preview


def write_klaviyo(df: DataFrame, **options: object) -> WriteReport:
    """Write every row of a DataFrame to Klaviyo.

    Works on classic Spark and Spark Connect, 3.5 and later. The DataFrame is evaluated exactly once, by at most `tasks`
    sending tasks, without a shuffle. Interrupting the call stops new requests within 5 seconds.

    Args:
        df: The rows to write, a record each.
        **options: The options of the README's table, names in any case, with or without `_`. Either `template` or
            `url` says what to write; `api_key` is read from the environment variable `KLAVIYO_API_KEY` unless given.

    Returns:
        The report: every row in exactly one of the counts `delivered`, `accepted`, `rejected`, `skipped`, `unsent`;
        requests, bytes, seconds, and samples of rejected rows and receipts, or the DataFrames at `rejects_path` and
        `receipts_path`.

    Raises:
        OptionError: The options are wrong, with every complaint; nothing was sent.
        SchemaError: The DataFrame does not fit the endpoint; nothing was sent.
        WriteStopped: The key or account was refused, the endpoint cannot be reached, too many rows were rejected, or
            the call was interrupted. Carries the report so far.
        RowsRejected: Rows were rejected, after everything sendable was sent; `on_reject="keep"` only reports them.
            Carries the report.
    """
    began = time.time()
    from spark_klaviyo.modes.dispatch import write

    return write(df, options_at(EntryPoint.FUNCTION, options), began)


def preview_klaviyo(df: DataFrame, rows: int = 5, **options: object) -> Preview:
    """Show what `write_klaviyo(df, **options)` would send, without sending anything.

    Args:
        df: The rows to write. Its first 200 rows are computed, and all of them counted.
        rows: How many of the first rows to show as requests, 0 to 1,000.
        **options: The options of the write. A key is not needed; with one, the names of account and list and the ids
            behind `name:TEXT` are looked up.

    Returns:
        A `Preview`: the requests of the first rows with the key hidden, the field that each column becomes, rows that
        would be rejected and why, and the rows, requests, bytes and minutes expected under the account's limits; for
        a mirror who would be added and removed. Renders as HTML in a notebook.

    Raises:
        OptionError: The options are wrong, as in a write.
        SchemaError: The DataFrame does not fit the endpoint, as in a write.
    """
    from spark_klaviyo.preview.preview import preview

    return preview(df, read_options(options, EntryPoint.PREVIEW), rows)


def follow_klaviyo(receipts: object, **options: object) -> WriteReport:
    """Follow the jobs that a run with `wait_for_jobs=false`, or one that was killed, left open; needs no cluster.

    Do not follow a run that is still under way: it follows its own jobs.

    Args:
        receipts: The path or URI of a receipts dataset (any that pyarrow or fsspec opens), a DataFrame of one, or
            `report.receipts`. A dataset given by its path is appended to: one more row for each job that has ended,
            whose outcome replaces the `accepted` one.
        **options: `api_key`, `base_url` and the other options of requests; `job_timeout_seconds` bounds the waiting,
            rows that jobs refused are written to `rejects_path`.

    Returns:
        The report of those jobs and their rows.

    Raises:
        OptionError: The options are wrong, or the receipts cannot be read or were written at another address.
        RowsRejected: Jobs refused rows; `on_reject="keep"` only reports them. Carries the report.
    """
    return follow_receipts(receipts, options_at(EntryPoint.FOLLOW, options))
