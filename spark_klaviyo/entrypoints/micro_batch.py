"""What both stream entry points do for a micro-batch: name its run, and log its report. Light, as tasks import it."""

from __future__ import annotations

import logging

from spark_klaviyo.report.report import WriteReport

log = logging.getLogger("spark_klaviyo")


def batch_run_id(query_id: str, batch_id: int | str) -> str:
    """The name that the runs of one micro-batch have, or begin with; letters, digits and `_` only."""
    return f"{query_id.replace('-', '')}_{batch_id}"


def log_report(report: WriteReport, batch_id: int) -> None:
    """Log counts and codes, never a value of a row; as a warning where rows were rejected."""
    level = logging.WARNING if report.rejected or report.stopped else logging.INFO
    log.log(level, "micro-batch %d, run %s: %s", batch_id, report.run_id, report)
