"""The keys of a batch, made in columns, are those of its records one by one."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_klaviyo.arrow.encoded import EXTERNAL_ID, KEY, RECORD
from spark_klaviyo.core.identifiers import BLANKS
from spark_klaviyo.encode.encoder import encode
from spark_klaviyo.encode.keys import external_id_of
from spark_klaviyo.encode.rows import columns_of
from spark_klaviyo.entrypoints.read import options_at
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.plan.make import make_plan
from spark_klaviyo.plan.model import WritePlan, key_of

WORDS = st.sampled_from(
    ["", " ", "A@x.Co", "a@x.co", "+1 617", "(617)", "É@ü.ß", "\u0130@x", "ΟΔΟΣ", "-", "null", BLANKS]
)
TEXTS = st.none() | st.lists(WORDS, max_size=3).map("".join) | st.text(max_size=5)
COLUMNS: dict[str, tuple[str, ...]] = {
    "bulk_import_profiles": ("email", "phone_number", "external_id"),
    "bulk_create_events": ("unique_id", "metric", "email", "external_id", "time"),
    "bulk_create_catalog_items": ("external_id", "title", "description", "url"),
    "bulk_create_coupon_codes": ("coupon", "unique_code"),
    "bulk_subscribe_profiles": ("email", "phone_number", "channels"),
}
SETTINGS: dict[str, dict[str, object]] = {"bulk_create_events": {"event_time": "now"}}


def plan_for(template: str, batch: pa.RecordBatch, **options: object) -> WritePlan:
    given = {"template": template, "api_key": "pk_x", "validate": "off", **SETTINGS.get(template, {}), **options}
    return make_plan(options_at(EntryPoint.FUNCTION, given), columns_of(batch), "run")


def keys(batch: pa.RecordBatch, plan: WritePlan) -> list[str | None]:
    """The keys of a batch; each is that of its record."""
    encoded = encode(batch, plan)
    found: list[str | None] = encoded.column(KEY).to_pylist()
    assert found == [key_of(plan.checks, record[:-1]) for record in encoded.column(RECORD).to_pylist()]
    return found


@pytest.mark.parametrize("template", COLUMNS)
@given(st.data())
def test_keys_in_columns_are_those_of_the_records(template: str, data: st.DataObject) -> None:
    names = COLUMNS[template]
    rows = data.draw(st.lists(st.fixed_dictionaries(dict.fromkeys(names, TEXTS)), min_size=1, max_size=6))
    batch = pa.RecordBatch.from_pylist(rows, pa.schema([(name, pa.string()) for name in names]))
    keys(batch, plan_for(template, batch))


@pytest.mark.parametrize("kind", [pa.string(), pa.float64(), pa.decimal128(20), pa.int64()], ids=str)
@pytest.mark.parametrize("names", [("email", "external_id"), ("phone_number", "external_id"), ("external_id",)])
def test_external_ids_beside_another_key_are_those_of_the_records(names: tuple[str, ...], kind: pa.DataType) -> None:
    ids = pa.array(["7", " ", None, " 8 "] if kind == pa.string() else [7, 0, None, 8]).cast(kind)
    batch = pa.RecordBatch.from_pydict({name: pa.array(["x", None, "y", "z"]) for name in names} | {"external_id": ids})
    plan = plan_for("bulk_import_profiles", batch)
    encoded = encode(batch, plan)
    expected = [external_id_of(plan, record[:-1]) for record in encoded.column(RECORD).to_pylist()]
    found = encoded.column(EXTERNAL_ID).to_pylist()
    assert found == (expected if names[0] == "email" else [None] * 4)
    assert expected[::3] == ["7", "8"]


def test_numbers_that_are_identifiers_have_the_keys_of_their_texts() -> None:
    for numbers in ([7, None], [7.0, None], [Decimal(7), None]):
        batch = pa.RecordBatch.from_pydict({"external_id": numbers})
        assert keys(batch, plan_for("bulk_import_profiles", batch)) == ["external_id\x1f7", None]


def test_what_no_column_gives_is_read_in_the_records() -> None:
    profile: Any = pa.array([{"email": "A@x.co"}, None])
    batch = pa.RecordBatch.from_pydict({"unique_id": ["u1", " "], "metric": ["Bought", "Bought"], "profile": profile})
    assert keys(batch, plan_for("bulk_create_events", batch))[0] is not None
    ready = pa.RecordBatch.from_pydict({"record": ['{"attributes":{"email":" A@X.co"}}', "no JSON"]})
    plan = plan_for("bulk_import_profiles", ready, record_column="record")
    assert keys(ready, plan) == ["email\x1fa@x.co", None]
