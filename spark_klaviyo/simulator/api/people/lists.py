"""Lists: create, rename, delete, members."""

from __future__ import annotations

from spark_klaviyo.simulator.clock import iso
from spark_klaviyo.simulator.errors import JsonObject, Refused, bad_request, error, not_found
from spark_klaviyo.simulator.http.documents import collection, identifiers, profile_resource, relation, resource, single
from spark_klaviyo.simulator.http.operation import Answer, Call, Operation, always
from spark_klaviyo.simulator.http.queries import (
    AROUND,
    EQUALS,
    Condition,
    cursor,
    next_link,
    page,
    page_size,
    read_filter,
)
from spark_klaviyo.simulator.rules import profiles as shapes
from spark_klaviyo.simulator.rules.build import one
from spark_klaviyo.simulator.rules.build import resource as shape
from spark_klaviyo.simulator.rules.schema import Text, Thing
from spark_klaviyo.simulator.state import consent
from spark_klaviyo.simulator.state.lists import SimulatedList

MEMBER_FIELDS = {
    "email": EQUALS,
    "phone_number": EQUALS,
    "push_token": EQUALS,
    "_kx": ("equals",),
    "joined_group_at": AROUND,
}
LIST_FIELDS = {"name": EQUALS, "id": EQUALS, "created": ("greater-than",), "updated": ("greater-than",)}


def find_list(call: Call) -> SimulatedList:
    """The list of the path; recorded 2026-09: 404 `A list with id ... does not exist.`, also for malformed ids."""
    held = call.account.lists.get(call.params["id"])
    if held is None:
        raise not_found(f"A list with id `{call.params['id']}` does not exist.")
    return held


def list_resource(call: Call, held: SimulatedList, *, fresh: bool = False) -> JsonObject:
    """recorded 2026-09: `created` loses its fraction once stored."""
    attributes: JsonObject = {
        "name": held.name,
        "created": iso(held.created, fraction=fresh),
        "updated": iso(held.updated, fraction=fresh or held.updated != held.created),
        "opt_in_process": held.opt_in_process,
    }
    if "profile_count" in call.query.get("additional-fields[list]", ""):
        attributes["profile_count"] = len(held)
    named = ("profiles", "tags", "flow-triggers")
    return resource(call, "list", held.id, attributes, {name: relation(call, "list", held.id, name) for name in named})


def create_list(call: Call) -> Answer:
    """201; the id is six characters."""
    given = call.body["data"]["attributes"]
    list_id = f"Sim{call.account.number('list'):03d}"
    opt_in = given.get("opt_in_process") or "single_opt_in"
    held = SimulatedList(list_id, given["name"], call.account.profiles.by_id, call.now, opt_in)
    call.account.lists[list_id] = held
    return single(call, 201, list_resource(call, held, fresh=True))


def update_list(call: Call) -> Answer:
    """200 with the list."""
    held, given = find_list(call), call.body["data"]["attributes"]
    held.name = given.get("name") or held.name
    held.opt_in_process = given.get("opt_in_process") or held.opt_in_process
    held.updated = call.now
    return single(call, 200, list_resource(call, held))


def delete_list(call: Call) -> Answer:
    """204; its members stay profiles."""
    del call.account.lists[find_list(call).id]
    return Answer(204)


def get_list(call: Call) -> Answer:
    """One list."""
    return single(call, 200, list_resource(call, find_list(call)))


def get_lists(call: Call) -> Answer:
    """Ten a page at most."""
    conditions = read_filter(call, LIST_FIELDS)
    found = (
        held for held in list(call.account.lists.values()) if all(c.holds(getattr(held, c.field)) for c in conditions)
    )
    rows, following = page(call, found, page_size(call, 10, 10, "list"))
    answer = collection(call, [list_resource(call, held) for held in rows], following)
    if conditions and answer.document is not None:
        # recorded 2026-09: prev is set though this is the only page
        answer.document["links"]["prev"] = next_link(call, 0)
    return answer


def _members_named(call: Call) -> list[str]:
    ids = [entry["id"] for entry in call.body["data"]]
    unknown = [profile_id for profile_id in ids if profile_id not in call.account.profiles.by_id]
    if unknown:
        # production reports: pointer /data/
        detail = f"Invalid profile IDs: {', '.join(unknown)}"
        raise Refused(400, [error(400, "invalid", "Invalid input.", detail, {"pointer": "/data/"})])
    return ids


def add_members(call: Call) -> Answer:
    """204; consent is not touched."""
    held = find_list(call)
    for profile_id in _members_named(call):
        held.add(profile_id, call.now)
    return Answer(204)


def remove_members(call: Call) -> Answer:
    """204; removing a non-member is no error."""
    held = find_list(call)
    for profile_id in _members_named(call):
        held.remove(profile_id)
    return Answer(204)


def _page_of_members(call: Call) -> tuple[list[tuple[JsonObject, float]], str | None]:
    held, conditions = find_list(call), read_filter(call, MEMBER_FIELDS)
    size = page_size(call, 20, 100, "profile")
    rows: list[tuple[JsonObject, float]] = []
    last = 0
    for place, profile_id, joined in held.after(cursor(call)):
        profile = call.account.profiles.by_id[profile_id]
        if all(_fits(condition, profile, joined) for condition in conditions):
            if len(rows) == size:
                return rows, next_link(call, last)
            rows.append((profile, joined))
        last = place
    return rows, None


def _fits(condition: Condition, profile: JsonObject, joined: float) -> bool:
    if condition.field == "joined_group_at":
        return condition.holds(joined)
    value = profile.get(condition.field)
    if condition.field == "email" and value is not None:
        wanted = condition.value if isinstance(condition.value, list) else [condition.value]
        return value.lower() in {str(email).lower() for email in wanted}
    return condition.holds(value)


def get_member_ids(call: Call) -> Answer:
    """Ids of the members, 100 a page at most."""
    rows, following = _page_of_members(call)
    return collection(call, identifiers("profile", (profile["id"] for profile, _ in rows)), following)


def get_members(call: Call) -> Answer:
    """Members with attributes and `joined_group_at`."""
    rows, following = _page_of_members(call)
    documents = []
    for profile, joined in rows:
        more: JsonObject = {"joined_group_at": iso(joined, fraction=False)}
        if "subscriptions" in call.query.get("additional-fields[profile]", ""):
            more["subscriptions"] = consent.shown(profile)
        documents.append(profile_resource(call, profile, more=more))
    return collection(call, documents, following)


def checked_list(call: Call) -> SimulatedList | None:
    """The list of a consent job; recorded 2026-03: 400 at /data/relationships/list/data/id."""
    link = call.body["data"].get("relationships", {}).get("list", {}).get("data")
    if link is None:
        return None
    held = call.account.lists.get(link["id"])
    if held is None:
        raise bad_request("/data/relationships/list/data/id", f"List not found with id {link['id']}.")
    return held


_OPT_IN = Text(choices=("double_opt_in", "single_opt_in"))
_CREATE = one(shape("list", Thing("list", {"name": Text(nullable=False), "opt_in_process": _OPT_IN}, {"name"})))
_UPDATE = one(shape("list", Thing("list", {"name": Text(), "opt_in_process": _OPT_IN}), id="required"))
_MEMBERS = "/api/lists/{id}/relationships/profiles"
_BOTH = "lists:write profiles:write"

OPERATIONS = (
    Operation("create_list", "POST", "/api/lists", "M", "lists:write", create_list, always(_CREATE), per_day=150),
    Operation("update_list", "PATCH", "/api/lists/{id}", "M", "lists:write", update_list, always(_UPDATE)),
    Operation("delete_list", "DELETE", "/api/lists/{id}", "M", "lists:write", delete_list),
    Operation("get_lists", "GET", "/api/lists", "L", "lists:read", get_lists),
    Operation("get_list", "GET", "/api/lists/{id}", "L", "lists:read", get_list),
    Operation(
        "add_profiles_to_list",
        "POST",
        _MEMBERS,
        "M",
        _BOTH,
        add_members,
        always(shapes.MEMBERS),
        rows=("data",),
        max_rows=1000,
    ),
    Operation(
        "remove_profiles_from_list",
        "DELETE",
        _MEMBERS,
        "M",
        _BOTH,
        remove_members,
        always(shapes.MEMBERS),
        rows=("data",),
        max_rows=1000,
    ),
    Operation("get_profile_ids_for_list", "GET", _MEMBERS, "L", "lists:read profiles:read", get_member_ids),
    Operation("get_profiles_for_list", "GET", "/api/lists/{id}/profiles", "L", "lists:read profiles:read", get_members),
)
