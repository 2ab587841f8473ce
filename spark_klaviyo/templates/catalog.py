"""The catalog: items, their variants, categories, what belongs together, and who waits for something to return.

Ids are compound, `$custom:::$default:::<external id>`; columns hold the part that is your own, or the whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from spark_klaviyo.core.models import Limits
from spark_klaviyo.templates.model import (
    KILOBYTE,
    MAX_BODY,
    ONE_ROW,
    XL,
    Family,
    FieldForm,
    FieldSpec,
    Job,
    JobErrors,
    JsonPath,
    L,
    Setting,
    Template,
)
from spark_klaviyo.templates.parts import (
    CATALOG_ID,
    MANY,
    NOT_FOUND_IN_JOB,
    attribute,
    delete_of,
    job_body,
    resource_id,
    update_of,
)

# --- fields ---------------------------------------------------------------------------------------

_MINE = "your own id, or the compound one"
_NEW_ID = attribute("external_id", required=True, help="your own id")
_INTEGRATION = attribute("integration_type", choices=("$custom",))
_TYPE = attribute("catalog_type", choices=("$default",))
_PAGE = (
    attribute("image_full_url", other_names=("image_url",)),
    attribute("image_thumbnail_url"),
    attribute("images", FieldForm.TEXTS, help="URLs of further pictures"),
    attribute("custom_metadata", FieldForm.OBJECT, max_bytes=100 * KILOBYTE, help="a flat struct or map, 100 KB"),
    attribute("published", FieldForm.BOOLEAN),
)
_PRICE = attribute("price", FieldForm.NUMBER)
_TEXTS = (attribute("title"), attribute("description"), attribute("url", help="URL of its page"))


def _ids(name: str, word: str, meaning: str, path: JsonPath = ()) -> FieldSpec:
    names = (word, f"{word}_id", f"{word}_ids")
    kind, path = f"catalog-{word}", path or ("relationships", name, "data")
    return FieldSpec(name, path, FieldForm.IDS, other_names=names, resource_type=kind, prefix=CATALOG_ID, help=meaning)


def _required(*fields: FieldSpec) -> tuple[FieldSpec, ...]:
    return tuple(replace(known, required=True) for known in fields)


_CATEGORIES = _ids("categories", "category", "categories it is in: your own ids, an array or one")
_ITEMS = _ids("items", "item", "items that are in it: your own ids, an array or one")
_ITEM = FieldSpec(
    "item",
    ("relationships", "item", "data", "id"),
    required=True,
    other_names=("item_id", "item_external_id", "catalog_item_id"),
    prefix=CATALOG_ID,
    help="your own id of the item it is a variant of",
)
_TITLE, _DESCRIPTION, _URL = _TEXTS
_SKU, _QUANTITY = attribute("sku"), attribute("inventory_quantity", FieldForm.NUMBER)
# spec: 1 hides a variant that is out of stock from recommendations; 0 and 2 do not
_POLICY = attribute("inventory_policy", FieldForm.INTEGER, choices=("0", "1", "2"))

# --- items, variants, categories ------------------------------------------------------------------


@dataclass(frozen=True)
class _Kind:
    """One of the three kinds of catalog resources, and the fields that its calls take."""

    word: str  # item
    plural: str  # items
    created: tuple[FieldSpec, ...]
    updated: tuple[FieldSpec, ...]
    # Constants of a record besides its type, on creation.
    record: Mapping[str, object] = field(default_factory=dict)


ITEM = _Kind(
    "item", "items", (*_required(*_TEXTS), _PRICE, *_PAGE, _CATEGORIES), (*_TEXTS, _PRICE, *_PAGE, _CATEGORIES)
)
_OF_VARIANT = (_TITLE, _DESCRIPTION, _SKU, _POLICY, _QUANTITY, _PRICE, _URL)
VARIANT = _Kind(
    "variant",
    "variants",
    (*(replace(known, required=known is not _POLICY) for known in _OF_VARIANT), *_PAGE, _ITEM),
    (*_OF_VARIANT, *_PAGE),
    {"relationships": {"item": {"data": {"type": "catalog-item"}}}},
)
_NAME = attribute("name")
CATEGORY = _Kind("category", "categories", (*_required(_NAME), _ITEMS), (_NAME, _ITEMS))
_NO_UPSERT = "No upsert: Klaviyo refuses to create what exists, and to change what does not."


def _calls(kind: _Kind) -> Iterator[Template]:
    """spec: {create,update,delete}_catalog_{item,variant,category}."""
    create = Template(
        name=f"create_catalog_{kind.word}",
        family=Family.CATALOG,
        summary=f"Create a catalog {kind.word} a request.",
        path=f"/api/catalog-{kind.plural}",
        record={"type": f"catalog-{kind.word}", **kind.record},
        fields=(replace(_NEW_ID, other_names=(f"{kind.word}_id",)), _INTEGRATION, _TYPE, *kind.created),
        key=("external_id",),
        quota=L,
        idempotent=False,
        scopes=("catalogs:write",),
        notes=(_NO_UPSERT,),
    )
    update = update_of(
        create,
        f"update_catalog_{kind.word}",
        f"Update a catalog {kind.word} a request.",
        resource_id(_MINE, "external_id", f"{kind.word}_id", prefix=CATALOG_ID),
        *kind.updated,
        record={"type": f"catalog-{kind.word}"},
    )
    yield from (create, update)
    yield delete_of(update, f"delete_catalog_{kind.word}", f"Delete a catalog {kind.word} a request.")


def _in_bulk(kind: _Kind, single: Template) -> Template:
    """spec: bulk_{create,update,delete}_catalog_{items,variants,categories}; 100 rows, 5 MB, 500 jobs at once."""
    verb = single.name.partition("_")[0]
    path = f"/api/catalog-{kind.word}-bulk-{verb}-jobs"
    # recorded: jobs of categories and of deletions are read at 350/s, all others at 75/s
    tier = XL if kind is CATEGORY or single.deletes else L
    waits = "Readable before its job ends; wait for a creating job before updating."
    return replace(
        single,
        name=f"bulk_{verb}_catalog_{kind.plural}",
        summary=f"{verb.capitalize()} catalog {kind.plural} in bulk.",
        method="POST",
        path=path,
        path_fields=(),
        body=job_body(f"catalog-{kind.word}-bulk-{verb}-job", kind.plural),
        limits=Limits(100, MAX_BODY),
        job=Job(path, tier, JobErrors.INLINE, ("catalogs:read",), NOT_FOUND_IN_JOB if single.deletes else ""),
        already_satisfied=(),
        notes=(*(() if single.deletes else (_NO_UPSERT, waits)), "At most 500 jobs of a kind at a time."),
    )


# --- what belongs together ------------------------------------------------------------------------


def _links(name: str, summary: str, method: str, near: _Kind, far: _Kind) -> Template:
    """spec: the relationships between a category and its items; 409 where one of several links exists already."""
    setting = Setting(
        f"{near.word}_id",
        f"id of the {near.word}: your own, or the compound one",
        required=True,
        per_row=True,
        prefix=CATALOG_ID,
    )
    whole = method == "PATCH"  # the request is the whole set, so that a row must hold all of it
    each = resource_id("your own id", "external_id", f"{far.word}_id", prefix=CATALOG_ID)
    meaning = f"all its {far.plural}: an array of your own ids; an empty one leaves none"
    every = replace(_ids(far.plural, far.word, meaning, ("data",)), required=True)
    return Template(
        name=name,
        family=Family.CATALOG,
        summary=summary,
        method=method,
        path=f"/api/catalog-{near.plural}/{{{near.word}_id}}/relationships/{far.plural}",
        body="{row}" if whole else MANY,
        record={} if whole else {"type": f"catalog-{far.word}"},
        fields=(every,) if whole else (each,),
        key=() if whole else ("id",),
        keep_empty=(),
        limits=ONE_ROW if whole else Limits(100, MAX_BODY),
        quota=L,
        already_satisfied=((409, "conflict"),) if method == "POST" else (),
        scopes=("catalogs:write",),
        settings=(setting,),
        notes=("A row is the whole set: what it does not name is unlinked.",) if whole else (),
    )


LINKS = (
    _links("add_items_to_catalog_category", "Put items into a category.", "POST", CATEGORY, ITEM),
    _links("update_items_for_catalog_category", "Say which items a category holds.", "PATCH", CATEGORY, ITEM),
    _links("remove_items_from_catalog_category", "Take items out of a category.", "DELETE", CATEGORY, ITEM),
    _links("add_categories_to_catalog_item", "Put an item into categories.", "POST", ITEM, CATEGORY),
    _links("update_categories_for_catalog_item", "Say which categories an item is in.", "PATCH", ITEM, CATEGORY),
    _links("remove_categories_from_catalog_item", "Take an item out of categories.", "DELETE", ITEM, CATEGORY),
)

_KINDS = (ITEM, VARIANT, CATEGORY)

TEMPLATES = (
    *(_in_bulk(kind, single) for kind in _KINDS for single in _calls(kind)),
    *(single for kind in _KINDS for single in _calls(kind)),
    *LINKS,
)
