"""Shapes of events, single and in bulk."""

from __future__ import annotations

import marshal
import time
from datetime import datetime, timezone
from typing import Any

from spark_klaviyo.simulator.clock import read_time
from spark_klaviyo.simulator.rules.build import many, one, resource
from spark_klaviyo.simulator.rules.profiles import inside
from spark_klaviyo.simulator.rules.schema import NONE, Flag, Free, Number, Problem, Problems, Spec, Text, Thing

MOST_PROPERTIES = 400  # docs
LONGEST_STRING = 100_000  # spec: bulk_create_events, a single string cannot exceed 100KB
EARLIEST = datetime(1990, 1, 1, tzinfo=timezone.utc).timestamp()
YEAR = 366 * 86_400.0

METRIC = one(
    resource(
        "metric", Thing("metric", {"name": Text(nullable=False, longest=127), "service": Text()}, {"name"})
    ),  # docs: metric names of fewer than 128 characters
    "metric",
)
FIELDS: dict[str, Spec] = {
    "properties": Free(nullable=False),
    "time": Text(moment=True),
    "value": Number(),
    "value_currency": Text(),
    "unique_id": Text(),
    "backfill": Flag(),
    "metric": METRIC,
}


def within_limits(event: Any) -> Problems:
    """At most 400 properties, `time` between 1990 and a year ahead, no string above 100 KB."""
    given = event["attributes"]
    if len(given["properties"]) > MOST_PROPERTIES:
        return (Problem(("attributes", "properties"), f"An event may have at most {MOST_PROPERTIES} properties."),)
    moment = read_time(given["time"]) if given.get("time") else None
    if moment is not None and not EARLIEST < moment < time.time() + YEAR:
        return (Problem(("attributes", "time"), "'time' must be after 1990 and at most one year in the future."),)
    if len(marshal.dumps(given["properties"], 2)) > LONGEST_STRING // 2 and _long_string(given["properties"]):
        return (Problem(("attributes", "properties"), f"A string may have at most {LONGEST_STRING} bytes."),)
    return NONE


def _long_string(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) > LONGEST_STRING or len(value.encode("utf-8", "surrogatepass")) > LONGEST_STRING
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(_long_string(part) for part in parts)


def single(*, meta_inside: bool) -> Thing:
    """spec: create_event."""
    attributes = Thing(
        "event", {**FIELDS, "profile": inside(meta_inside=meta_inside)}, {"properties", "metric", "profile"}
    )
    return one(resource("event", attributes, rules=(within_limits,)))


def bulk() -> Thing:
    """spec: bulk_create_events: groups by profile, each with its events; meta always beside the attributes."""
    event = resource("event", Thing("event", FIELDS, {"properties", "metric"}), rules=(within_limits,))
    group = Thing(
        "event-bulk-create",
        {"backfill": Flag(), "profile": inside(meta_inside=False), "events": many(event, "events")},
        {"profile", "events"},
    )
    groups = many(resource("event-bulk-create", group), "events-bulk-create")
    return one(
        resource(
            "event-bulk-create-job",
            Thing("event-bulk-create-job", {"events-bulk-create": groups}, {"events-bulk-create"}),
        )
    )
