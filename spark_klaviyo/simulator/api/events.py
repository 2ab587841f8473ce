"""Events: one at a time, or up to 1,000 grouped by profile."""

from __future__ import annotations

from collections.abc import Iterator

from spark_klaviyo.simulator.clock import iso, read_time
from spark_klaviyo.simulator.errors import JsonObject, bad_request, not_found
from spark_klaviyo.simulator.http.documents import collection, relation, resource, single
from spark_klaviyo.simulator.http.operation import Answer, Call, Operation, always, since
from spark_klaviyo.simulator.http.queries import page, page_size, read_filter
from spark_klaviyo.simulator.http.reading import refuse
from spark_klaviyo.simulator.rules import events as shapes
from spark_klaviyo.simulator.rules.schema import Problem
from spark_klaviyo.simulator.state.events import add_event, event_key

GROUPS = ("data", "attributes", "events-bulk-create", "data")
REPEATED = "An event with this unique_id already exists for this profile and metric."  # wording unsettled


def _metric(given: JsonObject) -> str:
    name: str = given["metric"]["data"]["attributes"]["name"]
    return name


def _moment(call: Call, given: JsonObject) -> float:
    found = read_time(given["time"]) if given.get("time") else None
    return call.now if found is None else found


def create_event(call: Call) -> Answer:
    """202; a repeated (profile, metric, unique_id) is dropped silently (spec: the first is kept)."""
    given = call.body["data"]["attributes"]
    profile = call.account.profiles.upsert_leniently(given["profile"]["data"], call.now)
    add_event(call.account, profile, _metric(given), given, _moment(call, given))
    return Answer(202)


def bulk_create_events(call: Call) -> Answer:
    """202; one repeated unique_id refuses the whole request (spec)."""
    groups = call.body["data"]["attributes"]["events-bulk-create"]["data"]
    refuse(_repeated(call, groups), call.account.switches)
    for group in groups:
        given = group["attributes"]
        profile = call.account.profiles.upsert_leniently(given["profile"]["data"], call.now)
        for event in given["events"]["data"]:
            attributes = {"backfill": given.get("backfill"), **event["attributes"]}
            add_event(call.account, profile, _metric(attributes), attributes, _moment(call, attributes))
    return Answer(202)


def _repeated(call: Call, groups: list[JsonObject]) -> Iterator[Problem]:
    seen: set[tuple[str, str, str]] = set()
    earlier = call.account.event_keys if call.account.switches.repeated_event == "refuse" else {}
    for number, group in enumerate(groups):
        who = _who(call, group["attributes"]["profile"]["data"])
        for index, event in enumerate(group["attributes"]["events"]["data"]):
            given = event["attributes"]
            if not given.get("unique_id"):
                continue
            key = event_key(who, _metric(given), given["unique_id"], 0)
            if key in seen or key in earlier:
                yield Problem(
                    (*GROUPS, number, "attributes", "events", "data", index, "attributes", "unique_id"), REPEATED
                )
            seen.add(key)


def _who(call: Call, row: JsonObject) -> str:
    profile = call.account.profiles.prefer(row)
    if profile is not None:
        return str(profile["id"])
    given = row["attributes"]
    return next(
        f"{key} {given[key].lower()}"
        for key in ("email", "phone_number", "external_id", "_kx", "anonymous_id")
        if given.get(key)
    )


def event_resource(call: Call, event: JsonObject) -> JsonObject:
    """An event as reads show it."""
    properties = {**event["properties"], **({"$value": event["value"]} if event["value"] is not None else {})}
    attributes = {
        "timestamp": event["timestamp"],
        "event_properties": properties,
        "datetime": event["time"],
        "uuid": event["unique_id"],
    }
    metric = call.account.metrics[event["metric"]]
    relationships = {
        "profile": relation(call, "event", event["id"], "profile", {"type": "profile", "id": event["profile_id"]}),
        "metric": relation(call, "event", event["id"], "metric", {"type": "metric", "id": metric["id"]}),
    }
    return resource(call, "event", event["id"], attributes, relationships)


def get_events(call: Call) -> Answer:
    """Events by profile and metric, newest last."""
    conditions = read_filter(call, {"profile_id": ("equals",), "metric_id": ("equals",)})
    metrics = call.account.metrics
    found = (
        event
        for event in list(call.account.events)
        if all(
            c.holds(event["profile_id"] if c.field == "profile_id" else metrics[event["metric"]]["id"])
            for c in conditions
        )
    )
    rows, following = page(call, found, page_size(call, 200, 1000, "event"))
    return collection(call, [event_resource(call, event) for event in rows], following)


def get_event(call: Call) -> Answer:
    """recorded 2026-09: an id of the wrong form is 400, not 404."""
    for event in call.account.events:
        if event["id"] == call.params["id"]:
            return single(call, 200, event_resource(call, event))
    raise bad_request("/data/id", f"Invalid Event ID: '{call.params['id']}'")


def get_metrics(call: Call) -> Answer:
    """Metrics that events have made."""
    page_size(call, 200, 0, "metric")
    return collection(call, [_metric_resource(call, metric) for metric in call.account.metrics.values()])


def _metric_resource(call: Call, metric: JsonObject) -> JsonObject:
    stamp = iso(metric["created"], fraction=False)
    attributes = {"name": metric["name"], "created": stamp, "updated": stamp}
    return resource(call, "metric", metric["id"], attributes)


def get_metric(call: Call) -> Answer:
    """One metric."""
    for metric in call.account.metrics.values():
        if metric["id"] == call.params["id"]:
            return single(call, 200, _metric_resource(call, metric))
    raise not_found(f"A metric with id {call.params['id']} does not exist.")  # wording unsettled


def count_events(groups: list[JsonObject]) -> int:
    """spec: 1,000 events summed over all groups; a malformed group counts as one and is refused later."""
    total = 0
    for group in groups:
        try:
            total += len(group["attributes"]["events"]["data"])
        except (KeyError, TypeError):
            total += 1
    return total


OPERATIONS = (
    Operation(
        "create_event",
        "POST",
        "/api/events",
        "XL",
        "events:write",
        create_event,
        # revision 2026-10-15: profile meta moved out of the attributes
        since("2026-10-15", shapes.single(meta_inside=False), shapes.single(meta_inside=True)),
        max_bytes=5_000_000,
    ),
    Operation(
        "bulk_create_events",
        "POST",
        "/api/event-bulk-create-jobs",
        "M",
        "events:write",
        bulk_create_events,
        always(shapes.bulk()),
        rows=GROUPS,
        max_rows=1000,
        max_bytes=5_000_000,
        count=count_events,
    ),
    Operation("get_events", "GET", "/api/events", "XL", "events:read", get_events),
    Operation("get_event", "GET", "/api/events/{id}", "M", "events:read", get_event),
    Operation("get_metric", "GET", "/api/metrics/{id}", "M", "metrics:read", get_metric),
    Operation("get_metrics", "GET", "/api/metrics", "M", "metrics:read", get_metrics),
)
