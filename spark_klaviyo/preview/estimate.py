"""What a whole write would take: requests, bytes and minutes, estimated from a sample and the number of rows."""

from __future__ import annotations

from dataclasses import dataclass

from spark_klaviyo.batching.assembler import Batcher, key_length
from spark_klaviyo.core.models import Quota
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.preview.dry_run import DryRun
from spark_klaviyo.task.lookups import MOST_VALUES
from spark_klaviyo.templates.model import L as LOOKUPS


@dataclass(frozen=True)
class Estimate:
    """Rows that would be sent, their requests and bytes, and the least seconds that the quota allows."""

    rows: int
    requests: int
    bytes: int
    seconds: float


def estimate(plan: WritePlan, sample: DryRun, sampled_rows: int, rows: int) -> Estimate:
    """Estimate a write of `rows` rows from a dry run of the first ones; exact where these are all."""
    if not sample.rows or not sampled_rows:
        return Estimate(0, 0, 0, 0.0)
    sent = round(rows * sample.rows / sampled_rows)
    row_bytes = sample.record_bytes / sample.rows
    batcher = Batcher(sample.batches[0].envelope, plan.limits, int, key_length(plan))
    rows_per_request = max(1, min(plan.limits.max_rows, int(batcher.room // row_bytes)))
    is_exact = sampled_rows == rows
    requests = len(sample.batches) if is_exact else max(-(-sent // rows_per_request), sample.destinations)
    size = round(sent * row_bytes) + requests * (plan.limits.max_bytes - batcher.room)
    seconds = quota_seconds(plan.quota, requests)
    if plan.template.sends_profile_ids:  # people are looked up first, and requests hold their ids
        seconds = max(seconds, quota_seconds(LOOKUPS, -(-sent // MOST_VALUES)))
    return Estimate(sent, requests, size, seconds)


def quota_seconds(quota: Quota, requests: int) -> float:
    """The least seconds for so many requests: each window lets its number pass, then the next one opens."""
    waits = [(requests - 1) // allowed * seconds for allowed, seconds in quota.windows if requests and allowed]
    return max(waits, default=0.0)
