"""Every template's example, written to the simulator over HTTP: rows arrive, and the account shows what they did."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from spark_klaviyo.simulator import KlaviyoSimulator
from spark_klaviyo.templates import CURRENT
from spark_klaviyo.templates.model import Confirmation
from tests.templates.examples import ANN, BEA, CYD, EXAMPLES, NEWSLETTER, RETIRED, Example
from tests.templates.made import write

PREFIX = "$custom:::$default:::"
Shows = Callable[[KlaviyoSimulator], object]


def _profile(klaviyo: KlaviyoSimulator, email: str) -> dict[str, Any]:
    return next((profile for profile in klaviyo.profiles if profile["email"] == email), {})


def _members(klaviyo: KlaviyoSimulator, list_id: str = NEWSLETTER) -> set[str]:
    return {member["email"] for member in klaviyo.lists[list_id].members}


def _consent(klaviyo: KlaviyoSimulator, email: str, channel: str = "email") -> str:
    found: str = _profile(klaviyo, email)["subscriptions"][channel]["marketing"]["consent"]
    return found


def _left(klaviyo: KlaviyoSimulator, email: str) -> set[str]:
    """Lists that somebody unsubscribed from, by email."""
    return {
        one["list_id"] for one in _profile(klaviyo, email)["subscriptions"]["email"]["marketing"]["list_suppressions"]
    }


def _names(held: Mapping[str, Mapping[str, Any]]) -> set[str]:
    return {one["name"] for one in held.values()}


def _worn(klaviyo: KlaviyoSimulator, kind: str) -> set[str]:
    return {one for tag in klaviyo.tags.values() if tag["name"] == "vip" for one in tag[kind]}


def _in_category(klaviyo: KlaviyoSimulator, category: str) -> set[str]:
    return {item.removeprefix(PREFIX) for item in klaviyo.categories[PREFIX + category]["items"]}


# What the account holds after the example of a template; each is true only then.
SHOWS: dict[str, Shows] = {
    "add_profiles_to_list": lambda k: _members(k) == {ANN, BEA} and _profile(k, ANN)["location"]["zip"] == "2108",
    "bulk_import_profiles": lambda k: (
        _profile(k, ANN)["phone_number"] == "+16175550100" and _profile(k, ANN)["properties"]["tags"] == ["vip"]
    ),
    "create_or_update_profile": lambda k: _profile(k, ANN)["title"] == "Editor",
    "create_profile": lambda k: _profile(k, CYD)["external_id"] == "4711",
    "update_profile": lambda k: (
        _profile(k, ANN)["organization"] == "Example Ltd" and "tier" not in _profile(k, ANN)["properties"]
    ),
    "merge_profiles": lambda k: len(k.merged) == 1 and not _profile(k, BEA),
    "request_profile_deletion": lambda k: {one["email"] for one in k.deleted} == {ANN, BEA},
    "add_profile_ids_to_list": lambda k: _members(k, "Lst1Aa") == {ANN, BEA},
    "remove_profile_ids_from_list": lambda k: _members(k) == {BEA},
    "remove_profiles_from_list": lambda k: _members(k) == {BEA},
    "create_list": lambda k: {one.name: one.opt_in_process for one in k.lists.values()}["Spring"] == "single_opt_in",
    "update_list": lambda k: {"Summer"} <= {one.name for one in k.lists.values()},
    "delete_list": lambda k: "Spring" not in {one.name for one in k.lists.values()},
    "bulk_subscribe_profiles": lambda k: (
        {_consent(k, ANN), _consent(k, ANN, "sms"), _consent(k, BEA)} == {"SUBSCRIBED"} and _members(k) == {ANN, BEA}
    ),
    "bulk_unsubscribe_profiles": lambda k: (
        (_left(k, ANN), _left(k, BEA), _consent(k, ANN, "sms")) == ({NEWSLETTER}, set(), "SUBSCRIBED")
    ),
    "bulk_suppress_profiles": lambda k: k.suppressed == {ANN},
    "bulk_unsuppress_profiles": lambda k: k.suppressed == set() and bool(_profile(k, ANN)),
    "bulk_create_events": lambda k: (
        sorted((one["value"], one["value_currency"], one["properties"]["order"]) for one in k.events)
        == [(5.0, "EUR", "o-3"), (9.99, "USD", "o-1"), (20.0, "USD", "o-2")]
    ),
    "create_event": lambda k: sorted(one["metric"] for one in k.events) == [*["Placed Order"] * 2, "Viewed Product"],
    "create_push_token": lambda k: "token-1" in k.push_tokens and bool(_profile(k, ANN)),
    "delete_push_token": lambda k: k.push_tokens == {},
    "bulk_create_catalog_items": lambda k: (
        {key: item["title"] for key, item in k.items.items()} == {PREFIX + "I1": "Shirt", PREFIX + "I2": "Shoe"}
    ),
    "bulk_update_catalog_items": lambda k: (
        k.items[PREFIX + "I1"]["price"] == 15.0
        and k.items[PREFIX + "I1"]["title"] == "Shirt"
        and _in_category(k, "C1") == {"I1"}
    ),
    "bulk_delete_catalog_items": lambda k: k.items == {},
    "bulk_create_catalog_variants": lambda k: k.variants[PREFIX + "V1"]["sku"] == "S-M",
    "bulk_update_catalog_variants": lambda k: k.variants[PREFIX + "V1"]["inventory_quantity"] == 7,
    "bulk_delete_catalog_variants": lambda k: k.variants == {},
    "bulk_create_catalog_categories": lambda k: (
        _names(k.categories) == {"Tops", "Sale"} and _in_category(k, "C1") == {"I1"}
    ),
    "bulk_update_catalog_categories": lambda k: _names(k.categories) == {"Shirts", "Sale"},
    "bulk_delete_catalog_categories": lambda k: k.categories == {},
    "create_catalog_item": lambda k: k.items[PREFIX + "I1"]["custom_metadata"] == {"season": "spring"},
    "update_catalog_item": lambda k: k.items[PREFIX + "I1"]["title"] == "Blouse",
    "delete_catalog_item": lambda k: k.items == {},
    "create_catalog_variant": lambda k: k.variants[PREFIX + "V1"]["inventory_policy"] == 2,
    "update_catalog_variant": lambda k: k.variants[PREFIX + "V1"]["price"] == 18.0,
    "delete_catalog_variant": lambda k: k.variants == {},
    "create_catalog_category": lambda k: _names(k.categories) == {"Tops"},
    "update_catalog_category": lambda k: _names(k.categories) == {"Shirts"},
    "delete_catalog_category": lambda k: k.categories == {},
    "add_items_to_catalog_category": lambda k: (_in_category(k, "C1"), _in_category(k, "C2")) == ({"I1", "I2"}, {"I2"}),
    "update_items_for_catalog_category": lambda k: _in_category(k, "C1") == {"I2"},
    "remove_items_from_catalog_category": lambda k: _in_category(k, "C1") == set(),
    "add_categories_to_catalog_item": lambda k: _in_category(k, "C1") == {"I1"},
    "update_categories_for_catalog_item": lambda k: (_in_category(k, "C1"), _in_category(k, "C2")) == (set(), {"I1"}),
    "remove_categories_from_catalog_item": lambda k: _in_category(k, "C1") == set(),
    "create_back_in_stock_subscription": lambda k: [one["channels"] for one in k.back_in_stock] == [["EMAIL"]],
    "create_coupon": lambda k: k.coupons["SAVE10"]["description"] == "Ten off",
    "update_coupon": lambda k: k.coupons["SAVE10"]["description"] == "10 % off",
    "delete_coupon": lambda k: k.coupons == {},
    "bulk_create_coupon_codes": lambda k: set(k.coupon_codes) == {"SAVE10-CODE1", "SAVE10-CODE2"},
    "create_coupon_code": lambda k: set(k.coupon_codes) == {"SAVE10-CODE1"},
    "update_coupon_code": lambda k: k.coupon_codes["SAVE10-CODE1"]["status"] == "USED",
    "delete_coupon_code": lambda k: k.coupon_codes == {},
    "create_data_source": lambda k: {one["title"] for one in k.data_sources.values()} == {"Orders"},
    "delete_data_source": lambda k: k.data_sources == {},
    "bulk_create_data_source_records": lambda k: (
        [one["record"] for one in k.records]
        == [
            {"day": "2026-10-15", "lines": ["a"], "order_id": "o-1", "total": 9.99},
            {"lines": [], "order_id": "o-2", "total": 20.0},
        ]
    ),
    "create_data_source_record": lambda k: [one["record"] for one in k.records] == [{"order_id": "o-1", "total": 9.99}],
    "bulk_delete_object_records": lambda k: k.deleted_records == ["record-1", "record-2"],
    "create_tag": lambda k: _names(k.tags) == {"vip"},
    "update_tag": lambda k: _names(k.tags) == {"gold"},
    "delete_tag": lambda k: k.tags == {},
    "tag_lists": lambda k: _worn(k, "lists") == {NEWSLETTER, "Lst1Aa"},
    "remove_tag_from_lists": lambda k: _worn(k, "lists") == {"Lst1Aa"},
    "tag_segments": lambda k: _worn(k, "segments") == {"Seg001"},
    "remove_tag_from_segments": lambda k: _worn(k, "segments") == set(),
    "tag_campaigns": lambda k: _worn(k, "campaigns") == {"01CAMPAIGN"},
    "remove_tag_from_campaigns": lambda k: _worn(k, "campaigns") == set(),
    "tag_flows": lambda k: _worn(k, "flows") == {"Flw001"},
    "remove_tag_from_flows": lambda k: _worn(k, "flows") == set(),
    "create_tag_group": lambda k: "Seasons" in _names(k.tag_groups),
    "update_tag_group": lambda k: "Years" in _names(k.tag_groups),
    "delete_tag_group": lambda k: "Seasons" not in _names(k.tag_groups),
    "update_review": lambda k: "rejected" in str(k.reviews["review-1"]["status"]),
}
RETIRED_SHOWS: dict[tuple[str, str], Shows] = {
    ("add_profiles_to_list", "v2"): lambda k: (
        _members(k) == {ANN, BEA} and _profile(k, ANN)["properties"] == {"tier": "gold"}
    ),
    ("remove_profiles_from_list", "v2"): lambda k: _members(k) == set(),
    ("bulk_subscribe_profiles", "v2"): lambda k: _consent(k, ANN, "sms") == "SUBSCRIBED" and _members(k) == {ANN},
    ("identify", "v1"): lambda k: _profile(k, ANN)["properties"] == {"tier": "gold & more"},
    ("track", "v1"): lambda k: (
        [(e["metric"], e["value"], e["properties"]) for e in k.events] == [("Placed Order", 9.99, {"order": "o-1"})]
    ),
}


@pytest.fixture
def klaviyo() -> Iterator[KlaviyoSimulator]:
    with KlaviyoSimulator(job_polls=0, legacy="alive") as running:
        running.reviews["review-1"] = {"id": "review-1", "status": "pending"}
        running.segments["Seg001"] = {"id": "Seg001", "name": "Buyers", "profile_ids": []}
        yield running


@pytest.mark.parametrize("name", sorted(CURRENT))
def test_an_example_arrives(name: str, klaviyo: KlaviyoSimulator) -> None:
    report = write(klaviyo, name, EXAMPLES[name])
    assert (report.stopped, report.rejects_sample) == (None, [])
    assert report.delivered + report.accepted == report.rows == EXAMPLES[name].rows
    assert CURRENT[name].confirmation is Confirmation.NONE or report.delivered == report.rows
    assert SHOWS[name](klaviyo)


@pytest.mark.parametrize(("name", "api"), sorted(RETIRED))
def test_a_retired_form_did_what_it_did_while_it_lived(name: str, api: str, klaviyo: KlaviyoSimulator) -> None:
    if name == "remove_profiles_from_list":
        people = Example({"email": [ANN, None], "phone_number": [None, "+16175550100"]}, {"list_id": NEWSLETTER})
        write(klaviyo, "add_profiles_to_list", people)
    report = write(klaviyo, name, RETIRED[name, api], api=api)
    assert (report.stopped, report.rejects_sample) == (None, [])
    assert RETIRED_SHOWS[name, api](klaviyo)


@pytest.mark.parametrize(("name", "api"), sorted(RETIRED))
def test_a_retired_form_is_stopped_by_the_first_410(name: str, api: str) -> None:
    with KlaviyoSimulator() as retired:
        report = write(retired, name, RETIRED[name, api], api=api)
    assert report.stopped is not None
    assert report.stopped[0] == "retired"
    assert report.unsent == report.rows
