"""Reads the headers of a reply: how fast requests may come (`Retry-After`, `RateLimit-*`), and what was left out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from spark_klaviyo.core.models import Reply
from spark_klaviyo.core.policy import Quota

MOST_WINDOWS = 4  # docs: a second, a minute, and for some endpoints a day
MOST_SECONDS = 1e9

_PAIR = re.compile(r"^\s*(\d{1,9})\s*;\s*w\s*=\s*(\d{1,9})\s*$")


@dataclass(frozen=True)
class WindowStatus:
    """One of the account's windows: its quota, the requests left in it, and the seconds until it ends.

    Klaviyo rounds the seconds down: the window ends between `ends_in_seconds` and `ends_in_seconds + 1`.
    """

    quota: int
    remaining: int
    ends_in_seconds: float


def listed_quota(headers: Mapping[str, str]) -> Quota | None:
    """All windows that `RateLimit-Limit: 10, 10;w=1, 150;w=60` lists, shortest first; None where it lists none."""
    pairs = [_PAIR.match(part) for part in headers.get("ratelimit-limit", "").split(",")]
    windows = [(int(pair[1]), float(pair[2])) for pair in pairs[: MOST_WINDOWS + 1] if pair]
    windows = [(requests, seconds) for requests, seconds in windows if requests > 0 and seconds > 0]
    return Quota(tuple(sorted(windows, key=lambda window: window[1]))) if windows else None


def window_status(headers: Mapping[str, str]) -> WindowStatus | None:
    """What Remaining and Reset say; they describe the window whose quota comes first in `RateLimit-Limit`."""
    quota = headers.get("ratelimit-limit", "").split(",")[0].strip()
    remaining, reset = headers.get("ratelimit-remaining", "").strip(), headers.get("ratelimit-reset", "").strip()
    if not all(text.isascii() and text.isdigit() and len(text) < 10 for text in (quota, remaining, reset)):
        return None
    return WindowStatus(int(quota), int(remaining), float(reset))


_FIELDS = re.compile(r"[\w., -]{1,100}", re.ASCII)


def left_out(reply: Reply) -> str:
    """What Klaviyo left out of the rows that it took, as a phrase; "" where it took all of them whole.

    Klaviyo's announcement: a valid email beside an invalid phone is processed by the email, and the header
    X-Klaviyo-Partial-Failure names the field; which rows of several it means is not said.
    """
    fields = reply.headers.get("x-klaviyo-partial-failure", "").strip()
    if not fields or reply.status is None or not 200 <= reply.status < 300:
        return ""
    name = fields if _FIELDS.fullmatch(fields) else "a field"
    return f"Klaviyo left out {name} of some of these rows (X-Klaviyo-Partial-Failure)"


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Seconds from now that `Retry-After` asks for; None when absent, unreadable or negative.

    A date counts from the reply's own `Date`, so that a wrong clock on this machine makes no difference.
    """
    text = headers.get("retry-after", "").strip()
    if text.replace(".", "", 1).isascii() and text.replace(".", "", 1).isdigit():
        return min(float(text), MOST_SECONDS)
    until, since = _parse_date(text), _parse_date(headers.get("date", ""))
    if until is None or since is None or until < since:
        return None
    return min((until - since).total_seconds(), MOST_SECONDS)


def _parse_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
        return date.astimezone(timezone.utc) if date.tzinfo else date.replace(tzinfo=timezone.utc)
    except (ValueError, TypeError, IndexError, OverflowError):  # no date, or none that a datetime holds
        return None
