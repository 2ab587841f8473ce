"""Quotas as the `RateLimit` headers of replies give them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from spark_klaviyo.core.models import Quota

_PAIR = re.compile(r"^\s*(\d{1,9})\s*;\s*w\s*=\s*(\d{1,9})\s*$")
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
