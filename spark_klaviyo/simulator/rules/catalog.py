"""Shapes of catalog items, variants and categories."""

from __future__ import annotations

import marshal
from typing import Any

from spark_klaviyo.simulator.http.wire import encode
from spark_klaviyo.simulator.rules.build import job, link, one, relations, resource
from spark_klaviyo.simulator.rules.schema import NONE, Flag, Free, Many, Number, Problem, Problems, Spec, Text, Thing

NEEDED = Text(nullable=False)
MOST_METADATA = 100_000  # docs: custom_metadata of at most 100 KB
OWNER: dict[str, Spec] = {"integration_type": Text(choices=("$custom",)), "catalog_type": Text()}
PICTURES: dict[str, Spec] = {
    "image_full_url": Text(),
    "image_thumbnail_url": Text(),
    "images": Many(Text(nullable=False), nullable=True),
    "custom_metadata": Free(),
    "published": Flag(),
}
ITEM_UPDATE: dict[str, Spec] = {"title": Text(), "price": Number(), "description": Text(), "url": Text(), **PICTURES}
ITEM: dict[str, Spec] = {
    **ITEM_UPDATE,
    **OWNER,
    "external_id": NEEDED,
    "title": NEEDED,
    "description": NEEDED,
    "url": NEEDED,
}
VARIANT_UPDATE: dict[str, Spec] = {
    "title": Text(),
    "description": Text(),
    "sku": Text(),
    "inventory_policy": Number(choices=(0, 1, 2)),
    "inventory_quantity": Number(),
    "price": Number(),
    "url": Text(),
    **PICTURES,
}
VARIANT: dict[str, Spec] = {
    **VARIANT_UPDATE,
    **OWNER,
    **dict.fromkeys(("external_id", "title", "description", "sku", "url"), NEEDED),
    "inventory_quantity": Number(nullable=False),
    "price": Number(nullable=False),
}
CATEGORY: dict[str, Spec] = {**OWNER, "external_id": NEEDED, "name": NEEDED}
REQUIRED = {
    "catalog-item": {"external_id", "title", "description", "url"},
    "catalog-variant": {"external_id", "title", "description", "sku", "inventory_quantity", "price", "url"},
    "catalog-category": {"external_id", "name"},
}
FIELDS = {"catalog-item": ITEM, "catalog-variant": VARIANT, "catalog-category": CATEGORY}
UPDATES: dict[str, dict[str, Spec]] = {
    "catalog-item": ITEM_UPDATE,
    "catalog-variant": VARIANT_UPDATE,
    "catalog-category": {"name": Text()},
}


def links(kind: str) -> Thing:
    """`{"data": [identifiers]}`, the body of relationship calls."""
    return Thing("data", {"data": Many(link(kind))}, {"data"})


def small_metadata(row: Any) -> Problems:
    """custom_metadata of at most 100 KB."""
    metadata = (row.get("attributes") or {}).get("custom_metadata")
    if metadata and len(marshal.dumps(metadata, 2)) > MOST_METADATA // 6 and len(encode(metadata)) > MOST_METADATA:
        return (Problem(("attributes", "custom_metadata"), f"'custom_metadata' is larger than {MOST_METADATA} bytes."),)
    return NONE


def _relationships(kind: str, *, creating: bool) -> Thing | None:
    if kind == "catalog-item":
        return relations(categories=links("catalog-category"))
    if kind == "catalog-category":
        return relations(items=links("catalog-item"))
    return relations({"item"}, item=one(link("catalog-item"), "item")) if creating else None


def create(kind: str) -> Thing:
    """spec: create_catalog_item, ..._variant, ..._category; a variant needs its item."""
    attributes = Thing(kind, FIELDS[kind], REQUIRED[kind])
    needs = ("attributes", "relationships") if kind == "catalog-variant" else ("attributes",)
    related = _relationships(kind, creating=True)
    return resource(kind, attributes, relationships=related, needs=needs, rules=(small_metadata,))


def update(kind: str) -> Thing:
    """spec: update_catalog_...: id and attributes required."""
    related = _relationships(kind, creating=False)
    return resource(kind, Thing(kind, UPDATES[kind]), id="required", relationships=related, rules=(small_metadata,))


def bulk(kind: str, verb: str, rows: str) -> Thing:
    """spec: the nine catalog jobs; deleting takes ids alone."""
    row = {"create": create, "update": update, "delete": link}[verb](kind)
    return job(f"{kind}-bulk-{verb}-job", rows, row)
