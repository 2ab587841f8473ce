"""The table of operations against the published one: method, path, tier, limits and scopes of every write."""

from __future__ import annotations

import pytest

from spark_klaviyo.simulator import KlaviyoSimulator
from spark_klaviyo.simulator.api.table import OPERATIONS
from tests.simulator.wire_client import call

# spec 2026-07-15: operation, method, path, tier, most rows, most bytes, most bytes of a row, scopes (to write)
PUBLISHED = """
bulk_import_profiles POST /profile-bulk-import-jobs M 10000 5000000 100000 lists,profiles
create_or_update_profile POST /profile-import L - 100000 - profiles
create_profile POST /profiles L - 100000 - profiles
update_profile PATCH /profiles/{id} L - 100000 - profiles
bulk_subscribe_profiles POST /profile-subscription-bulk-create-jobs L 1000 - - lists,profiles,subscriptions
bulk_unsubscribe_profiles POST /profile-subscription-bulk-delete-jobs L 100 - - lists,profiles,subscriptions
bulk_suppress_profiles POST /profile-suppression-bulk-create-jobs L 100 - - profiles,subscriptions
bulk_unsuppress_profiles POST /profile-suppression-bulk-delete-jobs L 100 - - subscriptions
add_profiles_to_list POST /lists/{id}/relationships/profiles M 1000 - - lists,profiles
remove_profiles_from_list DELETE /lists/{id}/relationships/profiles M 1000 - - lists,profiles
merge_profiles POST /profile-merge M - - - profiles
request_profile_deletion POST /data-privacy-deletion-jobs S - - - data-privacy
create_push_token POST /push-tokens L - 100000 - profiles,push-tokens
delete_push_token DELETE /push-tokens/{id} S - - - push-tokens
bulk_create_events POST /event-bulk-create-jobs M 1000 5000000 - events
create_event POST /events XL - 5000000 - events
bulk_create_catalog_items POST /catalog-item-bulk-create-jobs L 100 5000000 - catalogs
bulk_update_catalog_items POST /catalog-item-bulk-update-jobs L 100 5000000 - catalogs
bulk_delete_catalog_items POST /catalog-item-bulk-delete-jobs L 100 5000000 - catalogs
bulk_create_catalog_variants POST /catalog-variant-bulk-create-jobs L 100 5000000 - catalogs
bulk_update_catalog_variants POST /catalog-variant-bulk-update-jobs L 100 5000000 - catalogs
bulk_delete_catalog_variants POST /catalog-variant-bulk-delete-jobs L 100 5000000 - catalogs
bulk_create_catalog_categories POST /catalog-category-bulk-create-jobs L 100 5000000 - catalogs
bulk_update_catalog_categories POST /catalog-category-bulk-update-jobs L 100 5000000 - catalogs
bulk_delete_catalog_categories POST /catalog-category-bulk-delete-jobs L 100 5000000 - catalogs
create_catalog_item POST /catalog-items L - - - catalogs
update_catalog_item PATCH /catalog-items/{id} L - - - catalogs
delete_catalog_item DELETE /catalog-items/{id} L - - - catalogs
create_catalog_variant POST /catalog-variants L - - - catalogs
update_catalog_variant PATCH /catalog-variants/{id} L - - - catalogs
delete_catalog_variant DELETE /catalog-variants/{id} L - - - catalogs
create_catalog_category POST /catalog-categories L - - - catalogs
update_catalog_category PATCH /catalog-categories/{id} L - - - catalogs
delete_catalog_category DELETE /catalog-categories/{id} L - - - catalogs
add_items_to_catalog_category POST /catalog-categories/{id}/relationships/items L - - - catalogs
update_items_for_catalog_category PATCH /catalog-categories/{id}/relationships/items L - - - catalogs
remove_items_from_catalog_category DELETE /catalog-categories/{id}/relationships/items L - - - catalogs
add_categories_to_catalog_item POST /catalog-items/{id}/relationships/categories L - - - catalogs
update_categories_for_catalog_item PATCH /catalog-items/{id}/relationships/categories L - - - catalogs
remove_categories_from_catalog_item DELETE /catalog-items/{id}/relationships/categories L - - - catalogs
create_back_in_stock_subscription POST /back-in-stock-subscriptions XL - - - catalogs,profiles
bulk_create_coupon_codes POST /coupon-code-bulk-create-jobs L 1000 - - coupon-codes
create_coupon_code POST /coupon-codes XL - - - coupon-codes
update_coupon_code PATCH /coupon-codes/{id} XL - - - coupon-codes
delete_coupon_code DELETE /coupon-codes/{id} XL - - - coupon-codes
create_coupon POST /coupons S - - - coupons
update_coupon PATCH /coupons/{id} S - - - coupons
delete_coupon DELETE /coupons/{id} S - - - coupons
bulk_create_data_source_records POST /data-source-record-bulk-create-jobs RECORDS 500 4000000 512000 custom-objects
create_data_source_record POST /data-source-record-create-jobs L - - - custom-objects
bulk_delete_object_records POST /object-record-bulk-delete-jobs S 500 5000000 - custom-objects
create_data_source POST /data-sources S - - - custom-objects
delete_data_source DELETE /data-sources/{id} S - - - custom-objects
create_list POST /lists M - - - lists
update_list PATCH /lists/{id} M - - - lists
delete_list DELETE /lists/{id} M - - - lists
create_tag POST /tags S - - - tags:read,tags
update_tag PATCH /tags/{id} S - - - tags:read,tags
delete_tag DELETE /tags/{id} S - - - tags:read,tags
tag_lists POST /tags/{id}/relationships/lists S - - - lists,tags
remove_tag_from_lists DELETE /tags/{id}/relationships/lists S - - - lists,tags
tag_segments POST /tags/{id}/relationships/segments S - - - segments,tags
remove_tag_from_segments DELETE /tags/{id}/relationships/segments S - - - segments,tags
tag_campaigns POST /tags/{id}/relationships/campaigns S - - - campaigns,tags
remove_tag_from_campaigns DELETE /tags/{id}/relationships/campaigns S - - - campaigns,tags
tag_flows POST /tags/{id}/relationships/flows S - - - flows,tags
remove_tag_from_flows DELETE /tags/{id}/relationships/flows S - - - flows,tags
create_tag_group POST /tag-groups S - - - tags:read,tags
update_tag_group PATCH /tag-groups/{id} S - - - tags:read,tags
delete_tag_group DELETE /tag-groups/{id} S - - - tags:read,tags
update_review PATCH /reviews/{id} M - - - reviews
""".strip().splitlines()
BY_NAME = {operation.name: operation for operation in OPERATIONS}


@pytest.mark.parametrize("line", PUBLISHED, ids=lambda line: line.split()[0])
def test_a_write_operation_has_its_published_limits_and_scopes(line: str) -> None:
    name, *published = line.split()
    operation = BY_NAME[name]
    ceilings = (operation.max_rows, operation.max_bytes, operation.max_row_bytes)

    assert [
        operation.method,
        operation.path.removeprefix("/api"),
        operation.tier,
        *(str(ceiling or "-") for ceiling in ceilings),
        ",".join(sorted(operation.scopes.split())).replace(":write", ""),
    ] == published


def test_every_operation_is_reached_at_its_path_and_wants_its_scopes() -> None:
    with KlaviyoSimulator(api_keys={"pk_test": ()}) as klaviyo:
        for operation in OPERATIONS:
            got = call(klaviyo, operation.method, operation.path.replace("{id}", "x").replace("{job_id}", "x"), {})
            assert (got.status, klaviyo.requests[-1].operation) == (403, operation.name)
            assert got.errors[0]["detail"].removeprefix("Your API key is missing required scopes: ").split(", ") == (
                operation.scopes.split()
            )


def test_there_are_seventy_one_writes_and_no_name_or_path_twice() -> None:
    assert len(PUBLISHED) == 71
    assert len(BY_NAME) == len(OPERATIONS) == len({(operation.method, operation.path) for operation in OPERATIONS})
