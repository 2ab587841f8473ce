"""The catalog: items, their variants, categories, what belongs together, who waits for something to return, reviews.

Ids are compound, `$custom:::$default:::<external id>`; columns hold the part that is your own, or the whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from spark_klaviyo.core.codes import OnDelete
from spark_klaviyo.core.policy import Limits
from spark_klaviyo.templates.limits import KILOBYTE, MAX_BODY, ONE_ROW, XL, L, M
from spark_klaviyo.templates.model import MANY, FieldForm, FieldSpec, Job, JobErrors, JsonPath, Setting, Template
from spark_klaviyo.templates.parts import attribute, create_of, delete_of, job_call, resource_id, update_of
from spark_klaviyo.templates.profiles import EMAIL, EXTERNAL_ID, PERSON, PHONE, PROFILE_ID

# --- fields ---------------------------------------------------------------------------------------

CATALOG_ID = "$custom:::$default:::"  # spec: the only integration and catalog there are
_OWN = "your own, or the compound one"
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


_MORE = (_PRICE, *_PAGE, _CATEGORIES)
ITEM = _Kind("item", "items", (*_required(*_TEXTS), *_MORE), (*_TEXTS, *_MORE))
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
GONE_IN_JOB = r"with (the )?id .* does not exist"  # recorded: how a job says that what it deletes is gone already
_NO_UPSERT = "No upsert: Klaviyo refuses to create what exists, and to change what does not."


def _calls(kind: _Kind) -> Iterator[Template]:
    """spec: {create,update,delete}_catalog_{item,variant,category}."""
    own, words = (f"{kind.word}_id",), f"one catalog {kind.word} per request."
    new_id = attribute("external_id", required=True, help="your own id", other_names=own)
    create = create_of(
        f"catalog-{kind.word}",
        f"Create {words}",
        L,
        "catalogs:write",
        *(new_id, _INTEGRATION, _TYPE, *kind.created),
        path=f"/api/catalog-{kind.plural}",
        record={"type": f"catalog-{kind.word}", **kind.record},
        key=("external_id",),
        notes=(_NO_UPSERT,),
    )
    by_id = resource_id("your own id, or the compound one", "external_id", *own, prefix=CATALOG_ID)
    update = update_of(create, f"Update {words}", by_id, *kind.updated, record={"type": f"catalog-{kind.word}"})
    yield from (create, update, delete_of(update, f"Delete {words}"))


def _in_bulk(kind: _Kind, single: Template) -> Template:
    """spec: bulk_{create,update,delete}_catalog_{items,variants,categories}; 100 rows, 5 MB, 500 jobs at once."""
    verb = single.name.partition("_")[0]
    call = job_call(f"catalog-{kind.word}-bulk-{verb}-job", kind.plural)
    # recorded: jobs of categories and of deletions are read at 350/s, all others at 75/s
    tier = XL if kind is CATEGORY or single.deletes else L
    waits = "Readable before its job ends; wait for a creating job before updating."
    return replace(
        single,
        name=f"bulk_{verb}_catalog_{kind.plural}",
        summary=f"{verb.capitalize()} catalog {kind.plural} in bulk.",
        method="POST",
        path_fields=(),
        **call,
        limits=Limits(100, MAX_BODY),
        job=Job(call["path"], tier, JobErrors.INLINE, ("catalogs:read",), GONE_IN_JOB if single.deletes else ""),
        already_satisfied=(),
        delete_templates={OnDelete.DELETE: f"bulk_delete_catalog_{kind.plural}"},
        notes=(*(() if single.deletes else (_NO_UPSERT, waits)), "At most 500 jobs of a kind at a time."),
    )


# --- what belongs together ------------------------------------------------------------------------


def _links(near: _Kind, far: _Kind, put: str, say: str, take: str) -> tuple[Template, Template, Template]:
    """spec: the relationships between a category and its items; `put`, `say` and `take` are the summaries."""
    own = f"id of the {near.word}: {_OWN}"
    add = Template(
        name=f"add_{far.plural}_to_catalog_{near.word}",
        summary=put,
        path=f"/api/catalog-{near.plural}/{{{near.word}_id}}/relationships/{far.plural}",
        body=MANY,
        record={"type": f"catalog-{far.word}"},
        fields=(resource_id("your own id", "external_id", f"{far.word}_id", prefix=CATALOG_ID),),
        key=("id",),
        keep_empty=(),
        limits=Limits(100, MAX_BODY),
        quota=L,
        already_satisfied=((409, "conflict"),),  # where one of several links exists already
        scopes=("catalogs:write",),
        settings=(Setting(f"{near.word}_id", own, required=True, per_row=True, prefix=CATALOG_ID),),
    )
    remove = replace(add, name=f"remove_{far.plural}_from_catalog_{near.word}", summary=take, method="DELETE")
    meaning = f"all its {far.plural}: an array of your own ids; an empty one leaves none"
    update = replace(
        add,
        name=f"update_{far.plural}_for_catalog_{near.word}",
        summary=say,
        method="PATCH",
        body="{row}",
        record={},
        fields=(replace(_ids(far.plural, far.word, meaning, ("data",)), required=True),),
        key=(),
        limits=ONE_ROW,
        already_satisfied=(),
        notes=("A row is the whole set: what it does not name is unlinked.",),
    )
    return add, update, replace(remove, already_satisfied=())


_OF_CATEGORY = ("Put items into a category.", "Say which items a category holds.", "Take items out of a category.")
_OF_ITEM = ("Put an item into categories.", "Say which categories an item is in.", "Take an item out of categories.")
LINKS = (*_links(CATEGORY, ITEM, *_OF_CATEGORY), *_links(ITEM, CATEGORY, *_OF_ITEM))

# --- back in stock: people who are told when a variant can be bought again ------------------------

_CHANNELS = ("EMAIL", "SMS", "PUSH", "WHATSAPP")
_PEOPLE = tuple(
    replace(known, name=f"profile.{known.name}", json_path=(*PERSON, *known.json_path), other_names=(known.name,))
    for known in (PROFILE_ID, EMAIL, PHONE, EXTERNAL_ID)
)
BACK_IN_STOCK = Template(
    name="create_back_in_stock_subscription",
    summary="Tell people when a variant is back in stock, one per request.",
    path="/api/back-in-stock-subscriptions",
    changes_reach=True,
    record={
        "type": "back-in-stock-subscription",
        "attributes": {"channels": "{channels}", "profile": {"data": {"type": "profile"}}},
        "relationships": {"variant": {"data": {"type": "catalog-variant", "id": "{variant_id}"}}},
    },
    fields=(
        attribute("channels", FieldForm.TEXTS, required=True, choices=_CHANNELS, help="array of channels"),
        *_PEOPLE,
        FieldSpec(
            "variant",
            ("relationships", "variant", "data", "id"),
            required=True,
            other_names=("variant_id", "variant_external_id"),
            prefix=CATALOG_ID,
            help="your own id of the variant, or the compound one",
        ),
    ),
    identifiers=tuple(known.name for known in _PEOPLE),
    key_with=("variant",),
    keep_empty=((*PERSON, "attributes"),),
    quota=XL,
    confirmed_by_reply=False,
    scopes=("catalogs:write", "profiles:write"),
    settings=(
        Setting(
            "channels", "how people are told, comma-separated", choices=_CHANNELS, per_row=True, takes_several=True
        ),
        Setting("variant_id", f"id of the variant: {_OWN}", per_row=True, prefix=CATALOG_ID),
    ),
    notes=("The variant must exist: Klaviyo refuses others as variant_not_found.",),
)

# --- reviews: Klaviyo's server API creates none ---------------------------------------------------

_STATUSES = ("featured", "pending", "published", "rejected", "unpublished")
_REASONS = ("fake", "false_or_misleading", "other", "private_information", "profanity_or_inappropriate", "unrelated")
_REASON = ("attributes", "status", "rejection_reason")
REVIEW = update_of(
    create_of("review", "", M, "reviews:write"),
    "Publish, feature, unpublish or reject reviews.",
    resource_id("id of the review", "review_id"),
    FieldSpec("status", (*_REASON[:-1], "value"), required=True, choices=_STATUSES),
    FieldSpec("rejection_reason", (*_REASON, "reason"), choices=_REASONS, help="of a rejected review"),
    FieldSpec("status_explanation", (*_REASON, "status_explanation"), help="of the reason other"),
)

_SINGLE = [(kind, single) for kind in (ITEM, VARIANT, CATEGORY) for single in _calls(kind)]
_BULK = [_in_bulk(kind, single) for kind, single in _SINGLE]
TEMPLATES = (*_BULK, *(single for _, single in _SINGLE), *LINKS, BACK_IN_STOCK, REVIEW)
