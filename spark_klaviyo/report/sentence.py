"""The one sentence that a printed report is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from spark_klaviyo.report.text import counted, duration, listed

if TYPE_CHECKING:
    from spark_klaviyo.report.report import WriteReport

OUTCOMES = ("delivered", "accepted", "rejected", "skipped", "unsent")
_BECAUSE = {"accepted": "accepted_because", "rejected": "reasons", "skipped": "skipped_because"}


def sentence(report: WriteReport, *, reasons: bool = True) -> str:
    """Such as `12,000 rows: 11,996 delivered in 3 requests, 4 rejected (4 bad_email); took 2.1 s`."""
    parts = [_outcome(report, name, reasons) for name in OUTCOMES if getattr(report, name)]
    if report.requests:
        sent = 0 if report.delivered + report.accepted else len(parts) - 1
        requests = f"in {counted(report.requests, 'request')}"
        parts = [f"{part} {requests}" if at == sent else part for at, part in enumerate(parts)] or [requests]
    told = [f"{counted(report.rows, 'row')}: {', '.join(parts) or 'nothing to send'}"]
    if report.removed:
        told.append(f"{counted(report.removed, 'member')} removed from the list")
    if report.resent:
        told.append(f"{counted(report.resent, 'row')} may have arrived twice")
    if report.seconds >= 0.05:
        told.append(f"took {duration(report.seconds)}")
    if report.stopped:
        told.append(f"stopped: {report.stopped[1]}")
    return "; ".join(told)


def _outcome(report: WriteReport, name: str, reasons: bool) -> str:
    because: Mapping[str, int] = getattr(report, _BECAUSE.get(name, ""), {})
    why = f" ({_why(because)})" if because and reasons else ""
    return f"{getattr(report, name):,} {name}{why}"


def _why(because: Mapping[str, int]) -> str:
    # one phrase speaks for itself; codes, and one of several phrases, need their number
    only = next(iter(because)) if len(because) == 1 else ""
    return only if " " in only else listed(because)
