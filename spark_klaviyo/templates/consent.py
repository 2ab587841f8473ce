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
from spark_klaviyo.templates.parts import job_body, linked
from spark_klaviyo.templates.profiles import EMAIL, PHONE, PROFILE_ID

_AT = ("attributes", "subscriptions")
_PUSH = (*_AT, "push", "tokens", "[]")
CHANNELS = (
    Channel("email", (*_AT, "email", "marketing"), "email"),
    Channel("email.open_tracking", (*_AT, "email", "open_tracking"), "email", takes_consented_at=False),
    Channel(
        "email.click_tracking", (*_AT, "email", "click_tracking"), "email", takes_consented_at=False, since="2026-10-15"
    ),
    Channel("sms", (*_AT, "sms", "marketing"), "phone_number"),
    Channel("sms.transactional", (*_AT, "sms", "transactional"), "phone_number"),
    Channel("whatsapp", (*_AT, "whatsapp", "marketing"), "phone_number"),
    Channel("whatsapp.transactional", (*_AT, "whatsapp", "transactional"), "phone_number"),
    Channel("push", (*_AT, "push", "marketing")),
)
PLATFORMS, VENDORS = ("android", "ios"), ("apns", "fcm")
ENABLEMENT = ("AUTHORIZED", "DENIED", "NOT_DETERMINED", "PROVISIONAL", "UNAUTHORIZED")
BACKGROUND = ("AVAILABLE", "DENIED", "RESTRICTED")
PUSH_TOKEN = (
    FieldSpec("push_token", (*_PUSH, "token"), help="device token, for the channel push"),
    FieldSpec("push_platform", (*_PUSH, "platform"), other_names=("platform",), choices=PLATFORMS),
    FieldSpec("push_vendor", (*_PUSH, "vendor"), other_names=("vendor",), choices=VENDORS),
    FieldSpec("push_enablement_status", (*_PUSH, "enablement_status"), choices=ENABLEMENT),
    FieldSpec("push_background", (*_PUSH, "background"), choices=BACKGROUND),
)
_CHANNELS_FIELD = FieldSpec(
    "channels", _AT, FieldForm.WORDS, help="channels of this person, where the setting gives none for all"
)
_LIST = Setting("list_id", "id of the list", per_row=True, lookup_kind="list")


def _channels(channels: tuple[Channel, ...]) -> Setting:
    words = tuple(channel.name for channel in channels)
    return Setting(
        "channels", "what the consent is about, comma-separated", choices=words, per_row=True, takes_several=True
    )


SUBSCRIBE = Template(
    name="bulk_subscribe_profiles",
    family=Family.CONSENT,
    summary="Record consent: subscribe people to channels, with or without a list.",
    method="POST",
    path="/api/profile-subscription-bulk-create-jobs",
    body={
        "data": {
            "type": "profile-subscription-bulk-create-job",
            "attributes": {
                "custom_source?": "{custom_source}",
                "historical_import?": "{historical_import:boolean}",
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
        FieldSpec(
            "age_gated_date_of_birth",
            ("attributes", "age_gated_date_of_birth"),
            FieldForm.DATE,
            other_names=("date_of_birth",),
            help="where SMS consent asks for an age",
        ),
        _CHANNELS_FIELD,
        FieldSpec(
            "consented_at",
            (*_AT, "consented_at"),
            FieldForm.DATETIME,
            latest_days=0,
            help="only with historical_import",
        ),
        *PUSH_TOKEN,
    ),
    identifiers=("id", "email", "phone_number"),
    key=("id", "email", "phone_number"),
    keep_empty=(("attributes",), _AT),
    limits=Limits(1_000, MAX_BODY),
    quota=L,
    confirmed_by_reply=False,
    rows_pointer="/data/attributes/profiles/data",
    scopes=("lists:write", "profiles:write", "subscriptions:write"),
    consent=Consent("SUBSCRIBED", CHANNELS),
    settings=(
        _channels(CHANNELS),
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
_MORE = Channel("whatsapp.conversational", (*_AT, "whatsapp", "conversational"), "phone_number")
UNSUBSCRIBE = replace(
    SUBSCRIBE,
    name="bulk_unsubscribe_profiles",
    summary="Withdraw consent: unsubscribe people from channels.",
    path="/api/profile-subscription-bulk-delete-jobs",
    body=job_body("profile-subscription-bulk-delete-job", "profiles", linked("list", "list", "list_id")),
    fields=(EMAIL, PHONE, _CHANNELS_FIELD, *PUSH_TOKEN),
    identifiers=("email", "phone_number"),
    key=("email", "phone_number"),
    limits=Limits(100, MAX_BODY),
    consent=Consent(
        "UNSUBSCRIBED", tuple(replace(channel, takes_consented_at=False) for channel in (*CHANNELS, _MORE))
    ),
    settings=(
        _channels((*CHANNELS, _MORE)),
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


def _suppression(name: str, kind: str, summary: str, scopes: tuple[str, ...]) -> Template:
    """spec: bulk_suppress_profiles, bulk_unsuppress_profiles; 100 emails, nothing else names a person."""
    return Template(
        name=name,
        family=Family.CONSENT,
        summary=summary,
        method="POST",
        path=f"/api/{kind}s",
        body=job_body(kind, "profiles"),
        record={"type": "profile"},
        fields=(replace(EMAIL, required=True),),
        identifiers=("email",),
        key=("email",),
        limits=Limits(100, MAX_BODY),
        quota=L,
        job=Job(f"/api/{kind}s/{{job_id}}", L, JobErrors.NONE, f"/api/{kind}s", ("subscriptions:read",)),
        rows_pointer="/data/attributes/profiles/data",
        scopes=scopes,
    )


SUPPRESS = replace(
    _suppression(
        "bulk_suppress_profiles",
        "profile-suppression-bulk-create-job",
        "Stop all email marketing to people, whatever their consent.",
        ("profiles:write", "subscriptions:write"),
    ),
    notes=("Somebody unknown is created, then suppressed. The job's counts are no evidence of single rows.",),
)
UNSUPPRESS = replace(
    _suppression(
        "bulk_unsuppress_profiles",
        "profile-suppression-bulk-delete-job",
        "Lift suppressions that were set by hand, so that these people get email again.",
        ("subscriptions:write",),
    ),
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
