"""What to do after a write, from what its report counts."""

from __future__ import annotations

from collections.abc import Iterator

from spark_klaviyo.core.codes import RejectCode
from spark_klaviyo.report.counts.summary import Summary
from spark_klaviyo.report.counts.text import counted, share

NO_FAULT = (RejectCode.IN_DOUBT, RejectCode.UNAVAILABLE)  # rows that may be sent again as they are
MANY_THROTTLED = 0.05  # of all requests


def advice(summary: Summary, *, has_all_rejects: bool = False) -> list[str]:
    """The next steps, the most urgent first; none when all is well.

    Args:
        summary: What the write counted.
        has_all_rejects: Whether `report.rejects` holds all rejected rows, not a sample.
    """
    return [*_rows_to_send_again(summary, has_all_rejects), *_requests(summary)]


def _rows_to_send_again(summary: Summary, has_all_rejects: bool) -> Iterator[str]:
    if summary.stopped and summary.unsent:
        rows = counted(summary.unsent, "row")
        yield f"Write again once the cause is fixed: {rows} were not sent. With `state_path` only those are."
    if summary.rejected > sum(summary.reasons.get(code, 0) for code in NO_FAULT):
        where = "`report.rejects`" if has_all_rejects else "`report.rejects` (all of them with `rejects_path`)"
        yield f'See the rejected rows in {where}, correct `record` and write them with `record_column="record"`.'
    if summary.reasons.get(RejectCode.UNAVAILABLE):
        yield "Some requests used up their attempts: write the rows marked unavailable again later."
    if summary.reasons.get(RejectCode.IN_DOUBT):
        yield 'Rows in doubt may have arrived: write them again only where twice is harmless (`resend="always"`).'


def _requests(summary: Summary) -> Iterator[str]:
    open_jobs = sum(jobs for state, jobs in summary.job_states.items() if state not in ("complete", "cancelled"))
    if open_jobs:
        jobs = counted(open_jobs, "job is", "jobs are")
        yield f"{jobs} not finished: follow with `follow_klaviyo(receipts)`, or write again with `state_path`."
    if summary.resent:
        rows = counted(summary.resent, "row")
        yield f"{rows} may have arrived twice, since an answer was lost and the request sent again."
    if summary.throttled > max(MANY_THROTTLED * summary.requests, 5):
        part = share(summary.throttled, summary.throttled + summary.requests)
        yield f"{part} of the replies were 429: something else uses the quota too, or tasks cannot share it here."
