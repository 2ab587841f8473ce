"""The retired v1 and v2 forms, as they were: key in the body, rows as they are. Answered 410 since 2024-06-30."""

from __future__ import annotations

from dataclasses import replace

from spark_klaviyo.core.choices import Api, ContentFormat
from spark_klaviyo.core.models import Limits
from spark_klaviyo.templates.model import MAX_BODY, MEGABYTE, FieldSpec, M, Setting, Template

_MEMBERS = (
    FieldSpec("email", ("email",), "email"),
    FieldSpec("phone_number", ("phone_number",), "phone"),
    FieldSpec("push_token", ("push_token",)),
)
_NAMES = ("email", "phone_number", "push_token")
_LIST = Setting("list_id", "id of the list", required=True, per_row=True, look_up="list")
_RETIRED = "Retired by Klaviyo on 2024-06-30: every call is answered 410."

ADD = Template(
    name="add_profiles_to_list",
    family="legacy",
    summary="Add profiles to a list through the retired v2 call.",
    method="POST",
    path="/api/v2/list/{list_id}/members",
    body={"api_key": "{api_key}", "profiles": "{rows}"},
    fields=_MEMBERS,
    identifiers=_NAMES,
    key=_NAMES,
    # 100 is documented for membership checks only, and what connectors used; `max_rows` changes it
    limits=Limits(100, MAX_BODY),
    quota=M,
    outcome="delivered",
    success=(200, 202),
    settings=(_LIST,),
    api=Api.V2,
    as_rows=True,
    keep_empty=(),
    pointer="/profiles",
    notes=(_RETIRED + " Set api=current.",),
)
REMOVE = replace(
    ADD,
    name="remove_profiles_from_list",
    summary="Take profiles off a list through the retired v2 call.",
    method="DELETE",
    # `arrange` closes this list and opens those of phone numbers and push tokens where there are any
    body={"api_key": "{api_key}", "emails": "{rows}"},
    arrange="identifiers",
    as_rows=False,
    pointer="",
)
SUBSCRIBE = replace(
    ADD,
    name="bulk_subscribe_profiles",
    summary="Subscribe people to a list through the retired v2 call, which obeys its opt-in setting.",
    path="/api/v2/list/{list_id}/subscribe",
    notes=(_RETIRED, "A column `sms_consent` (boolean) opts a phone number in; `$consent` names channels."),
)

# v1: standard fields of a person wear a `$`
_PERSON = (
    ("email", "$email", "email"),
    ("phone_number", "$phone_number", "phone"),
    ("external_id", "$id", "text"),
    *((name, f"${name}", "text") for name in ("first_name", "last_name", "title", "organization", "image")),
    *((name, f"${name}", "text") for name in ("address1", "address2", "city", "region", "country", "zip", "timezone")),
)


def _person(at: str) -> tuple[FieldSpec, ...]:
    return tuple(FieldSpec(path, (at, key), form, names=(key,)) for path, key, form in _PERSON)


_V1 = Template(
    name="identify",
    family="legacy",
    summary="Set properties of people through the retired v1 call.",
    method="POST",
    path="/api/identify",
    body={"token": "{api_key}"},
    fields=_person("properties"),
    properties_at=("properties",),
    identifiers=("email", "phone_number", "external_id"),
    key=("email", "phone_number", "external_id"),
    limits=Limits(1, MEGABYTE),  # retired SDKs: about 1 MB
    quota=M,
    outcome="accepted",  # its answer 1 says nothing of the key or the row
    success=(200,),
    api=Api.V1,
    keep_empty=(("properties",),),
    arrange="form",
    content_format=ContentFormat.FORM_DATA_PARAM,
    notes=(_RETIRED, "The key is the public one, and travels inside the form field `data`."),
)
TRACK = replace(
    _V1,
    name="track",
    summary="Record events through the retired v1 call.",
    path="/api/track",
    record={"event": "{event}"},
    fields=(
        *_person("customer_properties"),
        FieldSpec("event", ("event",), required=True, names=("metric",), help="name of the metric"),
        FieldSpec("event_id", ("properties", "$event_id"), names=("$event_id", "unique_id")),
        FieldSpec("value", ("properties", "$value"), "number", names=("$value",)),
        FieldSpec("time", ("time",), "integer", help="Unix seconds; the moment of arrival where empty"),
    ),
    key=(),
    unique_id="event_id",
    settings=(Setting("event", "name of the metric", per_row=True),),
)

TEMPLATES = (ADD, REMOVE, SUBSCRIBE, _V1, TRACK)
