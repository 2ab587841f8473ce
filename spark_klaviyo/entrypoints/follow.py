"""`follow_klaviyo`: follows the jobs that earlier runs left open, without a cluster."""

from __future__ import annotations

from spark_klaviyo.entrypoints.read import options_at
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.report.report import WriteReport
from spark_klaviyo.runs.follow_receipts import follow_receipts


def follow_klaviyo(receipts: object, **options: object) -> WriteReport:
    """Follow the jobs that a run with `wait_for_jobs=false`, or one that was killed, left open.

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
