"""Tags, tag groups, and what tags are put on."""

from __future__ import annotations

from functools import partial
from uuid import uuid4

from spark_klaviyo.simulator.errors import JsonObject, bad_request, not_found
from spark_klaviyo.simulator.http.documents import collection, identifiers, relation, resource, single
from spark_klaviyo.simulator.http.operation import Answer, Call, Operation, always
from spark_klaviyo.simulator.http.queries import page, page_size, read_filter
from spark_klaviyo.simulator.rules.build import link, one, relations
from spark_klaviyo.simulator.rules.build import resource as shape
from spark_klaviyo.simulator.rules.schema import Flag, Many, Text, Thing
from spark_klaviyo.simulator.state.account import DEFAULT_TAG_GROUP

TAGGED = ("lists", "segments", "campaigns", "flows")
MOST_TAGS, MOST_GROUPS, MOST_ON_ONE = 500, 50, 100  # spec: per account, and per list, segment, campaign, flow


def find_tag(call: Call) -> JsonObject:
    """recorded 2026-09."""
    held = call.account.tags.get(call.params["id"])
    if held is None:
        raise not_found(f"A tag with id {call.params['id']} does not exist.")
    return held


def find_group(call: Call, group_id: str) -> JsonObject:
    """recorded 2026-09: the tag service has its own code and title."""
    held = call.account.tag_groups.get(group_id)
    if held is None:
        raise not_found(f"Tag Group with id {group_id} not found", "tag_service_error", "Tag Service Error")
    return held


def tag_resource(call: Call, held: JsonObject) -> JsonObject:
    """name, and links to the group and everything tagged."""
    group = {"type": "tag-group", "id": held["tag_group"]}
    related = {"tag-group": relation(call, "tag", held["id"], "tag-group", group)}
    related.update({name: relation(call, "tag", held["id"], name) for name in TAGGED})
    return resource(call, "tag", held["id"], {"name": held["name"]}, related)


def group_resource(call: Call, held: JsonObject) -> JsonObject:
    """name, exclusive, default."""
    attributes = {name: held[name] for name in ("name", "exclusive", "default")}
    return resource(
        call, "tag-group", held["id"], attributes, {"tags": relation(call, "tag-group", held["id"], "tags")}
    )


def create_tag(call: Call) -> Answer:
    """201; recorded 2026-09: without a group the account's default one is attached."""
    row = call.body["data"]
    named = row.get("relationships", {}).get("tag-group", {}).get("data")
    group = find_group(call, named["id"] if named else DEFAULT_TAG_GROUP)
    if len(call.account.tags) >= MOST_TAGS:
        raise bad_request("/data", f"An account may have at most {MOST_TAGS} tags.")  # wording unsettled
    held = {
        "id": str(uuid4()),
        "name": row["attributes"]["name"],
        "tag_group": group["id"],
        **{name: [] for name in TAGGED},
    }
    call.account.tags[held["id"]] = held
    return single(call, 201, tag_resource(call, held))


def update_tag(call: Call) -> Answer:
    """204."""
    find_tag(call)["name"] = call.body["data"]["attributes"]["name"]
    return Answer(204)


def delete_tag(call: Call) -> Answer:
    """204."""
    del call.account.tags[find_tag(call)["id"]]
    return Answer(204)


def get_tag(call: Call) -> Answer:
    """One tag."""
    return single(call, 200, tag_resource(call, find_tag(call)))


def get_tags(call: Call) -> Answer:
    """50 a page."""
    conditions = read_filter(call, {"name": ("contains", "ends-with", "equals", "starts-with")})
    found = (held for held in call.account.tags.values() if all(c.holds(held["name"]) for c in conditions))
    rows, following = page(call, found, page_size(call, 50, 50, "tag"))
    return collection(call, [tag_resource(call, held) for held in rows], following)


def create_tag_group(call: Call) -> Answer:
    """201."""
    given = call.body["data"]["attributes"]
    if len(call.account.tag_groups) >= MOST_GROUPS:
        raise bad_request("/data", f"An account may have at most {MOST_GROUPS} tag groups.")  # wording unsettled
    held = {"id": str(uuid4()), "name": given["name"], "exclusive": bool(given.get("exclusive")), "default": False}
    call.account.tag_groups[held["id"]] = held
    return single(call, 201, group_resource(call, held))


def update_tag_group(call: Call) -> Answer:
    """204."""
    find_group(call, call.params["id"])["name"] = call.body["data"]["attributes"]["name"]
    return Answer(204)


def delete_tag_group(call: Call) -> Answer:
    """204; its tags go with it."""
    group_id = find_group(call, call.params["id"])["id"]
    if group_id == DEFAULT_TAG_GROUP:
        raise bad_request("/data", "The default tag group can not be deleted.")  # wording unsettled
    del call.account.tag_groups[group_id]
    for tag_id in [key for key, held in call.account.tags.items() if held["tag_group"] == group_id]:
        del call.account.tags[tag_id]
    return Answer(204)


def get_tag_groups(call: Call) -> Answer:
    """25 a page at most (recorded 2026-09)."""
    rows, following = page(call, call.account.tag_groups.values(), page_size(call, 25, 25, "tag-group"))
    return collection(call, [group_resource(call, held) for held in rows], following)


def put_on(kind: str, call: Call) -> Answer:
    """204; an exclusive group allows one of its tags on a resource, and set semantics make repeats harmless."""
    tag, ids = find_tag(call), [entry["id"] for entry in call.body["data"]]
    if kind == "lists":
        for list_id in ids:
            if list_id not in call.account.lists:
                raise not_found(f"A list with id `{list_id}` does not exist.")
    exclusive = call.account.tag_groups[tag["tag_group"]]["exclusive"]
    for resource_id in ids:
        on_it = [held for held in call.account.tags.values() if resource_id in held[kind] and held is not tag]
        if len(on_it) >= MOST_ON_ONE or (exclusive and any(held["tag_group"] == tag["tag_group"] for held in on_it)):
            raise bad_request("/data", "The resource can not take this tag.")  # wording unsettled
    tag[kind] = list(dict.fromkeys([*tag[kind], *ids]))
    return Answer(204)


def take_off(kind: str, call: Call) -> Answer:
    """204."""
    tag, ids = find_tag(call), {entry["id"] for entry in call.body["data"]}
    tag[kind] = [resource_id for resource_id in tag[kind] if resource_id not in ids]
    return Answer(204)


def get_tagged(kind: str, call: Call) -> Answer:
    """Ids of what a tag is on."""
    rows, following = page(call, find_tag(call)[kind], page_size(call, 100, 100, kind[:-1]))
    return collection(call, identifiers(kind[:-1], rows), following)


def get_tag_ids_for_list(call: Call) -> Answer:
    """Ids of the tags on a list."""
    found = [tag_id for tag_id, held in call.account.tags.items() if call.params["id"] in held["lists"]]
    return Answer(200, {"data": identifiers("tag", found), "links": {"self": call.base + call.target}})


def _links(kind: str) -> tuple[Operation, ...]:
    path, body = (
        f"/api/tags/{{id}}/relationships/{kind}",
        always(Thing("data", {"data": Many(link(kind[:-1]))}, {"data"})),
    )
    scopes = f"{kind}:write tags:write"
    return (
        Operation(f"tag_{kind}", "POST", path, "S", scopes, partial(put_on, kind), body),
        Operation(f"remove_tag_from_{kind}", "DELETE", path, "S", scopes, partial(take_off, kind), body),
        Operation(
            f"get_{kind[:-1]}_ids_for_tag", "GET", path, "S", f"{kind}:read tags:read", partial(get_tagged, kind)
        ),
    )


_NAME = Text(nullable=False)
_TAG = Thing("tag", {"name": _NAME}, {"name"})
_CREATE = one(shape("tag", _TAG, relationships=relations(tag_group=one(link("tag-group"), "tag-group"))))
_GROUP = Thing("tag-group", {"name": _NAME, "exclusive": Flag()}, {"name"})
_GROUP_UPDATE = Thing("tag-group", {"name": _NAME, "return_fields": Many(_NAME, nullable=True)}, {"name"})
_BOTH, _ONE, _ONE_GROUP = "tags:read tags:write", "/api/tags/{id}", "/api/tag-groups/{id}"

OPERATIONS = (
    Operation("create_tag", "POST", "/api/tags", "S", _BOTH, create_tag, always(_CREATE)),
    Operation("update_tag", "PATCH", _ONE, "S", _BOTH, update_tag, always(one(shape("tag", _TAG, id="required")))),
    Operation("delete_tag", "DELETE", _ONE, "S", _BOTH, delete_tag),
    Operation("get_tags", "GET", "/api/tags", "S", "tags:read", get_tags),
    Operation("get_tag", "GET", _ONE, "S", "tags:read", get_tag),
    Operation(
        "create_tag_group",
        "POST",
        "/api/tag-groups",
        "S",
        _BOTH,
        create_tag_group,
        always(one(shape("tag-group", _GROUP))),
    ),
    Operation(
        "update_tag_group",
        "PATCH",
        _ONE_GROUP,
        "S",
        _BOTH,
        update_tag_group,
        always(one(shape("tag-group", _GROUP_UPDATE, id="required"))),
    ),
    Operation("delete_tag_group", "DELETE", _ONE_GROUP, "S", _BOTH, delete_tag_group),
    Operation("get_tag_groups", "GET", "/api/tag-groups", "S", "tags:read", get_tag_groups),
    *(operation for kind in TAGGED for operation in _links(kind)),
    Operation(
        "get_tag_ids_for_list",
        "GET",
        "/api/lists/{id}/relationships/tags",
        "S",
        "lists:read tags:read",
        get_tag_ids_for_list,
    ),
)
