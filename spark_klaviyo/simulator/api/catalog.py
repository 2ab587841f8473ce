"""Single catalog resources, the links between items and categories, and back-in-stock."""

from __future__ import annotations

from functools import partial
from typing import Any

from spark_klaviyo.simulator.api.catalog_jobs import ROWS
from spark_klaviyo.simulator.errors import JsonObject, Refused, bad_request, conflict, error, not_found
from spark_klaviyo.simulator.http.documents import collection, collection_of, identifiers, relation, resource, single
from spark_klaviyo.simulator.http.operation import Answer, Call, Operation, always
from spark_klaviyo.simulator.http.queries import Condition, page, page_size, read_filter
from spark_klaviyo.simulator.rules import catalog as shapes
from spark_klaviyo.simulator.rules.build import link, one, relations
from spark_klaviyo.simulator.rules.build import resource as shape
from spark_klaviyo.simulator.rules.profiles import EMAIL, PHONE, identified
from spark_klaviyo.simulator.rules.schema import Many, Text, Thing
from spark_klaviyo.simulator.state.catalog import BLANK, Catalog, CatalogError

RELATION = {"catalog-item": "variants", "catalog-variant": "item", "catalog-category": "items"}
FILTERS: dict[str, dict[str, tuple[str, ...]]] = {
    "catalog-item": {"ids": ("any",), "category.id": ("equals",), "title": ("contains",), "published": ("equals",)},
    "catalog-variant": {
        "ids": ("any",),
        "item.id": ("equals",),
        "sku": ("equals",),
        "title": ("contains",),
        "published": ("equals",),
    },
    "catalog-category": {"ids": ("any",), "item.id": ("equals",), "name": ("contains",)},
}


def catalog_resource(call: Call, kind: str, held: JsonObject) -> JsonObject:
    """recorded 2026-09: a category has no `created`."""
    attributes = {name: held[name] for name in BLANK[kind]}
    if kind != "catalog-category":
        attributes["created"] = held["created"]
    attributes["updated"] = held["updated"]
    name = RELATION[kind]
    return resource(call, kind, held["id"], attributes, {name: relation(call, kind, held["id"], name)})


def _refused(refusal: CatalogError) -> Refused:
    return conflict("/data/id", refusal.detail) if refusal.exists else not_found(refusal.detail)


def create(kind: str, call: Call) -> Answer:
    """201; an id that exists is 409 (unsettled)."""
    try:
        held = Catalog(call.account).create(kind, call.body["data"], call.now)
    except CatalogError as refusal:
        raise _refused(refusal) from refusal
    return single(call, 201, catalog_resource(call, kind, held))


def update(kind: str, call: Call) -> Answer:
    """200 with the resource."""
    try:
        held = Catalog(call.account).update(kind, {**call.body["data"], "id": call.params["id"]}, call.now)
    except CatalogError as refusal:
        raise _refused(refusal) from refusal
    return single(call, 200, catalog_resource(call, kind, held))


def delete(kind: str, call: Call) -> Answer:
    """204, or 404."""
    try:
        Catalog(call.account).delete(kind, call.params["id"])
    except CatalogError as refusal:
        raise _refused(refusal) from refusal
    return Answer(204)


def get_one(kind: str, call: Call) -> Answer:
    """One resource."""
    try:
        held = Catalog(call.account).find(kind, call.params["id"])
    except CatalogError as refusal:
        raise _refused(refusal) from refusal
    return single(call, 200, catalog_resource(call, kind, held))


def get_all(kind: str, call: Call) -> Answer:
    """100 a page at most; sorted by `created` only (recorded 2026-09)."""
    if call.query.get("sort", "created") not in ("created", "-created"):
        raise bad_request("/data", f"'{call.query['sort']}' is not a valid sort.")
    conditions, catalog = read_filter(call, FILTERS[kind]), Catalog(call.account)
    found = [held for held in catalog.shelf[kind].values() if all(_fits(catalog, c, held) for c in conditions)]
    if call.query.get("sort") == "-created":
        found.reverse()
    rows, following = page(call, found, page_size(call, 100, 100, kind))
    return collection(call, [catalog_resource(call, kind, held) for held in rows], following)


def _fits(catalog: Catalog, condition: Condition, held: JsonObject) -> bool:
    value: Any = held.get(condition.field)
    if condition.field == "ids":
        value = held["id"]
    elif condition.field == "category.id":
        return condition.value in catalog.categories_of(held["id"])
    elif condition.field == "item.id":
        return condition.value in held["items"] if "items" in held else bool(held["item"] == condition.value)
    return condition.holds(value)


def relate(kind: str, method: str, call: Call) -> Answer:
    """Links between an item and categories, from either side: POST adds (409 where one exists), PATCH replaces."""
    catalog, own = Catalog(call.account), call.params["id"]
    other = "catalog-category" if kind == "catalog-item" else "catalog-item"
    given = [entry["id"] for entry in call.body["data"]]
    try:
        catalog.find(kind, own)
        for other_id in given:
            catalog.find(other, other_id)
    except CatalogError as refusal:
        raise _refused(refusal) from refusal
    present = catalog.categories_of(own) if kind == "catalog-item" else list(call.account.categories[own]["items"])
    if method == "POST" and set(given) & set(present):
        # recorded 2026-09: not idempotent
        name = "item" if kind == "catalog-item" else "category"
        raise conflict(
            "/data/id", f"One or more of the relations specified for the {name} with id `{own}` already exists."
        )
    for other_id in given if method == "DELETE" else present if method == "PATCH" else ():
        catalog.unlink(*((own, other_id) if kind == "catalog-item" else (other_id, own)))
    for other_id in given if method != "DELETE" else ():
        catalog.link(*((own, other_id) if kind == "catalog-item" else (other_id, own)))
    return Answer(204)


def get_related(kind: str, call: Call) -> Answer:
    """Ids of an item's categories, or of a category's items."""
    catalog, own = Catalog(call.account), call.params["id"]
    try:
        held = catalog.find(kind, own)
    except CatalogError as refusal:
        raise _refused(refusal) from refusal
    ids = catalog.categories_of(own) if kind == "catalog-item" else held["items"]
    other = "catalog-category" if kind == "catalog-item" else "catalog-item"
    rows, following = page(call, ids, page_size(call, 100, 100, other))
    return collection(call, identifiers(other, rows), following)


def create_back_in_stock_subscription(call: Call) -> Answer:
    """202 and no body; recorded 2025-05: an unknown variant is a 404 of shape (a)."""
    row = call.body["data"]
    variant_id = row["relationships"]["variant"]["data"]["id"]
    if variant_id not in call.account.variants:
        text = "The variant in your relationship payload does not exist"
        pointer = {"pointer": "/data/relationships/variant/data/id"}
        raise Refused(404, [error(404, "variant_not_found", text, text, pointer)])
    profile = call.account.profiles.upsert_leniently(row["attributes"]["profile"]["data"], call.now)
    entry = {"variant": variant_id, "channels": row["attributes"]["channels"], "profile_id": profile["id"]}
    if entry not in call.account.back_in_stock:
        call.account.back_in_stock.append(entry)
    return Answer(202)


def _operations(kind: str) -> tuple[Operation, ...]:
    plural = f"/api/{collection_of(kind)}"
    name, many = kind.replace("-", "_"), f"catalog_{ROWS[kind]}"
    write, read, path = "catalogs:write", "catalogs:read", f"{plural}/{{id}}"
    return (
        Operation(
            f"create_{name}", "POST", plural, "L", write, partial(create, kind), always(one(shapes.create(kind)))
        ),
        Operation(f"update_{name}", "PATCH", path, "L", write, partial(update, kind), always(one(shapes.update(kind)))),
        Operation(f"delete_{name}", "DELETE", path, "L", write, partial(delete, kind)),
        Operation(f"get_{many}", "GET", plural, "XL", read, partial(get_all, kind)),
        Operation(f"get_{name}", "GET", path, "XL", read, partial(get_one, kind)),
    )


def _links(kind: str, names: dict[str, str], related: str, other: str) -> tuple[Operation, ...]:
    path = f"/api/{collection_of(kind)}/{{id}}/relationships/{related}"
    body = always(shapes.links(other))
    writes = (
        Operation(name, method, path, "L", "catalogs:write", partial(relate, kind, method), body)
        for method, name in names.items()
    )
    read = Operation(f"get_{related}_of_{kind}", "GET", path, "XL", "catalogs:read", partial(get_related, kind))
    return (*writes, read)


_PROFILE = one(
    shape(
        "profile",
        Thing("profile", {"email": EMAIL, "phone_number": PHONE, "external_id": Text()}),
        id="optional",
        rules=(identified,),
    ),
    "profile",
)
_CHANNELS = Many(Text(choices=("EMAIL", "PUSH", "SMS", "WHATSAPP"), nullable=False), least=1)
_BACK_IN_STOCK = one(
    shape(
        "back-in-stock-subscription",
        Thing("back-in-stock-subscription", {"channels": _CHANNELS, "profile": _PROFILE}, {"channels", "profile"}),
        relationships=relations({"variant"}, variant=one(link("catalog-variant"), "variant")),
        needs=("attributes", "relationships"),
    )
)
_ITEM_LINKS = {
    "POST": "add_categories_to_catalog_item",
    "PATCH": "update_categories_for_catalog_item",
    "DELETE": "remove_categories_from_catalog_item",
}
_CATEGORY_LINKS = {
    "POST": "add_items_to_catalog_category",
    "PATCH": "update_items_for_catalog_category",
    "DELETE": "remove_items_from_catalog_category",
}

OPERATIONS = (
    *(operation for kind in ROWS for operation in _operations(kind)),
    *_links("catalog-item", _ITEM_LINKS, "categories", "catalog-category"),
    *_links("catalog-category", _CATEGORY_LINKS, "items", "catalog-item"),
    Operation(
        "create_back_in_stock_subscription",
        "POST",
        "/api/back-in-stock-subscriptions",
        "XL",
        "catalogs:write profiles:write",
        create_back_in_stock_subscription,
        always(_BACK_IN_STOCK),
    ),
)
