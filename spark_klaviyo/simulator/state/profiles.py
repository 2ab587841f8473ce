"""The account's profiles, with an index for each identifier, and the upsert that every endpoint shares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from spark_klaviyo.simulator.errors import JsonObject

TEXTS = ("first_name", "last_name", "organization", "locale", "title", "image")
BLANK: JsonObject = {
    "email": None,
    "phone_number": None,
    "external_id": None,
    "anonymous_id": None,
    **dict.fromkeys(TEXTS),
    "created": 0.0,
    "updated": 0.0,
    "last_event_date": None,
}


class IdentifierClash(Exception):
    """Two identifiers of one row belong to two profiles; `other` is the id of the one that stands in the way."""

    def __init__(self, other: str) -> None:
        super().__init__("identifiers of two profiles")
        self.other = other


class UnknownProfile(Exception):
    """A row names a profile id that does not exist."""

    def __init__(self, profile_id: str) -> None:
        super().__init__("no such profile")
        self.profile_id = profile_id


class ProfileStore:
    """Profiles by id, email (case-insensitive), phone and external_id. Not locked: the gate holds the lock."""

    def __init__(self) -> None:
        self.by_id: dict[str, JsonObject] = {}
        self.by_email: dict[str, JsonObject] = {}
        self.by_phone: dict[str, JsonObject] = {}
        self.by_external: dict[str, JsonObject] = {}
        self._made = 0

    def new_id(self) -> str:
        """26 characters, like a ULID."""
        self._made += 1
        return f"01M2ZK7Q3X{self._made:016d}"

    def find(self, profile_id: str | None, given: Mapping[str, Any]) -> JsonObject | None:
        """The profile a row means: by id, then email, phone, external_id; raises where they disagree.

        Matching order and the clash: section on upserts (409 single, import error in bulk).
        """
        found = None
        if profile_id:
            found = self.by_id.get(profile_id)
            if found is None:
                raise UnknownProfile(profile_id)
        email, phone, external = given.get("email"), given.get("phone_number"), given.get("external_id")
        for match in (
            self.by_email.get(email.lower()) if email else None,
            self.by_phone.get(phone) if phone else None,
            self.by_external.get(external) if external else None,
        ):
            if match is not None and found is None:
                found = match
            elif match is not None and match is not found:
                raise IdentifierClash(match["id"])
        return found

    def prefer(self, row: Mapping[str, Any]) -> JsonObject | None:
        """The profile a row means, the first identifier winning where they disagree."""
        given = row["attributes"]
        for index, key in (
            (self.by_id, row.get("id")),
            (self.by_email, (given.get("email") or "").lower()),
            (self.by_phone, given.get("phone_number")),
            (self.by_external, given.get("external_id")),
        ):
            if key and key in index:
                return index[key]
        return None

    def upsert_leniently(self, row: Mapping[str, Any], now: float) -> JsonObject:
        """Create or change; identifiers that belong to somebody else are left out, as where no job could say so."""
        held = self.prefer(row)
        attributes = dict(row["attributes"])
        for key, name in _INDEXED.items():
            value = attributes.get(key)
            owner = getattr(self, name).get(value.lower() if key == "email" else value) if value else None
            if owner is not None and owner is not held:
                del attributes[key]
        known = {"id": held["id"]} if held else {}
        return self.upsert({"attributes": attributes, "meta": row.get("meta"), **known}, now, clears=False)[0]

    def create(self, now: float) -> JsonObject:
        """A new profile without any identifier yet."""
        profile = {
            "id": self.new_id(),
            **BLANK,
            "created": now,
            "updated": now,
            "location": {},
            "properties": {},
            "subscriptions": {},
        }
        self.by_id[profile["id"]] = profile
        return profile

    def upsert(self, row: Mapping[str, Any], now: float, *, clears: bool) -> tuple[JsonObject, bool]:
        """Create or change a profile from a resource object; True where it is new.

        `clears`: null clears a field (single endpoints); False: null is ignored (bulk import).
        """
        given = row["attributes"]
        profile = self.find(row.get("id"), given)
        new = profile is None
        if profile is None:
            profile = self.create(now)
        self.change(profile, given, now, clears=clears)
        meta = row.get("meta") or given.get("meta")
        if meta:
            patch_properties(profile, meta.get("patch_properties") or {})
        return profile, new

    def change(self, profile: JsonObject, given: Mapping[str, Any], now: float, *, clears: bool) -> None:
        """Write attributes into a profile and keep the indexes true."""
        for key, value in given.items():
            if value is None and not clears:
                continue
            if key == "properties" or key == "location":
                _merge(profile[key], value, clears=clears)
            elif key in _INDEXED:
                self._identify(profile, key, value)
            elif key in BLANK:
                profile[key] = value
        profile["updated"] = now

    def _identify(self, profile: JsonObject, key: str, value: str | None) -> None:
        index: dict[str, JsonObject] = getattr(self, _INDEXED[key])
        old = profile[key]
        if old == value:
            return
        if old:
            index.pop(old.lower() if key == "email" else old, None)
        profile[key] = value
        if value:
            index[value.lower() if key == "email" else value] = profile

    def remove(self, profile: JsonObject) -> None:
        """Forget a profile and its identifiers."""
        self.by_id.pop(profile["id"], None)
        for key in _INDEXED:
            self._identify(profile, key, None)

    def matching(self, field: str, values: Iterable[str]) -> list[JsonObject]:
        """Profiles whose identifier `field` is one of `values`, in that order, none twice."""
        index: dict[str, JsonObject] = self.by_id if field == "id" else getattr(self, _INDEXED[field])
        found = {value: index.get(value.lower() if field == "email" else value) for value in values}
        return list({profile["id"]: profile for profile in found.values() if profile is not None}.values())


_INDEXED = {"email": "by_email", "phone_number": "by_phone", "external_id": "by_external"}


def _merge(kept: JsonObject, given: Mapping[str, Any] | None, *, clears: bool) -> None:
    """Merge top-level keys; a null key is dropped where nulls clear."""
    if given is None:
        kept.clear()
        return
    if None not in given.values():
        kept.update(given)
        return
    for key, value in given.items():
        if value is not None:
            kept[key] = value
        elif clears:
            kept.pop(key, None)


def patch_properties(profile: JsonObject, patch: Mapping[str, Any]) -> None:
    """Apply append, then unappend, then unset (recorded 2026-09: append puts the new value first)."""
    kept = profile["properties"]
    for key, value in (patch.get("append") or {}).items():
        kept[key] = _as_list(value) + _as_list(kept.get(key))
    for key, value in (patch.get("unappend") or {}).items():
        if isinstance(kept.get(key), list):
            gone = _as_list(value)
            kept[key] = [item for item in kept[key] if item not in gone]
    for key in _as_list(patch.get("unset")):
        kept.pop(key, None)


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]
