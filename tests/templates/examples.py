"""A DataFrame for every template, as data: columns with their values, and the options to write them with.

`<profile a@example.com>`, `<list Name>`, `<tag name>`, `<tag group name>` and `<data source title>` stand for ids that
Klaviyo gave; `before` is what was written earlier.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from typing import TypeAlias

ANN, BEA, CYD = "ann@example.com", "bea@example.com", "cyd@example.com"
NOON = datetime(2026, 10, 15, 12, tzinfo=timezone.utc)
NEWSLETTER = "Y6nRLr"

Columns: TypeAlias = Mapping[str, Sequence[object]]


@dataclass(frozen=True)
class Example:
    """Columns (name -> values) and options."""

    columns: Columns
    options: Mapping[str, str] = field(default_factory=dict)
    before: tuple[str, ...] = ()  # names of examples that are written first
    types: Mapping[str, object] = field(default_factory=dict)  # Spark's JSON form, where values do not tell it

    @property
    def rows(self) -> int:
        """How many rows."""
        return len(next(iter(self.columns.values())))


_PEOPLE = Example(
    {
        "email": [ANN, BEA],
        "first_name": ["Ann", "Bea"],
        "city": ["Boston", None],
        "zip": [2108, None],
        "tier": ["gold", "silver"],
        "orders": [3, 0],
    }
)
_ITEMS: Columns = {
    "external_id": ["I1", "I2"],
    "title": ["Shirt", "Shoe"],
    "description": ["Blue", "Red"],
    "url": ["https://example.com/i1", "https://example.com/i2"],
    "price": [19.5, 40.0],
    "images": [["https://example.com/i1.png"], None],
    "custom_metadata": [{"season": "spring"}, {"season": "fall"}],
    "published": [True, True],
}
_ONE_ITEM: Columns = {name: values[:1] for name, values in _ITEMS.items()}
_VARIANTS: Columns = {
    "external_id": ["V1"],
    "title": ["Shirt, M"],
    "description": ["Blue"],
    "sku": ["S-M"],
    "inventory_quantity": [25],
    "inventory_policy": [2],
    "price": [19.5],
    "url": ["https://example.com/v1"],
    "item": ["I1"],
}
_CATEGORIES: Columns = {"external_id": ["C1", "C2"], "name": ["Tops", "Sale"], "items": [["I1"], None]}
_EVENTS: Columns = {
    "email": [ANN, ANN, BEA],
    "time": [NOON, NOON, NOON],
    "value": [9.99, 20.0, 5.0],
    "currency": ["USD", "USD", "EUR"],
    "order": ["o-1", "o-2", "o-3"],
    "lines": [[{"sku": "S-M", "quantity": 2}], [], None],
}
_DELETING_ONE, _DELETING_TWO = {"confirm_deletion": "1"}, {"confirm_deletion": "2"}
_CODES: Columns = {"unique_code": ["CODE1", "CODE2"], "expires_at": [datetime(2027, 1, 1, tzinfo=timezone.utc), None]}
_TAGGED = {"tag_id": "<tag vip>"}

EXAMPLES: dict[str, Example] = {
    # people
    "add_profiles_to_list": Example(_PEOPLE.columns, {"list_id": NEWSLETTER}),
    "bulk_import_profiles": Example(
        {
            "email": [ANN, BEA],
            "phone": ["+1 617 555 0100", None],
            "location": [{"city": "Boston", "latitude": 42.36}, {"city": None, "latitude": None}],
            "new_tags": [["vip"], None],
        },
        {
            "fields": '{"phone_number": "phone", "meta.patch_properties.append.tags": "new_tags"}',
            "default_country": "US",
        },
    ),
    "create_or_update_profile": Example({"email": [ANN], "title": ["Editor"], "tier": [None]}, {"nulls": "send"}),
    "create_profile": Example({"email": [CYD], "external_id": [4711], "last_name": ["Dee"]}),
    "update_profile": Example(
        {"id": [f"<profile {ANN}>"], "organization": ["Example Ltd"], "old": [["tier"]]},
        {"fields": '{"meta.patch_properties.unset": "old"}'},
        ("add_profiles_to_list",),
    ),
    "merge_profiles": Example(
        {"stays": [f"<profile {ANN}>"], "goes": [f"<profile {BEA}>"]},
        {"fields": '{"id":"stays","profiles":"goes"}', **_DELETING_ONE},
        ("add_profiles_to_list",),
    ),
    "request_profile_deletion": Example({"email": [ANN, BEA]}, _DELETING_TWO, ("add_profiles_to_list",)),
    # lists
    "add_profile_ids_to_list": Example(
        {"id": [f"<profile {ANN}>", f"<profile {BEA}>"]}, {"list_id": "Lst1Aa"}, ("add_profiles_to_list",)
    ),
    "remove_profile_ids_from_list": Example(
        {"id": [f"<profile {ANN}>"]}, {"list_id": NEWSLETTER}, ("add_profiles_to_list",)
    ),
    "remove_profiles_from_list": Example({"email": [ANN]}, {"list_id": NEWSLETTER}, ("add_profiles_to_list",)),
    "create_list": Example({"name": ["Spring"], "opt_in_process": ["single_opt_in"]}),
    "update_list": Example({"list_id": ["<list Spring>"], "name": ["Summer"]}, before=("create_list",)),
    "delete_list": Example({"list_id": ["<list Spring>"]}, _DELETING_ONE, ("create_list",)),
    # consent
    "bulk_subscribe_profiles": Example(
        {"email": [ANN, BEA], "phone_number": ["+16175550100", "+16175550101"]},
        {"channels": "email,sms", "list_id": NEWSLETTER, "custom_source": "Shop"},
    ),
    "bulk_unsubscribe_profiles": Example(
        {"email": [ANN]}, {"channels": "email", "list_id": NEWSLETTER}, ("bulk_subscribe_profiles",)
    ),
    "bulk_suppress_profiles": Example({"email": [ANN]}, before=("add_profiles_to_list",)),
    "bulk_unsuppress_profiles": Example({"email": [ANN]}, {"confirm_unsuppress": "true"}, ("bulk_suppress_profiles",)),
    # events and devices
    "bulk_create_events": Example(_EVENTS, {"metric": "Placed Order"}),
    "create_event": Example(
        {**_EVENTS, "kind": ["Placed Order", "Placed Order", "Viewed Product"]}, {"metric": "column:kind"}
    ),
    "create_push_token": Example(
        {
            "token": ["token-1"],
            "platform": ["ios"],
            "vendor": ["apns"],
            "email": [ANN],
            "device_metadata": [{"device_model": "iPhone16,2", "os_name": "ios"}],
        }
    ),
    "delete_push_token": Example({"token": ["token-1"]}, _DELETING_ONE, ("create_push_token",)),
    # catalog
    "bulk_create_catalog_items": Example(_ITEMS),
    "bulk_update_catalog_items": Example(
        {"external_id": ["I1"], "price": [15.0], "categories": [["C1"]]},
        before=("bulk_create_catalog_categories",),
    ),
    "bulk_delete_catalog_items": Example({"external_id": ["I1", "I2"]}, _DELETING_TWO, ("bulk_create_catalog_items",)),
    "bulk_create_catalog_variants": Example(_VARIANTS, before=("bulk_create_catalog_items",)),
    "bulk_update_catalog_variants": Example(
        {"external_id": ["V1"], "inventory_quantity": [7]}, before=("bulk_create_catalog_variants",)
    ),
    "bulk_delete_catalog_variants": Example({"external_id": ["V1"]}, _DELETING_ONE, ("bulk_create_catalog_variants",)),
    "bulk_create_catalog_categories": Example(_CATEGORIES, before=("bulk_create_catalog_items",)),
    "bulk_update_catalog_categories": Example(
        {"external_id": ["C1"], "name": ["Shirts"]}, before=("bulk_create_catalog_categories",)
    ),
    "bulk_delete_catalog_categories": Example(
        {"external_id": ["C1", "C2"]}, _DELETING_TWO, ("bulk_create_catalog_categories",)
    ),
    "create_catalog_item": Example(_ONE_ITEM),
    "update_catalog_item": Example({"external_id": ["I1"], "title": ["Blouse"]}, before=("create_catalog_item",)),
    "delete_catalog_item": Example({"external_id": ["I1"]}, _DELETING_ONE, ("create_catalog_item",)),
    "create_catalog_variant": Example(_VARIANTS, before=("create_catalog_item",)),
    "update_catalog_variant": Example({"external_id": ["V1"], "price": [18.0]}, before=("create_catalog_variant",)),
    "delete_catalog_variant": Example({"external_id": ["V1"]}, _DELETING_ONE, ("create_catalog_variant",)),
    "create_catalog_category": Example({"external_id": ["C1"], "name": ["Tops"]}),
    "update_catalog_category": Example(
        {"external_id": ["C1"], "name": ["Shirts"]}, before=("create_catalog_category",)
    ),
    "delete_catalog_category": Example({"external_id": ["C1"]}, _DELETING_ONE, ("create_catalog_category",)),
    "add_items_to_catalog_category": Example(
        {"item": ["I1", "I2", "I2"], "category": ["C1", "C1", "C2"]},
        {"category_id": "column:category", "fields": '{"id": "item"}'},
        ("bulk_create_catalog_items", "create_catalog_category", "_second_category"),
    ),
    "update_items_for_catalog_category": Example(
        {"category": ["C1"], "items": [["I2"]]},
        {"category_id": "column:category"},
        ("bulk_create_catalog_categories",),
    ),
    "remove_items_from_catalog_category": Example(
        {"external_id": ["I1"]}, {"category_id": "C1"}, ("bulk_create_catalog_categories",)
    ),
    "add_categories_to_catalog_item": Example(
        {"external_id": ["C1"]}, {"item_id": "I1"}, ("create_catalog_item", "create_catalog_category")
    ),
    "update_categories_for_catalog_item": Example(
        {"item": ["I1"], "categories": [["C2"]]},
        {"item_id": "column:item"},
        ("bulk_create_catalog_categories",),
    ),
    "remove_categories_from_catalog_item": Example(
        {"external_id": ["C1"]}, {"item_id": "I1"}, ("bulk_create_catalog_categories",)
    ),
    "create_back_in_stock_subscription": Example(
        {"email": [ANN], "variant": ["V1"]}, {"channels": "email"}, ("create_catalog_variant",)
    ),
    # coupons
    "create_coupon": Example({"external_id": ["SAVE10"], "description": ["Ten off"], "low_balance_threshold": [200]}),
    "update_coupon": Example({"coupon_id": ["SAVE10"], "description": ["10 % off"]}, before=("create_coupon",)),
    "delete_coupon": Example({"coupon_id": ["SAVE10"]}, _DELETING_ONE, ("create_coupon",)),
    "bulk_create_coupon_codes": Example(_CODES, {"coupon_id": "SAVE10"}, ("create_coupon",)),
    "create_coupon_code": Example(
        {"code": ["CODE1"], "coupon": ["SAVE10"]}, {"coupon_id": "column:coupon"}, ("create_coupon",)
    ),
    "update_coupon_code": Example({"id": ["SAVE10-CODE1"], "status": ["USED"]}, before=("create_coupon_code",)),
    "delete_coupon_code": Example({"id": ["SAVE10-CODE1"]}, _DELETING_ONE, ("create_coupon_code",)),
    # custom objects
    "create_data_source": Example({"title": ["Orders"], "visibility": ["private"]}),
    "delete_data_source": Example({"id": ["<data source Orders>"]}, _DELETING_ONE, ("create_data_source",)),
    "bulk_create_data_source_records": Example(
        {"order_id": ["o-1", "o-2"], "total": [9.99, 20.0], "day": [date(2026, 10, 15), None], "lines": [["a"], []]},
        {"data_source_id": "<data source Orders>"},
        ("create_data_source",),
    ),
    "create_data_source_record": Example(
        {"order_id": ["o-1"], "total": [9.99]}, {"data_source_id": "<data source Orders>"}, ("create_data_source",)
    ),
    "bulk_delete_object_records": Example({"id": ["record-1", "record-2"]}, _DELETING_TWO),
    # tags
    "create_tag": Example({"name": ["vip"]}),
    "update_tag": Example({"id": ["<tag vip>"], "name": ["gold"]}, before=("create_tag",)),
    "delete_tag": Example({"id": ["<tag vip>"]}, _DELETING_ONE, ("create_tag",)),
    "tag_lists": Example({"list_id": [NEWSLETTER, "Lst1Aa"]}, _TAGGED, ("create_tag",)),
    "remove_tag_from_lists": Example({"list_id": [NEWSLETTER]}, _TAGGED, ("tag_lists",)),
    "tag_segments": Example({"segment_id": ["Seg001"]}, _TAGGED, ("create_tag",)),
    "remove_tag_from_segments": Example({"segment_id": ["Seg001"]}, _TAGGED, ("tag_segments",)),
    "tag_campaigns": Example({"campaign_id": ["01CAMPAIGN"]}, _TAGGED, ("create_tag",)),
    "remove_tag_from_campaigns": Example({"campaign_id": ["01CAMPAIGN"]}, _TAGGED, ("tag_campaigns",)),
    "tag_flows": Example({"flow_id": ["Flw001"]}, _TAGGED, ("create_tag",)),
    "remove_tag_from_flows": Example({"flow_id": ["Flw001"]}, _TAGGED, ("tag_flows",)),
    "create_tag_group": Example({"name": ["Seasons"], "exclusive": [True]}),
    "update_tag_group": Example({"id": ["<tag group Seasons>"], "name": ["Years"]}, before=("create_tag_group",)),
    "delete_tag_group": Example({"id": ["<tag group Seasons>"]}, _DELETING_ONE, ("create_tag_group",)),
    # reviews
    "update_review": Example(
        {"review_id": ["review-1"], "status": ["rejected"], "rejection_reason": ["other"], "status_explanation": ["ad"]}
    ),
}
# What other examples build on, beside the above: (template, example).
HELPERS: dict[str, tuple[str, Example]] = {
    "_second_category": ("create_catalog_category", Example({"external_id": ["C2"], "name": ["Sale"]})),
}
# The retired forms, by (template, api).
RETIRED: dict[tuple[str, str], Example] = {
    ("add_profiles_to_list", "v2"): Example({"email": [ANN, BEA], "tier": ["gold", None]}, {"list_id": NEWSLETTER}),
    ("remove_profiles_from_list", "v2"): Example(
        {"email": [ANN, None], "phone_number": [None, "+16175550100"]}, {"list_id": NEWSLETTER}
    ),
    ("bulk_subscribe_profiles", "v2"): Example(
        {"email": [ANN], "phone_number": ["+16175550100"], "sms_consent": [True]}, {"list_id": NEWSLETTER}
    ),
    ("identify", "v1"): Example({"email": [ANN], "first_name": ["Ann"], "tier": ["gold & more"]}),
    ("track", "v1"): Example({"email": [ANN], "value": [9.99], "order": ["o-1"]}, {"event": "Placed Order"}),
}
