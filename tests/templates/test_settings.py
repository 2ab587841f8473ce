"""Settings for all rows or for each, fields by any name, and what a template refuses before anything is sent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from spark_klaviyo.errors import OptionError, SchemaError
from spark_klaviyo.simulator import KlaviyoSimulator
from tests.templates.examples import ANN, BEA, CYD, NEWSLETTER, NOON, Columns, Example
from tests.templates.made import batches_of, body_of, by_arrow, by_rows, loaded, plan_of, write
from tests.templates.oracle import published_complaints, through_sdk

CONSENT = "bulk_subscribe_profiles"
EVERYWHERE = {"everywhere": "true"}


def bodies(template: str, example: Example, **options: str) -> list[Any]:
    """The bodies of an example, by both encoders."""
    plan = plan_of(template, example, **options)
    made = [[loaded(batch) for batch in batches_of(plan, example, encode)[0]] for encode in (by_rows, by_arrow)]
    assert made[0] == made[1]
    return made[0]


# --- per row --------------------------------------------------------------------------------------


def test_rows_of_one_list_share_requests_whatever_their_order() -> None:
    example = Example({"email": [ANN, BEA, CYD], "to": [NEWSLETTER, "Lst1Aa", NEWSLETTER]}, {"list_id": "column:to"})
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        report = write(klaviyo, "add_profiles_to_list", example)
        sizes = {list_id: len(held) for list_id, held in klaviyo.lists.items()}
    assert (report.requests, report.delivered) == (2, 3)
    assert sizes == {NEWSLETTER: 2, "Lst1Aa": 1}


@pytest.mark.parametrize("empty", [None, " ", " ,"])
def test_a_row_without_its_required_setting_is_refused_and_without_an_optional_one_goes_without(
    empty: str | None,
) -> None:
    example = Example({"email": [ANN, BEA], "to": [NEWSLETTER, empty]}, {"list_id": "column:to"})
    batches, rejected = batches_of(plan_of("add_profiles_to_list", example), example)
    assert ([batch.rows for batch in batches], [one.code for one in rejected]) == ([1], ["missing_field"])
    with_list, without = bodies("bulk_import_profiles", example)
    assert "relationships" in with_list["data"]
    assert "relationships" not in without["data"]


@pytest.mark.parametrize("empty", [None, "", " "])
@pytest.mark.parametrize("validate", ["strict", "off"])
def test_an_empty_list_in_a_row_never_widens_an_unsubscribe_to_everything(empty: str | None, validate: str) -> None:
    example = Example(
        {"email": [ANN, BEA], "from": [NEWSLETTER, empty]}, {"channels": "email", "list_id": "column:from"}
    )
    for encode in (by_rows, by_arrow):
        plan = plan_of("bulk_unsubscribe_profiles", example, validate=validate)
        batches, rejected = batches_of(plan, example, encode)
        assert [(one.row, one.code) for one in rejected] == [(1, "missing_field")]
        assert "unsubscribed from everything" in rejected[0].detail
        assert [batch.rows for batch in batches] == [1]


def test_several_lists_stand_in_one_import() -> None:
    (body,) = bodies("add_profiles_to_list", Example({"email": [ANN]}, {"list_id": "A1, B2"}))
    assert [one["id"] for one in body["data"]["relationships"]["lists"]["data"]] == ["A1", "B2"]


def test_a_setting_of_the_record_from_a_column_does_not_split_requests() -> None:
    columns: Columns = {"code": ["C1", "C2", "C3"], "of": ["A", "B", "A"]}
    (body,) = bodies("bulk_create_coupon_codes", Example(columns, {"coupon_id": "column:of"}))
    rows = body["data"]["attributes"]["coupon-codes"]["data"]
    assert [row["relationships"]["coupon"]["data"]["id"] for row in rows] == ["A", "B", "A"]


def test_a_fixed_metric_leaves_a_column_of_that_name_to_the_properties() -> None:
    example = Example({"email": [ANN], "metric": [3.5], "time": [NOON]}, {"metric": "Measured"})
    (body,) = bodies("create_event", example)
    attributes = body["data"]["attributes"]
    assert (attributes["metric"]["data"]["attributes"]["name"], attributes["properties"]) == (
        "Measured",
        {"metric": 3.5},
    )


def test_countries_of_phones_may_come_per_row() -> None:
    columns: Columns = {"phone_number": ["617 555 0100", "020 7946 0958"], "land": ["US", "GB"], "email": [ANN, BEA]}
    example = Example(columns, {"default_country": "column:land"})
    (body,) = bodies("bulk_import_profiles", example, other_columns="drop")
    phones = [row["attributes"]["phone_number"] for row in body["data"]["attributes"]["profiles"]["data"]]
    assert phones == ["+16175550100", "+442079460958"]


# --- consent --------------------------------------------------------------------------------------


def _consents(body: Any) -> list[dict[str, Any]]:
    rows = body["data"]["attributes"]["profiles"]["data"]
    return [row["attributes"]["subscriptions"] for row in rows]


def test_channels_of_a_column_are_each_rows_own() -> None:
    columns: Columns = {
        "email": [ANN, BEA, CYD],
        "phone_number": ["+16175550100", None, "+16175550102"],
        "channels": [["email", "sms.transactional"], ["email"], ["sms"]],
    }
    (body,) = bodies(CONSENT, Example(columns, {"list_id": NEWSLETTER}))
    said = {"consent": "SUBSCRIBED"}
    assert _consents(body) == [
        {"email": {"marketing": said}, "sms": {"transactional": said}},
        {"email": {"marketing": said}},
        {"sms": {"marketing": said}},
    ]
    assert through_sdk(CONSENT, body) == body
    assert published_complaints(CONSENT, body) == []


@pytest.mark.parametrize(
    ("channels", "phone", "code"),
    [
        ("email sms", "+16175550100", None),
        (" Email,SMS ", "+16175550100", None),
        ("email,smss", "+16175550100", "bad_value"),
        ("email, sms", None, "missing_field"),
        (None, "+16175550100", "missing_field"),
        (" ", "+16175550100", "missing_field"),
    ],
)
def test_a_rows_channels_are_checked_word_by_word(channels: str | None, phone: str | None, code: str | None) -> None:
    columns: Columns = {"email": [ANN, BEA], "phone_number": ["+16175550101", phone], "wants": ["email", channels]}
    example = Example(columns, {"channels": "column:wants", "list_id": NEWSLETTER})
    for encode in (by_rows, by_arrow):
        batches, rejected = batches_of(plan_of(CONSENT, example), example, encode)
        assert [one.code for one in rejected] == ([] if code is None else [code])
        assert b'"channels"' not in b"".join(map(body_of, batches))


@pytest.mark.parametrize("held", [" Email , SMS ", "EMAIL sms", ["SMS", " email "], ["Email,sms"], [None, "sms,email"]])
def test_a_rows_channels_are_read_in_any_case_and_spacing(held: object) -> None:
    example = Example({"email": [ANN], "phone_number": ["+16175550101"], "wants": [held]}, {"channels": "column:wants"})
    for encode in (by_rows, by_arrow):
        (batch,), rejected = batches_of(plan_of(CONSENT, example), example, encode)
        assert not rejected
        body: Any = loaded(batch)
        (row,) = body["data"]["attributes"]["profiles"]["data"]
        assert sorted(row["attributes"]["subscriptions"]) == ["email", "sms"]


def test_a_fixed_channel_needs_its_identifier_in_every_row() -> None:
    columns: Columns = {"email": [ANN, BEA], "phone_number": ["+16175550100", None]}
    example = Example(columns, {"channels": "email,sms", "list_id": NEWSLETTER})
    for encode in (by_rows, by_arrow):
        _, rejected = batches_of(plan_of(CONSENT, example), example, encode)
        assert [(one.row, one.code) for one in rejected] == [(1, "missing_field")]


@pytest.mark.parametrize(
    ("columns", "options", "word"),
    [
        ({"email": [ANN]}, {}, "channels: is required"),
        ({"email": [ANN]}, {"channels": "sms"}, "no column for phone_number"),
        ({"email": [ANN], "first_name": ["Ann"]}, {"channels": "email"}, "first_name"),
        ({"email": [ANN], "consented_at": [NOON]}, {"channels": "email"}, "historical_import=true"),
        ({"email": [ANN]}, {"channels": "email", "historical_import": "true"}, "consented_at"),
        ({"email": [ANN], "push_token": ["t"]}, {"channels": "email"}, "push"),
    ],
)
def test_consent_is_never_guessed(columns: dict[str, list[object]], options: dict[str, str], word: str) -> None:
    with pytest.raises(SchemaError, match=word):
        plan_of(CONSENT, Example(columns, options))


def test_earlier_consent_carries_its_time_which_is_past() -> None:
    columns: Columns = {
        "email": [ANN, BEA, CYD],
        "consented_at": ["2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z", None],
    }
    example = Example(columns, {"channels": "email", "historical_import": "true"})
    for encode in (by_rows, by_arrow):
        (batch,), rejected = batches_of(plan_of(CONSENT, example), example, encode)
        assert [(one.row, one.code) for one in rejected] == [(1, "bad_time"), (2, "missing_field")]
        body: Any = loaded(batch)
        assert body["data"]["attributes"]["historical_import"] is True
        assert _consents(body)[0]["email"]["marketing"]["consented_at"] == "2020-01-01T00:00:00Z"
        assert through_sdk(CONSENT, body) == body


def test_push_tokens_go_with_the_channel_push() -> None:
    columns: Columns = {"email": [ANN], "push_token": ["t-1"], "platform": ["ios"], "vendor": ["apns"]}
    for name, word, more in ((CONSENT, "SUBSCRIBED", {}), ("bulk_unsubscribe_profiles", "UNSUBSCRIBED", EVERYWHERE)):
        (body,) = bodies(name, Example(columns, {"channels": "push", **more}))
        assert _consents(body)[0]["push"] == {
            "marketing": {"consent": word},
            "tokens": [{"token": "t-1", "platform": "ios", "vendor": "apns"}],
        }
        assert through_sdk(name, body) == body


def test_what_klaviyo_would_silently_ignore_is_said() -> None:
    quiet = Example({"email": [ANN]}, {"channels": "email", "list_id": NEWSLETTER})
    loud = Example({"email": [ANN]}, {"channels": "email", "historical_import": "false"})
    assert plan_of(CONSENT, quiet).warnings == ()
    assert any("no new person" in warning for warning in plan_of(CONSENT, loud).warnings)


def test_lifting_suppressions_asks_for_a_word() -> None:
    with pytest.raises(OptionError, match="confirm_unsuppress"):
        plan_of("bulk_unsuppress_profiles", Example({"email": [ANN]}))


# --- fields ---------------------------------------------------------------------------------------


def test_a_struct_column_profile_is_the_person_of_an_event() -> None:
    person = {"email": ANN, "first_name": "Ann", "location": {"city": "Boston"}, "properties": {"tier": "gold"}}
    (body,) = bodies("create_event", Example({"profile": [person], "time": [NOON]}, {"metric": "Met"}))
    profile = body["data"]["attributes"]["profile"]["data"]
    assert profile == {"type": "profile", "attributes": person}
    assert body["data"]["attributes"]["properties"] == {}


def test_catalog_ids_are_taken_bare_or_whole() -> None:
    example = Example(
        {"external_id": ["I1", "$custom:::$default:::I2"], "categories": [["C1", "$custom:::$default:::C2"], []]}
    )
    (body,) = bodies("bulk_update_catalog_items", example)
    rows = body["data"]["attributes"]["items"]["data"]
    assert [row["id"] for row in rows] == ["$custom:::$default:::I1", "$custom:::$default:::I2"]
    assert [one["id"][-2:] for one in rows[0]["relationships"]["categories"]["data"]] == ["C1", "C2"]
    whole = Example({"external_id": ["C1"]}, {"item_id": "$custom:::$default:::I1"})
    (batch,), _ = batches_of(plan_of("add_categories_to_catalog_item", whole), whole)
    assert batch.envelope.path.count("default") == 1


def test_fields_that_belong_together_come_together() -> None:
    used, unused = "assigner_configuration.used", "assigner_configuration.unused_expired"
    with pytest.raises(SchemaError, match=f"no column for {unused}"):
        plan_of("create_coupon", Example({"external_id": ["A"], used: ["NEVER_ASSIGN"]}))
    columns: Columns = {
        "external_id": ["A", "B", "C"],
        used: ["NEVER_ASSIGN", "ASSIGN_IF_EXPIRED", None],
        unused: ["NEVER_ASSIGN", None, None],
    }
    for encode in (by_rows, by_arrow):
        batches, rejected = batches_of(plan_of("create_coupon", Example(columns)), Example(columns), encode)
        assert [(one.row, one.code) for one in rejected] == [(1, "missing_field")]
        assert [len(loaded(batch)["data"]["attributes"]) for batch in batches] == [2, 1]


@pytest.mark.parametrize(
    ("template", "columns", "options", "word"),
    [
        ("update_catalog_item", {"id": ["A"], "external_id": ["B"]}, {}, "places it"),
        ("update_catalog_item", {"external_id": ["A"], "item_id": ["B"]}, {}, "no place"),
        (
            "create_event",
            {"email": [ANN], "a": ["x"]},
            {"metric": "M", "fields": '{"metric": "a"}'},
            "setting gives it",
        ),
        ("create_event", {"email": [ANN]}, {}, "give metric for all rows"),
        ("create_coupon_code", {"code": ["A"]}, {"coupon_id": "column:none"}, "no such column"),
        ("tag_lists", {"list_id": ["A"]}, {"tag_id": "column:none"}, "no column 'none'"),
        ("create_catalog_item", {"external_id": ["A"]}, {}, "title"),
        ("update_profile", {"email": [ANN]}, {}, "no column for id"),
        (
            "create_event",
            {"email": [ANN], "all": [{"a": 1}], "one": [2]},
            {"metric": "M", "fields": '{"profile.properties": "all", "profile.properties.a": "one"}'},
            "whole and by its keys",
        ),
    ],
)
def test_a_dataframe_that_does_not_fit_is_told_why(
    template: str, columns: dict[str, list[object]], options: dict[str, str], word: str
) -> None:
    with pytest.raises(SchemaError, match=word):
        plan_of(template, Example(columns, options))


@pytest.mark.parametrize(
    ("template", "columns", "options", "code"),
    [
        ("create_coupon", {"external_id": ["SAVE-10"]}, {}, "bad_value"),
        ("update_review", {"id": ["r"], "status": ["gone"]}, {}, "bad_value"),
        ("bulk_update_catalog_variants", {"id": ["v"], "inventory_policy": [3]}, {}, "bad_value"),
        ("create_event", {"email": [ANN], "time": ["1989-12-31T00:00:00Z"]}, {"metric": "M"}, "bad_time"),
        ("create_event", {"email": [ANN], "currency": ["dollar"]}, {"metric": "M", "event_time": "now"}, "bad_value"),
        (
            "create_back_in_stock_subscription",
            {"email": [ANN], "channels": [["FAX"]]},
            {"variant_id": "V1"},
            "bad_value",
        ),
        ("add_profile_ids_to_list", {"id": [None]}, {"list_id": "A"}, "missing_field"),
        ("bulk_create_coupon_codes", {"code": ["A"], "coupon": [None]}, {}, "missing_field"),
    ],
)
def test_what_klaviyo_would_refuse_is_rejected_before_sending(
    template: str, columns: dict[str, list[object]], options: dict[str, str], code: str
) -> None:
    example = Example(columns, options)
    for encode in (by_rows, by_arrow):
        batches, rejected = batches_of(plan_of(template, example), example, encode)
        assert ([one.code for one in rejected], batches) == ([code], [])


def test_nulls_clear_where_a_null_does_and_only_if_asked() -> None:
    example = Example({"email": [ANN], "title": [None], "city": [None]})
    (quiet,), (loud,) = (bodies("create_or_update_profile", example, nulls=word) for word in ("omit", "send"))
    assert quiet["data"]["attributes"] == {"email": ANN}
    assert loud["data"]["attributes"] == {"email": ANN, "title": None, "location": {"city": None}}
    plan = plan_of("bulk_import_profiles", example, nulls="send")
    assert any("nulls=send" in warning for warning in plan.warnings)


@pytest.mark.parametrize(("resend", "may_resend"), [("auto", False), ("always", True)])
def test_adding_to_arrays_is_not_sent_twice_on_a_mere_doubt(resend: str, may_resend: bool) -> None:
    example = Example({"email": [ANN], "tags": [["vip"]]}, {"fields": '{"meta.patch_properties.append.tags": "tags"}'})
    assert plan_of("bulk_import_profiles", example, resend=resend).resend.allows_every_request == may_resend
    assert plan_of("bulk_import_profiles", Example({"email": [ANN]})).resend.allows_every_request


@pytest.mark.parametrize(("resend", "may_resend"), [("auto", False), ("always", True), ("never", False)])
def test_ready_made_profiles_may_add_to_arrays_and_are_not_sent_twice_either(resend: str, may_resend: bool) -> None:
    example = Example({"record": ["{}"]}, {"record_column": "record", "resend": resend})
    for template in ("bulk_import_profiles", "create_or_update_profile", "bulk_create_events"):
        assert plan_of(template, example).resend.allows_every_request == may_resend
    assert plan_of("create_catalog_item", example).resend.allows_every_request == (resend == "always")
    assert plan_of("update_catalog_item", example).resend.allows_every_request == (resend != "never")


def test_a_ready_made_record_brings_the_id_of_its_path_with_it() -> None:
    record = {"type": "catalog-item", "id": "$custom:::$default:::I 1", "attributes": {"price": 1}}
    example = Example({"record": [json.dumps(record), json.dumps({**record, "id": "two"})]})
    batches, rejected = batches_of(plan_of("update_catalog_item", example, record_column="record"), example)
    assert not rejected
    assert [batch.envelope.path.rpartition("/")[2] for batch in batches] == [
        "%24custom%3A%3A%3A%24default%3A%3A%3AI%201",
        "two",
    ]
    assert [loaded(batch)["data"] for batch in batches] == [record, {**record, "id": "two"}]


def test_a_ready_made_batch_that_adds_to_no_array_is_as_harmless_as_any() -> None:
    adding = {"type": "profile", "attributes": {"email": ANN}, "meta": {"patch_properties": {"append": {"a": 1}}}}
    quiet = {"type": "profile", "attributes": {"email": ANN}}
    for record, may_resend in ((adding, False), (quiet, True)):
        example = Example({"record": [json.dumps(record)]}, {"record_column": "record"})
        plan = plan_of("bulk_import_profiles", example)
        (batch,), rejected = batches_of(plan, example)
        assert not rejected
        assert plan.resend.allows(batch) == may_resend
