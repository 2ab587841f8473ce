"""`/api/track` and `/api/identify` as they lived: one event, or one profile, and the answer 1 or 0."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from typing import Any

from spark_klaviyo.simulator.errors import JsonObject
from spark_klaviyo.simulator.state.account import Account
from spark_klaviyo.simulator.state.events import add_event
from spark_klaviyo.simulator.state.profiles import TEXTS, IdentifierClash, UnknownProfile

LOCATION = ("address1", "address2", "city", "country", "region", "zip", "timezone", "latitude", "longitude")
MOVED = {
    "$email": "email",
    "$phone_number": "phone_number",
    "$id": "external_id",
    "email": "email",
    "phone_number": "phone_number",
}


def to_attributes(given: Mapping[str, Any]) -> JsonObject:
    """Old keys in today's places: `$email` → email, `$id` → external_id, `$city` → location, others → properties."""
    attributes: JsonObject = {"location": {}, "properties": {}}
    for key, value in given.items():
        bare = key.removeprefix("$")
        if key in MOVED:
            attributes[MOVED[key]] = value
        elif bare in TEXTS:
            attributes[bare] = value
        elif key.startswith("$") and bare in LOCATION:
            attributes["location"][bare] = value
        elif not key.startswith("$"):
            attributes["properties"][key] = value
    return attributes


def _read(text: str) -> JsonObject | None:
    try:
        document = json.loads(text if text.lstrip().startswith("{") else base64.b64decode(text, validate=False))
    except (ValueError, binascii.Error):
        return None
    return document if isinstance(document, dict) and document.get("token") else None


def _profile(account: Account, given: Mapping[str, Any]) -> JsonObject | None:
    attributes = to_attributes(given)
    if not any(attributes.get(key) for key in ("email", "phone_number", "external_id")):
        return None
    try:
        return account.profiles.upsert({"attributes": attributes}, account.clock.now(), clears=False)[0]
    except (IdentifierClash, UnknownProfile):
        return None


def track(account: Account, text: str) -> str:
    """One event; `$event_id` is its unique_id, `$value` its value, `time` in Unix seconds."""
    payload = _read(text)
    profile = _profile(account, payload.get("customer_properties") or {}) if payload else None
    if payload is None or profile is None or not payload.get("event"):
        return "0"
    properties = dict(payload.get("properties") or {})
    unique_id, value = properties.pop("$event_id", None), properties.pop("$value", None)
    moment = float(payload.get("time") or account.clock.now())
    attributes = {"properties": properties, "unique_id": unique_id, "value": value}
    add_event(account, profile, payload["event"], attributes, moment)
    return "1"


def identify(account: Account, text: str) -> str:
    """One profile."""
    payload = _read(text)
    return "1" if payload and _profile(account, payload.get("properties") or {}) else "0"


TRACKS: dict[str, Callable[[Account, str], str]] = {"/api/track": track, "/api/identify": identify}
