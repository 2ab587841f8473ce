"""The catalog: items, their variants, and the categories that link to items."""

from __future__ import annotations

from collections.abc import Sequence

from spark_klaviyo.simulator.clock import iso
from spark_klaviyo.simulator.errors import JsonObject
from spark_klaviyo.simulator.state.account import Account

BLANK: dict[str, JsonObject] = {
    "catalog-item": {
        "external_id": None,
        "title": None,
        "description": None,
        "price": None,
        "url": None,
        "image_full_url": "",
        "image_thumbnail_url": "",
        "images": [],
        "custom_metadata": {},
        "published": True,
    },
    "catalog-variant": {
        "external_id": None,
        "title": None,
        "description": None,
        "sku": None,
        "inventory_policy": 0,
        "inventory_quantity": None,
        "price": None,
        "url": None,
        "image_full_url": "",
        "image_thumbnail_url": "",
        "images": [],
        "custom_metadata": {},
        "published": True,
    },
    "catalog-category": {"external_id": None, "name": None},
}
# recorded 2026-09: one sentence a kind
MISSING = {
    "catalog-item": "An item with the id `{}` does not exist.",
    "catalog-variant": "A variant with id {} does not exist.",
    "catalog-category": "No category with the ID `{}` exists.",
}
EXISTS = {  # wording unsettled
    "catalog-item": "An item with the id `{}` already exists.",
    "catalog-variant": "A variant with the id `{}` already exists.",
    "catalog-category": "A category with the id `{}` already exists.",
}


class CatalogError(Exception):
    """A row that cannot be done: the sentence, and whether it is for something that exists already."""

    def __init__(self, detail: str, *, exists: bool = False) -> None:
        super().__init__(detail)
        self.detail = detail
        self.exists = exists


class Catalog:
    """Creates, updates and deletes in the account's catalog."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.shelf = {
            "catalog-item": account.items,
            "catalog-variant": account.variants,
            "catalog-category": account.categories,
        }

    def find(self, kind: str, resource_id: str) -> JsonObject:
        """What has this id, or a CatalogError with the kind's sentence."""
        held = self.shelf[kind].get(resource_id)
        if held is None:
            raise CatalogError(MISSING[kind].format(resource_id))
        return held

    def create(self, kind: str, row: JsonObject, now: float) -> JsonObject:
        """A new resource; its id is `$custom:::$default:::<external_id>`."""
        given = {key: value for key, value in row["attributes"].items() if value is not None}
        owner, catalog = given.pop("integration_type", "$custom"), given.pop("catalog_type", "$default")
        resource_id = f"{owner}:::{catalog}:::{given['external_id']}"
        if resource_id in self.shelf[kind]:
            if self._account.switches.repeated_item == "update":
                return self.update(kind, {**row, "id": resource_id}, now)
            raise CatalogError(EXISTS[kind].format(resource_id), exists=True)
        held: JsonObject = {"id": resource_id, **BLANK[kind], **given, "created": millis(now), "updated": millis(now)}
        self._relate(kind, held, row)
        self.shelf[kind][resource_id] = held
        return held

    def update(self, kind: str, row: JsonObject, now: float) -> JsonObject:
        """Change what is given; null leaves alone."""
        held = self.find(kind, row["id"])
        self._relate(kind, held, row)
        kept = {key: value for key, value in row["attributes"].items() if value is not None and key in BLANK[kind]}
        held.update(kept, updated=millis(now))
        return held

    def delete(self, kind: str, resource_id: str) -> None:
        """recorded 2026-09: deleting an item deletes its variants, deleting a category keeps its items."""
        self.find(kind, resource_id)
        del self.shelf[kind][resource_id]
        if kind == "catalog-item":
            for variant_id in [key for key, held in self._account.variants.items() if held["item"] == resource_id]:
                del self._account.variants[variant_id]
            for category in self._account.categories.values():
                category["items"] = [item for item in category["items"] if item != resource_id]

    def categories_of(self, item_id: str) -> list[str]:
        """Ids of the categories an item is in."""
        return [category_id for category_id, held in self._account.categories.items() if item_id in held["items"]]

    def link(self, item_id: str, category_id: str) -> None:
        """Put an item into a category."""
        items = self.find("catalog-category", category_id)["items"]
        if item_id not in items:
            items.append(item_id)

    def unlink(self, item_id: str, category_id: str) -> None:
        """Take an item out of a category."""
        items = self.find("catalog-category", category_id)["items"]
        if item_id in items:
            items.remove(item_id)

    def _relate(self, kind: str, held: JsonObject, row: JsonObject) -> None:
        related = row.get("relationships") or {}
        if kind == "catalog-variant":
            if "item" in related:
                held["item"] = self.find("catalog-item", related["item"]["data"]["id"])["id"]
            return
        if kind == "catalog-category":
            held.setdefault("items", [])
            if "items" in related:
                held["items"] = self._known("catalog-item", related["items"]["data"])
            return
        if "categories" in related:
            wanted = self._known("catalog-category", related["categories"]["data"])
            for category_id in self.categories_of(held["id"]):
                self.unlink(held["id"], category_id)
            for category_id in wanted:
                self.link(held["id"], category_id)

    def _known(self, kind: str, links: Sequence[JsonObject]) -> list[str]:
        return list(dict.fromkeys(self.find(kind, entry["id"])["id"] for entry in links))


def millis(now: float) -> str:
    """recorded 2026-09: catalog times have three real decimals."""
    return iso(int(now * 1000) / 1000)
