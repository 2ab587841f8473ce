"""What to do after a write, from what the report counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from spark_klaviyo.report.text import counted, share

if TYPE_CHECKING:
    from spark_klaviyo.report.report import WriteReport

UNSETTLED = ("in_doubt", "unavailable")  # codes of rows that nobody has found fault with
MANY_THROTTLED = 0.05  # of all requests


def advice(report: WriteReport) -> list[str]:
    """The next steps, the most pressing first; none when all is well."""
    return [step for one in _ADVISERS for step in one(report)]


def _stopped(report: WriteReport) -> Iterator[str]:
    if report.stopped and report.unsent:
        rows = counted(report.unsent, "row")
        yield f"Write again once the cause is mended: {rows} were not sent. With `state_path` only those are."


def _rejected(report: WriteReport) -> Iterator[str]:
    faulty = report.rejected - sum(report.reasons.get(code, 0) for code in UNSETTLED)
    if faulty:
        where = "`report.rejects`" if report.rejects_reader else "`report.rejects` (all of them with `rejects_path`)"
        yield f'See the refused rows in {where}, mend `record` and write them with `record_column="record"`.'


def _unsettled(report: WriteReport) -> Iterator[str]:
    if report.reasons.get("unavailable"):
        yield "The endpoint did not settle some requests: write the rows marked unavailable again later."
    if report.reasons.get("in_doubt"):
        yield 'Rows in doubt may have arrived: write them again only where twice is harmless (`resend="always"`).'


def _jobs(report: WriteReport) -> Iterator[str]:
    still = sum(times for state, times in report.job_states.items() if state not in ("complete", "cancelled"))
    if still:
        jobs = f"{still:,} job is" if still == 1 else f"{still:,} jobs are"
        yield f"{jobs} not finished: settle with `follow_klaviyo(receipts)`, or write again with `state_path`."


def _resent(report: WriteReport) -> Iterator[str]:
    if report.resent:
        rows = counted(report.resent, "row")
        yield f"{rows} may have arrived twice, since an answer was lost and the request sent again."


def _throttled(report: WriteReport) -> Iterator[str]:
    if report.throttled > max(MANY_THROTTLED * report.requests, 5):
        part = share(report.throttled, report.throttled + report.requests)
        yield f"{part} of the replies were 429: something else uses the quota too, or tasks cannot share it here."


_ADVISERS: tuple[Callable[[WriteReport], Iterator[str]], ...] = (
    _stopped,
    _rejected,
    _unsettled,
    _jobs,
    _resent,
    _throttled,
)
