"""Single profiles: upsert, create, update, read; merging and deleting."""

from __future__ import annotations

from spark_klaviyo.simulator.errors import JsonObject, bad_request, conflict, not_found
from spark_klaviyo.simulator.http.documents import collection, profile_resource, self_link, single
from spark_klaviyo.simulator.http.operation import Answer, Call, Operation, always, since
from spark_klaviyo.simulator.http.queries import EQUALS, page, page_size, read_filter
from spark_klaviyo.simulator.rules import profiles as shapes
from spark_klaviyo.simulator.state import consent
from spark_klaviyo.simulator.state.profiles import IdentifierClash, UnknownProfile, patch_properties

PROFILE_FIELDS = {
    "id": EQUALS,
    "email": EQUALS,
    "phone_number": EQUALS,
    "external_id": EQUALS,
    "_kx": ("equals",),
    "created": ("greater-than", "less-than"),
    "updated": ("greater-than", "less-than"),
}
INDEXED = ("id", "email", "phone_number", "external_id")


def no_profile(profile_id: str) -> Exception:
    """recorded 2026-03."""
    return not_found(f"A profile with id {profile_id} does not exist.")


def duplicate(other: str) -> Exception:
    """recorded 2026-09: 409 with the profile that stands in the way."""
    detail = "A profile already exists with one of these identifiers."
    return conflict("/data/attributes", detail, "duplicate_profile", {"duplicate_profile_id": other})


def find_profile(call: Call, profile_id: str) -> JsonObject:
    """A profile by id; a merged one goes on answering for its destination (recorded 2026-09)."""
    held = call.account.profiles.by_id.get(call.account.merged.get(profile_id, profile_id))
    if held is None:
        raise no_profile(profile_id)
    return held


def create_or_update_profile(call: Call) -> Answer:
    """201 created, 200 updated; null clears."""
    try:
        profile, new = call.account.profiles.upsert(call.body["data"], call.now, clears=True)
    except IdentifierClash as clash:
        raise duplicate(clash.other) from clash
    except UnknownProfile as unknown:
        raise no_profile(unknown.profile_id) from unknown
    return single(call, 201 if new else 200, profile_resource(call, profile, fresh=new))


def create_profile(call: Call) -> Answer:
    """201, or 409 where one of the identifiers is taken."""
    row = call.body["data"]
    try:
        held = call.account.profiles.find(None, row["attributes"])
    except IdentifierClash as clash:
        raise duplicate(clash.other) from clash
    if held is not None:
        raise duplicate(held["id"])
    profile, _ = call.account.profiles.upsert(row, call.now, clears=True)
    return single(call, 201, profile_resource(call, profile, fresh=True))


def update_profile(call: Call) -> Answer:
    """200; the id of the path must be that of the body."""
    row = call.body["data"]
    profile = find_profile(call, call.params["id"])
    if row["id"] != call.params["id"]:
        raise bad_request("/data/id", "The id in the body does not match the id in the path.")
    try:
        call.account.profiles.find(profile["id"], row["attributes"])
    except IdentifierClash as clash:
        raise duplicate(clash.other) from clash
    call.account.profiles.change(profile, row["attributes"], call.now, clears=True)
    patch_properties(profile, (row.get("meta") or {}).get("patch_properties") or {})
    return single(call, 200, profile_resource(call, profile))


def get_profile(call: Call) -> Answer:
    """One profile."""
    profile = find_profile(call, call.params["id"])
    return single(call, 200, profile_resource(call, profile, talk="conversations", more=_more(call, profile)))


def _more(call: Call, profile: JsonObject) -> JsonObject:
    asked = call.query.get("additional-fields[profile]", "")
    more: JsonObject = {"subscriptions": consent.shown(profile)} if "subscriptions" in asked else {}
    return {**more, "predictive_analytics": {}} if "predictive_analytics" in asked else more


def get_profiles(call: Call) -> Answer:
    """Profiles by identifiers or all of them, 100 a page at most."""
    conditions = read_filter(call, PROFILE_FIELDS)
    store = call.account.profiles
    found = list(store.by_id.values()) if not conditions else None
    for condition in conditions:
        if condition.field in INDEXED:
            values = condition.value if condition.operator == "any" else [condition.value]
            fitting = store.matching(condition.field, [value for value in values if isinstance(value, str)])
        else:
            fitting = [profile for profile in store.by_id.values() if condition.holds(profile.get(condition.field))]
        found = fitting if found is None else [profile for profile in found if profile in fitting]
    rows, following = page(call, found or [], page_size(call, 20, 100, "profile"))
    documents = [profile_resource(call, profile, talk="conversations", more=_more(call, profile)) for profile in rows]
    return collection(call, documents, following)


def merge_profiles(call: Call) -> Answer:
    """recorded 2026-09: 202 (the spec says 201) with the destination's id and empty attributes."""
    account, row = call.account, call.body["data"]
    sources = [entry["id"] for entry in row["relationships"]["profiles"]["data"]]
    if len(sources) != 1:
        raise bad_request("/data/relationships/profiles/data", "Exactly one source profile must be given.")
    destination, source = find_profile(call, row["id"]), account.profiles.by_id.get(sources[0])
    if source is None:
        raise no_profile(sources[0])
    if source is not destination:
        _merge(call, source, destination)
    document = {
        "type": "profile",
        "id": row["id"],
        "attributes": {},
        "links": {"self": self_link(call, "profile", row["id"])},
    }
    return single(call, 202, document)


def _merge(call: Call, source: JsonObject, destination: JsonObject) -> None:
    account = call.account
    for held in account.lists.values():
        if source["id"] in held:
            held.add(destination["id"], call.now)
    for event in account.events:
        if event["profile_id"] == source["id"]:
            event["profile_id"] = destination["id"]
    given = {name: source[name] for name in INDEXED[1:] if source[name] and not destination[name]}
    properties = {name: value for name, value in source["properties"].items() if name not in destination["properties"]}
    account.drop_profile(source)
    account.profiles.change(destination, {**given, "properties": properties}, call.now, clears=False)
    account.merged[source["id"]] = destination["id"]


def request_profile_deletion(call: Call) -> Answer:
    """202 and no job; every profile that matches is removed. A missing one is 404 (recorded 2026-09)."""
    row = call.body["data"]["attributes"]["profile"]["data"]
    named = {"id": row.get("id"), **row["attributes"]}
    given = [(field, value) for field, value in named.items() if value]
    if len(given) != 1:
        pointer = "/data/attributes/profile/data/attributes"
        raise bad_request(pointer, "Exactly one of 'id', 'email' or 'phone_number' must be given.")
    field, value = given[0]
    found = call.account.profiles.matching(field, [value])
    if not found:
        # recorded 2026-09: two blanks before The
        raise not_found(f'No profile with {field} "{value}" found.  The profile may have already been deleted.')
    for profile in found:
        call.account.deleted.append(dict(profile))
        call.account.drop_profile(profile)
    return Answer(202)


_KEEP = "profiles:write"
_REVISION = "2026-01-15"  # anonymous_id removed from profile payloads

OPERATIONS = (
    Operation(
        "create_or_update_profile", "POST", "/api/profile-import", "L", _KEEP, create_or_update_profile,
        since(_REVISION, shapes.upsert(anonymous=False), shapes.upsert(anonymous=True)), max_bytes=100_000,
    ),
    Operation(
        "create_profile", "POST", "/api/profiles", "L", _KEEP, create_profile,
        since(_REVISION, shapes.create(anonymous=False), shapes.create(anonymous=True)), max_bytes=100_000,
    ),
    Operation(
        "update_profile", "PATCH", "/api/profiles/{id}", "L", _KEEP, update_profile,
        since(_REVISION, shapes.update(anonymous=False), shapes.update(anonymous=True)), max_bytes=100_000,
    ),
    Operation("get_profiles", "GET", "/api/profiles", "L", "profiles:read", get_profiles),
    Operation("get_profile", "GET", "/api/profiles/{id}", "L", "profiles:read", get_profile),
    Operation("merge_profiles", "POST", "/api/profile-merge", "M", _KEEP, merge_profiles, always(shapes.MERGE)),
    Operation(
        "request_profile_deletion", "POST", "/api/data-privacy-deletion-jobs", "S", "data-privacy:write",
        request_profile_deletion, always(shapes.DELETION),
    ),
)  # fmt: skip
