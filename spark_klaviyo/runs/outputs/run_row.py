"""A report and its options as a row of the runs dataset."""

from __future__ import annotations

from datetime import datetime, timezone

from spark_klaviyo.options.model import Options
from spark_klaviyo.report.counts.summary import COUNTERS
from spark_klaviyo.report.report import WriteReport


def run_row(report: WriteReport, options: Options) -> dict[str, object]:
    """A row of the runs dataset."""
    return {
        "run_id": report.run_id,
        "template": report.template,
        **{name: getattr(report, name) for name in COUNTERS},
        "seconds": report.seconds,
        "started_at": _time(report.started),
        "ended_at": _time(report.ended),
        "stopped": ": ".join(report.stopped) if report.stopped else None,
        "options": options.public(),
    }


def _time(epoch_seconds: float) -> datetime | None:
    return datetime.fromtimestamp(epoch_seconds, timezone.utc) if epoch_seconds else None
