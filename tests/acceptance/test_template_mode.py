"""Template mode: "Add Profiles to a List" as it was described, in its v2 form and in today's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from spark_klaviyo.errors import OptionError, SchemaError
from spark_klaviyo.options.model import BASE_URL
from spark_klaviyo.plan.envelopes import envelope
from spark_klaviyo.simulator import KlaviyoSimulator
from spark_klaviyo.templates import find_template
from tests.acceptance.sending import KEY, LIST, ROWS_AS, Options, Row, columns_of, plan_for, send

pytestmark = pytest.mark.oldest

ADD: Options = {"template": "add_profiles_to_list", "list_id": LIST}
V2: Options = {**ADD, "api": "v2"}
PEOPLE: list[Row] = [
    {"email": "ann@example.com", "first_name": "Ann", "level": 3},
    {"email": "bob@example.com", "first_name": None, "level": 4},
]


# --- the v2 form ----------------------------------------------------------------------------------


def test_the_url_is_built_from_base_url_and_list_id(legacy_klaviyo: KlaviyoSimulator) -> None:
    sent = send(legacy_klaviyo, PEOPLE, **V2)
    assert (sent.only.method, sent.only.path) == ("POST", f"/api/v2/list/{LIST}/members")
    plan = plan_for(columns_of(PEOPLE), api_key=KEY, **V2)
    assert plan.base_url + envelope(plan, {}).path == f"https://a.klaviyo.com/api/v2/list/{LIST}/members"
    assert BASE_URL == "https://a.klaviyo.com"


@pytest.mark.parametrize("rows_as", ROWS_AS)
def test_the_body_wraps_api_key_and_profiles_around_the_rows(legacy_klaviyo: KlaviyoSimulator, rows_as: str) -> None:
    body = send(legacy_klaviyo, PEOPLE, rows_as=rows_as, **V2).only.json()
    assert body == {"api_key": KEY, "profiles": [PEOPLE[0], {"email": "bob@example.com", "level": 4}]}


def test_the_content_type_is_json_without_being_asked(legacy_klaviyo: KlaviyoSimulator) -> None:
    assert send(legacy_klaviyo, PEOPLE, **V2).only.headers["Content-Type"] == "application/json"


def test_the_key_comes_from_the_credential_and_is_sent_in_the_body_only(
    legacy_klaviyo: KlaviyoSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", KEY)
    request = send(legacy_klaviyo, PEOPLE, api_key="env:SOME_KEY", **V2).only
    assert request.json()["api_key"] == KEY
    assert "Authorization" not in request.headers
    assert request.query == {}


@pytest.mark.parametrize("options", [V2, ADD], ids=["v2", "current"])
def test_batch_mode_is_on_by_default(legacy_klaviyo: KlaviyoSimulator, options: Options) -> None:
    sent = send(legacy_klaviyo, PEOPLE, **options)
    assert len([request for request in sent.requests if request.method == "POST"]) == 1
    assert sent.receipts[0].rows == 2


@pytest.mark.parametrize("options", [V2, ADD], ids=["v2", "current"])
def test_batch_mode_can_be_turned_off_under_its_old_name(legacy_klaviyo: KlaviyoSimulator, options: Options) -> None:
    sent = send(legacy_klaviyo, PEOPLE, **dict[str, Any]({"batch.mode": "false"}, **options))
    assert [receipt.rows for receipt in sent.receipts] == [1, 1]


def test_several_profiles_travel_in_one_request_up_to_a_limit_that_max_rows_moves(
    legacy_klaviyo: KlaviyoSimulator,
) -> None:
    rows: list[Row] = [{"email": f"p{n}@example.com"} for n in range(250)]
    assert sorted(receipt.rows for receipt in send(legacy_klaviyo, rows, **V2).receipts) == [50, 100, 100]
    assert [receipt.rows for receipt in send(legacy_klaviyo, rows, max_rows=500, **V2).receipts] == [250]
    assert len(legacy_klaviyo.lists[LIST]) == 250


def test_no_dataset_of_responses_is_written_by_default() -> None:
    plan = plan_for(columns_of(PEOPLE), api_key=KEY, **V2)
    assert plan.state is None
    for name in ("receipts_path", "rejects_path", "runs_path", "state_path"):
        assert name not in plan.settings


def test_columns_keep_their_names_and_mapping_adds_none(legacy_klaviyo: KlaviyoSimulator) -> None:
    row = {"email": "ann@example.com", "First Name": "Ann", "any": {"deep": [1, 2]}, "$consent": ["email"]}
    assert send(legacy_klaviyo, [row], **V2).only.json()["profiles"] == [row]


def test_each_row_may_name_its_list() -> None:
    rows: list[Row] = [{"email": f"{n}@example.com", "to": to} for n, to in enumerate(["A", LIST, "A"])]
    klaviyo_lists = {"A": "Other", LIST: "Newsletter"}
    with KlaviyoSimulator(legacy="alive", lists=klaviyo_lists) as klaviyo:
        sent = send(klaviyo, rows, template="add_profiles_to_list", api="v2", list_id="column:to")
        assert {name: len(klaviyo.lists[name]) for name in klaviyo_lists} == {"A": 2, LIST: 1}
    assert sent.report.delivered == 3


def test_a_retired_call_stops_at_once_and_names_the_one_option_to_change(klaviyo: KlaviyoSimulator) -> None:
    sent = send(klaviyo, PEOPLE, max_rows=1, **V2)
    assert len(sent.requests) == 1
    assert sent.report.stopped is not None
    assert sent.report.stopped[0] == "retired"
    assert "set api=current" in sent.report.stopped[1]
    assert sent.report.unsent == 2


# --- today's form ---------------------------------------------------------------------------------


@pytest.mark.parametrize("rows_as", ROWS_AS)
def test_the_same_template_sends_todays_import_job_with_the_list(klaviyo: KlaviyoSimulator, rows_as: str) -> None:
    sent = send(klaviyo, PEOPLE, rows_as=rows_as, **ADD)
    first = sent.requests[0]
    assert (first.path, first.headers["revision"]) == ("/api/profile-bulk-import-jobs", "2026-10-15")
    assert first.headers["Authorization"] == f"Klaviyo-API-Key {KEY}"
    assert first.headers["Content-Type"] == "application/vnd.api+json"
    assert KEY not in first.body.decode()
    data = first.json()["data"]
    assert data["relationships"]["lists"]["data"] == [{"type": "list", "id": LIST}]
    assert data["attributes"]["profiles"]["data"][0]["attributes"] == {
        "email": "ann@example.com",
        "first_name": "Ann",
        "properties": {"level": 3},
    }
    assert sent.report.delivered == 2
    assert len(klaviyo.lists[LIST]) == 2


def test_adding_a_profile_changes_no_consent_as_with_a_csv_upload(klaviyo: KlaviyoSimulator) -> None:
    send(klaviyo, PEOPLE, **ADD)
    assert [row["subscriptions"] for row in klaviyo.profiles] == [{}, {}]


def test_the_names_of_v1_are_understood_and_id_is_the_callers_own(klaviyo: KlaviyoSimulator) -> None:
    row = {"$email": "ann@example.com", "$id": "crm-1", "$first_name": "Ann", "$city": "Rome", "plain": 1}
    sent = send(klaviyo, [row], **ADD)
    [profile] = sent.requests[0].json()["data"]["attributes"]["profiles"]["data"]
    assert profile == {
        "type": "profile",
        "attributes": {
            "email": "ann@example.com",
            "external_id": "crm-1",
            "first_name": "Ann",
            "location": {"city": "Rome"},
            "properties": {"plain": 1},
        },
    }


def test_several_lists_may_be_given_at_once(klaviyo: KlaviyoSimulator) -> None:
    sent = send(klaviyo, PEOPLE, template="add_profiles_to_list", list_id=f"{LIST},{LIST}2")
    lists = sent.requests[0].json()["data"]["relationships"]["lists"]["data"]
    assert [held["id"] for held in lists] == [LIST, f"{LIST}2"]


# --- refusals before anything is sent -------------------------------------------------------------

BAD_OPTIONS: list[tuple[Options, str]] = [
    ({"template": "add_profiles_to_list"}, "list_id: is required by template add_profiles_to_list"),
    ({"template": "add_profile_to_list", "list_id": LIST}, "did you mean add_profiles_to_list"),
    ({**ADD, "lst_id": "x"}, "lst_id: no such option (did you mean list_id?)"),
    ({**ADD, "url": "https://a.klaviyo.com/api/x"}, "template: is given besides url; give one of them"),
    ({"api_key": KEY}, "template: is required"),
    ({**ADD, "api": "v3"}, "api: must be one of current, v2, v1"),
    ({**ADD, "api": "v1"}, "api: template 'add_profiles_to_list' has no 'v1' form"),
    ({**ADD, "base_url": "http://a.klaviyo.com"}, "base_url: plain http would show the key to the network"),
    ({**ADD, "batch_mode": "false", "max_rows": 10}, "max_rows: contradicts batch_mode=false"),
    ({**ADD, "max_rows": 10_001}, "max_rows: must be a whole number from 1 to 10,000"),
    ({**ADD, "batch_mode": "perhaps"}, "batch_mode: must be true or false"),
    ({**ADD, "method": "PUT"}, "method: belongs to manual mode"),
    ({**ADD, "maxRows": 5, "max_rows": 6}, "max_rows: is given twice, as maxRows and max_rows"),
    ({**V2, "access_token": "t"}, "access_token: the retired v1 and v2 calls take api_key only"),
]


@pytest.mark.parametrize(
    ("options", "message"), BAD_OPTIONS, ids=[message.partition(":")[0] for _, message in BAD_OPTIONS]
)
def test_invalid_options_are_refused_before_anything_is_sent(options: Options, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        plan_for(columns_of(PEOPLE), **{"api_key": KEY, **options})
    assert message in str(caught.value)


def test_all_complaints_come_at_once() -> None:
    with pytest.raises(OptionError) as caught:
        plan_for(columns_of(PEOPLE), template="add_profiles_to_list", api_key=KEY, tasks=0, workrs=4, nulls="x")
    assert [line.partition(":")[0] for line in caught.value.complaints] == ["nulls", "tasks", "workrs", "list_id"]


def test_no_name_is_suggested_twice() -> None:
    with pytest.raises(OptionError) as caught:
        find_template("add_profile_to_list")
    suggested = str(caught.value).partition("did you mean ")[2].partition("?")[0].split(" or ")
    assert len(suggested) == len(set(suggested))
    assert suggested[0] == "add_profiles_to_list"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([{"name": "Ann", "city": "Rome"}], "no column is an identifier: add_profiles_to_list needs at least one of"),
        ([{"email": "a", "E-Mail": "b", "e_mail": "c"}], "columns 'email' and 'E-Mail' and 'e_mail' both mean email"),
        ([{"email": "a@b.c", "location": "Rome"}], "column 'location' is a string; location must be a struct"),
    ],
)
def test_columns_that_cannot_be_sent_are_refused_before_anything_is_sent(columns: list[Row], message: str) -> None:
    with pytest.raises(SchemaError) as caught:
        plan_for(columns_of(columns), api_key=KEY, **ADD)
    assert message in str(caught.value)


def test_no_rows_are_no_requests_and_a_report_of_zeros(klaviyo: KlaviyoSimulator) -> None:
    sent = send(klaviyo, PEOPLE, most=0, **ADD)
    report = sent.report
    assert sent.requests == []
    assert (report.rows, report.delivered, report.rejected, report.requests) == (0, 0, 0, 0)


def test_a_bad_row_is_rejected_and_the_others_arrive(klaviyo: KlaviyoSimulator) -> None:
    rows: list[Row] = [*PEOPLE, {"email": "no address", "first_name": "X", "level": 1}]
    sent = send(klaviyo, rows, **ADD)
    assert (sent.report.delivered, sent.report.reasons) == (2, {"bad_email": 1})
    assert json.loads(sent.rejected[0].record)["attributes"]["email"] == "no address"
