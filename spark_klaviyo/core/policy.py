"""What one request may hold, how many may be sent, how often each is tried, and whether it may be sent twice.

All are decided when a write is planned (`plan.make`). Nothing here knows options.
"""

from __future__ import annotations

from dataclasses import dataclass

from spark_klaviyo.core.models import Batch


@dataclass(frozen=True)
class Limits:
    """What one request may hold: rows, bytes of the whole body, bytes of one row (None: no known limit)."""

    max_rows: int
    max_bytes: int
    max_row_bytes: int | None = None


@dataclass(frozen=True)
class Quota:
    """Rate limits of an endpoint as fixed windows: (requests, seconds) each, shortest first. Empty: no limit."""

    windows: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Policy:
    """How long and how often a request is tried. Times are seconds."""

    timeout_seconds: float = 60.0
    # Most attempts; a 429 is none.
    attempts: int = 8
    # Longest wait that a reply may ask for.
    longest_wait_seconds: float = 120.0
    # First wait of the backoff, which doubles with each attempt.
    first_wait_seconds: float = 0.5
    # Single rows refused alike, and none ever taken, after which the account is what is refused; 0: never.
    account_refused_after: int = 100


@dataclass(frozen=True)
class ResendRule:
    """Whether a request that may have arrived may be sent again: by its task, by a later attempt of it, by a later run.

    `unless_contains`: not a request whose body holds these bytes.
    """

    allowed: bool = True
    unless_contains: bytes = b""

    @property
    def allows_every_request(self) -> bool:
        """Whether any request may be sent again, whatever is in it."""
        return self.allowed and not self.unless_contains

    def allows(self, batch: Batch) -> bool:
        """Whether the request of this batch may be sent again."""
        return self.allows_every_request or (self.allowed and not batch.contains(self.unless_contains))
