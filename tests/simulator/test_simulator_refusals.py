"""Refusals against the recorded ones: status, code, title, sentence, pointer, and the order of the keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from spark_klaviyo.simulator import KlaviyoSimulator
from tests.simulator.wire_client import call, import_body, new, profile

BY_THE_ENDPOINT = ["id", "status", "code", "title", "detail", "source", "links", "meta"]
BEFORE_IT = ["id", "status", "code", "title", "detail", "source"]
NO_VARIANT = "The variant in your relationship payload does not exist"
TITLES = {
    "invalid": "Invalid input.",
    "not_found": "Not found.",
    "duplicate_profile": "Conflict.",
    "tag_service_error": "Tag Service Error",
    "variant_not_found": NO_VARIANT,
}
JOBS = "/api/profile-bulk-import-jobs"
NOBODY = new("data-privacy-deletion-job", profile={"data": profile(email="cyd@example.com")})
NO_GROUP = {"data": {"type": "tag-group", "id": "00000000-0000-0000-0000-000000000000"}}
TAG = {"data": {"type": "tag", "attributes": {"name": "x"}, "relationships": {"tag-group": NO_GROUP}}}
STOCK = {
    "data": {
        "type": "back-in-stock-subscription",
        "attributes": {"channels": ["EMAIL"], "profile": {"data": profile(email="a@b.co")}},
        "relationships": {"variant": {"data": {"type": "catalog-variant", "id": "nosuch"}}},
    }
}
UPDATE = {"data": {"type": "profile", "id": "nosuch", "attributes": {}}}
ID = "$custom:::$default:::nosuch"

# method, path, body, status, code, pointer, detail
WRITES: list[tuple[str, str, object, int, str, str, str]] = [
    ("POST", "/api/profiles", new("profile", email="ann@example.com"), 409, "duplicate_profile", "/data/attributes",
     "A profile already exists with one of these identifiers."),
    ("POST", "/api/profiles", new("profile", email="no"), 400, "invalid", "/data/attributes/email",
     "Invalid email address"),
    ("PATCH", "/api/profiles/nosuch", UPDATE, 404, "not_found", "/data/", "A profile with id nosuch does not exist."),
    ("POST", JOBS, import_body([{"email": "no"}]), 400, "invalid", "/data/attributes/profiles/data/0/attributes/email",
     "Invalid email address"),
    ("POST", JOBS, import_body([{"email": "a@b.co"}], "NoSuch"), 400, "invalid", "/data",
     "List ID NoSuch does not exist."),
    ("POST", "/api/data-privacy-deletion-jobs", NOBODY, 404, "not_found", "/data/",
     'No profile with email "cyd@example.com" found.  The profile may have already been deleted.'),
    ("DELETE", f"/api/catalog-items/{ID}", None, 404, "not_found", "/data/",
     f"An item with the id `{ID}` does not exist."),
    ("POST", "/api/coupons", new("coupon", external_id="SAVE-10"), 400, "invalid", "/data/attributes/external_id",
     "'external_id' must match regex '^[0-9_A-z]+$' ('SAVE-10' doesn't)"),
    ("POST", "/api/tags", TAG, 404, "tag_service_error", "/data/",
     "Tag Group with id 00000000-0000-0000-0000-000000000000 not found"),
    ("DELETE", "/api/push-tokens/nosuch", None, 404, "not_found", "/data/",
     "Record with token ID: nosuch cannot be found."),
    ("POST", "/api/back-in-stock-subscriptions", STOCK, 404, "variant_not_found", "/data/relationships/variant/data/id",
     NO_VARIANT),
]  # fmt: skip

# path, sentence of the 404
MISSING: list[tuple[str, str]] = [
    ("/api/profile-bulk-import-jobs/nosuch", "Invalid job id"),
    (
        "/api/profile-suppression-bulk-create-jobs/nosuch",
        "A bulk profile suppression job with the id 'nosuch' does not exist.",
    ),
    ("/api/catalog-item-bulk-create-jobs/nosuch", "A catalog-item bulk create job with id nosuch does not exist."),
    ("/api/catalog-variant-bulk-delete-jobs/X", "A catalog-variant bulk delete job with id X does not exist."),
    ("/api/coupon-code-bulk-create-jobs/X", "A coupon code bulk create job with the id 'X' does not exist."),
    ("/api/coupons/nosuch", "A coupon with the given identifier 'nosuch' does not exist."),
    ("/api/coupon-codes/SAVE10-nosuch", "A coupon code with given identifier 'SAVE10-nosuch' does not exist."),
    ("/api/data-sources/X", "Data source with ID X not found."),
    ("/api/tags/X", "A tag with id X does not exist."),
    ("/api/segments/nosuch", "A segment with id `nosuch` does not exist."),
    ("/api/lists/nosuch", "A list with id `nosuch` does not exist."),
    ("/api/profiles/nosuch", "A profile with id nosuch does not exist."),
    (f"/api/catalog-variants/{ID}", f"A variant with id {ID} does not exist."),
    (f"/api/catalog-categories/{ID}", f"No category with the ID `{ID}` exists."),
    ("/api/accounts/nosuch", "Account with id nosuch not found."),
    ("/api/reviews/123456789", "A review with id `123456789` does not exist."),
]
READS: list[tuple[str, str, object, int, str, str, str]] = [
    ("GET", "/api/catalog-item-bulk-create-jobs?page%5Bsize%5D=1", None, 400, "invalid", "/data/attributes/page_size",
     "'page_size' is not a valid field for the resource 'catalog-item-bulk-create-job'."),
    ("GET", "/api/events/nosuch", None, 400, "invalid", "/data/id", "Invalid Event ID: 'nosuch'"),
    *(("GET", path, None, 404, "not_found", "/data/", detail) for path, detail in MISSING),
]  # fmt: skip


@pytest.fixture
def klaviyo() -> Iterator[KlaviyoSimulator]:
    with KlaviyoSimulator() as simulator:
        simulator.add_profiles([{"email": "ann@example.com"}])
        yield simulator


@pytest.mark.parametrize("refused", [*WRITES, *READS], ids=lambda refused: f"{refused[0]} {refused[1][:50]}")
def test_a_refusal_is_the_recorded_document_and_changes_nothing(
    klaviyo: KlaviyoSimulator, refused: tuple[str, str, Any, int, str, str, str]
) -> None:
    method, path, body, status, code, pointer, detail = refused

    got = call(klaviyo, method, path, body)
    (error,) = got.errors

    assert (got.status, error["status"], error["code"], error["title"]) == (status, status, code, TITLES[code])
    assert (error["detail"], error["source"]) == (detail, {"pointer": pointer})
    assert list(error) == (BEFORE_IT if pointer == "/data/" else BY_THE_ENDPOINT)
    assert got.headers["RateLimit-Limit"]  # recorded: 400 403 404 409 carry the limits
    assert len(klaviyo.profiles) == 1
