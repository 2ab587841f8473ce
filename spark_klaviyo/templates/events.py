"""What people did: events in bulk, grouped by profile, and one by one."""

from __future__ import annotations

from dataclasses import replace

from spark_klaviyo.core.policy import Limits
from spark_klaviyo.templates.limits import KILOBYTE, MAX_BODY, MAX_DEPTH, MAX_ITEMS, ONE_ROW, XL, M
from spark_klaviyo.templates.model import BodyLayout, FieldForm, FieldSpec, RecordLimits, Setting, Template
from spark_klaviyo.templates.parts import attribute, inside
from spark_klaviyo.templates.profiles import ATTRIBUTES, EXCHANGE_ID, PATCH, PERSON, PROFILE_ID

_NAMES = ("email", "phone_number", "external_id", "anonymous_id", "_kx")
IDENTIFIERS = ("profile.id", *(f"profile.{name}" for name in _NAMES))
_PROPERTIES = (*PERSON, "attributes", "properties")
_VISITOR = attribute("anonymous_id", help="id of a visitor who is not identified yet")
# Identifiers of the person are found by their plain names, other attributes by `profile.` only.
PROFILE = (
    FieldSpec("profile.id", (*PERSON, "id"), other_names=PROFILE_ID.other_names, help=PROFILE_ID.help),
    *inside((*ATTRIBUTES, _VISITOR, EXCHANGE_ID), "profile", PERSON, _NAMES),
    FieldSpec("profile.properties", _PROPERTIES, FieldForm.OBJECT, help="the person's, not the event's"),
    *inside(PATCH, "profile", PERSON),
)
# Until 2026-10-15 calls for one record had the profile's `meta` inside its attributes.
PROFILE_OF_ONE = tuple(
    replace(known, earlier_path=("2026-10-15", (*PERSON, "attributes", *known.json_path[len(PERSON) :])))
    if known.name.startswith("profile.meta.")
    else known
    for known in PROFILE
)
# spec: Event attributes; the time is cut to seconds, after 1990 and at most a year ahead
_EVENT = (
    attribute(
        "time",
        FieldForm.DATETIME,
        earliest="1990-01-01T00:00:00+00:00",
        latest_days=365,
        required_unless="event_time=now",
        help="when it happened",
    ),
    attribute("value", FieldForm.NUMBER, other_names=("$value",), help="worth of the event, a number"),
    attribute(
        "value_currency", FieldForm.CURRENCY, pattern="[A-Z]{3}", other_names=("currency",), help="ISO 4217, USD"
    ),
    attribute(
        "unique_id",
        other_names=("$event_id", "event_id"),
        help="same profile, metric and unique_id: the same event; made from the row where no column gives it",
    ),
    attribute("backfill", FieldForm.BOOLEAN, since="2026-04-15", help="true: starts no flow"),
    FieldSpec(
        "metric",
        ("attributes", "metric", "data", "attributes", "name"),
        required=True,
        max_length=127,
        help="name of the metric, where the setting gives none for all",
    ),
)
_METRIC = {"data": {"type": "metric", "attributes": {"name": "{metric}", "service?": "{service}"}}}
_NOTES = (
    "Without a column unique_id it is made from the row (or unique_id_columns), so that a re-run doubles no event.",
    "Attributes of the profile are updated too.",
)
_IN_BULK = ("attributes", "events", "data", "[]")
BULK = Template(
    name="bulk_create_events",
    summary="Record events, up to 1,000 in a request, grouped by profile.",
    path="/api/event-bulk-create-jobs",
    body={"data": {"type": "event-bulk-create-job", "attributes": {"events-bulk-create": {"data": "{rows}"}}}},
    record={
        "type": "event-bulk-create",
        "attributes": {
            "profile": {"data": {"type": "profile"}},
            "events": {"data": [{"type": "event", "attributes": {"backfill?": "{backfill}", "metric": _METRIC}}]},
        },
    },
    fields=(*PROFILE, *(replace(known, json_path=(*_IN_BULK, *known.json_path)) for known in _EVENT)),
    properties_path=(*_IN_BULK, "attributes", "properties"),
    identifiers=IDENTIFIERS,
    key=("unique_id",),
    key_with=("metric", *IDENTIFIERS),
    keep_empty=((*PERSON, "attributes"), (*_IN_BULK, "attributes", "properties")),
    limits=Limits(1_000, MAX_BODY),
    record_limits=RecordLimits(400, MAX_DEPTH, MAX_ITEMS, max_string_bytes=100 * KILOBYTE),
    quota=M,
    confirmed_by_reply=False,
    scopes=("events:write",),
    layout=BodyLayout.EVENT_GROUPS,
    unique_id_field="unique_id",
    settings=(
        Setting("metric", "name of the metric, or column:NAME", per_row=True),
        Setting("service", "service that the metric belongs to; Klaviyo's default is api"),
        Setting("backfill", "true: events of the past, which start no flow", choices=("true", "false")),
        Setting("event_time", "now: an event without a time happens on arrival; else it is refused", choices=("now",)),
    ),
    notes=(*_NOTES, "Events of one profile share a group; a request holds 1,000 events over all groups."),
)
ONE_BY_ONE = replace(
    BULK,
    name="create_event",
    summary="Record events one by one; Klaviyo keeps the first of equal ones.",
    path="/api/events",
    body={"data": "{row}"},
    record={
        "type": "event",
        "attributes": {"backfill?": "{backfill}", "metric": _METRIC, "profile": {"data": {"type": "profile"}}},
    },
    fields=(*PROFILE_OF_ONE, *_EVENT),
    properties_path=("attributes", "properties"),
    keep_empty=((*PERSON, "attributes"), ("attributes", "properties")),
    limits=ONE_ROW,
    quota=XL,
    layout=BodyLayout.SEQUENCE,
    notes=_NOTES,
)

TEMPLATES = (BULK, ONE_BY_ONE)
