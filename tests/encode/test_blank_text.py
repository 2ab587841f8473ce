"""Blank text never wipes a field of Klaviyo's, null is never sent for an identifier, and custom properties stay."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_klaviyo.arrow.arrays import without_blanks
from spark_klaviyo.simulator import KlaviyoSimulator
from spark_klaviyo.templates import templates
from tests.task.running import run
from tests.templates.examples import ANN, Example
from tests.templates.made import batches_of, by_arrow, by_rows, loaded, plan_of

BLANKS = ("", " ", "\t\n", "\u3000", "\u00a0 ")
ID = "01HDBZ3FXGKRHYT8YFWE9XF5XR"


def attributes(template: str, columns: dict[str, list[object]], **options: str) -> dict[str, object]:
    """The attributes of the one record that the only row becomes, the same from rows and from columns."""
    found: list[dict[str, object]] = []
    for encode in (by_rows, by_arrow):
        example = Example(columns)
        (batch,), rejected = batches_of(plan_of(template, example, **options), example, encode)
        assert rejected == []
        data = loaded(batch)["data"]
        held = data["attributes"]
        found.append(held["profiles"]["data"][0]["attributes"] if "profiles" in held else held)
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize("blank", BLANKS)
@pytest.mark.parametrize("nulls", ["omit", "send"])
@pytest.mark.parametrize("template", ["bulk_import_profiles", "create_or_update_profile", "create_profile"])
def test_blank_text_in_a_field_is_left_out_and_in_a_custom_property_it_stays(
    template: str, nulls: str, blank: str
) -> None:
    columns: dict[str, list[object]] = {
        "email": [ANN],
        "phone_number": [blank],
        "first_name": [blank],
        "last_name": ["Lee"],
        "city": [blank],
        "latitude": [blank],
        "tier": [blank],
    }
    assert attributes(template, columns, nulls=nulls) == {
        "email": ANN,
        "last_name": "Lee",
        "properties": {"tier": blank},
    }


def test_nulls_are_sent_beside_blanks_that_are_left_out() -> None:
    columns: dict[str, list[object]] = {"email": [ANN], "first_name": [None], "last_name": [" "], "city": [None]}
    sent = attributes("create_or_update_profile", columns, nulls="send")
    assert sent == {"email": ANN, "first_name": None, "location": {"city": None}}


@pytest.mark.parametrize("value", [None, "", " "])
@pytest.mark.parametrize("template", ["update_profile", "create_or_update_profile"])
def test_no_identifier_is_ever_cleared(template: str, value: object) -> None:
    columns: dict[str, list[object]] = {"profile_id": [ID], "first_name": [None]}
    columns |= {name: [value] for name in ("email", "phone_number", "external_id")}
    assert attributes(template, columns, nulls="send") == {"first_name": None}


@pytest.mark.parametrize("validate", ["strict", "warn", "off"])
def test_a_ready_made_record_clears_no_identifier_and_wipes_no_field(validate: str) -> None:
    held = {"email": None, "phone_number": " ", "external_id": "", "first_name": "", "title": None}
    record = {"type": "profile", "id": ID, "attributes": {**held, "properties": {"tier": ""}}}
    example = Example({"record": [json.dumps(record)]}, {"record_column": "record", "validate": validate})
    (batch,), _ = batches_of(plan_of("update_profile", example), example)
    assert loaded(batch)["data"]["attributes"] == {"title": None, "properties": {"tier": ""}}


def test_a_person_stays_reachable_and_keeps_the_name() -> None:
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        whole = {"email": ANN, "phone_number": "+16175551234", "external_id": "A1", "first_name": "Ann"}
        run(klaviyo, [whole], template="create_profile")
        (before,) = klaviyo.profiles
        gone = {"id": before["id"], "email": None, "phone_number": "", "external_id": " ", "first_name": " "}
        assert run(klaviyo, [gone], template="update_profile", nulls="send").report.delivered == 1
        (after,) = klaviyo.profiles
    assert {name: after[name] for name in whole} == {name: before[name] for name in whole}


def test_text_that_the_endpoint_requires_is_sent_blank() -> None:
    item: dict[str, list[object]] = {
        "external_id": ["A"],
        "title": ["T"],
        "description": [" "],
        "url": ["https://shop.example"],
    }
    sent = attributes("create_catalog_item", {**item, "image_full_url": [""]})
    assert sent["description"] == " "
    assert "image_full_url" not in sent
    null = Example({**item, "description": [None]})
    _, (rejected,) = batches_of(plan_of("create_catalog_item", null), null)
    assert rejected.code == "missing_field"
    for blank in ("external_id", "url"):
        example = Example({**item, blank: [""]})
        batches, rejections = batches_of(plan_of("create_catalog_item", example), example)
        assert bool(rejections) is (blank == "external_id"), blank
        assert bool(batches) is (blank != "external_id")


def test_a_blank_time_is_no_time_of_an_event() -> None:
    example = Example({"email": [ANN], "time": [" "]}, {"metric": "Ordered"})
    _, (rejected,) = batches_of(plan_of("create_event", example), example)
    assert rejected.code == "bad_time"


def test_no_template_can_send_null_for_an_identifier_of_a_person() -> None:
    clearing = [one for one in templates() if one.null_clears_field]
    assert {one.name for one in clearing} == {"update_profile", "create_or_update_profile"}
    for template in clearing:
        named = {known.name for known in template.fields if known.identifies_person}
        assert named >= {"id", "email", "phone_number", "external_id"}


TEXTS = st.lists(st.none() | st.sampled_from(BLANKS) | st.text(max_size=4) | st.just("Ann"), max_size=12)
TYPES = st.sampled_from([pa.string(), pa.large_string()])


@given(TEXTS, TYPES, st.integers(0, 3))
def test_exactly_the_blank_texts_become_null(texts: list[str | None], kind: pa.DataType, skipped: int) -> None:
    texts = [text if text is None else text.encode("utf-8", "replace").decode() for text in texts]
    column = pa.array(texts, kind).slice(min(skipped, len(texts)))
    expected = [text if text is not None and text.strip() else None for text in texts[min(skipped, len(texts)) :]]
    assert without_blanks(column).to_pylist() == expected


def test_a_column_without_blanks_is_handed_on_as_it_is() -> None:
    column = pa.array(np.array(["Ann", "Bob", None, "Zoë"], dtype=object))
    assert without_blanks(column) is column
    assert without_blanks(pa.array([1, 2])).to_pylist() == [1, 2]
