"""How long a reply asks to wait: `Retry-After` as whole seconds or as an HTTP date."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime


def asked_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds from now; None when absent, unreadable or negative. A date counts from the reply's own `Date`.

    So a clock of ours that is wrong does no harm.
    """
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    if text.replace(".", "", 1).isascii() and text.replace(".", "", 1).isdigit():
        return float(text)
    until, since = _moment(text), _moment(headers.get("date", ""))
    if until is None or since is None:
        return None
    seconds = (until - since).total_seconds()
    return seconds if seconds >= 0 else None


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
