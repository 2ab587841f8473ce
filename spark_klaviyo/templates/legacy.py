"""The retired v1 and v2 forms, as they were: key in the body, rows as they are. Answered 410 since 2024-06-30."""

from __future__ import annotations

from dataclasses import replace

from spark_klaviyo.core.codes import Api
from spark_klaviyo.core.policy import Limits
from spark_klaviyo.templates.limits import MAX_BODY, MEGABYTE, M
from spark_klaviyo.templates.model import BodyLayout, Caution, FieldForm, FieldSpec, Setting, Template
from spark_klaviyo.templates.profiles import LIST

_MEMBERS = (
    FieldSpec("email", ("email",), FieldForm.EMAIL),
    FieldSpec("phone_number", ("phone_number",), FieldForm.PHONE),
    FieldSpec("push_token", ("push_token",)),
)
_NAMES = ("email", "phone_number", "push_token")
_RETIRED = "Retired by Klaviyo on 2024-06-30: every call is answered 410."

ADD = Template(
    name="add_profiles_to_list",
    summary="Add profiles to a list through the retired v2 call.",
    path="/api/v2/list/{list_id}/members",
    body={"api_key": "{api_key}", "profiles": "{rows}"},
    fields=_MEMBERS,
    identifiers=_NAMES,
    # 100 is documented for membership checks only, and what connectors used; `max_rows` changes it
    limits=Limits(100, MAX_BODY),
    quota=M,
    settings=(LIST,),
    api=Api.V2,
    raw_rows=True,
    keep_empty=(),
    notes=(_RETIRED + " Set api=current.",),
)
REMOVE = replace(
    ADD,
    name="remove_profiles_from_list",
    summary="Take profiles off a list through the retired v2 call.",
    method="DELETE",
    takes_away=True,
    # `arrange` closes this list and opens those of phone numbers and push tokens where there are any
    body={"api_key": "{api_key}", "emails": "{rows}"},
    layout=BodyLayout.IDENTIFIERS,
    raw_rows=False,
)
SUBSCRIBE = replace(
    ADD,
    name="bulk_subscribe_profiles",
    summary="Subscribe people to a list through the retired v2 call, which obeys its opt-in setting.",
    path="/api/v2/list/{list_id}/subscribe",
    changes_reach=True,
    cautions=(Caution((), "api=v2 does not read who has opted out, and would subscribe them again; api=current does"),),
    notes=(_RETIRED, "A column `sms_consent` (boolean) opts a phone number in; `$consent` names channels."),
)

# v1: standard fields of a person wear a `$`
_TEXTS = ("first_name", "last_name", "title", "organization", "image")
_ADDRESS = ("address1", "address2", "city", "region", "country", "zip", "timezone")
_PERSON = (
    ("email", "$email", FieldForm.EMAIL),
    ("phone_number", "$phone_number", FieldForm.PHONE),
    ("external_id", "$id", FieldForm.TEXT),
    *((name, f"${name}", FieldForm.TEXT) for name in (*_TEXTS, *_ADDRESS)),
)


def _person_in(holder: str) -> tuple[FieldSpec, ...]:
    return tuple(FieldSpec(name, (holder, key), form, other_names=(key,)) for name, key, form in _PERSON)


_V1 = Template(
    name="identify",
    summary="Set properties of people through the retired v1 call.",
    path="/api/identify",
    body={"token": "{api_key}"},
    fields=_person_in("properties"),
    properties_path=("properties",),
    identifiers=("email", "phone_number", "external_id"),
    limits=Limits(1, MEGABYTE),  # retired SDKs: about 1 MB
    quota=M,
    confirmed_by_reply=False,  # its answer 1 says nothing of the key or the row
    api=Api.V1,
    keep_empty=(("properties",),),
    layout=BodyLayout.FORM,
    notes=(_RETIRED, "The key is the public one, and travels inside the form field `data`."),
)
TRACK = replace(
    _V1,
    name="track",
    summary="Record events through the retired v1 call.",
    path="/api/track",
    record={"event": "{event}"},
    fields=(
        *_person_in("customer_properties"),
        FieldSpec("event", ("event",), required=True, other_names=("metric",), help="name of the metric"),
        FieldSpec("event_id", ("properties", "$event_id"), other_names=("$event_id", "unique_id")),
        FieldSpec("value", ("properties", "$value"), FieldForm.NUMBER, other_names=("$value",)),
        FieldSpec("time", ("time",), FieldForm.INTEGER, help="Unix seconds; the moment of arrival where empty"),
    ),
    key=("event_id",),
    unique_id_field="event_id",
    settings=(Setting("event", "name of the metric", per_row=True),),
)

TEMPLATES = (ADD, REMOVE, SUBSCRIBE, _V1, TRACK)
