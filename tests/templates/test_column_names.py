"""Columns are found by the names that people give them, and hints are given only where they could help."""

from __future__ import annotations

import json
import re

import pytest

from tests.templates.examples import ANN, NOON, Columns, Example
from tests.templates.made import batches_of, loaded, plan_of

VARIANT: Columns = {
    **{name: ["x"] for name in ("title", "description", "sku", "url")},
    **{name: [1.0] for name in ("price", "inventory_quantity")},
}


@pytest.mark.parametrize(
    ("template", "columns", "path", "expected"),
    [
        ("create_catalog_item", {"item_id": ["I1"], "category": ["C1"]}, "categories", ["C1"]),
        ("bulk_create_catalog_items", {"item_id": ["I1"], "category_ids": [["C1", "C2"]]}, "categories", ["C1", "C2"]),
        ("create_catalog_category", {"category_id": ["C1"], "item_id": [["I1"]]}, "items", ["I1"]),
        ("update_catalog_category", {"category_id": ["C1"], "item": ["I1"]}, "items", ["I1"]),
    ],
)
def test_catalog_columns_go_by_the_names_that_people_use(
    template: str, columns: Columns, path: str, expected: list[str]
) -> None:
    example = Example({**columns, "title": ["T"], "description": ["D"], "url": ["https://u"], "name": ["N"]}, {})
    (batch,), _ = batches_of(plan_of(template, example, other_columns="drop"), example)
    body = loaded(batch)
    (row,) = re.findall(rf'"{path}":.*?]', json.dumps(body))
    assert re.findall(r':::([^:"]+)"', row) == expected
    assert ":::C1" in json.dumps(body) or '"external_id": "C1"' in json.dumps(body)


@pytest.mark.parametrize(
    ("template", "columns", "options"),
    [
        ("bulk_create_coupon_codes", {"coupon_id": ["SAVE"], "unique_code": ["A1"]}, {}),
        ("bulk_create_coupon_codes", {"coupon_code": ["A1"]}, {"coupon_id": "SAVE"}),
        ("bulk_create_catalog_variants", {"variant_id": ["V1"], "item_id": ["I1"], **VARIANT}, {}),
        ("delete_catalog_variant", {"variant_id": ["V1"]}, {"confirm_deletion": "1"}),
        (
            "update_items_for_catalog_category",
            {"category_id": ["C1"], "item_id": [["I1"]]},
            {"category_id": "column:category_id"},
        ),
    ],
)
def test_every_such_column_finds_its_place(template: str, columns: Columns, options: dict[str, str]) -> None:
    assert not plan_of(template, Example(columns, options)).unmapped


def test_a_column_is_not_taken_for_a_field_that_a_setting_gives() -> None:
    columns: Columns = {"email": [ANN], "time": [NOON], "metrics": ["a"], "backfil": [True]}
    with_settings = plan_of("bulk_create_events", Example(columns, {"metric": "Placed", "backfill": "true"}))
    assert not any("did you mean" in warning for warning in with_settings.warnings)
    fields = json.dumps({"metric": "m"})
    without = plan_of("bulk_create_events", Example({**columns, "m": ["x"]}, {"fields": fields}))
    assert any("did you mean backfill" in warning for warning in without.warnings)
