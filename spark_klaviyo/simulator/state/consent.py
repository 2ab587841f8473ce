"""Consent and suppression of a profile, kept in the shape that reads show."""

from __future__ import annotations

from copy import deepcopy

from spark_klaviyo.simulator.clock import iso
from spark_klaviyo.simulator.errors import JsonObject

LIFTED_BY_SUBSCRIBING = ("UNSUBSCRIBE", "SPAM_COMPLAINT", "USER_SUPPRESSED")  # spec: bulk_subscribe_profiles
TRACKING: JsonObject = {
    "consent": "NEVER_SUBSCRIBED",
    "consent_timestamp": None,
    "last_updated": None,
    "created_timestamp": None,
    "metadata": None,
    "can_receive": False,
    "valid_until": None,
}


def _channel(flag: str) -> JsonObject:
    return {
        flag: False,
        "consent": "NEVER_SUBSCRIBED",
        "consent_timestamp": None,
        "method": None,
        "method_detail": None,
        "last_updated": None,
    }


def blank(channel: str, purpose: str) -> JsonObject:
    """What a profile shows that never consented (recorded 2026-09)."""
    if purpose in ("open_tracking", "click_tracking"):
        return dict(TRACKING)
    if channel == "email":
        return {
            "can_receive_email_marketing": True,
            "consent": "NEVER_SUBSCRIBED",
            "consent_timestamp": None,
            "last_updated": None,
            "method": None,
            "method_detail": None,
            "custom_method_detail": None,
            "double_optin": None,
            "suppression": [],
            "list_suppressions": [],
        }
    if channel == "mobile_push":
        return {"can_receive_push_marketing": False, "consent": "NEVER_SUBSCRIBED", "consent_timestamp": None}
    return _channel(f"can_receive_{channel}_{purpose}")


def channel(profile: JsonObject, name: str, purpose: str) -> JsonObject:
    """The stored record of one channel and purpose, made where missing."""
    held: JsonObject = profile["subscriptions"].setdefault(name, {})
    if purpose not in held:
        held[purpose] = blank(name, purpose)
    record: JsonObject = held[purpose]
    return record


def email_marketing(profile: JsonObject) -> JsonObject:
    """The record that suppressions belong to."""
    return channel(profile, "email", "marketing")


def set_consent(
    profile: JsonObject, name: str, purpose: str, consent: str, at: float, now: float, source: str | None = None
) -> None:
    """SUBSCRIBED or UNSUBSCRIBED, since `at`; the email channel drops or gains suppressions with it."""
    record = channel(profile, name, purpose)
    record["consent"] = consent
    record["consent_timestamp"] = iso(at, fraction=False)
    if "last_updated" in record:
        record["last_updated"] = iso(now)
    if "method" in record and consent == "SUBSCRIBED":
        record["method"] = "API"
    if source is not None and "custom_method_detail" in record:
        record["custom_method_detail"] = source
    if (name, purpose) == ("email", "marketing"):
        if consent == "SUBSCRIBED":
            lift(profile, LIFTED_BY_SUBSCRIBING)
        else:
            suppress(profile, "UNSUBSCRIBE", now)
    elif (flag := next((key for key in record if key.startswith("can_receive")), None)) is not None:
        record[flag] = consent == "SUBSCRIBED"


def suppress(profile: JsonObject, reason: str, now: float) -> None:
    """Add a suppression reason, once."""
    record = email_marketing(profile)
    if all(entry["reason"] != reason for entry in record["suppression"]):
        record["suppression"].append({"reason": reason, "timestamp": iso(now)})
    record["can_receive_email_marketing"] = False


def lift(profile: JsonObject, reasons: tuple[str, ...]) -> None:
    """Take suppression reasons away (unsuppress lifts only USER_SUPPRESSED)."""
    record = email_marketing(profile)
    record["suppression"] = [entry for entry in record["suppression"] if entry["reason"] not in reasons]
    record["can_receive_email_marketing"] = not record["suppression"]


def lift_from_list(profile: JsonObject, list_id: str) -> None:
    """Take the suppressions of one list away; unsettled: what subscribing does to those of other lists."""
    record = email_marketing(profile)
    record["list_suppressions"] = [one for one in record["list_suppressions"] if one["list_id"] != list_id]


def is_suppressed(profile: JsonObject, reason: str = "USER_SUPPRESSED") -> bool:
    """Whether a reason stands on the profile."""
    held = profile["subscriptions"].get("email", {}).get("marketing")
    return held is not None and any(entry["reason"] == reason for entry in held["suppression"])


def shown(profile: JsonObject) -> JsonObject:
    """`additional-fields[profile]=subscriptions`, every channel filled in (recorded 2026-09)."""
    whole: JsonObject = {
        "email": {purpose: blank("email", purpose) for purpose in ("marketing", "open_tracking", "click_tracking")},
        "sms": {purpose: blank("sms", purpose) for purpose in ("marketing", "transactional")},
        "mobile_push": {"marketing": blank("mobile_push", "marketing")},
        "whatsapp": None,
    }
    for name, purposes in profile["subscriptions"].items():
        whole[name] = {**(whole[name] or {}), **deepcopy(purposes)}
    return whole
