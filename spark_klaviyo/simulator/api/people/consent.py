"""Subscribing and unsubscribing: 202, no body, no job; and nothing says what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

from spark_klaviyo.simulator.api.people.lists import checked_list
from spark_klaviyo.simulator.api.people.push import keep_token
from spark_klaviyo.simulator.clock import read_time
from spark_klaviyo.simulator.errors import JsonObject
from spark_klaviyo.simulator.http.operation import Answer, Call, Operation, since
from spark_klaviyo.simulator.http.reading import refuse
from spark_klaviyo.simulator.rules import consent as shapes
from spark_klaviyo.simulator.rules.schema import Problem
from spark_klaviyo.simulator.state import consent
from spark_klaviyo.simulator.state.lists import SimulatedList

ROWS = ("data", "attributes", "profiles", "data")


def _purposes(row: JsonObject) -> Iterator[tuple[str, str, JsonObject]]:
    for channel, purposes in row["attributes"]["subscriptions"].items():
        for purpose, given in purposes.items():
            if isinstance(given, dict):
                yield channel, purpose, given


def bulk_subscribe_profiles(call: Call) -> Answer:
    """Subscribe up to 1,000; without list and `historical_import` a new email creates nothing (recorded 2026-09)."""
    attributes = call.body["data"]["attributes"]
    rows, historical = attributes["profiles"]["data"], bool(attributes.get("historical_import"))
    held = checked_list(call)
    refuse(_bad_dates(call, rows, historical=historical), call.account.switches)
    opt_in = call.account.switches.double_opt_in if held is None else held.opt_in_process == "double_opt_in"
    for row in rows:
        profile = call.account.profiles.prefer(row)
        if profile is None and (held is not None or historical) and (historical or not opt_in):
            profile = call.account.profiles.upsert_leniently(_bare(row), call.now)
        if profile is not None and (historical or not opt_in):
            _subscribe(call, profile, row, held, attributes.get("custom_source"))
    return Answer(202)


def _bare(row: JsonObject) -> JsonObject:
    given = row["attributes"]
    return {"attributes": {key: given.get(key) for key in ("email", "phone_number")}}


def _subscribe(
    call: Call, profile: JsonObject, row: JsonObject, held: SimulatedList | None, source: str | None
) -> None:
    call.account.profiles.upsert_leniently({"id": profile["id"], **_bare(row)}, call.now)
    for channel, purpose, given in _purposes(row):
        name = "mobile_push" if channel == "push" else channel
        at = read_time(given["consented_at"]) if given.get("consented_at") else None
        record = profile["subscriptions"].get(name, {}).get(purpose)
        if record and record["consent"] == "SUBSCRIBED" and at is not None:
            continue  # recorded 2026-09: an earlier date is accepted, the present date stays
        consent.set_consent(profile, name, purpose, "SUBSCRIBED", call.now if at is None else at, call.now, source)
    for token in row["attributes"]["subscriptions"].get("push", {}).get("tokens") or []:
        keep_token(call, profile, token)
    if held is not None:
        held.add(profile["id"], call.now)
        if "marketing" in row["attributes"]["subscriptions"].get("email", {}):
            consent.lift_from_list(profile, held.id)


def _bad_dates(call: Call, rows: list[JsonObject], *, historical: bool) -> Iterator[Problem]:
    for index, row in enumerate(rows):
        for channel, purpose, given in _purposes(row):
            if purpose in ("open_tracking", "click_tracking"):
                continue
            detail = _bad_date(call, row, channel, purpose, given, historical=historical)
            if detail:
                path = (*ROWS, index, "attributes", "subscriptions", channel, purpose, "consented_at")
                yield Problem(path, detail)


def _bad_date(
    call: Call, row: JsonObject, channel: str, purpose: str, given: Mapping[str, Any], *, historical: bool
) -> str | None:
    text = given.get("consented_at")
    if not historical:
        # spec: consented_at depends on historical_import; wording unsettled
        return "'consented_at' is only allowed when 'historical_import' is true." if text else None
    at = read_time(text) if text else None
    if at is None:
        return "'consented_at' is required when 'historical_import' is true."
    if at > call.now:
        return "'consented_at' must be in the past."
    profile = call.account.profiles.prefer(row)
    record = profile["subscriptions"].get(channel, {}).get(purpose) if profile else None
    if not record or not record["consent_timestamp"]:
        return None
    present = read_time(record["consent_timestamp"]) or 0.0
    if record["consent"] == "SUBSCRIBED" and at > present:
        # recorded 2026-09: both sentences
        return f"backdated consent date [{_said(at)}] is after current subscription date [{_said(present)}]"
    if record["consent"] == "UNSUBSCRIBED" and at < present:
        return f"backdated consent date [{_said(at)}] is before current unsubscription date [{_said(present)}]"
    return None


def _said(moment: float) -> str:
    return str(datetime.fromtimestamp(int(moment), timezone.utc))


def bulk_unsubscribe_profiles(call: Call) -> Answer:
    """With a list, who is not on it is unsubscribed globally; unknown people are created first (spec)."""
    held = checked_list(call)
    for row in call.body["data"]["attributes"]["profiles"]["data"]:
        profile = call.account.profiles.prefer(row) or call.account.profiles.upsert_leniently(_bare(row), call.now)
        member = held is not None and profile["id"] in held
        for channel, purpose, _ in _purposes(row):
            name = "mobile_push" if channel == "push" else channel
            if member and held is not None and (channel, purpose) == ("email", "marketing"):
                suppressions = consent.email_marketing(profile)["list_suppressions"]
                suppressions.append({"list_id": held.id, "reason": "UNSUBSCRIBE", "timestamp": call.stamp})
            else:
                consent.set_consent(profile, name, purpose, "UNSUBSCRIBED", call.now, call.now)
        for token in row["attributes"]["subscriptions"].get("push", {}).get("tokens") or []:
            call.account.push_tokens.pop(token["token"], None)
        if member and held is not None:
            held.remove(profile["id"])
    return Answer(202)


_SCOPES = "lists:write profiles:write subscriptions:write"
OPERATIONS = (
    Operation(
        "bulk_subscribe_profiles",
        "POST",
        "/api/profile-subscription-bulk-create-jobs",
        "L",
        _SCOPES,
        bulk_subscribe_profiles,
        since("2026-10-15", shapes.subscribe_job(clicks=True), shapes.subscribe_job(clicks=False)),
        rows=ROWS,
        max_rows=1000,
    ),
    Operation(
        "bulk_unsubscribe_profiles",
        "POST",
        "/api/profile-subscription-bulk-delete-jobs",
        "L",
        _SCOPES,
        bulk_unsubscribe_profiles,
        since("2026-10-15", shapes.unsubscribe_job(clicks=True), shapes.unsubscribe_job(clicks=False)),
        rows=ROWS,
        max_rows=100,
    ),
)
