"""How people may be reached: consent, which is never inferred from an identifier, suppressions, and push tokens."""

from __future__ import annotations

from dataclasses import replace

from spark_klaviyo.core.policy import Limits
from spark_klaviyo.templates.events import IDENTIFIERS, PROFILE_OF_ONE
from spark_klaviyo.templates.limits import KILOBYTE, MAX_BODY, ONE_ROW, L, S
from spark_klaviyo.templates.model import Caution, Channel, Consent, FieldForm, FieldSpec, Job, Setting, Template
from spark_klaviyo.templates.parts import attribute, delete_of, job_call, linked, update_of
from spark_klaviyo.templates.profiles import DELETES, EMAIL, EXTERNAL_ID, LIST, OWN_ID, PERSON, PHONE

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


def _setting_of_channels(channels: tuple[Channel, ...]) -> Setting:
    names, meaning = tuple(channel.name for channel in channels), "what the consent is about, comma-separated"
    return Setting("channels", meaning, choices=names, per_row=True, takes_several=True)


_AGE, _PAST = "where SMS consent asks for an age", "only with historical_import"
_BEFORE = "consent was given before: no opt-in message is sent, and consented_at is required"
_SIGNED_UP_AGAIN = "true: the person signed up again, after opting out; consent is not read first"
_UNSEEN = "without list_id and historical_import=true Klaviyo creates no new person, and says nothing of it"
_ANY_OF = ("id", "email", "phone_number")
SUBSCRIBE = Template(
    name="bulk_subscribe_profiles",
    summary="Record consent: subscribe people to channels, with or without a list.",
    **job_call(
        "profile-subscription-bulk-create-job",
        "profiles",
        linked("list", "list_id"),
        **{"custom_source?": "{custom_source}", "historical_import?": "{historical_import}"},
    ),
    record={"type": "profile"},
    fields=(
        OWN_ID,
        EMAIL,
        PHONE,
        attribute("age_gated_date_of_birth", FieldForm.DATE, other_names=("date_of_birth",), help=_AGE),
        _FIELD_OF_CHANNELS,
        FieldSpec(
            "consented_at",
            (*_AT, "consented_at"),
            FieldForm.DATETIME,
            earliest="2000-01-01T00:00:00+00:00",  # an earlier one is a default of some system, or a wrong unit
            latest_days=0,
            help=_PAST,
        ),
        *_PUSH_TOKEN,
    ),
    identifiers=_ANY_OF,
    keep_empty=(("attributes",), _AT),
    limits=Limits(1_000, MAX_BODY),
    quota=L,
    confirmed_by_reply=False,
    delete_templates=DELETES,
    scopes=("lists:write", "profiles:read", "profiles:write", "subscriptions:write"),
    consent=Consent("SUBSCRIBED", CHANNELS),
    settings=(
        _setting_of_channels(CHANNELS),
        replace(LIST, required=False, help="id of the list people are added to; its opt-in setting applies"),
        Setting("historical_import", _BEFORE, choices=("true", "false")),
        Setting("custom_source", "text that is kept with the consent"),
        Setting("resubscribe", _SIGNED_UP_AGAIN, choices=("true", "false"), per_row=True),
    ),
    cautions=(Caution(("list_id", "historical_import"), _UNSEEN),),
    notes=(
        "Double opt-in of list or account applies unless historical_import=true; a resend may repeat its message.",
        "Klaviyo would bring back who unsubscribed, reported spam or was suppressed by hand, so consent is read first.",
        "Who has opted out of a channel of the row, or of the list, is rejected as opted_out: no fault for on_reject.",
        "With historical_import=true only a newer opt-out counts, and who is subscribed already counts as delivered.",
        "A row is sent with the identifiers that its channels need, and no others.",
    ),
)
_FROM_EVERYTHING = "true: unsubscribe from everything, in rows without a list; required where there is no list_id"
_WITHDRAWN = tuple(
    replace(channel, takes_consented_at=False) for channel in (*CHANNELS, _channel("whatsapp.conversational"))
)
UNSUBSCRIBE = replace(
    SUBSCRIBE,
    name="bulk_unsubscribe_profiles",
    summary="Withdraw consent: unsubscribe people from channels.",
    **job_call("profile-subscription-bulk-delete-job", "profiles", linked("list", "list_id")),
    fields=(EMAIL, PHONE, _FIELD_OF_CHANNELS, *_PUSH_TOKEN),
    identifiers=("email", "phone_number"),
    limits=Limits(100, MAX_BODY),
    consent=Consent("UNSUBSCRIBED", _WITHDRAWN),
    takes_away=True,
    scopes=("lists:write", "profiles:write", "subscriptions:write"),
    settings=(
        _setting_of_channels(_WITHDRAWN),
        replace(
            LIST,
            required=False,
            help="id of the list to unsubscribe from",
            harm_if_empty="with no list the person would be unsubscribed from everything, which needs everywhere=true",
        ),
        Setting("everywhere", _FROM_EVERYTHING, choices=("true", "false")),
    ),
    cautions=(),
    notes=(
        "Who is not on the list is rejected as not_on_list: Klaviyo would unsubscribe them from everything.",
        "Who has opted out already counts as delivered.",
        "Who is on the list is read first, which needs lists:read and profiles:read.",
        "Without a list, an unknown person is created, then unsubscribed.",
    ),
)


# spec: bulk_suppress_profiles, bulk_unsuppress_profiles; 100 emails, nothing else names a person in the request
_SUPPRESS = "profile-suppression-bulk-create-job"
_NAMED_BY = ("email", "external_id", "phone_number")
SUPPRESS = Template(
    name="bulk_suppress_profiles",
    summary="Stop all email marketing to people, whatever their consent.",
    **job_call(_SUPPRESS, "profiles"),
    record={"type": "profile"},
    fields=(EMAIL, EXTERNAL_ID, PHONE),
    identifiers=_NAMED_BY,
    first_identifier_only=True,
    looked_up_as="email",
    sent_directly=("email",),
    limits=Limits(100, MAX_BODY),
    quota=L,
    job=Job(f"/api/{_SUPPRESS}s", L, scopes=("subscriptions:read",)),
    takes_away=True,
    delete_templates=DELETES,
    changes_reach=True,
    scopes=("profiles:write", "subscriptions:write"),
    notes=(
        "A row's email counts, else the email of the profile with its external_id, else phone (needs profiles:read).",
        "An unknown email is created, then suppressed. The job's counts are no evidence of single rows.",
    ),
)
_UNSUPPRESS = "profile-suppression-bulk-delete-job"
_AGAIN = "true: these people are to get email marketing again"
UNSUPPRESS = replace(
    SUPPRESS,
    name="bulk_unsuppress_profiles",
    summary="Lift suppressions that were set by hand, so that these people get email again.",
    **job_call(_UNSUPPRESS, "profiles"),
    fields=(replace(EMAIL, required=True),),
    identifiers=("email",),
    first_identifier_only=False,
    looked_up_as="",
    takes_away=False,
    job=Job(f"/api/{_UNSUPPRESS}s", L, scopes=("subscriptions:read",)),
    scopes=("subscriptions:write",),
    settings=(Setting("confirm_unsuppress", _AGAIN, required=True, choices=("true",)),),
    notes=("Lifts only what was suppressed by hand; unsubscribed, bounced and invalid addresses stay as they are.",),
)

# --- push tokens: one a request; bulk_subscribe_profiles with the channel push takes many ----------

# spec: DeviceMetadata
_SDKS = ("android", "flutter", "flutter_community", "react_native", "swift")
_OF_DEVICE = ("device_id", "sdk_version", "device_model", "os_version", "manufacturer")
_OF_APP = ("app_name", "app_version", "app_build", "app_id")
_DEVICE = (
    attribute("device_metadata.klaviyo_sdk", choices=_SDKS),
    attribute("device_metadata.os_name", choices=("android", "ios", "ipados", "macos", "tvos")),
    attribute("device_metadata.environment", choices=("debug", "release")),
    *(attribute(f"device_metadata.{name}") for name in (*_OF_DEVICE, *_OF_APP)),
)
_ANONYMOUS = "profile.anonymous_id"  # a token needs a person
CREATE_TOKEN = Template(
    name="create_push_token",
    summary="Store push tokens of people's devices, one per request.",
    path="/api/push-tokens",
    record={"type": "push-token", "attributes": {"profile": {"data": {"type": "profile"}}}},
    fields=(
        attribute("token", required=True, other_names=("push_token",), help="device token of APNs or FCM"),
        attribute("platform", required=True, choices=PLATFORMS),
        attribute("vendor", required=True, choices=VENDORS),
        attribute("enablement_status", choices=ENABLEMENT),
        attribute("background", choices=BACKGROUND),
        *_DEVICE,
        *(known for known in PROFILE_OF_ONE if known.name != _ANONYMOUS),
    ),
    identifiers=tuple(name for name in IDENTIFIERS if name != _ANONYMOUS),
    key=("token",),
    keep_empty=((*PERSON, "attributes"),),
    limits=Limits(1, 100 * KILOBYTE),
    quota=L,
    confirmed_by_reply=False,
    scopes=("profiles:write", "push-tokens:write"),
    notes=("An account without push refuses every call (403). Attributes of the profile are updated too.",),
)
_ITSELF = FieldSpec("token", ("id",), required=True, other_names=("id", "push_token"), help="the token itself")
# Klaviyo's API has no call that changes a token.
_BY_TOKEN = update_of(
    CREATE_TOKEN, "", _ITSELF, key=("token",), identifiers=(), record={"type": "push-token"}, limits=ONE_ROW, quota=S
)
DELETE_TOKEN = replace(
    delete_of(_BY_TOKEN, "Delete push tokens."), confirmed_by_reply=True, scopes=("push-tokens:write",)
)

TEMPLATES = (SUBSCRIBE, UNSUBSCRIBE, SUPPRESS, UNSUPPRESS, CREATE_TOKEN, DELETE_TOKEN)
