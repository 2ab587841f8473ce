"""Events: who did what, when, once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spark_klaviyo.simulator.clock import iso
from spark_klaviyo.simulator.errors import JsonObject
from spark_klaviyo.simulator.state.account import Account


def event_key(profile_id: str, metric: str, unique_id: str | None, moment: float) -> tuple[str, str, str]:
    """(profile, metric, unique_id); the default unique_id is the second."""
    return profile_id, metric, unique_id if unique_id else str(int(moment))


def add_event(account: Account, profile: JsonObject, metric: str, given: Mapping[str, Any], moment: float) -> bool:
    """Keep an event, its time cut to seconds; a repeated key is dropped silently (False)."""
    key = event_key(profile["id"], metric, given.get("unique_id"), moment)
    if key in account.event_keys:
        return False
    account.event_keys[key] = len(account.events)
    second = int(moment)
    account.metrics.setdefault(
        metric, {"id": f"Met{len(account.metrics):03d}", "name": metric, "created": account.clock.now()}
    )
    account.events.append(
        {
            "id": account.ulid("event"),
            "metric": metric,
            "profile_id": profile["id"],
            "time": iso(second, fraction=False),
            "timestamp": second,
            "value": given.get("value"),
            "value_currency": given.get("value_currency"),
            "unique_id": key[2],
            "backfill": bool(given.get("backfill")),
            "properties": given.get("properties") or {},
        }
    )
    profile["last_event_date"] = max(profile["last_event_date"] or 0, second)
    return True
