"""The door for later: settles the jobs that a run left open, without a cluster."""

from __future__ import annotations

from spark_klaviyo.entrypoints.read import options_at
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.report.report import WriteReport
from spark_klaviyo.runs.follow.follow_later import settle_later


def follow_klaviyo(receipts: object, **options: object) -> WriteReport:
    """Settle the jobs that a run with `wait_for_jobs=false`, or one cut off, left open; the report of those jobs.

    `receipts` is the path of a receipts dataset (any that pyarrow or fsspec opens), a DataFrame of one, or
    `report.receipts`. A dataset given by its path is appended to: one further row for each job that was settled, whose
    outcome replaces the `accepted` one. Rows that jobs refused go to `rejects_path`. Do not follow a run that is still
    under way: it follows its own jobs. Raises `OptionError`, and `RowsRejected` unless `on_reject=keep`.
    """
    return settle_later(receipts, options_at(EntryPoint.FOLLOW, options))
