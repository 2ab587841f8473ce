"""The v1/v2 calls that wanted a private key: lists and their members, people, deletion."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from spark_klaviyo.simulator.clock import iso
from spark_klaviyo.simulator.errors import JsonObject
from spark_klaviyo.simulator.legacy.track import to_attributes
from spark_klaviyo.simulator.state import consent
from spark_klaviyo.simulator.state.account import Account
from spark_klaviyo.simulator.state.lists import SimulatedList
from spark_klaviyo.simulator.state.profiles import IdentifierClash, UnknownProfile

CHECKS = 100  # retired SDKs: at most 100 identifiers checked in a call
PAGE = 1000
LegacyCall: TypeAlias = Callable[[Account, JsonObject, tuple[str, ...]], tuple[int, Any]]


class LegacyRefused(Exception):
    """A plain refusal: a status and one sentence."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def _list(account: Account, groups: tuple[str, ...]) -> SimulatedList:
    held = account.lists.get(groups[0])
    if held is None:
        raise LegacyRefused(404, f"{groups[0]} is not a valid list id.")
    return held


def _rows(account: Account, given: JsonObject) -> list[Mapping[str, Any]]:
    rows = given.get("profiles")
    if isinstance(rows, Mapping):
        rows = [rows]
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise LegacyRefused(400, "profiles must be a list of objects.")
    cap = account.switches.legacy_most_rows
    if cap is not None and len(rows) > cap:
        raise LegacyRefused(400, f"At most {cap} profiles are allowed in a request.")
    for row in rows:
        email, phone = row.get("email"), row.get("phone_number")
        if not (email or phone or row.get("push_token")):
            raise LegacyRefused(400, "email, phone_number or push_token is required.")
        if email and ("@" not in str(email) or any(letter.isspace() for letter in str(email))):
            raise LegacyRefused(400, f"{email} is not a valid email.")
    return rows


def _store(account: Account, held: SimulatedList, given: JsonObject, *, subscribe: bool) -> tuple[int, Any]:
    now, answer = account.clock.now(), []
    for row in _rows(account, given):
        attributes = to_attributes(
            {key: value for key, value in row.items() if key not in ("$consent", "sms_consent", "push_token")}
        )
        try:
            profile, _ = account.profiles.upsert({"attributes": attributes}, now, clears=False)
        except (IdentifierClash, UnknownProfile):
            continue
        held.add(profile["id"], now)
        if subscribe:
            _subscribe(profile, row, now)
        named = ("email", "phone_number") if subscribe else ("email",) if row.get("email") else ("phone_number",)
        answer.append({"id": profile["id"], **{name: profile[name] for name in named}})
    return 200, answer


def _subscribe(profile: JsonObject, row: Mapping[str, Any], now: float) -> None:
    if profile["email"]:
        consent.set_consent(profile, "email", "marketing", "SUBSCRIBED", now, now)
    if profile["phone_number"] and row.get("sms_consent"):  # needed to opt a phone in
        consent.set_consent(profile, "sms", "marketing", "SUBSCRIBED", now, now)


def add_members(account: Account, given: JsonObject, groups: tuple[str, ...]) -> tuple[int, Any]:
    """Ignores opt-in settings, like a CSV upload; 200 with an id for each."""
    return _store(account, _list(account, groups), given, subscribe=False)


def subscribe(account: Account, given: JsonObject, groups: tuple[str, ...]) -> tuple[int, Any]:
    """Obeys opt-in: `[]` under double opt-in."""
    held = _list(account, groups)
    if held.opt_in_process == "double_opt_in":
        _rows(account, given)
        return 200, []
    return _store(account, held, given, subscribe=True)


def _named(account: Account, given: JsonObject) -> Iterable[JsonObject]:
    for plural, field in (("emails", "email"), ("phone_numbers", "phone_number")):
        values = given.get(plural) or []
        yield from account.profiles.matching(field, [values] if isinstance(values, str) else values)


def remove_members(account: Account, given: JsonObject, groups: tuple[str, ...]) -> tuple[int, Any]:
    """200 with an empty body."""
    held = _list(account, groups)
    for profile in _named(account, given):
        held.remove(profile["id"])
    return 200, None


def unsubscribe(account: Account, given: JsonObject, groups: tuple[str, ...]) -> tuple[int, Any]:
    """Off the list and unsubscribed; 200 with an empty body."""
    held, now = _list(account, groups), account.clock.now()
    for profile in _named(account, given):
        held.remove(profile["id"])
        consent.set_consent(profile, "email", "marketing", "UNSUBSCRIBED", now, now)
    return 200, None


def check_members(account: Account, given: JsonObject, groups: tuple[str, ...]) -> tuple[int, Any]:
    """Which of at most 100 identifiers are members."""
    held = _list(account, groups)
    if len(given.get("emails") or []) + len(given.get("phone_numbers") or []) > CHECKS:
        raise LegacyRefused(400, f"At most {CHECKS} identifiers can be checked in a request.")
    found = [profile for profile in _named(account, given) if profile["id"] in held]
    return 200, [
        {"id": row["id"], "email": row["email"], "created": iso(row["created"], fraction=False)} for row in found
    ]


def all_members(account: Account, given: JsonObject, groups: tuple[str, ...]) -> tuple[int, Any]:
    """Pages with a `marker`."""
    members, start = _list(account, groups).members, int(given.get("marker") or 0)
    records = [
        {"id": row["id"], "email": row["email"], "phone_number": row["phone_number"]}
        for row in members[start : start + PAGE]
    ]
    return 200, {"records": records, **({"marker": start + PAGE} if len(members) > start + PAGE else {})}


def exclusions(account: Account, _given: JsonObject, groups: tuple[str, ...]) -> tuple[int, Any]:
    """Members that are suppressed, and globally excluded emails."""
    emails = [row["email"] for row in _list(account, groups).members if consent.is_suppressed(row)]
    named = dict.fromkeys([*emails, *account.excluded])
    return 200, {
        "records": [
            {"email": email, "reason": "manually_excluded", "timestamp": iso(account.clock.now())} for email in named
        ]
    }


def create_list(account: Account, given: JsonObject, _groups: tuple[str, ...]) -> tuple[int, Any]:
    """200 `{"list_id"}`."""
    list_id = f"Old{account.number('list'):03d}"
    account.lists[list_id] = SimulatedList(
        list_id, str(given.get("list_name")), account.profiles.by_id, account.clock.now()
    )
    return 200, {"list_id": list_id}


def all_lists(account: Account, _given: JsonObject, _groups: tuple[str, ...]) -> tuple[int, Any]:
    """200 `[{"list_id", "list_name"}]`."""
    return 200, [{"list_id": held.id, "list_name": held.name} for held in account.lists.values()]


def get_list(account: Account, _given: JsonObject, groups: tuple[str, ...]) -> tuple[int, Any]:
    """200 `{"list_name"}`."""
    held = _list(account, groups)
    return 200, {"list_name": held.name, "created": iso(held.created, fraction=False)}


def rename_list(account: Account, given: JsonObject, groups: tuple[str, ...]) -> tuple[int, Any]:
    """200 with an empty string."""
    _list(account, groups).name = str(given.get("list_name"))
    return 200, ""


def delete_list(account: Account, _given: JsonObject, groups: tuple[str, ...]) -> tuple[int, Any]:
    """200 with an empty string."""
    del account.lists[_list(account, groups).id]
    return 200, ""


def search(account: Account, given: JsonObject, _groups: tuple[str, ...]) -> tuple[int, Any]:
    """One profile's id by email, phone_number or external_id."""
    for field in ("email", "phone_number", "external_id"):
        for profile in account.profiles.matching(field, [given[field]]) if given.get(field) else []:
            return 200, {"id": profile["id"]}
    raise LegacyRefused(404, "There is no profile matching the given parameters")


def delete_person(account: Account, given: JsonObject, _groups: tuple[str, ...]) -> tuple[int, Any]:
    """202; exactly one of email, phone_number, person_id."""
    named = [
        (field, given[key])
        for key, field in (("email", "email"), ("phone_number", "phone_number"), ("person_id", "id"))
        if given.get(key)
    ]
    if len(named) != 1:
        raise LegacyRefused(400, "Exactly one of email, phone_number or person_id is required.")
    found = account.profiles.matching(named[0][0], [named[0][1]])
    if not found:
        raise LegacyRefused(404, "There is no profile matching the given parameters")
    for profile in found:
        account.deleted.append(dict(profile))
        account.drop_profile(profile)
    return 202, {"results": "Submitted new deletion task for customer."}


def _person(account: Account, groups: tuple[str, ...]) -> JsonObject:
    profile = account.profiles.by_id.get(groups[0])
    if profile is None:
        raise LegacyRefused(404, f"There is no person with the id {groups[0]}.")
    return profile


def get_person(account: Account, _given: JsonObject, groups: tuple[str, ...]) -> tuple[int, Any]:
    """The person, standard fields with a `$`."""
    profile = _person(account, groups)
    standard = {
        f"${name}": profile[name]
        for name in ("email", "phone_number", "first_name", "last_name", "title", "organization")
    }
    return 200, {"object": "person", "id": profile["id"], **standard, **profile["properties"]}


def put_person(account: Account, given: JsonObject, groups: tuple[str, ...]) -> tuple[int, Any]:
    """Attributes as query parameters; `$unset` a JSON list of properties."""
    profile = _person(account, groups)
    attributes = to_attributes({key: value for key, value in given.items() if key not in ("api_key", "$unset")})
    account.profiles.change(profile, attributes, account.clock.now(), clears=False)
    for name in json.loads(given.get("$unset") or "[]"):
        profile["properties"].pop(name, None)
    return get_person(account, given, groups)


def exclude(account: Account, given: JsonObject, _groups: tuple[str, ...]) -> tuple[int, Any]:
    """Global exclusion of an email."""
    account.excluded.add(str(given.get("email")))
    return 200, {"already_excluded": False}


_LIST = r"/api/v2/list/([^/]+)"
CALLS: tuple[tuple[str, str, LegacyCall], ...] = (
    ("POST", f"{_LIST}/members", add_members),
    ("DELETE", f"{_LIST}/members", remove_members),
    ("GET", f"{_LIST}/members", check_members),
    ("POST", f"{_LIST}/get-members", check_members),
    ("POST", f"{_LIST}/subscribe", subscribe),
    ("DELETE", f"{_LIST}/subscribe", unsubscribe),
    ("GET", f"{_LIST}/exclusions/all", exclusions),
    ("GET", r"/api/v2/group/([^/]+)/members/all", all_members),
    ("POST", "/api/v2/lists", create_list),
    ("GET", "/api/v2/lists", all_lists),
    ("GET", _LIST, get_list),
    ("PUT", _LIST, rename_list),
    ("DELETE", _LIST, delete_list),
    ("GET", "/api/v2/people/search", search),
    ("POST", "/api/v2/data-privacy/deletion-request", delete_person),
    ("GET", r"/api/v1/person/([^/]+)", get_person),
    ("PUT", r"/api/v1/person/([^/]+)", put_person),
    ("POST", "/api/v1/people/exclusions", exclude),
)
