"""Lists, coupons, data sources and tags of the account, and their ids by name.

`list_id=name:Newsletter` becomes the id of that list before the run begins.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from spark_klaviyo.account.reads import key_of, open_reader
from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.core.policy import Quota
from spark_klaviyo.deliver.reads import Reader, ReadFailed, ReadTarget
from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.model import Options
from spark_klaviyo.options.readers import COLUMN, NAME, is_name, parts_of
from spark_klaviyo.report.report import WriteStopped
from spark_klaviyo.templates import find_template
from spark_klaviyo.templates.limits import L, S
from spark_klaviyo.templates.model import Setting

IDS_FIRST = "; a name reaches to the end or to the next name:, so put ids before names"
MOST_SHOWN = 10  # candidates that a message lists
MOST_NEAR = 3  # ... or similar names
MOST_LISTS = 5  # that a write names


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
        return ReadTarget(self.path, self.quota, (*query, ("page[size]", str(self.page_size))))

    def by_id(self, resource_id: str) -> ReadTarget:
        """A single one."""
        return ReadTarget(self.path + "/{id}", self.quota, id=resource_id)


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
    is_double_opt_in: bool = False  # of a list: people are on it once they have confirmed

    @staticmethod
    def of(found: Mapping[str, object], kind: ResourceKind) -> Resource:
        """From a JSON:API resource of this kind."""
        name, created = found.get(kind.name_attribute), found.get("created")
        double = found.get("opt_in_process") == "double_opt_in"
        return Resource(str(found["id"]), str(name or ""), str(created or ""), double)

    @property
    def details(self) -> str:
        """The id and, where they are known, the day of creation and the opt-in process."""
        created = f"created {self.created[:10]}" if self.created else ""
        return ", ".join(filter(None, (self.id, created, "double opt-in" if self.is_double_opt_in else "")))

    def __str__(self) -> str:
        return f"{self.name!r} ({self.details})"


_lists: dict[tuple[bytes, str], Resource] = {}  # by address and key, and id: read once in a process


def kind_of(setting: Setting) -> ResourceKind:
    """The kind of resource that a setting names."""
    return KINDS[setting.lookup_kind]


def list_resources(reader: Reader, kind: ResourceKind, *query: tuple[str, str]) -> Iterator[Resource]:
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


# --- names ----------------------------------------------------------------------------------------


def setting_values(options: Options, setting: Setting) -> list[str]:
    """The values of a setting: ids, `name:TEXT` or `column:NAME`; none where it was not given."""
    text = options.settings.get(setting.name, "")
    return (parts_of(text) if setting.takes_several else [text]) if text else []


def named_settings(options: Options) -> dict[Setting, list[str]]:
    """The settings that have a value given by name, with all their values."""
    if not options.template:
        return {}
    settings = find_template(options.template, options.api).settings
    values = {setting: setting_values(options, setting) for setting in settings if setting.lookup_kind}
    return {setting: parts for setting, parts in values.items() if any(map(is_name, parts))}


def resolve_names(options: Options, run_id: str = "") -> Options:
    """The options with every `name:TEXT` replaced by the id; nothing is read where there is none.

    Raises `OptionError` for a name that no resource has, or more than one, with the candidates; `WriteStopped`, with
    an empty report of this run, where the key is refused or the endpoint cannot be reached.
    """
    named = named_settings(options)
    if not named:
        return options
    ids: dict[str, str] = {}
    try:
        with open_reader(options) as reader:
            for setting, parts in named.items():
                found = {part: find_named(reader, setting, part) for part in parts if is_name(part)}
                ids[setting.name] = ",".join(found[part].id if part in found else part for part in parts)
                is_list = setting.lookup_kind == "list"
                _lists.update({_key_of(options, one.id): one for one in found.values() if is_list})
    except ReadFailed as failed:
        stopped = WriteStopped.before_sending(failed.code, str(failed), run_id=run_id, template=options.template)
        raise stopped from failed
    return replace(options, settings={**options.settings, **ids})


def find_named(reader: Reader, setting: Setting, named: str) -> Resource:
    """The one resource that `name:TEXT` names.

    Raises `OptionError` with the candidates where there is not exactly one, and `ReadFailed` for what would end any
    write: a refused key, an endpoint that cannot be reached.
    """
    kind, text = kind_of(setting), named[len(NAME) :].strip()
    try:
        candidates = _with_name(reader, kind, text)
        if len(candidates) == 1:
            return candidates[0]
        hint = IDS_FIRST if setting.takes_several and "," in text else ""
        raise OptionError(f"{setting.name}: {_not_one(reader, kind, text, candidates)}{hint}")
    except ReadFailed as failed:
        message = f"{setting.name}: {kind.label} {text!r} could not be looked up: {failed}"
        if failed.code.ends_every_write:
            raise ReadFailed(failed.code, message) from failed
        raise OptionError(f"{message}; give the id itself, or the key the scope {kind.scope}") from failed


def _with_name(reader: Reader, kind: ResourceKind, text: str) -> list[Resource]:
    """Resources of exactly this name; compared here too, as Klaviyo's filter may ignore case."""
    name = json.dumps(text, ensure_ascii=False)
    query = [("filter", f"equals({kind.name_attribute},{name})")] if kind.filters else []
    return [one for one in list_resources(reader, kind, *query) if one.name == text]


def _not_one(reader: Reader, kind: ResourceKind, text: str, candidates: Sequence[Resource]) -> str:
    if candidates:
        shown = "; ".join(one.details for one in candidates[:MOST_SHOWN])
        return f"{len(candidates)} {kind.label}s are called {text!r}: {shown}; give the id of the one you mean"
    existing = list(list_resources(reader, kind))
    if not existing:
        return f"the account has no {kind.label}"
    matches = get_close_matches(text.casefold(), [one.name.casefold() for one in existing], MOST_SHOWN, 0.6)
    near = [one for match in dict.fromkeys(matches) for one in existing if one.name.casefold() == match]
    if near:
        return f"no {kind.label} is called {text!r}; did you mean {' or '.join(map(str, near[:MOST_NEAR]))}?"
    more = f" and {len(existing) - MOST_SHOWN:,} more" if len(existing) > MOST_SHOWN else ""
    return f"no {kind.label} is called {text!r}; there are: {', '.join(map(str, existing[:MOST_SHOWN]))}{more}"


# --- the lists that ids name ----------------------------------------------------------------------


def named_lists(options: Options, seconds: float) -> list[Resource]:
    """The lists that the options name by id, each read once; without a name where there is none, or it is not shown.

    Raises `ReadFailed` where no answer came in so many seconds.
    """
    ids = _list_ids(options)
    missing = [list_id for list_id in ids if _key_of(options, list_id) not in _lists]
    if missing:
        with open_reader(options, seconds=seconds) as reader:
            _lists.update({_key_of(options, list_id): _read_list(reader, list_id) for list_id in missing})
    return [_lists[_key_of(options, list_id)] for list_id in ids]


def _read_list(reader: Reader, list_id: str) -> Resource:
    try:
        document = reader.read(KINDS["list"].by_id(list_id))
    except ReadFailed as failed:
        if failed.code in (StopCode.FORBIDDEN, StopCode.NOT_FOUND, StopCode.REFUSED):
            return Resource(list_id, "")
        raise
    return next((Resource.of(one, KINDS["list"]) for one in document.resources), Resource(list_id, ""))


def _list_ids(options: Options) -> list[str]:
    settings = find_template(options.template, options.api).settings if options.template else ()
    ids = [value for one in settings if one.lookup_kind == "list" for value in setting_values(options, one)]
    return [one for one in ids if not one.startswith(COLUMN) and not is_name(one)][:MOST_LISTS]


def _key_of(options: Options, list_id: str) -> tuple[bytes, str]:
    return key_of(options.base_url, options.credentials), list_id
