"""What the reports of a task and of a run have in common: counters, the reasons behind them, small samples."""

from __future__ import annotations

from dataclasses import dataclass, field

from spark_klaviyo.core.models import Receipt
from spark_klaviyo.report.counts.counters import Counters
from spark_klaviyo.report.counts.samples import Job, RejectSample, SlowRequest
from spark_klaviyo.report.counts.series import Series

TALLIES = ("reasons", "statuses", "accepted_because", "skipped_because", "warnings", "job_states")  # counts by name


@dataclass(kw_only=True)
class Summary(Counters):
    """Counters and what explains them; all collections are bounded, so that it stays a few kilobytes.

    `reasons` are rejected rows by code, `examples` (partition, row) pairs by code, `statuses` replies by HTTP status
    (0: no answer came), `job_states` jobs by state, `warnings` texts without a value of a row. `stopped` is (code,
    message) when sending was stopped. Times are epoch seconds. `rejects_sample` alone holds a person's data.
    """

    reasons: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    statuses: dict[int, int] = field(default_factory=dict)
    accepted_because: dict[str, int] = field(default_factory=dict)
    skipped_because: dict[str, int] = field(default_factory=dict)
    warnings: dict[str, int] = field(default_factory=dict)
    job_states: dict[str, int] = field(default_factory=dict)
    jobs: list[Job] = field(default_factory=list, repr=False)
    slowest: list[SlowRequest] = field(default_factory=list, repr=False)
    series: Series = field(default_factory=Series, repr=False)
    rejects_sample: list[RejectSample] = field(default_factory=list, repr=False)
    receipts_sample: list[Receipt] = field(default_factory=list, repr=False)
    stopped: tuple[str, str] | None = None
    started: float = 0.0
    ended: float = 0.0

    @property
    def seconds(self) -> float:
        """From the start of the first task to the end of the last one."""
        return max(self.ended - self.started, 0.0)
