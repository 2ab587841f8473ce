"""Lists, coupons, data sources and tags: where Klaviyo lists them, and the attribute that is their name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from spark_klaviyo.account.reads import AccountReader, ReadFailed, open_reader
from spark_klaviyo.core.models import Quota
from spark_klaviyo.deliver.reads import ReadTarget, attributes_of
from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.model import Options
from spark_klaviyo.report.report import WriteStopped
from spark_klaviyo.templates.model import L, S, Setting


@dataclass(frozen=True)
class ResourceKind:
    """One kind of resource. `filters`: whether Klaviyo's listing takes a filter by name."""

    label: str
    path: str
    quota: Quota
    name_attribute: str
    page_size: int
    scope: str
    filters: bool = False

    def listing(self, *query: tuple[str, str]) -> ReadTarget:
        """All of them, in the largest pages."""
        return ReadTarget.of(self.path, self.quota, [*query, ("page[size]", str(self.page_size))])

    def by_id(self, resource_id: str) -> ReadTarget:
        """A single one."""
        return ReadTarget.of(self.path + "/{id}", self.quota, id=resource_id)


# spec: get_lists, get_coupons, get_data_sources, get_tags, with their quotas, largest pages and filters.
KINDS: Mapping[str, ResourceKind] = {
    kind.label: kind
    for kind in (
        ResourceKind("list", "/api/lists", L, "name", 10, "lists:read", filters=True),
        ResourceKind("coupon", "/api/coupons", L, "external_id", 100, "coupons:read"),
        ResourceKind("data-source", "/api/data-sources", S, "title", 100, "custom-objects:read"),
        ResourceKind("tag", "/api/tags", S, "name", 50, "tags:read", filters=True),
    )
}


@dataclass(frozen=True)
class Resource:
    """A list, coupon, data source or tag; `created` is Klaviyo's time as text."""

    id: str
    name: str
    created: str = ""

    @staticmethod
    def of(resource: Mapping[str, object], kind: ResourceKind) -> Resource:
        """From a JSON:API resource of this kind."""
        attributes = attributes_of(resource)
        name, created = attributes.get(kind.name_attribute), attributes.get("created")
        return Resource(str(resource.get("id", "")), str(name or ""), str(created or ""))

    @property
    def details(self) -> str:
        """The id and, where it is known, the day of creation."""
        return f"{self.id}, created {self.created[:10]}" if self.created else self.id

    def __str__(self) -> str:
        return f"{self.name!r} ({self.details})"


def kind_of(setting: Setting) -> ResourceKind:
    """What the names given for a setting are names of."""
    return KINDS[setting.lookup_kind.replace("_", "-")]


def list_resources(reader: AccountReader, kind: ResourceKind, *query: tuple[str, str]) -> Iterator[Resource]:
    """All of a kind, or those that a filter leaves, over all pages. Raises `ReadFailed`."""
    for page in reader.pages(kind.listing(*query)):
        for resource in page.resources:
            yield Resource.of(resource, kind)


def all_lists(options: Options) -> list[Resource]:
    """Every list of the account, ordered by name.

    Raises `WriteStopped` where the key is refused or the endpoint cannot be reached, `OptionError` where the key lacks
    the scope.
    """
    kind = KINDS["list"]
    try:
        with open_reader(options) as reader:
            return sorted(list_resources(reader, kind), key=lambda one: (one.name.casefold(), one.id))
    except ReadFailed as failed:
        if failed.code.ends_every_write:
            raise WriteStopped(f"the lists cannot be read: {failed}") from failed
        raise OptionError(f"the lists cannot be read: {failed}; give the key the scope {kind.scope}") from failed
