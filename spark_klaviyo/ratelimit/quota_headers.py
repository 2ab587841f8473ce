"""Quotas as text: what a `RateLimit-Limit` header lists, and what the option `rate_limit` says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from spark_klaviyo.core.models import Quota

_PAIR = re.compile(r"^\s*(\d{1,9})\s*;\s*w\s*=\s*(\d{1,9})\s*$")
_RATE = re.compile(r"^\s*(\d{1,9})\s*/\s*(s|sec|second|m|min|minute|h|hour|d|day)\s*$", re.IGNORECASE)
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
NO_QUOTA = Quota(())


@dataclass(frozen=True)
class Standing:
    """How one of the account's windows stands: its quota, requests left in it, and seconds until it ends.

    Klaviyo rounds the seconds down, so the window ends within `ends_in` and `ends_in + 1`.
    """

    quota: int
    remaining: int
    ends_in: float


def listed_quota(headers: Mapping[str, str]) -> Quota | None:
    """All windows that `RateLimit-Limit: 10, 10;w=1, 150;w=60` lists, shortest first; None where there are none."""
    pairs = [_PAIR.match(part) for part in headers.get("ratelimit-limit", "").split(",")]
    windows = [(int(pair[1]), float(pair[2])) for pair in pairs if pair]
    windows = [(requests, seconds) for requests, seconds in windows if requests > 0 and seconds > 0]
    return Quota(tuple(sorted(windows, key=lambda window: window[1]))) if windows else None


def standing(headers: Mapping[str, str]) -> Standing | None:
    """What Remaining and Reset say. They belong to the window whose quota is the first number of `RateLimit-Limit`."""
    named = headers.get("ratelimit-limit", "").split(",")[0].strip()
    remaining, reset = headers.get("ratelimit-remaining", "").strip(), headers.get("ratelimit-reset", "").strip()
    if not all(text.isascii() and text.isdigit() and len(text) < 10 for text in (named, remaining, reset)):
        return None
    return Standing(int(named), int(remaining), float(reset))


def parse_rate_limit(text: str) -> Quota | None:
    """`10/s,150/m` as a quota, `none` as no limit, `auto` (or nothing) as None; ValueError for anything else."""
    if text.strip().lower() in ("", "auto"):
        return None
    if text.strip().lower() == "none":
        return NO_QUOTA
    windows: dict[float, int] = {}
    for part in text.split(","):
        rate = _RATE.match(part)
        if not rate or int(rate[1]) == 0:
            message = f"must be auto, none, or rates such as 10/s,150/m (not {part.strip()!r})"
            raise ValueError(message)
        windows[_SECONDS[rate[2][0].lower()]] = int(rate[1])
    return Quota(tuple((requests, seconds) for seconds, requests in sorted(windows.items())))
