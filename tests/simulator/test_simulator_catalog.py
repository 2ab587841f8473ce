"""Catalog, coupons, custom objects and tags: duplicates, missing resources, relationships."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from spark_klaviyo.simulator import KlaviyoSimulator
from tests.simulator.wire_client import call, catalog_job, code, item, item_id, new

ITEMS = "/api/catalog-items"
CATEGORIES = "/api/catalog-categories"


@pytest.fixture
def klaviyo() -> Iterator[KlaviyoSimulator]:
    with KlaviyoSimulator(job_polls=0) as simulator:
        call(simulator, "POST", ITEMS, {"data": item("I1")})
        call(simulator, "POST", ITEMS, {"data": item("I2")})
        call(simulator, "POST", CATEGORIES, new("catalog-category", external_id="C1", name="Shoes"))
        yield simulator


def category(external_id: str) -> dict[str, str]:
    return item_id(external_id, "catalog-category")


def variant(external_id: str, item_of: str) -> dict[str, Any]:
    attributes = {**item(external_id)["attributes"], "sku": f"S-{external_id}", "inventory_quantity": 1, "price": 2.5}
    return {"type": "catalog-variant", "attributes": attributes, "relationships": {"item": {"data": item_id(item_of)}}}


def test_an_item_has_the_defaults_of_the_account(klaviyo: KlaviyoSimulator) -> None:
    held = klaviyo.items[item_id("I1")["id"]]

    assert (held["published"], held["image_full_url"], held["images"], held["custom_metadata"]) == (True, "", [], {})
    assert held["created"].endswith("000+00:00")  # recorded: three real decimals


@pytest.mark.parametrize(("repeated", "failed", "title"), [("job_error", 1, "Item I1"), ("update", 0, "New")])
def test_creating_what_exists_is_a_job_error_or_an_update(repeated: str, failed: int, title: str) -> None:
    path = "/api/catalog-item-bulk-create-jobs"
    with KlaviyoSimulator(job_polls=0, repeated_item=repeated) as klaviyo:
        call(klaviyo, "POST", ITEMS, {"data": item("I1")})
        body = catalog_job("catalog-item", "create", "items", [item("I1", title="New")])
        job = call(klaviyo, "POST", path, body).json["data"]["id"]
        done = call(klaviyo, "GET", f"{path}/{job}").json["data"]["attributes"]

    assert done["failed_count"] == failed
    assert klaviyo.items[item_id("I1")["id"]]["title"] == title


def test_a_single_item_that_exists_is_409(klaviyo: KlaviyoSimulator) -> None:
    assert call(klaviyo, "POST", ITEMS, {"data": item("I1")}).status == 409


def test_posting_a_link_that_exists_is_409_and_patching_replaces(klaviyo: KlaviyoSimulator) -> None:
    path = f"{ITEMS}/{item_id('I2')['id']}/relationships/categories"
    call(klaviyo, "POST", CATEGORIES, new("catalog-category", external_id="C2", name="Hats"))

    statuses = [call(klaviyo, "POST", path, {"data": [category("C1")]}).status for _ in range(2)]
    again = call(klaviyo, "POST", path, {"data": [category("C1")]})
    assert statuses == [204, 409]
    assert again.errors[0]["detail"] == (
        "One or more of the relations specified for the item with id `$custom:::$default:::I2` already exists."
    )
    assert again.pointers == ["/data/id"]

    assert call(klaviyo, "PATCH", path, {"data": [category("C2")]}).status == 204
    assert [row["id"] for row in call(klaviyo, "GET", path).json["data"]] == [category("C2")["id"]]
    assert call(klaviyo, "DELETE", path, {"data": [category("C2")]}).status == 204
    assert klaviyo.categories[category("C2")["id"]]["items"] == []


def test_links_are_the_same_from_the_side_of_the_category(klaviyo: KlaviyoSimulator) -> None:
    path = f"{CATEGORIES}/{category('C1')['id']}/relationships/items"
    both = {"data": [item_id("I1"), item_id("I2")]}

    assert [call(klaviyo, "POST", path, both).status for _ in range(2)] == [204, 409]
    assert call(klaviyo, "PATCH", path, {"data": [item_id("I2")]}).status == 204
    assert klaviyo.categories[category("C1")["id"]]["items"] == [item_id("I2")["id"]]
    assert call(klaviyo, "POST", path, {"data": [item_id("nosuch")]}).status == 404


def test_deleting_an_item_takes_its_variants_and_deleting_a_category_keeps_its_items(klaviyo: KlaviyoSimulator) -> None:
    call(klaviyo, "POST", "/api/catalog-variants", {"data": variant("V1", "I1")})
    call(klaviyo, "DELETE", f"{ITEMS}/{item_id('I1')['id']}")
    assert klaviyo.variants == {}

    call(klaviyo, "DELETE", f"{CATEGORIES}/{category('C1')['id']}")
    assert list(klaviyo.items) == [item_id("I2")["id"]]


def test_a_variant_needs_an_item_that_exists(klaviyo: KlaviyoSimulator) -> None:
    lone = variant("V1", "I1")
    del lone["relationships"]

    assert call(klaviyo, "POST", "/api/catalog-variants", {"data": lone}).pointers == ["/data/relationships"]
    assert call(klaviyo, "POST", "/api/catalog-variants", {"data": variant("V1", "nosuch")}).status == 404


BAD: list[tuple[dict[str, Any], str]] = [
    (item("I3", price="5"), "/attributes/price"),
    (item("I3", integration_type="shopify"), "/attributes/integration_type"),
    (item("I3", custom_metadata={"x": "x" * 100_001}), "/attributes/custom_metadata"),
    (item("I3", title=None), "/attributes/title"),
    ({"type": "catalog-item", "attributes": {**item("I3")["attributes"], "sku": "x"}}, "/attributes/sku"),
]


@pytest.mark.parametrize(("row", "where"), BAD, ids=[where for _, where in BAD])
def test_a_bad_row_of_a_catalog_job_is_named(klaviyo: KlaviyoSimulator, row: dict[str, Any], where: str) -> None:
    body = catalog_job("catalog-item", "create", "items", [item("I9"), row])

    got = call(klaviyo, "POST", "/api/catalog-item-bulk-create-jobs", body)

    assert (got.status, got.pointers) == (400, [f"/data/attributes/items/data/1{where}"])
    assert len(klaviyo.items) == 2


def test_a_hundred_rows_are_the_most_of_a_catalog_job(klaviyo: KlaviyoSimulator) -> None:
    rows = [item_id(str(number)) for number in range(101)]

    got = call(
        klaviyo, "POST", "/api/catalog-item-bulk-delete-jobs", catalog_job("catalog-item", "delete", "items", rows)
    )

    assert (got.status, got.pointers) == (400, ["/data/attributes/items/data"])


def test_items_and_variants_are_found_by_their_filters(klaviyo: KlaviyoSimulator) -> None:
    call(klaviyo, "POST", "/api/catalog-variants", {"data": variant("V1", "I1")})

    def found(path: str) -> list[str]:
        return [row["attributes"]["external_id"] for row in call(klaviyo, "GET", path).json["data"]]

    assert found(f"{ITEMS}?filter=any(ids,[%22$custom:::$default:::I2%22])") == ["I2"]
    assert found(f"{ITEMS}?sort=-created") == ["I2", "I1"]
    assert found("/api/catalog-variants?filter=equals(item.id,%22$custom:::$default:::I1%22)") == ["V1"]
    assert found("/api/catalog-variants?filter=equals(sku,%22S-V1%22)") == ["V1"]
    assert found(f"{ITEMS}?filter=contains(title,%22item%20i1%22)") == ["I1"]
    assert found(f"{ITEMS}?filter=equals(published,false)") == []
    assert call(klaviyo, "GET", f"{ITEMS}?sort=title").status == 400


@pytest.mark.parametrize(
    "given", [{"used": "NEVER_ASSIGN"}, {"used": "NEVER_ASSIGN", "unused_expired": "ASSIGN_IF_EXPIRED"}]
)
def test_the_assignment_of_codes_must_be_complete_since_october_2026(
    klaviyo: KlaviyoSimulator, given: dict[str, str]
) -> None:
    place, older = "/data/attributes/assigner_configuration", {"revision": "2026-07-15"}
    body = new("coupon", external_id="C", assigner_configuration=given)
    change = {"data": {"type": "coupon", "id": "C", "attributes": {"assigner_configuration": given}}}

    assert call(klaviyo, "POST", "/api/coupons", body).pointers == [f"{place}/unused_expired"]
    assert call(klaviyo, "POST", "/api/coupons", body, older).pointers == [place]
    assert call(klaviyo, "PATCH", "/api/coupons/C", change, older).pointers == [place]


def test_a_coupons_threshold_and_id_follow_its_rules(klaviyo: KlaviyoSimulator) -> None:
    def make(**attributes: Any) -> Any:
        return call(klaviyo, "POST", "/api/coupons", new("coupon", **attributes))

    assert make(external_id="A").json["data"]["attributes"]["monitor_configuration"] == {"low_balance_threshold": "500"}
    assert make(external_id="A").status == 409
    assert make(external_id="B", monitor_configuration={"low_balance_threshold": 99}).status == 400
    assert call(klaviyo, "GET", "/api/coupons/SAVE-10").pointers == ["/data/id"]


@pytest.mark.parametrize(("repeated", "status", "failed"), [("job_error", 409, 1), ("ignore", 200, 0)])
def test_a_code_that_exists_is_an_error_or_ignored(repeated: str, status: int, failed: int) -> None:
    path = "/api/coupon-code-bulk-create-jobs"
    with KlaviyoSimulator(job_polls=0, repeated_code=repeated) as klaviyo:
        call(klaviyo, "POST", "/api/coupons", new("coupon", external_id="C"))
        call(klaviyo, "POST", "/api/coupon-codes", {"data": code("C", "1")})
        assert call(klaviyo, "POST", "/api/coupon-codes", {"data": code("C", "1")}).status == status
        body = new("coupon-code-bulk-create-job", **{"coupon-codes": {"data": [code("C", "1")]}})
        job = call(klaviyo, "POST", path, body).json["data"]["id"]
        assert call(klaviyo, "GET", f"{path}/{job}").json["data"]["attributes"]["failed_count"] == failed


def test_a_code_expires_after_a_year_and_an_assigned_one_stays(klaviyo: KlaviyoSimulator) -> None:
    call(klaviyo, "POST", "/api/coupons", new("coupon", external_id="C"))
    made = call(klaviyo, "POST", "/api/coupon-codes", {"data": code("C", "1")}).json["data"]["attributes"]["expires_at"]
    read = call(klaviyo, "GET", "/api/coupon-codes/C-1").json["data"]["attributes"]["expires_at"]
    assigned = {"data": {"type": "coupon-code", "id": "C-1", "attributes": {"status": "ASSIGNED_TO_PROFILE"}}}
    call(klaviyo, "PATCH", "/api/coupon-codes/C-1", assigned)

    assert made.endswith("Z")
    assert read == made.replace("Z", "+00:00")
    assert call(klaviyo, "DELETE", "/api/coupon-codes/C-1").status == 400
    assert call(klaviyo, "POST", "/api/coupon-codes", {"data": code("nosuch", "1")}).status == 404


RECORD = {"type": "data-source-record", "attributes": {"record": {"id": 1}}}


def test_a_data_source_is_required_since_october_2026(klaviyo: KlaviyoSimulator) -> None:
    path = "/api/data-source-record-bulk-create-jobs"
    body = new("data-source-record-bulk-create-job", **{"data-source-records": {"data": [RECORD]}})

    assert call(klaviyo, "POST", path, body).pointers == ["/data/relationships"]
    assert call(klaviyo, "POST", path, body, {"revision": "2026-07-15"}).status == 204
    body["data"]["relationships"] = {"data-source": {"data": {"type": "data-source", "id": "nosuch"}}}
    assert call(klaviyo, "POST", path, body).errors[0]["detail"] == "Data source with ID nosuch not found."


def test_records_have_their_own_ceilings(klaviyo: KlaviyoSimulator) -> None:
    source = call(klaviyo, "POST", "/api/data-sources", new("data-source", title="x")).json["data"]["id"]
    link = {"data-source": {"data": {"type": "data-source", "id": source}}}

    def bulk(*records: dict[str, Any]) -> Any:
        rows = [{"type": "data-source-record", "attributes": {"record": record}} for record in records]
        body = new("data-source-record-bulk-create-job", **{"data-source-records": {"data": rows}})
        body["data"]["relationships"] = link
        return call(klaviyo, "POST", "/api/data-source-record-bulk-create-jobs", body)

    assert bulk(*[{"n": number} for number in range(501)]).status == 400
    assert bulk({"n": 1}, {"x": "x" * 512_000}).pointers == ["/data/attributes/data-source-records/data/1"]
    assert bulk(*[{"x": "x" * 500_000}] * 8).status == 413
    assert klaviyo.records == []
    assert bulk({"broken": [1, {"any": None}]}).status == 204


def test_an_account_without_object_types_refuses_deletions() -> None:
    body = {
        "data": {
            "type": "object-record-bulk-delete-job",
            "relationships": {"object-records": {"data": [{"type": "object-record", "id": "TYPE1:7"}]}},
        }
    }
    with KlaviyoSimulator(object_types=False) as klaviyo:
        got = call(klaviyo, "POST", "/api/object-record-bulk-delete-jobs", body)

    assert (got.status, got.errors[0]["detail"]) == (404, "Object type `TYPE1` not found")


def test_an_exclusive_group_allows_one_of_its_tags_on_a_list(klaviyo: KlaviyoSimulator) -> None:
    group = call(klaviyo, "POST", "/api/tag-groups", new("tag-group", name="g", exclusive=True)).json["data"]["id"]
    body = new("tag", name="x")
    body["data"]["relationships"] = {"tag-group": {"data": {"type": "tag-group", "id": group}}}
    one, two = (call(klaviyo, "POST", "/api/tags", body).json["data"]["id"] for _ in range(2))
    lists = {"data": [{"type": "list", "id": "Y6nRLr"}]}

    assert call(klaviyo, "POST", f"/api/tags/{one}/relationships/lists", lists).status == 204
    assert call(klaviyo, "POST", f"/api/tags/{two}/relationships/lists", lists).status == 400
    nobody = {"data": [{"type": "list", "id": "nosuch"}]}
    assert call(klaviyo, "POST", f"/api/tags/{one}/relationships/lists", nobody).status == 404
