"""v1 and v2 calls: retired by default, or answered as they were, by a switch."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from urllib.parse import quote, urlencode

import pytest

from spark_klaviyo.simulator import KlaviyoSimulator
from tests.simulator.wire_client import Got, call

MEMBERS = "/api/v2/list/Y6nRLr/members"
PLAIN = {"Authorization": None, "revision": None, "Content-Type": "application/json"}
FORM = {**PLAIN, "Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def klaviyo() -> Iterator[KlaviyoSimulator]:
    with KlaviyoSimulator(legacy="alive") as simulator:
        yield simulator


def send(klaviyo: KlaviyoSimulator, method: str, path: str, **given: object) -> Got:
    return call(klaviyo, method, path, {"api_key": "pk_test", **given}, PLAIN)


@pytest.mark.parametrize("path", [MEMBERS, "/api/v1/person/x", "/api/track", "/api/identify", "/api/v2/lists/"])
def test_every_legacy_path_is_410(path: str) -> None:
    with KlaviyoSimulator() as klaviyo:
        got = send(klaviyo, "POST", path, profiles=[{"email": "a@b.co"}])

    assert got.status == 410
    assert list(got.json) == ["message"]
    assert "migration_resources" in got.json["message"]
    assert klaviyo.profiles == []


def test_members_are_added_with_their_properties(klaviyo: KlaviyoSimulator) -> None:
    rows = [{"email": "a@b.co", "first_name": "A", "any": "prop"}, {"phone_number": "+12025550100"}]

    got = send(klaviyo, "POST", MEMBERS, profiles=rows)

    ann, phone = klaviyo.profiles
    assert got.json == [{"id": ann["id"], "email": "a@b.co"}, {"id": phone["id"], "phone_number": "+12025550100"}]
    assert (ann["first_name"], ann["properties"]) == ("A", {"any": "prop"})
    assert len(klaviyo.lists["Y6nRLr"]) == 2
    assert ann["subscriptions"] == {}


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        (MEMBERS, {"api_key": "pk_test"}, {}),
        (f"{MEMBERS}?api_key=pk_test", {}, {}),
        (MEMBERS, {}, {"api-key": "pk_test"}),
    ],
)
def test_the_key_may_be_in_the_query_the_body_or_a_header(
    klaviyo: KlaviyoSimulator, path: str, body: dict[str, str], headers: dict[str, str]
) -> None:
    got = call(klaviyo, "POST", path, {**body, "profiles": [{"email": "a@b.co"}]}, {**PLAIN, **headers})

    assert got.status == 200


def test_a_bad_key_is_403_and_a_bad_row_400(klaviyo: KlaviyoSimulator) -> None:
    assert call(klaviyo, "POST", MEMBERS, {"api_key": "no", "profiles": []}, PLAIN).status == 403
    assert list(send(klaviyo, "POST", MEMBERS, profiles=[{"email": "no"}]).json) == ["detail"]
    assert send(klaviyo, "POST", MEMBERS, profiles=[{"first_name": "x"}]).status == 400
    assert send(klaviyo, "POST", "/api/v2/list/nosuch/members", profiles=[]).status == 404
    assert list(send(klaviyo, "GET", "/api/v1/person/nosuch").json) == ["status", "message"]
    assert send(klaviyo, "GET", "/api/v2/nothing").status == 404


def test_a_batch_limit_may_be_set() -> None:
    with KlaviyoSimulator(legacy="alive", legacy_most_rows=100) as klaviyo:
        rows = [{"email": f"p{number}@b.co"} for number in range(101)]
        assert send(klaviyo, "POST", MEMBERS, profiles=rows).status == 400
        assert send(klaviyo, "POST", MEMBERS, profiles=rows[:100]).status == 200


def test_members_are_checked_and_removed(klaviyo: KlaviyoSimulator) -> None:
    send(klaviyo, "POST", MEMBERS, profiles=[{"email": "a@b.co"}, {"email": "b@b.co"}])

    assert [
        row["email"] for row in send(klaviyo, "POST", "/api/v2/list/Y6nRLr/get-members", emails=["a@b.co"]).json
    ] == ["a@b.co"]
    assert send(klaviyo, "GET", MEMBERS, emails=["x@b.co"] * 101).status == 400
    gone = send(klaviyo, "DELETE", MEMBERS, emails=["a@b.co"])
    assert (gone.status, gone.body) == (200, b"")
    assert send(klaviyo, "GET", "/api/v2/group/Y6nRLr/members/all").json["records"][0]["email"] == "b@b.co"


def test_subscribing_sets_consent_and_unsubscribing_withdraws_it(klaviyo: KlaviyoSimulator) -> None:
    path = "/api/v2/list/Y6nRLr/subscribe"
    row = {"email": "a@b.co", "phone_number": "+12025550100", "sms_consent": True}

    assert list(send(klaviyo, "POST", path, profiles=[row]).json[0]) == ["id", "email", "phone_number"]
    (held,) = klaviyo.profiles
    assert held["subscriptions"]["sms"]["marketing"]["consent"] == "SUBSCRIBED"
    assert send(klaviyo, "DELETE", path, emails=["a@b.co"]).status == 200
    assert held["subscriptions"]["email"]["marketing"]["consent"] == "UNSUBSCRIBED"
    klaviyo.lists["Y6nRLr"].opt_in_process = "double_opt_in"
    assert send(klaviyo, "POST", path, profiles=[{"email": "b@b.co"}]).json == []


def test_v1_and_v2_calls_create_rename_and_delete_lists(klaviyo: KlaviyoSimulator) -> None:
    made = send(klaviyo, "POST", "/api/v2/lists", list_name="Old").json["list_id"]

    assert send(klaviyo, "PUT", f"/api/v2/list/{made}", list_name="Older").json == ""
    assert send(klaviyo, "GET", f"/api/v2/list/{made}").json["list_name"] == "Older"
    assert {"list_id": made, "list_name": "Older"} in send(klaviyo, "GET", "/api/v2/lists").json
    assert send(klaviyo, "DELETE", f"/api/v2/list/{made}").status == 200
    assert made not in klaviyo.lists


def test_v1_and_v2_calls_find_change_exclude_and_delete_people(klaviyo: KlaviyoSimulator) -> None:
    klaviyo.add_profiles([{"email": "a@b.co", "properties": {"old": 1}}], "Y6nRLr")
    (held,) = klaviyo.profiles

    assert send(klaviyo, "GET", "/api/v2/people/search", email="a@b.co").json == {"id": held["id"]}
    assert send(klaviyo, "GET", "/api/v2/people/search", email="x@b.co").status == 404
    query = urlencode({"api_key": "pk_test", "$first_name": "Ann", "tier": "gold", "$unset": '["old"]'})
    person = call(klaviyo, "PUT", f"/api/v1/person/{held['id']}?{query}", None, PLAIN).json
    assert (person["$first_name"], person["tier"], "old" in person) == ("Ann", "gold", False)
    assert call(klaviyo, "POST", "/api/v1/people/exclusions", b"api_key=pk_test&email=a%40b.co", FORM).status == 200
    assert send(klaviyo, "GET", "/api/v2/list/Y6nRLr/exclusions/all").json["records"][0]["email"] == "a@b.co"
    path = "/api/v2/data-privacy/deletion-request"
    assert send(klaviyo, "POST", path, email="a@b.co", person_id="x").status == 400
    assert send(klaviyo, "POST", path, email="a@b.co").json == {"results": "Submitted new deletion task for customer."}
    assert send(klaviyo, "POST", path, email="a@b.co").status == 404


TRACK = {
    "token": "PUBLIC",
    "event": "Bought",
    "customer_properties": {"$email": "a@b.co", "$city": "Rome", "tier": "gold"},
    "properties": {"$event_id": "1", "$value": 5, "sku": "x"},
    "time": 1_700_000_000,
}


def test_track_takes_a_form_field_or_base64_and_answers_one(klaviyo: KlaviyoSimulator) -> None:
    form = call(klaviyo, "POST", "/api/track", f"data={quote(json.dumps(TRACK))}".encode(), FORM)
    later = {**TRACK, "properties": {"$event_id": "2"}}
    packed = base64.b64encode(json.dumps(later).encode()).decode()
    get = call(klaviyo, "GET", f"/api/track?data={quote(packed)}", None, PLAIN)

    assert (form.body, get.body) == (b"1", b"1")
    first, second = klaviyo.events
    assert (first["metric"], first["unique_id"], first["value"], first["properties"]) == (
        "Bought",
        "1",
        5,
        {"sku": "x"},
    )
    assert (first["timestamp"], second["unique_id"]) == (1_700_000_000, "2")
    (held,) = klaviyo.profiles
    assert (held["email"], held["location"], held["properties"]) == ("a@b.co", {"city": "Rome"}, {"tier": "gold"})


@pytest.mark.parametrize("payload", [{"event": "x"}, {"token": "t", "event": "x", "customer_properties": {}}, {}])
def test_track_answers_zero_to_what_it_cannot_use(klaviyo: KlaviyoSimulator, payload: dict[str, object]) -> None:
    assert call(klaviyo, "POST", "/api/track", payload, PLAIN).body == b"0"
    assert call(klaviyo, "POST", "/api/track", b"data=nonsense", FORM).body == b"0"


def test_identify_takes_properties(klaviyo: KlaviyoSimulator) -> None:
    payload = {"token": "PUBLIC", "properties": {"$email": "a@b.co", "$id": "7", "$last_name": "Lee"}}

    assert call(klaviyo, "POST", "/api/identify", payload, PLAIN).body == b"1"
    (held,) = klaviyo.profiles
    assert (held["external_id"], held["last_name"]) == ("7", "Lee")
