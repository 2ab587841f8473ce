"""The values of a report's page: counts, what became of the rows, the run over time, and what to do next."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus

from spark_klaviyo.core.codes import Outcome, RejectCode
from spark_klaviyo.core.models import Quota
from spark_klaviyo.report.counts.advice import advice
from spark_klaviyo.report.counts.counters import COUNTERS
from spark_klaviyo.report.counts.sentence import sentence
from spark_klaviyo.report.counts.summary import Summary
from spark_klaviyo.report.counts.text import counted, duration, share, size
from spark_klaviyo.report.pages.plot import plots

MAX_JOBS = 10
_ON_OTHER_CARDS = {"rows", "requests", "retries", "throttled", "bytes", *Outcome}


def report_values(summary: Summary, quota: Quota, *, has_all_rejects: bool) -> dict[str, object]:
    """What the template `report.html` shows, besides the names of the run and of its template."""
    total_replies = sum(summary.statuses.values())
    return {
        "pill": _pill(summary),
        "headline": sentence(summary, reasons=False),
        "cards": list(_cards(summary)),
        "outcomes": [(outcome, rows, share(rows, summary.rows)) for outcome, rows in summary.outcomes.items() if rows],
        "next_steps": advice(summary, has_all_rejects=has_all_rejects),
        "rejected": [
            (code, RejectCode.text_of(code, "Klaviyo's own code"), rows, _examples(summary, code))
            for code, rows in sorted(summary.reasons.items(), key=_largest_first)
        ],
        "unconfirmed": [
            *(("accepted", reason, rows) for reason, rows in summary.accepted_because.items()),
            *(("skipped", reason, rows) for reason, rows in summary.skipped_because.items()),
        ],
        "plots": plots(summary, quota),
        "replies": [
            (status or "none", _tone(status), _phrase(status), replies, share(replies, total_replies))
            for status, replies in sorted(summary.statuses.items(), key=_largest_first)
        ],
        "job_states": ", ".join(f"{jobs:,} {state}" for state, jobs in summary.job_states.items()),
        "open_jobs": [job for job in summary.jobs if job.state != "complete"][:MAX_JOBS],
        "slowest": summary.slowest,
        "warnings": summary.warnings,
    }


def _pill(summary: Summary) -> dict[str, str]:
    if summary.stopped:
        return {"tone": "bad", "text": "Stopped"}
    if summary.rejected:
        return {"tone": "warn", "text": "Done, with rejected rows"}
    return {"tone": "good", "text": "Done"} if summary.rows else {"tone": "dim", "text": "Nothing to send"}


def _cards(summary: Summary) -> Iterator[tuple[str, str, str, str]]:
    """Label, number, note and tone of each card."""
    yield "rows", f"{summary.rows:,}", "", ""
    for outcome, rows in summary.outcomes.items():
        if rows or outcome is Outcome.DELIVERED:
            yield outcome, f"{rows:,}", outcome.text, outcome
    retries = counted(summary.retries, "retry", "retries") if summary.retries else ""
    throttled = f"{summary.throttled:,} throttled" if summary.throttled else ""
    yield "requests", f"{summary.requests:,}", ", ".join(filter(None, (retries, throttled))), ""
    yield "sent", size(summary.bytes), "", ""
    rate = f"{summary.rows / summary.seconds:,.0f} rows/s" if summary.rows and summary.seconds else ""
    yield "time", duration(summary.seconds), rate, ""
    for name, text in COUNTERS.items():
        if name not in _ON_OTHER_CARDS and getattr(summary, name):
            yield name, f"{getattr(summary, name):,}", text, Outcome.UNSENT


def _largest_first(counted_name: tuple[object, int]) -> int:
    return -counted_name[1]


def _examples(summary: Summary, code: str) -> str:
    return ", ".join(f"{partition}: {row:,}" for partition, row in summary.examples.get(code, ()))


def _tone(status: int) -> str:
    return "good" if 200 <= status < 300 else "warn" if status == 429 else "bad"


def _phrase(status: int) -> str:
    if not status:
        return "no answer came"
    return next((known.phrase for known in HTTPStatus if known == status), "")
