"""Shapes of subscribing and unsubscribing."""

from __future__ import annotations

from typing import Any

from spark_klaviyo.simulator.rules.build import link, many, one, relations, resource
from spark_klaviyo.simulator.rules.profiles import EMAIL, PHONE, TOKEN_FIELDS, identified
from spark_klaviyo.simulator.rules.schema import Flag, Many, Problem, Problems, Spec, Text, Thing

CHANNELS = {"email": ("marketing",), "sms": ("marketing", "transactional"), "whatsapp": ("marketing", "transactional")}
TOKEN = Thing("push-token", TOKEN_FIELDS, {"token", "platform", "vendor"})


def _purpose(consent: str, *, dated: bool) -> Thing:
    fields: dict[str, Spec] = {"consent": Text(choices=(consent,), nullable=False)}
    if dated:
        fields["consented_at"] = Text(moment=True)
    return Thing("subscriptions", fields, {"consent"})


def _channels(consent: str, *, dated: bool, clicks: bool, purposes: dict[str, tuple[str, ...]]) -> dict[str, Spec]:
    named: dict[str, dict[str, Spec]] = {
        channel: {purpose: _purpose(consent, dated=dated) for purpose in names} for channel, names in purposes.items()
    }
    for name in ("open_tracking", "click_tracking") if clicks else ("open_tracking",):
        named["email"][name] = _purpose(consent, dated=False)
    return {channel: Thing("subscriptions", fields) for channel, fields in named.items()}


def _job(
    kind: str, channels: dict[str, Spec], profile: dict[str, Spec], more: dict[str, Spec], *, id_allowed: bool
) -> Thing:
    subscriptions = Thing("subscriptions", channels)
    attributes = Thing(
        "profile", {"email": EMAIL, "phone_number": PHONE, "subscriptions": subscriptions, **profile}, {"subscriptions"}
    )
    row = resource(
        "profile", attributes, id="optional" if id_allowed else "", rules=(identified, identifier_fits_channel)
    )
    rows = Thing(kind, {"profiles": many(row, "profiles"), **more}, {"profiles"})
    return one(resource(kind, rows, relationships=relations(list=one(link("list"), "list"))))


def identifier_fits_channel(row: Any) -> Problems:
    """email for the email channel, phone_number for sms and whatsapp (public reports: the sentence)."""
    given = row["attributes"]
    found = []
    for channel, field in (("email", "email"), ("sms", "phone_number"), ("whatsapp", "phone_number")):
        if channel in given["subscriptions"] and not given.get(field) and not row.get("id"):
            detail = f"'{field}' must not be empty when the {channel} channel is included in 'subscriptions'."
            found.append(Problem(("attributes", field), detail))
    return found


def subscribe_job(*, clicks: bool) -> Thing:
    """spec: bulk_subscribe_profiles; revision 2026-10-15 adds email.click_tracking."""
    channels = _channels("SUBSCRIBED", dated=True, clicks=clicks, purposes=CHANNELS)
    push: dict[str, Spec] = {
        "marketing": _purpose("SUBSCRIBED", dated=True),
        "tokens": Many(TOKEN, nullable=True),
        "anonymous_id": Text(),
    }
    channels["push"] = Thing("subscriptions", push, {"marketing"})
    more: dict[str, Spec] = {"custom_source": Text(), "historical_import": Flag()}
    profile: dict[str, Spec] = {"age_gated_date_of_birth": Text(moment=True)}
    return _job("profile-subscription-bulk-create-job", channels, profile, more, id_allowed=True)


def unsubscribe_job(*, clicks: bool) -> Thing:
    """spec: bulk_unsubscribe_profiles: no consented_at, no id; whatsapp.conversational; push.tokens required."""
    purposes = {**CHANNELS, "whatsapp": ("marketing", "transactional", "conversational")}
    channels = _channels("UNSUBSCRIBED", dated=False, clicks=clicks, purposes=purposes)
    push: dict[str, Spec] = {"marketing": _purpose("UNSUBSCRIBED", dated=False), "tokens": Many(TOKEN)}
    channels["push"] = Thing("subscriptions", push, {"marketing", "tokens"})
    return _job("profile-subscription-bulk-delete-job", channels, {}, {}, id_allowed=False)
