"""What can be looked up by name: where such things are listed and read, and what they are called by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from spark_klaviyo.account.reads import Asking, place
from spark_klaviyo.core.models import Quota
from spark_klaviyo.deliver.reads import ReadTarget
from spark_klaviyo.templates.model import L, S


@dataclass(frozen=True)
class Kind:
    """One kind of thing. `named_by`: the attribute that is its name; `filters`: whether the listing takes a name."""

    word: str
    path: str
    quota: Quota
    named_by: str
    page_size: int
    scope: str
    filters: bool = False

    def every(self, *query: tuple[str, str]) -> ReadTarget:
        """The listing, in its largest pages."""
        return place(self.path, self.quota, [*query, ("page[size]", str(self.page_size))])

    def one(self, resource_id: str, *query: tuple[str, str]) -> ReadTarget:
        """A single one."""
        return place(self.path + "/{id}", self.quota, query, id=resource_id)


# spec: get_lists, get_coupons, get_data_sources, get_tags, with their quotas, largest pages and filters.
KINDS: Mapping[str, Kind] = {
    kind.word: kind
    for kind in (
        Kind("list", "/api/lists", L, "name", 10, "lists:read", filters=True),
        Kind("coupon", "/api/coupons", L, "external_id", 100, "coupons:read"),
        Kind("data-source", "/api/data-sources", S, "title", 100, "custom-objects:read"),
        Kind("tag", "/api/tags", S, "name", 50, "tags:read", filters=True),
    )
}


@dataclass(frozen=True)
class Found:
    """A thing with its id and its name."""

    id: str
    name: str
    created: str = ""

    def __str__(self) -> str:
        return f"{self.name!r} ({self.id}{f', created {self.created[:10]}' if self.created else ''})"


def every(ask: Asking, kind: Kind, *query: tuple[str, str]) -> Iterator[Found]:
    """All of them, or those that a filter leaves, over all pages. Raises `ReadFailed`."""
    for page in ask.pages(kind.every(*query)):
        for resource in page.resources:
            yield found(resource, kind)


def found(resource: Mapping[str, object], kind: Kind) -> Found:
    """Id and name of a resource; where it has no name, the id is all there is."""
    attributes = resource.get("attributes")
    inside = attributes if isinstance(attributes, Mapping) else {}
    name = inside.get(kind.named_by)
    return Found(str(resource.get("id", "")), str(name) if name else "", str(inside.get("created") or ""))
