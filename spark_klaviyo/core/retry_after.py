"""Reads how long a reply asks to wait: `Retry-After` as seconds or as an HTTP date."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Seconds from now; None when absent, unreadable or negative.

    A date counts from the reply's own `Date`, so that a wrong clock on this machine makes no difference.
    """
    text = headers.get("retry-after", "").strip()
    if text.replace(".", "", 1).isascii() and text.replace(".", "", 1).isdigit():
        return float(text)
    until, since = _parse_date(text), _parse_date(headers.get("date", ""))
    if until is None or since is None or until < since:
        return None
    return (until - since).total_seconds()


def _parse_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=timezone.utc)
