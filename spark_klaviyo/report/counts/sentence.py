"""The sentence that a printed report is."""

from __future__ import annotations

from collections.abc import Mapping

from spark_klaviyo.core.codes import Outcome
from spark_klaviyo.report.counts.summary import Summary
from spark_klaviyo.report.counts.text import counted, duration, listed


def sentence(summary: Summary, *, reasons: bool = True) -> str:
    """Such as `12,000 rows: 11,996 delivered in 3 requests, 4 rejected (4 bad_email); took 2.1 s`."""
    rows = ", ".join(_outcomes(summary, reasons)) or "nothing to send"
    clauses = [f"{counted(summary.rows, 'row')}: {rows}"]
    if summary.removed:
        clauses.append(f"{counted(summary.removed, 'member')} removed from the list")
    if summary.resent:
        clauses.append(f"{counted(summary.resent, 'row')} may have arrived twice")
    if summary.seconds >= 0.05:
        clauses.append(f"took {duration(summary.seconds)}")
    if summary.stopped:
        clauses.append(f"stopped: {summary.stopped[1]}")
    return "; ".join(clauses)


def _outcomes(summary: Summary, reasons: bool) -> list[str]:
    because = {
        Outcome.ACCEPTED: summary.accepted_because,
        Outcome.REJECTED: summary.reasons,
        Outcome.SKIPPED: summary.skipped_because,
    }
    phrases = [
        f"{rows:,} {outcome}{_why(because.get(outcome, {})) if reasons else ''}"
        for outcome, rows in summary.outcomes.items()
        if rows
    ]
    if summary.requests:
        requests = f"in {counted(summary.requests, 'request')}"
        if not phrases:
            return [requests]
        sent = 0 if summary.delivered + summary.accepted else -1
        phrases[sent] += f" {requests}"
    return phrases


def _why(because: Mapping[str, int]) -> str:
    if not because:
        return ""
    # one phrase speaks for itself; codes, and one of several phrases, need their number
    only = next(iter(because)) if len(because) == 1 else ""
    return f" ({only if ' ' in only else listed(because)})"
