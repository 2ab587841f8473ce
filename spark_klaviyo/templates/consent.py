"""Consent: subscribing, unsubscribing, suppressing and lifting suppressions. Never inferred from an identifier."""

from __future__ import annotations

from dataclasses import replace

from spark_klaviyo.core.models import Limits
from spark_klaviyo.templates.model import (
    MAX_BODY,
    Caution,
    Channel,
    Consent,
    Family,
    FieldForm,
    FieldSpec,
    Job,
    JobErrors,
    L,
    Setting,
    Template,
)
from spark_klaviyo.templates.parts import attribute, job_body, linked
from spark_klaviyo.templates.profiles import EMAIL, PHONE, PROFILE_ID

_AT = ("attributes", "subscriptions")
_PUSH = (*_AT, "push", "tokens", "[]")
_IDENTIFIERS = {"email": "email", "sms": "phone_number", "whatsapp": "phone_number"}


def _channel(name: str, since: str = "", *, takes_consented_at: bool = True) -> Channel:
    """The channel `sms.transactional` stands at sms, transactional; `sms` alone is marketing."""
    medium, _, use = name.partition(".")
    path = (*_AT, medium, use or "marketing")
    return Channel(name, path, _IDENTIFIERS.get(medium, ""), takes_consented_at, since)


CHANNELS = (
    _channel("email"),
    _channel("email.open_tracking", takes_consented_at=False),
    _channel("email.click_tracking", "2026-10-15", takes_consented_at=False),
    _channel("sms"),
    _channel("sms.transactional"),
    _channel("whatsapp"),
    _channel("whatsapp.transactional"),
    _channel("push"),
)
PLATFORMS, VENDORS = ("android", "ios"), ("apns", "fcm")
ENABLEMENT = ("AUTHORIZED", "DENIED", "NOT_DETERMINED", "PROVISIONAL", "UNAUTHORIZED")
BACKGROUND = ("AVAILABLE", "DENIED", "RESTRICTED")
_FIELD_OF_CHANNELS = FieldSpec(
    "channels", _AT, FieldForm.WORDS, help="channels of this person, where the setting gives none for all"
)
_PUSH_TOKEN = (
    FieldSpec("push_token", (*_PUSH, "token"), help="device token, for the channel push"),
    FieldSpec("push_platform", (*_PUSH, "platform"), other_names=("platform",), choices=PLATFORMS),
    FieldSpec("push_vendor", (*_PUSH, "vendor"), other_names=("vendor",), choices=VENDORS),
    FieldSpec("push_enablement_status", (*_PUSH, "enablement_status"), choices=ENABLEMENT),
    FieldSpec("push_background", (*_PUSH, "background"), choices=BACKGROUND),
)
_LIST = Setting("list_id", "id of the list", per_row=True, lookup_kind="list")


def _setting_of_channels(channels: tuple[Channel, ...]) -> Setting:
    names = tuple(channel.name for channel in channels)
    meaning = "what the consent is about, comma-separated"
    return Setting("channels", meaning, choices=names, per_row=True, takes_several=True)


SUBSCRIBE = Template(
    name="bulk_subscribe_profiles",
    family=Family.CONSENT,
    summary="Record consent: subscribe people to channels, with or without a list.",
    path="/api/profile-subscription-bulk-create-jobs",
    body={
        "data": {
            "type": "profile-subscription-bulk-create-job",
            "attributes": {
                "custom_source?": "{custom_source}",
                "historical_import?": "{historical_import}",
                "profiles": {"data": "{rows}"},
            },
            "relationships?": linked("list", "list", "list_id"),
        }
    },
    record={"type": "profile"},
    fields=(
        PROFILE_ID,
        EMAIL,
        PHONE,
        attribute(
            "age_gated_date_of_birth",
            FieldForm.DATE,
            other_names=("date_of_birth",),
            help="where SMS consent asks for an age",
        ),
        _FIELD_OF_CHANNELS,
        FieldSpec(
            "consented_at",
            (*_AT, "consented_at"),
            FieldForm.DATETIME,
            latest_days=0,
            help="only with historical_import",
        ),
        *_PUSH_TOKEN,
    ),
    identifiers=("id", "email", "phone_number"),
    key=("id", "email", "phone_number"),
    keep_empty=(("attributes",), _AT),
    limits=Limits(1_000, MAX_BODY),
    quota=L,
    confirmed_by_reply=False,
    scopes=("lists:write", "profiles:write", "subscriptions:write"),
    consent=Consent("SUBSCRIBED", CHANNELS),
    settings=(
        _setting_of_channels(CHANNELS),
        replace(_LIST, help="id of the list people are added to; its opt-in setting applies"),
        Setting(
            "historical_import",
            "consent was given before: no opt-in message is sent, and consented_at is required",
            choices=("true", "false"),
        ),
        Setting("custom_source", "text that is kept with the consent"),
    ),
    cautions=(
        Caution(
            ("list_id", "historical_import"),
            "without list_id and historical_import=true Klaviyo creates no new person, and says nothing of it",
        ),
    ),
    notes=(
        "Double opt-in of list or account applies unless historical_import=true; a resend may repeat its message.",
        "Removes suppressions by unsubscribing, by spam report and by hand.",
    ),
)
_WITHDRAWN = tuple(
    replace(channel, takes_consented_at=False) for channel in (*CHANNELS, _channel("whatsapp.conversational"))
)
UNSUBSCRIBE = replace(
    SUBSCRIBE,
    name="bulk_unsubscribe_profiles",
    summary="Withdraw consent: unsubscribe people from channels.",
    path="/api/profile-subscription-bulk-delete-jobs",
    body=job_body("profile-subscription-bulk-delete-job", "profiles", linked("list", "list", "list_id")),
    fields=(EMAIL, PHONE, _FIELD_OF_CHANNELS, *_PUSH_TOKEN),
    identifiers=("email", "phone_number"),
    key=("email", "phone_number"),
    limits=Limits(100, MAX_BODY),
    consent=Consent("UNSUBSCRIBED", _WITHDRAWN),
    settings=(
        _setting_of_channels(_WITHDRAWN),
        replace(
            _LIST,
            help="id of the list to unsubscribe from; without one, from everything",
            harm_if_empty="without a list the person would be unsubscribed from everything",
        ),
    ),
    cautions=(),
    notes=(
        "People who are not on the list are rejected as not_on_list: Klaviyo would unsubscribe them from everything.",
        "Who is on the list is read first, which needs lists:read and profiles:read.",
        "Without a list, somebody unknown is created, then unsubscribed.",
    ),
)


# spec: bulk_suppress_profiles, bulk_unsuppress_profiles; 100 emails, nothing else names a person
_SUPPRESS = "profile-suppression-bulk-create-job"
SUPPRESS = Template(
    name="bulk_suppress_profiles",
    family=Family.CONSENT,
    summary="Stop all email marketing to people, whatever their consent.",
    path=f"/api/{_SUPPRESS}s",
    body=job_body(_SUPPRESS, "profiles"),
    record={"type": "profile"},
    fields=(replace(EMAIL, required=True),),
    identifiers=("email",),
    key=("email",),
    limits=Limits(100, MAX_BODY),
    quota=L,
    job=Job(f"/api/{_SUPPRESS}s", L, JobErrors.NONE, ("subscriptions:read",)),
    scopes=("profiles:write", "subscriptions:write"),
    notes=("Somebody unknown is created, then suppressed. The job's counts are no evidence of single rows.",),
)
_UNSUPPRESS = "profile-suppression-bulk-delete-job"
UNSUPPRESS = replace(
    SUPPRESS,
    name="bulk_unsuppress_profiles",
    summary="Lift suppressions that were set by hand, so that these people get email again.",
    path=f"/api/{_UNSUPPRESS}s",
    body=job_body(_UNSUPPRESS, "profiles"),
    job=Job(f"/api/{_UNSUPPRESS}s", L, JobErrors.NONE, ("subscriptions:read",)),
    scopes=("subscriptions:write",),
    settings=(
        Setting(
            "confirm_unsuppress",
            "true: these people are to get email marketing again",
            required=True,
            choices=("true",),
        ),
    ),
    notes=("Lifts only what was suppressed by hand; unsubscribed, bounced and invalid addresses stay as they are.",),
)

TEMPLATES = (SUBSCRIBE, UNSUBSCRIBE, SUPPRESS, UNSUPPRESS)
