"""What people did: events in bulk, grouped by profile, and one by one."""

from __future__ import annotations

from dataclasses import replace

from spark_klaviyo.core.models import Limits
from spark_klaviyo.templates.model import (
    KILOBYTE,
    MAX_BODY,
    XL,
    BodyLayout,
    Caution,
    Family,
    FieldForm,
    FieldSpec,
    M,
    RecordLimits,
    Setting,
    Template,
)
from spark_klaviyo.templates.parts import MAX_DEPTH, MAX_ITEMS, ONE, inside
from spark_klaviyo.templates.profiles import ATTRIBUTES, EXCHANGE_ID, PATCH, PROFILE_ID

_ANONYMOUS = FieldSpec("anonymous_id", ("attributes", "anonymous_id"), help="id of a visitor nobody knows yet")
_NAMED = ("email", "phone_number", "external_id", "anonymous_id", "_kx")
IDENTIFIERS = ("profile.id", *(f"profile.{name}" for name in _NAMED))


def profile_at(at: tuple[str, ...]) -> tuple[FieldSpec, ...]:
    """The person inside a record; identifiers are found by their plain names, other attributes by `profile.` only.

    Until 2026-10-15 single events had the profile's `meta` inside its attributes.
    """
    held = inside((replace(PROFILE_ID, other_names=()), *ATTRIBUTES, _ANONYMOUS, EXCHANGE_ID), "profile", at, _NAMED)
    own_id = replace(held[0], other_names=("profile_id",))
    properties = FieldSpec(
        "profile.properties", (*at, "attributes", "properties"), FieldForm.OBJECT, help="the person's, not the event's"
    )
    return (own_id, *held[1:], properties, *inside(PATCH, "profile", at))


def _event_at(at: tuple[str, ...]) -> tuple[FieldSpec, ...]:
    """spec: Event attributes; the time is cut to seconds, after 1990 and at most a year ahead."""
    return (
        FieldSpec(
            "time",
            (*at, "time"),
            FieldForm.DATETIME,
            earliest="1990-01-01T00:00:00+00:00",
            latest_days=365,
            help="when it happened; the moment of arrival where empty",
        ),
        FieldSpec(
            "value", (*at, "value"), FieldForm.NUMBER, other_names=("$value",), help="worth of the event, a number"
        ),
        FieldSpec(
            "value_currency",
            (*at, "value_currency"),
            pattern="[A-Z]{3}",
            other_names=("currency",),
            help="ISO 4217, USD",
        ),
        FieldSpec(
            "unique_id",
            (*at, "unique_id"),
            other_names=("$event_id", "event_id"),
            help="same profile, metric and unique_id: the same event; made from the row where no column gives it",
        ),
        FieldSpec("backfill", (*at, "backfill"), FieldForm.BOOLEAN, since="2026-04-15", help="true: starts no flow"),
        FieldSpec(
            "metric",
            (*at, "metric", "data", "attributes", "name"),
            required=True,
            max_length=127,
            help="name of the metric, where the setting gives none for all",
        ),
    )


def _metric() -> dict[str, object]:
    attributes = {"name": "{metric}", "service?": "{service}"}
    return {"data": {"type": "metric", "attributes": attributes}}


_SETTINGS = (
    Setting("metric", "name of the metric, or column:NAME", per_row=True),
    Setting("service", "service that the metric belongs to; Klaviyo's default is api"),
    Setting("backfill", "true: events of the past, which start no flow", choices=("true", "false")),
)
_NOW = Caution(
    ("column:time", "column:record"),
    "no column is the time of the events, so Klaviyo takes the moment of their arrival",
)
_NOTES = (
    "Without a column unique_id it is made from the row (or unique_id_columns), so that a re-run doubles no event.",
    "Attributes of the profile are updated too.",
)

_EVENT = ("attributes", "events", "data", "[]", "attributes")
_PROFILE = ("attributes", "profile", "data")
BULK = Template(
    name="bulk_create_events",
    family=Family.EVENTS,
    summary="Record events, up to 1,000 in a request, grouped by profile.",
    method="POST",
    path="/api/event-bulk-create-jobs",
    body={"data": {"type": "event-bulk-create-job", "attributes": {"events-bulk-create": {"data": "{rows}"}}}},
    record={
        "type": "event-bulk-create",
        "attributes": {
            "profile": {"data": {"type": "profile"}},
            "events": {"data": [{"type": "event", "attributes": {"backfill?": "{backfill}", "metric": _metric()}}]},
        },
    },
    fields=(*profile_at(_PROFILE), *_event_at(_EVENT)),
    properties_path=(*_EVENT, "properties"),
    identifiers=IDENTIFIERS,
    key=("unique_id",),
    key_with=("metric", *IDENTIFIERS),
    keep_empty=((*_PROFILE, "attributes"), (*_EVENT, "properties")),
    limits=Limits(1_000, MAX_BODY),
    record_limits=RecordLimits(400, MAX_DEPTH, MAX_ITEMS, max_string_bytes=100 * KILOBYTE),
    quota=M,
    confirmed_by_reply=False,
    rows_pointer="/data/attributes/events-bulk-create/data",
    scopes=("events:write",),
    layout=BodyLayout.EVENT_GROUPS,
    unique_id_field="unique_id",
    # spec: a repeat of (profile, metric, unique_id) fails the request, in one body; across requests nothing is known
    idempotent=True,
    settings=_SETTINGS,
    cautions=(_NOW,),
    notes=(*_NOTES, "Events of one profile share a group; a request holds 1,000 events over all groups."),
)
_ALONE = ("attributes", "profile", "data")
ONE_BY_ONE = replace(
    BULK,
    name="create_event",
    summary="Record events one by one; Klaviyo keeps the first of equal ones.",
    path="/api/events",
    body=ONE,
    record={
        "type": "event",
        "attributes": {"backfill?": "{backfill}", "metric": _metric(), "profile": {"data": {"type": "profile"}}},
    },
    fields=(
        *(
            replace(known, earlier_path=("2026-10-15", (*_ALONE, "attributes", *known.json_path[len(_ALONE) :])))
            if known.name.startswith("profile.meta.")
            else known
            for known in profile_at(_ALONE)
        ),
        *_event_at(("attributes",)),
    ),
    properties_path=("attributes", "properties"),
    keep_empty=((*_ALONE, "attributes"), ("attributes", "properties")),
    limits=Limits(1, MAX_BODY),
    quota=XL,
    rows_pointer="",
    layout=BodyLayout.SEQUENCE,
    notes=_NOTES,
)

TEMPLATES = (BULK, ONE_BY_ONE)
