"""The catalog: items, their variants, categories, what belongs together, and who waits for something to return.

Ids are compound, `$custom:::$default:::<external id>`; columns hold the part that is your own, or the whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from spark_klaviyo.core.models import Limits
from spark_klaviyo.templates.model import (
    KILOBYTE,
    MAX_BODY,
    XL,
    Family,
    FieldForm,
    FieldSpec,
    Job,
    JobErrors,
    L,
    Setting,
    Template,
)
from spark_klaviyo.templates.parts import CATALOG_ID, GONE, GONE_IN_JOB, ONE, ONE_ROW, job_body

_URL = "URL of its page"
_OWN_ID = FieldSpec(
    "id",
    ("id",),
    required=True,
    other_names=("external_id",),
    prefix=CATALOG_ID,
    help="your own id, or the compound one",
)
_NEW_ID = FieldSpec("external_id", ("attributes", "external_id"), required=True, help="your own id")
_INTEGRATION = FieldSpec("integration_type", ("attributes", "integration_type"), choices=("$custom",))
_TYPE = FieldSpec("catalog_type", ("attributes", "catalog_type"), choices=("$default",))
_PAGE = (
    FieldSpec("image_full_url", ("attributes", "image_full_url"), other_names=("image_url",)),
    FieldSpec("image_thumbnail_url", ("attributes", "image_thumbnail_url")),
    FieldSpec("images", ("attributes", "images"), FieldForm.TEXTS, help="URLs of further pictures"),
    FieldSpec(
        "custom_metadata",
        ("attributes", "custom_metadata"),
        FieldForm.OBJECT,
        max_bytes=100 * KILOBYTE,
        help="a flat struct or map, 100 KB",
    ),
    FieldSpec("published", ("attributes", "published"), FieldForm.BOOLEAN),
)


def _page(*, required: bool) -> tuple[FieldSpec, ...]:
    return tuple(
        FieldSpec(name, ("attributes", name), required=required, help=text)
        for name, text in (("title", ""), ("description", ""), ("url", _URL))
    )


def _ids(name: str, word: str, text: str) -> FieldSpec:
    path, names = ("relationships", name, "data"), (word, f"{word}_id", f"{word}_ids")
    return FieldSpec(
        name, path, FieldForm.IDS, other_names=names, resource_type=f"catalog-{word}", prefix=CATALOG_ID, help=text
    )


def _variant(*, required: bool) -> tuple[FieldSpec, ...]:
    title, description, url = _page(required=required)
    return (
        title,
        description,
        FieldSpec("sku", ("attributes", "sku"), required=required),
        # spec: 1 hides a variant that is out of stock from recommendations; 0 and 2 do not
        FieldSpec("inventory_policy", ("attributes", "inventory_policy"), FieldForm.INTEGER, choices=("0", "1", "2")),
        FieldSpec("inventory_quantity", ("attributes", "inventory_quantity"), FieldForm.NUMBER, required=required),
        FieldSpec("price", ("attributes", "price"), FieldForm.NUMBER, required=required),
        url,
        *_PAGE,
    )


@dataclass(frozen=True)
class _Kind:
    """One of the three kinds of catalog resources and the fields its verbs take."""

    word: str  # item
    plural: str  # items
    created: tuple[FieldSpec, ...]
    updated: tuple[FieldSpec, ...]
    record: Mapping[str, object]  # constants beside the type, on creation


_ITEM = _Kind(
    "item",
    "items",
    (*_page(required=True), FieldSpec("price", ("attributes", "price"), FieldForm.NUMBER), *_PAGE),
    (*_page(required=False), FieldSpec("price", ("attributes", "price"), FieldForm.NUMBER), *_PAGE),
    {},
)
_CATEGORIES = _ids("categories", "category", "categories it is in: your own ids, an array or one")
_ITEMS = _ids("items", "item", "items that are in it: your own ids, an array or one")
ITEM = replace(_ITEM, created=(*_ITEM.created, _CATEGORIES), updated=(*_ITEM.updated, _CATEGORIES))
VARIANT = _Kind(
    "variant",
    "variants",
    (
        *_variant(required=True),
        FieldSpec(
            "item",
            ("relationships", "item", "data", "id"),
            required=True,
            other_names=("item_id", "item_external_id", "catalog_item_id"),
            prefix=CATALOG_ID,
            help="your own id of the item it is a variant of",
        ),
    ),
    _variant(required=False),
    {"relationships": {"item": {"data": {"type": "catalog-item"}}}},
)
CATEGORY = _Kind(
    "category",
    "categories",
    (FieldSpec("name", ("attributes", "name"), required=True), _ITEMS),
    (FieldSpec("name", ("attributes", "name")), _ITEMS),
    {},
)
_DONE_BEFORE = (
    "No upsert: Klaviyo refuses to create what exists, and to change what does not.",
    "Readable before its job ends; wait for a creating job before updating.",
)


def _bulk(kind: _Kind, verb: str) -> Template:
    """spec: bulk_{create,update,delete}_catalog_{items,variants,categories}; 100 rows, 5 MB, 500 jobs at once."""
    path = f"/api/catalog-{kind.word}-bulk-{verb}-jobs"
    # recorded: jobs of categories and of deletions are read at 350/s, all others at 75/s
    tier = XL if kind is CATEGORY or verb == "delete" else L
    return Template(
        name=f"bulk_{verb}_catalog_{kind.plural}",
        family=Family.CATALOG,
        summary=f"{verb.capitalize()} catalog {kind.plural} in bulk.",
        method="POST",
        path=path,
        body=job_body(f"catalog-{kind.word}-bulk-{verb}-job", kind.plural),
        limits=Limits(100, MAX_BODY),
        quota=L,
        job=Job(
            path + "/{job_id}",
            tier,
            JobErrors.INLINE,
            path,
            ("catalogs:read",),
            GONE_IN_JOB if verb == "delete" else "",
        ),
        rows_pointer=f"/data/attributes/{kind.plural}/data",
        idempotent=verb != "create",
        notes=(_DONE_BEFORE if verb != "delete" else ()) + ("At most 500 jobs of a kind at a time.",),
        **_about(kind, verb),  # type: ignore[arg-type]
    )


def _single(kind: _Kind, verb: str) -> Template:
    """spec: {create,update,delete}_catalog_{item,variant,category}."""
    method = {"create": "POST", "update": "PATCH", "delete": "DELETE"}[verb]
    plural_path = f"/api/catalog-{kind.plural}"
    return Template(
        name=f"{verb}_catalog_{kind.word}",
        family=Family.CATALOG,
        summary=f"{verb.capitalize()} a catalog {kind.word} a request.",
        method=method,
        path=plural_path if verb == "create" else plural_path + "/{id}",
        body=None if verb == "delete" else ONE,
        limits=ONE_ROW,
        quota=L,
        path_fields=() if verb == "create" else ("id",),
        already_satisfied=GONE if verb == "delete" else (),
        idempotent=verb != "create",
        notes=_DONE_BEFORE[:1] if verb == "create" else (),
        **_about(kind, verb),  # type: ignore[arg-type]
    )


def _about(kind: _Kind, verb: str) -> dict[str, object]:
    """What bulk and single calls of a verb share."""
    constant = dict(kind.record) if verb == "create" else {}
    own_id = replace(_OWN_ID, other_names=(*_OWN_ID.other_names, f"{kind.word}_id"))
    fields = {
        "create": (replace(_NEW_ID, other_names=(f"{kind.word}_id",)), _INTEGRATION, _TYPE, *kind.created),
        "update": (own_id, *kind.updated),
        "delete": (own_id,),
    }[verb]
    return {
        "record": {"type": f"catalog-{kind.word}", **constant},
        "fields": fields,
        "key": ("external_id",) if verb == "create" else ("id",),
        "keep_empty": () if verb == "delete" else (("attributes",),),
        "deletes": verb == "delete",
        "scopes": ("catalogs:write",),
    }


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
    each = FieldSpec(
        "id",
        ("id",),
        required=True,
        other_names=("external_id", f"{far.word}_id"),
        prefix=CATALOG_ID,
        help="your own id",
    )
    every = FieldSpec(
        far.plural,
        ("data",),
        FieldForm.IDS,
        required=True,
        other_names=(far.word, f"{far.word}_id", f"{far.word}_ids"),
        resource_type=f"catalog-{far.word}",
        prefix=CATALOG_ID,
        help=f"all its {far.plural}: an array of your own ids; an empty one leaves none",
    )
    return Template(
        name=name,
        family=Family.CATALOG,
        summary=summary,
        method=method,
        path=f"/api/catalog-{near.plural}/{{{near.word}_id}}/relationships/{far.plural}",
        body="{row}" if whole else {"data": "{rows}"},
        record={} if whole else {"type": f"catalog-{far.word}"},
        fields=(every,) if whole else (each,),
        key=() if whole else ("id",),
        keep_empty=(),
        limits=ONE_ROW if whole else Limits(100, MAX_BODY),
        quota=L,
        rows_pointer="" if whole else "/data",
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

TEMPLATES = (
    *(_bulk(kind, verb) for kind in (ITEM, VARIANT, CATEGORY) for verb in ("create", "update", "delete")),
    *(_single(kind, verb) for kind in (ITEM, VARIANT, CATEGORY) for verb in ("create", "update", "delete")),
    *LINKS,
)
