"""The simulator's documents against recorded ones: status, limits, and every key in its recorded order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from spark_klaviyo.simulator import KlaviyoSimulator
from tests.simulator.wire_client import (
    Got,
    call,
    catalog_job,
    code,
    import_body,
    import_rows,
    item,
    item_id,
    new,
    profile,
)

S, M, L, XL = "3, 3;w=1, 60;w=60", "10, 10;w=1, 150;w=60", "75, 75;w=1, 750;w=60", "350, 350;w=1, 3500;w=60"
XS = "1, 1;w=1, 15;w=60"
LINKS = "links:{self}} links:{self}}"
PAGE = "links:{self}}] links:{self next prev}}"
BOTH = "links:{self related}"
NAMES = (
    "email phone_number external_id anonymous_id whatsapp_bsuid first_name last_name organization locale title image"
)
PLACE = "location:{address1 address2 city country latitude longitude region zip timezone ip}"
AROUND = f"relationships:{{lists:{{{BOTH}}} segments:{{{BOTH}}} push-tokens:{{{BOTH}}} conversation:{{{BOTH}}}}}"
PERSON = f"{NAMES} created updated last_event_date {PLACE} properties:{{source}}"
PROFILE = f"{{data:{{type id attributes:{{{PERSON}}} {AROUND} {LINKS}"
IMPORTED = (
    f"relationships:{{lists:{{data:[{{type id}}] {BOTH}}} profiles:{{{BOTH}}} import-errors:{{links:{{related}}}}}}"
)
IMPORT = (
    "{data:{type id attributes:{status created_at total_count completed_count failed_count completed_at expires_at "
    f"started_at}} {IMPORTED} {LINKS}"
)
SUPPRESSION = (
    "{data:{type id attributes:{status created_at total_count completed_count completed_at skipped_count} "
    f"relationships:{{lists:{{{BOTH}}} segments:{{{BOTH}}}}} {LINKS}"
)
COUNTS = "attributes:{status created_at total_count completed_count failed_count completed_at errors expires_at}"
CATALOG_JOB = f"{{data:{{type id {COUNTS} {LINKS}"
PICTURES = "url image_full_url image_thumbnail_url images custom_metadata:{run} published created updated"
ITEM = f"type id attributes:{{external_id title description price {PICTURES}}} relationships:{{variants:{{{BOTH}}}}}"
STOCK = f"sku inventory_policy inventory_quantity price {PICTURES}"
VARIANT = f"type id attributes:{{external_id title description {STOCK}}} relationships:{{item:{{{BOTH}}}}}"
CATEGORY = f"type id attributes:{{external_id name updated}} relationships:{{items:{{{BOTH}}}}}"
LIST_AROUND = f"relationships:{{profiles:{{{BOTH}}} tags:{{{BOTH}}} flow-triggers:{{{BOTH}}}}}"
LIST = f"type id attributes:{{name created updated opt_in_process}} {LIST_AROUND}"
OF_COUPON = f"relationships:{{coupon:{{data:{{type id}} {BOTH}}} profile:{{{BOTH}}}}}"
CODE = f"type id attributes:{{unique_code expires_at status}} {OF_COUPON}"
COUPON = "type id attributes:{external_id description monitor_configuration:{low_balance_threshold}}"
TAG_LINKS = " ".join(f"{name}:{{{BOTH}}}" for name in ("lists", "segments", "campaigns", "flows"))
TAG = f"type id attributes:{{name}} relationships:{{tag-group:{{data:{{type id}} {BOTH}}} {TAG_LINKS}}}"
SOURCE = "type id attributes:{title visibility description namespace}"

STREET = "street_address:{address1 address2 city region country zip}"
SENDER = f"default_sender_name default_sender_email website_url organization_name {STREET}"
ACCOUNT = (
    f"{{data:[{{type id attributes:{{test_account contact_information:{{{SENDER}}} industry timezone "
    f"preferred_currency public_api_key locale}} {PAGE}"
)

VARIANT_BODY = {
    "type": "catalog-variant",
    "attributes": {
        **item("V2")["attributes"],
        "sku": "SKU-V2",
        "inventory_quantity": 3.0,
        "price": 19.99,
        "custom_metadata": {"run": "r1"},
    },
    "relationships": {"item": {"data": item_id("I1")}},
}
SUPPRESS = {
    "data": {
        "type": "profile-suppression-bulk-create-job",
        "attributes": {"profiles": {"data": [profile(email="x@y.co")]}},
    }
}

# method, path, body, status, RateLimit-Limit, keys
RECORDED: list[tuple[str, str, object, int, str, str]] = [
    ("POST", "/api/profile-bulk-import-jobs", import_body([{"email": "n@e.co"}], "Lst1Aa"), 202, M, IMPORT),
    ("GET", "/api/profile-bulk-import-jobs/{job}", None, 200, M, IMPORT),
    (
        "GET",
        "/api/profile-bulk-import-jobs?fields%5Bprofile-bulk-import-job%5D=status%2Ccreated_at",
        None,
        200,
        M,
        f"{{data:[{{type id attributes:{{status created_at}} {IMPORTED} {PAGE}",
    ),
    ("GET", "/api/profile-bulk-import-jobs/{job}/import-errors", None, 200, M, "{data links:{self next prev}}"),
    (
        "GET",
        "/api/profile-bulk-import-jobs/{job}/relationships/profiles",
        None,
        200,
        M,
        "{data:[{type id}] links:{self next prev}}",
    ),
    ("GET", "/api/profile-bulk-import-jobs/{job}/relationships/lists", None, 200, M, "{data:[{type id}] links:{self}}"),
    ("POST", "/api/profile-import", new("profile", email="b@e.co", properties={"source": "x"}), 201, L, PROFILE),
    (
        "POST",
        "/api/profile-import",
        new("profile", email="ann@example.com", properties={"source": "x"}),
        200,
        L,
        PROFILE,
    ),
    ("POST", "/api/profiles", new("profile", email="c@e.co", properties={"source": "x"}), 201, L, PROFILE),
    (
        "GET",
        "/api/profiles?fields%5Bprofile%5D=email%2Cexternal_id&filter=equals%28email%2C%22ann%40example.com%22%29&page%5Bsize%5D=20",
        None,
        200,
        L,
        f"{{data:[{{type id attributes:{{email external_id}} {AROUND.replace('conversation', 'conversations')} {PAGE}",
    ),
    ("POST", "/api/profile-suppression-bulk-create-jobs", SUPPRESS, 202, L, SUPPRESSION),
    (
        "POST",
        "/api/profile-merge",
        {
            "data": {
                "type": "profile-merge",
                "id": "{ann}",
                "relationships": {"profiles": {"data": [{"type": "profile", "id": "{bea}"}]}},
            }
        },
        202,
        M,
        f"{{data:{{type id attributes {LINKS}",
    ),
    (
        "POST",
        "/api/catalog-item-bulk-create-jobs",
        catalog_job("catalog-item", "create", "items", [item("I8")]),
        202,
        L,
        CATALOG_JOB,
    ),
    (
        "POST",
        "/api/catalog-category-bulk-delete-jobs",
        catalog_job("catalog-category", "delete", "categories", [item_id("C8", "catalog-category")]),
        202,
        L,
        CATALOG_JOB,
    ),
    (
        "POST",
        "/api/catalog-items",
        {"data": item("I2", custom_metadata={"run": "r1"}, price=5.5)},
        201,
        L,
        f"{{data:{{{ITEM} {LINKS}",
    ),
    ("GET", "/api/catalog-items?sort=created&page%5Bsize%5D=100", None, 200, XL, f"{{data:[{{{ITEM} {PAGE}"),
    ("POST", "/api/catalog-variants", {"data": VARIANT_BODY}, 201, L, f"{{data:{{{VARIANT} {LINKS}"),
    (
        "POST",
        "/api/catalog-categories",
        new("catalog-category", external_id="C2", name="Shoes"),
        201,
        L,
        f"{{data:{{{CATEGORY} {LINKS}",
    ),
    (
        "POST",
        "/api/coupon-code-bulk-create-jobs",
        {
            "data": {
                "type": "coupon-code-bulk-create-job",
                "attributes": {"coupon-codes": {"data": [code("SAVE10", "K1")]}},
            }
        },
        202,
        L,
        f"{{data:{{type id {COUNTS} relationships:{{coupon-codes:{{{BOTH}}}}} {LINKS}",
    ),
    ("POST", "/api/coupon-codes", {"data": code("SAVE10", "K2")}, 200, XL, f"{{data:{{{CODE} {LINKS}"),
    (
        "POST",
        "/api/coupons",
        new("coupon", external_id="SAVE20", description="Twenty"),
        201,
        S,
        f"{{data:{{{COUPON} {LINKS}",
    ),
    (
        "GET",
        "/api/coupons?fields%5Bcoupon%5D=external_id",
        None,
        200,
        L,
        f"{{data:[{{type id attributes:{{external_id}} {PAGE}",
    ),
    ("POST", "/api/data-sources", new("data-source", title="orders feed"), 201, S, f"{{data:{{{SOURCE} {LINKS}"),
    ("GET", "/api/data-sources", None, 200, S, f"{{data:[{{{SOURCE} {PAGE}"),
    ("POST", "/api/lists", new("list", name="Newsletter"), 201, f"{M}, 150;w=86400", f"{{data:{{{LIST} {LINKS}"),
    ("GET", "/api/lists/Lst1Aa", None, 200, L, f"{{data:{{{LIST} {LINKS}"),
    (
        "GET",
        "/api/lists/Lst1Aa?additional-fields%5Blist%5D=profile_count",
        None,
        200,
        XS,
        f"{{data:{{{LIST.replace('process}', 'process profile_count}')} {LINKS}",
    ),
    ("GET", "/api/lists?filter=equals%28name%2C%22VIP%22%29", None, 200, L, f"{{data:[{{{LIST} {PAGE}"),
    ("GET", "/api/lists/Lst1Aa/relationships/profiles", None, 200, L, "{data:[{type id}] links:{self next prev}}"),
    ("POST", "/api/tags", new("tag", name="vip"), 201, S, f"{{data:{{{TAG} {LINKS}"),
    (
        "POST",
        "/api/tag-groups",
        new("tag-group", name="Segments", exclusive=True),
        201,
        S,
        f"{{data:{{type id attributes:{{name exclusive default}} relationships:{{tags:{{{BOTH}}}}} {LINKS}",
    ),
    (
        "GET",
        "/api/accounts",
        None,
        200,
        XS,
        ACCOUNT,
    ),
]


def keys(document: Any) -> str:
    """A document as its keys in order; scalars and empty containers are left out."""
    if isinstance(document, dict):
        parts = (
            key + (f":{keys(value)}" if isinstance(value, (dict, list)) and value else "")
            for key, value in document.items()
        )
        return f"{{{' '.join(parts)}}}"
    return f"[{keys(document[0])}]" if isinstance(document, list) else "."


@pytest.fixture
def shop() -> Iterator[tuple[KlaviyoSimulator, dict[str, str]]]:
    """An account with two profiles, a list, an item, a coupon and a data source."""
    with KlaviyoSimulator() as klaviyo:
        job = import_rows(klaviyo, [{"email": "ann@example.com"}, {"email": "bea@example.com"}], "Lst1Aa").json["data"][
            "id"
        ]
        ann, bea = (held["id"] for held in klaviyo.profiles)
        call(klaviyo, "POST", "/api/catalog-items", {"data": item("I1", custom_metadata={"run": "r0"})})
        call(klaviyo, "POST", "/api/coupons", new("coupon", external_id="SAVE10"))
        call(klaviyo, "POST", "/api/data-sources", new("data-source", title="feed"))
        yield klaviyo, {"{job}": job, "{ann}": ann, "{bea}": bea}


def filled(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: filled(entry, names) for key, entry in value.items()}
    if isinstance(value, list):
        return [filled(entry, names) for entry in value]
    if isinstance(value, str):
        for name, known in names.items():
            value = value.replace(name, known)
    return value


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: f"{recorded[0]} {recorded[1][:60]} {recorded[3]}")
def test_a_reply_has_the_recorded_status_limits_and_keys(
    shop: tuple[KlaviyoSimulator, dict[str, str]], recorded: tuple[str, str, object, int, str, str]
) -> None:
    klaviyo, names = shop
    method, path, body, status, limit, expected = recorded

    got = call(klaviyo, method, filled(path, names), filled(body, names))

    assert (got.status, keys(got.json)) == (status, expected)
    assert got.headers["RateLimit-Limit"] == limit
    assert got.headers["RateLimit-Reset"] == "0"
    assert got.headers["Content-Type"] == "application/vnd.api+json"


def test_every_reply_has_request_id_revision_and_allowed_methods(
    shop: tuple[KlaviyoSimulator, dict[str, str]],
) -> None:
    klaviyo, _ = shop

    got = call(klaviyo, "GET", "/api/lists/nosuch")

    assert got.headers["X-Klaviyo-Req-Id"] == got.errors[0]["id"]
    assert got.headers["X-Klaviyo-Api-Revision"] == "2026-10-15"
    assert got.headers["Allow"] == "GET, PUT, PATCH, DELETE, HEAD, OPTIONS"
    assert call(klaviyo, "GET", "/api/lists").headers["Allow"] == "GET, POST, HEAD, OPTIONS"


def test_a_duplicate_names_the_existing_profile(shop: tuple[KlaviyoSimulator, dict[str, str]]) -> None:
    klaviyo, names = shop

    got = call(klaviyo, "POST", "/api/profiles", new("profile", email="ANN@example.com"))

    assert got.errors[0]["meta"] == {"duplicate_profile_id": names["{ann}"]}


def test_the_only_page_of_lists_may_have_a_prev(shop: tuple[KlaviyoSimulator, dict[str, str]]) -> None:
    klaviyo, _ = shop

    links = call(klaviyo, "GET", "/api/lists?filter=equals%28name%2C%22VIP%22%29").json["links"]

    assert links["next"] is None
    assert links["prev"]


EMPTY: list[tuple[str, str, object, int]] = [
    ("POST", "/api/lists/Lst1Aa/relationships/profiles", {"data": [{"type": "profile", "id": "{bea}"}]}, 204),
    ("DELETE", "/api/lists/Lst1Aa/relationships/profiles", {"data": [{"type": "profile", "id": "{bea}"}]}, 204),
    (
        "POST",
        "/api/data-privacy-deletion-jobs",
        new("data-privacy-deletion-job", profile={"data": profile(email="ann@example.com")}),
        202,
    ),
    ("DELETE", "/api/coupons/SAVE10", None, 204),
]


@pytest.mark.parametrize("sent", EMPTY, ids=lambda sent: f"{sent[0]} {sent[1]}")
def test_an_empty_reply_has_no_body_and_no_content_type(
    shop: tuple[KlaviyoSimulator, dict[str, str]], sent: tuple[str, str, object, int]
) -> None:
    klaviyo, names = shop
    method, path, body, status = sent

    got: Got = call(klaviyo, method, path, filled(body, names))

    assert (got.status, got.body) == (status, b"")
    assert "Content-Type" not in got.headers
    assert got.headers.get("Content-Length") == ("0" if status == 202 else None)
