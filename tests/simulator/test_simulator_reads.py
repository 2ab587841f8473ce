"""Reads: account, segments, metrics, tags, coupons, and the profiles and lists of a job."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from spark_klaviyo.simulator import Fault, KlaviyoSimulator
from tests.simulator.wire_client import call, catalog_job, event, events_body, import_rows, item, item_id, new, profile


@pytest.fixture
def klaviyo() -> Iterator[KlaviyoSimulator]:
    with KlaviyoSimulator(job_polls=0, account="Test Shop") as simulator:
        yield simulator


def read(klaviyo: KlaviyoSimulator, path: str) -> Any:
    got = call(klaviyo, "GET", path)
    assert got.status == 200, got.body
    return got.json["data"]


def test_the_account_has_the_name_it_was_given(klaviyo: KlaviyoSimulator) -> None:
    (account,) = read(klaviyo, "/api/accounts")

    assert account["attributes"]["contact_information"]["organization_name"] == "Test Shop"
    assert read(klaviyo, f"/api/accounts/{account['id']}") == account


def test_segments_hold_the_profiles_that_a_test_puts_there(klaviyo: KlaviyoSimulator) -> None:
    klaviyo.add_profiles(3)
    named = klaviyo.profiles[1]["id"]
    klaviyo.segments["S1"] = {"id": "S1", "name": "VIPs", "profile_ids": [named]}

    assert [row["id"] for row in read(klaviyo, "/api/segments?filter=equals(name,%22VIPs%22)")] == ["S1"]
    assert read(klaviyo, "/api/segments/S1")["attributes"]["name"] == "VIPs"
    assert [row["id"] for row in read(klaviyo, "/api/segments/S1/profiles")] == [named]


def test_metrics_come_from_events(klaviyo: KlaviyoSimulator) -> None:
    call(
        klaviyo,
        "POST",
        "/api/event-bulk-create-jobs",
        events_body(({"email": "a@b.co"}, [event(value=3), event("Viewed")])),
    )
    metrics = read(klaviyo, "/api/metrics")
    (who,) = klaviyo.profiles

    assert [row["attributes"]["name"] for row in metrics] == ["Placed Order", "Viewed"]
    assert read(klaviyo, f"/api/metrics/{metrics[0]['id']}") == metrics[0]
    (found,) = read(
        klaviyo, f"/api/events?filter=equals(metric_id,%22{metrics[0]['id']}%22),equals(profile_id,%22{who['id']}%22)"
    )
    assert found["attributes"]["event_properties"] == {"$value": 3}
    assert read(klaviyo, f"/api/events/{found['id']}") == found
    assert call(klaviyo, "GET", "/api/metrics/nosuch").status == 404
    assert call(klaviyo, "GET", "/api/metrics?page%5Bsize%5D=5").status == 400


def test_the_profiles_of_an_import_are_linked_from_its_job(klaviyo: KlaviyoSimulator) -> None:
    job = import_rows(klaviyo, [{"email": "a@b.co"}], "Y6nRLr").json["data"]["id"]
    path = f"/api/profile-bulk-import-jobs/{job}"

    assert [row["attributes"]["email"] for row in read(klaviyo, f"{path}/profiles")] == ["a@b.co"]
    assert [row["attributes"]["name"] for row in read(klaviyo, f"{path}/lists")] == ["Newsletter"]


def test_subscriptions_and_analytics_are_added_when_asked_for(klaviyo: KlaviyoSimulator) -> None:
    klaviyo.add_profiles(1, "Y6nRLr")
    asked = "additional-fields%5Bprofile%5D=subscriptions%2Cpredictive_analytics"
    (one,) = read(klaviyo, f"/api/profiles?{asked}")
    (plain,) = read(klaviyo, "/api/profiles")

    assert list(one["attributes"])[-2:] == ["subscriptions", "predictive_analytics"]
    assert "subscriptions" not in plain["attributes"]
    (member,) = read(klaviyo, f"/api/lists/Y6nRLr/profiles?{asked}")
    assert member["attributes"]["subscriptions"]["whatsapp"] is None


def test_profiles_are_found_by_when_they_changed(klaviyo: KlaviyoSimulator) -> None:
    klaviyo.add_profiles(2)

    assert len(read(klaviyo, "/api/profiles?filter=greater-than(updated,2020-01-01T00:00:00Z)")) == 2
    assert read(klaviyo, "/api/profiles?filter=less-than(created,2020-01-01T00:00:00Z)") == []
    both = "and(equals(email,%22person1@example.com%22),greater-than(updated,2020-01-01T00:00:00Z))"
    assert len(read(klaviyo, f"/api/profiles?filter={both}")) == 1


def test_tags_are_listed_by_name_and_by_what_they_are_on(klaviyo: KlaviyoSimulator) -> None:
    tag = call(klaviyo, "POST", "/api/tags", new("tag", name="north")).json["data"]["id"]
    call(klaviyo, "POST", f"/api/tags/{tag}/relationships/lists", {"data": [{"type": "list", "id": "Y6nRLr"}]})

    assert read(klaviyo, f"/api/tags/{tag}")["attributes"] == {"name": "north"}
    assert [row["id"] for row in read(klaviyo, "/api/tags?filter=starts-with(name,%22no%22)")] == [tag]
    assert read(klaviyo, f"/api/tags/{tag}/relationships/lists") == [{"type": "list", "id": "Y6nRLr"}]
    assert read(klaviyo, "/api/lists/Y6nRLr/relationships/tags") == [{"type": "tag", "id": tag}]
    (group,) = read(klaviyo, "/api/tag-groups")
    assert group["attributes"]["default"] is True
    assert call(klaviyo, "DELETE", f"/api/tag-groups/{group['id']}").status == 400
    assert call(klaviyo, "DELETE", f"/api/tags/{tag}").status == 204
    assert klaviyo.tags == {}


def test_coupons_are_changed_and_read(klaviyo: KlaviyoSimulator) -> None:
    call(klaviyo, "POST", "/api/coupons", new("coupon", external_id="A"))
    change = {"description": "Ten", "monitor_configuration": {"low_balance_threshold": 250}}
    body = {"data": {"type": "coupon", "id": "A", "attributes": change}}

    assert call(klaviyo, "PATCH", "/api/coupons/A", body).status == 200
    assert read(klaviyo, "/api/coupons/A")["attributes"] == {
        "external_id": "A",
        "description": "Ten",
        "monitor_configuration": {"low_balance_threshold": "250"},
    }


def test_a_data_source_is_read_and_its_records_may_be_single(klaviyo: KlaviyoSimulator) -> None:
    source = call(klaviyo, "POST", "/api/data-sources", new("data-source", title="x", description="y")).json["data"]
    one = new(
        "data-source-record-create-job",
        **{
            "data-source-record": {
                "data": {"type": "data-source-record", "attributes": {"record": {"x": "x" * 512_000}}}
            }
        },
    )
    one["data"]["relationships"] = {"data-source": {"data": {"type": "data-source", "id": source["id"]}}}

    assert read(klaviyo, f"/api/data-sources/{source['id']}") == source
    assert call(klaviyo, "POST", "/api/data-source-record-create-jobs", one).pointers == [
        "/data/attributes/data-source-record/data"
    ]
    assert read(klaviyo, "/api/object-types") == []
    assert read(klaviyo, "/api/object-types/x/object-ingestion-logs") == []


def test_catalog_resources_are_related_when_they_are_made_and_changed(klaviyo: KlaviyoSimulator) -> None:
    one, two = item_id("C1", "catalog-category"), item_id("C2", "catalog-category")
    for name in ("C1", "C2"):
        call(klaviyo, "POST", "/api/catalog-categories", new("catalog-category", external_id=name, name=name))
    made = {**item("I1"), "relationships": {"categories": {"data": [one]}}}
    lost = {**item("I2"), "relationships": {"categories": {"data": [item_id("no", "catalog-category")]}}}
    moved = {**item_id("I1"), "attributes": {}, "relationships": {"categories": {"data": [two]}}}
    filled = {**one, "attributes": {"name": "New"}, "relationships": {"items": {"data": [item_id("I1")]}}}

    def members() -> list[list[str]]:
        return [held["items"] for held in klaviyo.categories.values()]

    assert call(klaviyo, "POST", "/api/catalog-items", {"data": made}).status == 201
    assert call(klaviyo, "POST", "/api/catalog-items", {"data": lost}).status == 404
    assert members() == [[item_id("I1")["id"]], []]
    assert call(klaviyo, "PATCH", f"/api/catalog-items/{moved['id']}", {"data": moved}).status == 200
    assert members() == [[], [item_id("I1")["id"]]]
    assert call(klaviyo, "PATCH", f"/api/catalog-categories/{one['id']}", {"data": filled}).status == 200
    assert members() == [[item_id("I1")["id"]]] * 2
    assert read(klaviyo, f"/api/catalog-categories/{one['id']}")["attributes"]["name"] == "New"
    assert list(klaviyo.items) == [item_id("I1")["id"]]


def test_catalog_rows_may_fail_by_fault_with_and_without_a_name() -> None:
    path = "/api/catalog-item-bulk-create-jobs"
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        klaviyo.inject(Fault("job_row_errors", identifiers=["I1"], times=1), Fault("job_counts_only", after=1))
        body = catalog_job("catalog-item", "create", "items", [item("I1"), item("I2")])
        first, second = (call(klaviyo, "POST", path, body).json["data"]["id"] for _ in range(2))
        named, counted = (read(klaviyo, f"{path}/{job}")["attributes"] for job in (first, second))

    assert [error["meta"]["id"] for error in named["errors"]] == [item_id("I1")["id"]]
    assert (counted["failed_count"], counted["errors"]) == (2, [])


def test_suppression_jobs_are_listed_by_their_list(klaviyo: KlaviyoSimulator) -> None:
    klaviyo.add_profiles(2, "Y6nRLr")
    path, kind = "/api/profile-suppression-bulk-create-jobs", "profile-suppression-bulk-create-job"
    links = {"list": {"data": {"type": "list", "id": "Y6nRLr"}}}
    by_list = call(klaviyo, "POST", path, {"data": {"type": kind, "attributes": {}, "relationships": links}}).json[
        "data"
    ]["id"]
    call(klaviyo, "POST", path, new(kind, profiles={"data": [profile(email="x@b.co")]}))

    (found,) = read(klaviyo, f"{path}?filter=equals(list_id,%22Y6nRLr%22)")

    assert found["id"] == by_list
    assert found["relationships"]["lists"]["data"] == [{"type": "list", "id": "Y6nRLr"}]
    assert found["attributes"]["total_count"] == 2
    unknown = {"segment": {"data": {"type": "segment", "id": "nosuch"}}}
    got = call(klaviyo, "POST", path, {"data": {"type": kind, "attributes": {}, "relationships": unknown}})
    assert got.pointers == ["/data/relationships/segment/data/id"]
