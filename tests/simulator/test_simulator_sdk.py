"""The official SDK against the simulator: every family of endpoints, written and read back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from spark_klaviyo.simulator import KlaviyoSimulator
from tests.simulator.wire_client import (
    catalog_job,
    code,
    event,
    events_body,
    import_body,
    item,
    item_id,
    new,
    profile,
    single_event,
    subscribe_body,
    unsubscribe_body,
)

klaviyo_api = pytest.importorskip("klaviyo_api")
YES = {"email": {"marketing": {"consent": "SUBSCRIBED"}}}


class Plain:
    """The SDK with its replies as plain JSON."""

    def __init__(self, room: Any) -> None:
        self._room = room

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._room, name)
        return self._plainly(found) if callable(found) else Plain(found)

    def _plainly(self, operation: Any) -> Any:
        def run(*given: Any, **named: Any) -> Any:
            answer = operation(*given, **named)
            return answer.model_dump(by_alias=True, mode="json") if hasattr(answer, "model_dump") else answer

        return run


@pytest.fixture
def sdk(klaviyo: KlaviyoSimulator) -> Plain:
    return Plain(klaviyo_api.KlaviyoAPI("pk_test", test_host=klaviyo.url, max_delay=1, max_retries=2))


def test_profiles_are_imported_and_followed(klaviyo: KlaviyoSimulator, sdk: Plain) -> None:
    rows = [{"email": f"p{n}@example.com", "properties": {"n": n}} for n in range(3)]

    job = sdk.Profiles.bulk_import_profiles(import_body(rows, "Y6nRLr"))["data"]
    done = sdk.Profiles.get_bulk_import_profiles_job(job["id"])["data"]
    errors = sdk.Profiles.get_errors_for_bulk_import_profiles_job(job["id"], page_size=100)["data"]
    listed = sdk.Profiles.get_bulk_import_profiles_jobs(filter='equals(status,"complete")')["data"]
    ids = sdk.Profiles.get_profile_ids_for_bulk_import_profiles_job(job["id"])["data"]

    assert (job["attributes"]["status"], done["attributes"]["status"], errors) == ("queued", "complete", [])
    assert [entry["id"] for entry in listed] == [job["id"]]
    assert [entry["id"] for entry in ids] == [held["id"] for held in klaviyo.lists["Y6nRLr"]]


def test_single_profiles_are_written_and_read(sdk: Plain) -> None:
    made = sdk.Profiles.create_profile(new("profile", email="ann@example.com"))["data"]
    sdk.Profiles.create_or_update_profile(new("profile", email="bea@example.com", first_name="Bea"))
    patch = {"data": {"type": "profile", "id": made["id"], "attributes": {"first_name": "Ann"}}}
    sdk.Profiles.update_profile(made["id"], patch)
    found = sdk.Profiles.get_profiles(
        filter='any(email,["ANN@example.com","bea@example.com"])', additional_fields_profile=["subscriptions"]
    )["data"]

    assert {row["attributes"]["first_name"] for row in found} == {"Ann", "Bea"}
    assert found[0]["attributes"]["subscriptions"]["email"]["marketing"]["consent"] == "NEVER_SUBSCRIBED"
    assert sdk.Profiles.get_profile(made["id"])["data"]["attributes"]["email"] == "ann@example.com"


def test_consent_is_given_taken_and_suppressed(klaviyo: KlaviyoSimulator, sdk: Plain) -> None:
    sdk.Profiles.bulk_subscribe_profiles(subscribe_body([{"email": "ann@example.com", "subscriptions": YES}], "Y6nRLr"))
    assert klaviyo.profiles[0]["subscriptions"]["email"]["marketing"]["consent"] == "SUBSCRIBED"

    sdk.Profiles.bulk_unsubscribe_profiles(unsubscribe_body(["ann@example.com"]))
    assert klaviyo.profiles[0]["subscriptions"]["email"]["marketing"]["consent"] == "UNSUBSCRIBED"

    body = {"profiles": {"data": [profile(email="ann@example.com")]}}
    job = sdk.Profiles.bulk_suppress_profiles(new("profile-suppression-bulk-create-job", **body))["data"]
    assert klaviyo.suppressed == {"ann@example.com"}
    assert sdk.Profiles.get_bulk_suppress_profiles_job(job["id"])["data"]["attributes"]["status"] == "complete"
    job = sdk.Profiles.bulk_unsuppress_profiles(new("profile-suppression-bulk-delete-job", **body))["data"]
    assert sdk.Profiles.get_bulk_unsuppress_profiles_job(job["id"])["data"]["attributes"]["total_count"] == 1
    assert klaviyo.suppressed == set()


def test_lists_are_created_filled_and_renamed(klaviyo: KlaviyoSimulator, sdk: Plain) -> None:
    klaviyo.add_profiles(2)
    made = sdk.Lists.create_list(new("list", name="Fresh"))["data"]["id"]
    members = {"data": [{"type": "profile", "id": held["id"]} for held in klaviyo.profiles]}

    sdk.Lists.add_profiles_to_list(made, members)
    sdk.Lists.remove_profiles_from_list(made, {"data": members["data"][:1]})
    sdk.Lists.update_list(made, {"data": {"type": "list", "id": made, "attributes": {"name": "Fresher"}}})

    assert [entry["id"] for entry in sdk.Lists.get_profile_ids_for_list(made)["data"]] == [members["data"][1]["id"]]
    assert sdk.Lists.get_profiles_for_list(made)["data"][0]["attributes"]["email"] == "person1@example.com"
    assert sdk.Lists.get_lists(filter='equals(name,"Fresher")')["data"][0]["id"] == made
    sdk.Lists.delete_list(made)
    assert made not in klaviyo.lists


def test_people_are_merged_and_deleted(klaviyo: KlaviyoSimulator, sdk: Plain) -> None:
    klaviyo.add_profiles(2, "Y6nRLr")
    kept, source = (held["id"] for held in klaviyo.profiles)
    links = {"profiles": {"data": [{"type": "profile", "id": source}]}}

    sdk.Profiles.merge_profiles({"data": {"type": "profile-merge", "id": kept, "relationships": links}})
    assert klaviyo.merged == {source: kept}
    assert [held["id"] for held in klaviyo.lists["Y6nRLr"]] == [kept]

    sdk.Data_Privacy.request_profile_deletion(
        new("data-privacy-deletion-job", profile={"data": {"type": "profile", "id": kept, "attributes": {}}})
    )
    assert (klaviyo.profiles, len(klaviyo.deleted)) == ([], 1)


def test_events_and_push_tokens_arrive(klaviyo: KlaviyoSimulator, sdk: Plain) -> None:
    who = {"email": "ann@example.com"}
    sdk.Events.create_event(single_event(who, value=9.99, unique_id="a"))
    sdk.Events.bulk_create_events(events_body((who, [event(unique_id="b"), event("Viewed", unique_id="c")])))
    token = {"token": "t1", "platform": "ios", "vendor": "apns", "profile": {"data": profile(**who)}}
    sdk.Profiles.create_push_token(new("push-token", **token))

    assert [(row["metric"], row["unique_id"]) for row in klaviyo.events] == [
        ("Placed Order", "a"),
        ("Placed Order", "b"),
        ("Viewed", "c"),
    ]
    assert klaviyo.push_tokens["t1"]["profile_id"] == klaviyo.profiles[0]["id"]
    sdk.Profiles.delete_push_token(klaviyo.push_tokens["t1"]["id"])
    assert klaviyo.push_tokens == {}
    assert len(sdk.Events.get_events()["data"]) == 3


def test_catalog_items_are_created_read_and_deleted(klaviyo: KlaviyoSimulator, sdk: Plain) -> None:
    variant = {
        "type": "catalog-variant",
        "attributes": {**item("V1")["attributes"], "sku": "s", "inventory_quantity": 1, "price": 2},
        "relationships": {"item": {"data": item_id("I1")}},
    }
    category = {"type": "catalog-category", "attributes": {"external_id": "C1", "name": "Shoes"}}
    catalogs = sdk.Catalogs

    job = catalogs.bulk_create_catalog_items(catalog_job("catalog-item", "create", "items", [item("I1"), item("I2")]))
    catalogs.bulk_create_catalog_variants(catalog_job("catalog-variant", "create", "variants", [variant]))
    catalogs.bulk_create_catalog_categories(catalog_job("catalog-category", "create", "categories", [category]))
    status = catalogs.get_bulk_create_catalog_items_job(job["data"]["id"])["data"]
    catalogs.add_categories_to_catalog_item(item_id("I1")["id"], {"data": [item_id("C1", "catalog-category")]})
    update = {**item_id("I1"), "attributes": {"title": "New"}}
    catalogs.bulk_update_catalog_items(catalog_job("catalog-item", "update", "items", [update]))
    catalogs.update_catalog_item(item_id("I2")["id"], {"data": {**item_id("I2"), "attributes": {"price": 3.5}}})

    assert status["attributes"]["status"] == "complete"
    assert [entry["id"] for entry in status["relationships"]["items"]["data"]] == [
        item_id("I1")["id"],
        item_id("I2")["id"],
    ]
    assert klaviyo.categories[item_id("C1")["id"]]["items"] == [item_id("I1")["id"]]
    assert klaviyo.items[item_id("I1")["id"]]["title"] == "New"
    assert [
        row["id"] for row in catalogs.get_catalog_items(filter='equals(category.id,"$custom:::$default:::C1")')["data"]
    ] == [item_id("I1")["id"]]
    who = {"data": profile(email="ann@example.com")}
    stock = new("back-in-stock-subscription", channels=["EMAIL"], profile=who)
    stock["data"]["relationships"] = {"variant": {"data": item_id("V1", "catalog-variant")}}
    catalogs.create_back_in_stock_subscription(stock)
    assert klaviyo.back_in_stock[0]["variant"] == item_id("V1")["id"]

    catalogs.bulk_delete_catalog_items(catalog_job("catalog-item", "delete", "items", [item_id("I1")]))
    assert (list(klaviyo.items), klaviyo.variants) == ([item_id("I2")["id"]], {})


def test_coupons_and_their_codes_are_created_read_and_deleted(klaviyo: KlaviyoSimulator, sdk: Plain) -> None:
    coupons = sdk.Coupons
    coupons.create_coupon(new("coupon", external_id="SAVE10", description="Ten"))
    rows = [code("SAVE10", "A"), code("SAVE10", "A"), code("OTHER", "B")]
    job = coupons.bulk_create_coupon_codes(new("coupon-code-bulk-create-job", **{"coupon-codes": {"data": rows}}))[
        "data"
    ]
    done = coupons.get_bulk_create_coupon_codes_job(job["id"])["data"]["attributes"]
    made = coupons.create_coupon_code({"data": code("SAVE10", "C")})["data"]

    assert (done["completed_count"], done["failed_count"]) == (1, 2)
    assert [error["meta"]["id"] for error in klaviyo.jobs[job["id"]].failures] == ["SAVE10-A", "OTHER-B"]
    assert made["id"] == "SAVE10-C"
    coupons.update_coupon_code(
        "SAVE10-C", {"data": {"type": "coupon-code", "id": "SAVE10-C", "attributes": {"status": "USED"}}}
    )
    coupons.delete_coupon_code("SAVE10-A")
    assert {key: held["status"] for key, held in klaviyo.coupon_codes.items()} == {"SAVE10-C": "USED"}
    coupons.delete_coupon("SAVE10")
    assert (klaviyo.coupons, klaviyo.coupon_codes) == ({}, {})


def test_coupons_say_when_a_code_is_assigned_anew(klaviyo: KlaviyoSimulator, sdk: Plain) -> None:
    first = {"used": "ALWAYS_ASSIGN", "unused_expired": "NEVER_ASSIGN"}
    made = sdk.Coupons.create_coupon(new("coupon", external_id="SAVE10", assigner_configuration=first))["data"]
    assert made["attributes"]["assigner_configuration"] == klaviyo.coupons["SAVE10"]["assigner_configuration"] == first

    other = {"used": "ASSIGN_IF_EXPIRED", "unused_expired": "ALWAYS_ASSIGN"}
    change = {"data": {"type": "coupon", "id": "SAVE10", "attributes": {"assigner_configuration": other}}}
    sdk.Coupons.update_coupon("SAVE10", change)
    assert klaviyo.coupons["SAVE10"]["assigner_configuration"] == other


def test_exchange_ids_identify_people_in_events_and_push_tokens(klaviyo: KlaviyoSimulator, sdk: Plain) -> None:
    who = {"_kx": "exchange-1"}
    sdk.Events.create_event(single_event(who, unique_id="a"))
    sdk.Events.bulk_create_events(events_body((who, [event(unique_id="b")])))
    token = {"token": "t1", "platform": "ios", "vendor": "apns", "profile": {"data": profile(**who)}}
    sdk.Profiles.create_push_token(new("push-token", **token))

    sent = [json.loads(one.body) for one in klaviyo.requests]
    assert json.dumps(sent).count("exchange-1") == 3
    assert (len(klaviyo.events), list(klaviyo.push_tokens)) == (2, ["t1"])


def test_records_of_custom_objects_are_created(klaviyo: KlaviyoSimulator, sdk: Plain) -> None:
    objects = sdk.Custom_Objects
    source = objects.create_data_source(new("data-source", title="orders"))["data"]["id"]
    link = {"data-source": {"data": {"type": "data-source", "id": source}}}
    row = {"type": "data-source-record", "attributes": {"record": {"id": 1}}}
    bulk = new("data-source-record-bulk-create-job", **{"data-source-records": {"data": [row, row]}})
    one = new("data-source-record-create-job", **{"data-source-record": {"data": row}})
    bulk["data"]["relationships"] = one["data"]["relationships"] = link
    gone = {"object-records": {"data": [{"type": "object-record", "id": "r1"}]}}

    objects.bulk_create_data_source_records(bulk)
    objects.create_data_source_record(one)
    objects.bulk_delete_object_records({"data": {"type": "object-record-bulk-delete-job", "relationships": gone}})

    assert klaviyo.records == [{"data_source": source, "record": {"id": 1}}] * 3
    assert klaviyo.deleted_records == ["r1"]
    assert objects.get_data_sources()["data"][0]["id"] == source
    objects.delete_data_source(source)
    assert klaviyo.data_sources == {}


def test_tags_are_put_on_and_taken_off(klaviyo: KlaviyoSimulator, sdk: Plain) -> None:
    tags = sdk.Tags
    group = tags.create_tag_group(new("tag-group", name="Regions", exclusive=True))["data"]["id"]
    made = new("tag", name="north")
    made["data"]["relationships"] = {"tag-group": {"data": {"type": "tag-group", "id": group}}}
    tag = tags.create_tag(made)["data"]["id"]
    ops = {name: {"data": [{"type": name[:-1], "id": target}]} for name, target in
           (("lists", "Y6nRLr"), ("segments", "S1"), ("campaigns", "C1"), ("flows", "F1"))}  # fmt: skip

    for name, op in ops.items():
        getattr(tags, f"tag_{name}")(tag, op)
        getattr(tags, f"tag_{name}")(tag, op)  # set semantics
    assert {name: klaviyo.tags[tag][name] for name in ops} == {
        "lists": ["Y6nRLr"],
        "segments": ["S1"],
        "campaigns": ["C1"],
        "flows": ["F1"],
    }
    for name, op in ops.items():
        getattr(tags, f"remove_tag_from_{name}")(tag, op)
    assert all(klaviyo.tags[tag][name] == [] for name in ops)
    tags.update_tag(tag, {"data": {"type": "tag", "id": tag, "attributes": {"name": "south"}}})
    tags.update_tag_group(group, {"data": {"type": "tag-group", "id": group, "attributes": {"name": "Areas"}}})
    assert (klaviyo.tags[tag]["name"], klaviyo.tag_groups[group]["name"]) == ("south", "Areas")
    assert tags.get_tags(filter='contains(name,"sou")')["data"][0]["id"] == tag
    tags.delete_tag_group(group)
    assert klaviyo.tags == {}


def test_a_review_is_moderated(klaviyo: KlaviyoSimulator, sdk: Plain) -> None:
    klaviyo.reviews["r1"] = {"id": "r1", "status": {"value": "pending"}}

    body = {"data": {"type": "review", "id": "r1", "attributes": {"status": {"value": "published"}}}}
    sdk.Reviews.update_review("r1", body)

    assert klaviyo.reviews["r1"]["status"] == {"value": "published"}


def test_a_refusal_raises_the_sdks_own_error(klaviyo: KlaviyoSimulator, sdk: Plain) -> None:
    exceptions = pytest.importorskip("openapi_client.exceptions")

    with pytest.raises(exceptions.BadRequestException) as refused:
        sdk.Profiles.bulk_import_profiles(import_body([{"email": "no"}]))
    assert "/data/attributes/profiles/data/0/attributes/email" in refused.value.body

    klaviyo.revoke("pk_test")
    with pytest.raises(exceptions.UnauthorizedException):
        sdk.Accounts.get_accounts()
