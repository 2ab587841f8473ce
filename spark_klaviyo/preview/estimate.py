"""What a whole write would take: requests, bytes and minutes, reckoned from a sample and the number of rows."""

from __future__ import annotations

from dataclasses import dataclass

from spark_klaviyo.batching.batcher import Batcher, filled_length
from spark_klaviyo.core.models import Quota
from spark_klaviyo.deliver.lookups import MOST_VALUES
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.preview.dry_run import Cut, routes
from spark_klaviyo.task.assembler import key_length
from spark_klaviyo.templates.model import L as LOOK_UPS


@dataclass(frozen=True)
class Expected:
    """Of all rows: those that would be sent, their requests and bytes, and the least seconds the quota allows."""

    rows: int
    requests: int
    bytes: int
    seconds: float


def expect(plan: WritePlan, made: Cut, looked_at: int, rows: int) -> Expected:
    """Reckon for `rows` rows from the `looked_at` first ones; exact where these are all."""
    if not made.rows or not looked_at:
        return Expected(0, 0, 0, 0.0)
    sent = round(rows * made.rows / looked_at)
    mean = made.record_bytes / made.rows
    envelope = made.batches[0].envelope
    batcher = Batcher(envelope, plan.limits, int, key_length(plan))
    fit = max(1, min(plan.limits.max_rows, int(batcher.room // mean)))
    exact = looked_at == rows
    requests = len(made.batches) if exact else max(-(-sent // fit), routes(made))
    around = sum(filled_length(text, key_length(plan)) for text in (envelope.head, envelope.tail))
    size = round(sent * mean) + requests * (around - len(envelope.separator))
    seconds = quota_seconds(plan.quota, requests)
    if plan.template.sends_profile_ids:  # people are looked up before, whose ids then go into the requests
        seconds = max(seconds, quota_seconds(LOOK_UPS, -(-sent // MOST_VALUES)))
    return Expected(sent, requests, size, seconds)


def quota_seconds(quota: Quota, requests: int) -> float:
    """The least seconds until so many requests have left: each window lets its number pass, then the next one opens."""
    waits = [(requests - 1) // allowed * seconds for allowed, seconds in quota.windows if requests and allowed]
    return max(waits, default=0.0)
