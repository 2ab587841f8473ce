"""The report of a write: what `write_klaviyo` returns and what errors of an ended write carry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Self
from uuid import uuid4

from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.core.models import Target
from spark_klaviyo.core.policy import Quota
from spark_klaviyo.errors import KlaviyoError
from spark_klaviyo.report.counts.summary import COUNTERS, TALLIES, Summary
from spark_klaviyo.report.counts.text import advice, headline, lines, sentence, utc
from spark_klaviyo.report.pages.page import Page, Targeted
from spark_klaviyo.report.pages.report_page import pill, plots

Reader = Callable[[], object]  # opens a DataFrame
NO_QUOTA = Quota(())


@dataclass(repr=False)
class WriteReport(Summary, Targeted, Page):
    """What became of every row; `rows == delivered + accepted + rejected + skipped + unsent`, always.

    `print` shows one sentence, then a line for each warning and each reason of rejection; a notebook shows a page.
    Neither they nor `to_dict` ever show a value of a row.

    Attributes:
        run_id: Names the run in the datasets of rejects, receipts and runs.
        template: The endpoint template, or `manual`.
        target: The account and the list, as far as the key may read their names; also as `account`, `account_id` and
            `list_name`.
        quota: The limits of the endpoint, as (requests, seconds) windows.
        rows, delivered, ..., removed: The counters; `Counters` says what each counts.
        reasons, warnings, statuses, ...: Counts by name; `Summary` says of what.
        stopped: (code, message) when sending was stopped, else None.
        seconds: How long the call took; without a session, from the start of the first task to the end of the last one.
    """

    page_template = "report.html"

    run_id: str
    template: str
    quota: Quota = field(default=NO_QUOTA, kw_only=True)
    target: Target = field(default_factory=Target, kw_only=True)
    rejects_reader: Reader | None = field(default=None, compare=False, kw_only=True)
    receipts_reader: Reader | None = field(default=None, compare=False, kw_only=True)
    removed_reader: Reader | None = field(default=None, compare=False, kw_only=True)

    def __post_init__(self) -> None:
        if not self.adds_up():
            counts = " + ".join(f"{rows} {outcome}" for outcome, rows in self.outcomes.items())
            raise AssertionError(f"the counts do not add up: {self.rows} rows, but {counts}")

    @property
    def rejects(self) -> object:
        """The DataFrame at `rejects_path`; without that option a sample, as a tuple of `RejectedRow`."""
        return self.rejects_reader() if self.rejects_reader else tuple(self.rejects_sample)

    @property
    def receipts(self) -> object:
        """The DataFrame at `receipts_path`; without that option a sample, as a tuple of `Receipt`."""
        return self.receipts_reader() if self.receipts_reader else tuple(self.receipts_sample)

    @property
    def removed_people(self) -> object:
        """The members that a mirror removed, as a DataFrame; without `receipts_path` the first ones, as a tuple of
        `RemovedMember`. `removed` counts all of them.
        """
        return self.removed_reader() if self.removed_reader else tuple(self.removed_sample)

    def to_dict(self) -> dict[str, object]:
        """The report as JSON can hold it, without any row: counts, reasons, statuses, jobs, times (UTC)."""
        return {
            "run_id": self.run_id,
            "template": self.template,
            **asdict(self.target),
            **{name: getattr(self, name) for name in COUNTERS},
            "seconds": round(self.seconds, 3),
            "consent_seconds": round(self.consent_seconds, 3),
            "started_at": utc(self.started),
            "ended_at": utc(self.ended),
            "stopped": {"code": self.stopped[0], "message": self.stopped[1]} if self.stopped else None,
            **{name: dict(getattr(self, name)) for name in TALLIES},
            "statuses": {str(status or "no answer"): times for status, times in self.statuses.items()},
            "jobs": [asdict(job) for job in self.jobs],
            "slowest": [asdict(request) for request in self.slowest],
        }

    def page_values(self) -> dict[str, object]:
        """What the page shows besides the counts."""
        return {
            "title": f"Klaviyo write: {self.template}",
            "pill": pill(self),
            "headline": "; ".join(filter(None, [headline(self), sentence(self, reasons=False)])),
            "counters": COUNTERS,
            "next_steps": advice(self, has_all_rejects=self.rejects_reader is not None),
            "plots": plots(self, self.quota),
        }

    @property
    def summary(self) -> str:
        """The report in one sentence; the reason for which more than half of the rows were rejected comes first."""
        return "; ".join(filter(None, [headline(self), sentence(self, str(self.target))]))

    def __str__(self) -> str:
        return "\n".join([self.summary, *lines(self)])

    def __repr__(self) -> str:
        return f"<WriteReport {self.run_id} {self.template}: {self.summary}>"

    def __getstate__(self) -> dict[str, object]:
        # the readers hold a session; the samples travel instead
        return {**vars(self), "rejects_reader": None, "receipts_reader": None, "removed_reader": None}


# --- errors of a write that ended, which carry its report -------------------------------------------


class _EndedError(KlaviyoError):
    def __init__(self, message: str, report: WriteReport | None = None) -> None:
        super().__init__(message, report)
        self.message = message
        self.report = report

    def __str__(self) -> str:
        return self.message


class WriteStopped(_EndedError):
    """Sending was stopped: key or account refused, endpoint unreachable, too many rejects, or too long a wait."""

    @classmethod
    def before_sending(cls, code: StopCode, message: str, *, run_id: str = "", template: str | None = "") -> Self:
        """The error of a write that ended before it sent anything; its report counts nothing."""
        run_id = run_id or uuid4().hex
        report = WriteReport(run_id, template or "", stopped=(code, message))
        return cls(f"{message} (run {run_id}); nothing was sent", report)


class RowsRejected(_EndedError):
    """Everything sendable was sent, and Klaviyo or the checks before sending refused some rows."""
