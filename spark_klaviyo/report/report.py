"""What a write did: the report that every session door returns and every ending error carries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timezone

from spark_klaviyo.core.models import Quota, Receipt
from spark_klaviyo.report.pages.html import Markup, Rendered
from spark_klaviyo.report.pages.report_page import write_fragment
from spark_klaviyo.report.sample import Job, RejectSample, SlowRequest
from spark_klaviyo.report.sentence import sentence
from spark_klaviyo.report.series import Series
from spark_klaviyo.report.task_report import COUNTS, TaskReport

Examples = Mapping[str, list[tuple[int, int]]]
Reader = Callable[[], object]
NO_QUOTA = Quota(())


@dataclass(frozen=True, repr=False)
class WriteReport(Rendered):
    """What became of every row; `rows == delivered + accepted + rejected + skipped + unsent`, always.

    The counts are those of `TaskReport`, times are epoch seconds. `stopped` is (code, message) when sending
    ended midway. `print` shows one sentence, a notebook a page; neither they nor `to_dict` ever show a value
    of a row.
    """

    run_id: str
    template: str
    rows: int = 0
    delivered: int = 0
    accepted: int = 0
    rejected: int = 0
    skipped: int = 0
    unsent: int = 0
    requests: int = 0
    retries: int = 0
    throttled: int = 0
    resent: int = 0
    bytes: int = 0
    removed: int = 0
    started: float = 0.0
    ended: float = 0.0
    reasons: Mapping[str, int] = field(default_factory=dict)
    examples: Examples = field(default_factory=dict)
    statuses: Mapping[int, int] = field(default_factory=dict)
    accepted_because: Mapping[str, int] = field(default_factory=dict)
    skipped_because: Mapping[str, int] = field(default_factory=dict)
    warnings: Mapping[str, int] = field(default_factory=dict)
    jobs: tuple[Job, ...] = ()
    job_states: Mapping[str, int] = field(default_factory=dict)
    slowest: tuple[SlowRequest, ...] = ()
    series: Series = field(default_factory=Series)
    quota: Quota = NO_QUOTA
    stopped: tuple[str, str] | None = None
    rejects_sample: tuple[RejectSample, ...] = ()
    receipts_sample: tuple[Receipt, ...] = ()
    rejects_reader: Reader | None = field(default=None, compare=False)
    receipts_reader: Reader | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        ends = {name: getattr(self, name) for name in ("delivered", "accepted", "rejected", "skipped", "unsent")}
        if self.rows != sum(ends.values()):
            counts = " + ".join(f"{count} {name}" for name, count in ends.items())
            raise AssertionError(f"the counts do not add up: {self.rows} rows, but {counts}")

    @classmethod
    def of(
        cls,
        task: TaskReport,
        *,
        run_id: str,
        template: str,
        quota: Quota = NO_QUOTA,
        rejects: Reader | None = None,
        receipts: Reader | None = None,
    ) -> WriteReport:
        """The report of a run from its tasks' merged one.

        `rejects` and `receipts` open the DataFrames at the paths where all of them were written; without, the
        report offers its samples.
        """
        same = {name: getattr(task, name) for name in (*COUNTS, *_ALIKE)}
        return cls(
            run_id=run_id,
            template=template,
            quota=quota,
            jobs=tuple(task.jobs),
            slowest=tuple(task.slowest),
            rejects_sample=tuple(task.rejects),
            receipts_sample=tuple(task.receipts),
            rejects_reader=rejects,
            receipts_reader=receipts,
            **same,
        )

    @property
    def seconds(self) -> float:
        """How long the run took."""
        return max(self.ended - self.started, 0.0)

    @property
    def rejects(self) -> object:
        """The DataFrame at `rejects_path`; without that option a bounded tuple of `RejectSample`."""
        return self.rejects_reader() if self.rejects_reader else self.rejects_sample

    @property
    def receipts(self) -> object:
        """The DataFrame at `receipts_path`; without that option a bounded tuple of `Receipt`."""
        return self.receipts_reader() if self.receipts_reader else self.receipts_sample

    def to_dict(self) -> dict[str, object]:
        """The report as JSON can hold it, without any row: counts, reasons, statuses, jobs, times (UTC)."""
        return {
            "run_id": self.run_id,
            "template": self.template,
            **{name: getattr(self, name) for name in COUNTS},
            "seconds": round(self.seconds, 3),
            "started_at": _moment(self.started),
            "ended_at": _moment(self.ended),
            "stopped": {"code": self.stopped[0], "message": self.stopped[1]} if self.stopped else None,
            **{name: dict(getattr(self, name)) for name in _TALLIES},
            "statuses": {str(status or "no answer"): times for status, times in self.statuses.items()},
            "jobs": [asdict(job) for job in self.jobs],
            "slowest": [asdict(request) for request in self.slowest],
        }

    @property
    def title(self) -> str:
        """The title of the report's page."""
        return f"Klaviyo write: {self.template}"

    def fragment(self) -> Markup:
        """The report as a notebook shows it."""
        return write_fragment(self)

    def __str__(self) -> str:
        return sentence(self)

    def __repr__(self) -> str:
        return f"<WriteReport {self.run_id} {self.template}: {self}>"

    def __getstate__(self) -> dict[str, object]:
        live = {"rejects_reader", "receipts_reader"}  # they hold a session; the samples travel instead
        return {f.name: None if f.name in live else getattr(self, f.name) for f in fields(self)}


_TALLIES = ("reasons", "accepted_because", "skipped_because", "warnings", "job_states")
_ALIKE = ("started", "ended", "examples", "statuses", "series", "stopped", *_TALLIES)


def _moment(epoch: float) -> str | None:
    if not epoch:
        return None
    return datetime.fromtimestamp(epoch, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
