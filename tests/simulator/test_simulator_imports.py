"""Bulk import: all or nothing, upserts, ignored nulls, and bad values that are not refused."""

from __future__ import annotations

from typing import Any

import pytest

from spark_klaviyo.simulator import KlaviyoSimulator
from tests.simulator.wire_client import call, import_body, import_rows, profile

ROW = "/data/attributes/profiles/data/{}"
JOBS = "/api/profile-bulk-import-jobs"


def test_an_import_makes_profiles_and_list_members_without_consent(klaviyo: KlaviyoSimulator) -> None:
    got = import_rows(
        klaviyo, [{"email": "a@b.co", "location": {"city": "Rome"}}, {"external_id": "7"}], "Y6nRLr", "Lst1Aa"
    )

    assert got.status == 202
    assert got.json["data"]["attributes"]["total_count"] == 2
    assert [held["email"] for held in klaviyo.lists["Y6nRLr"]] == ["a@b.co", None]
    assert len(klaviyo.lists["Lst1Aa"]) == 2
    assert klaviyo.profiles[0]["location"] == {"city": "Rome"}
    assert klaviyo.profiles[0]["subscriptions"] == {}


BAD_ROWS: list[tuple[dict[str, Any], str, str]] = [
    ({"email": "nope"}, "/attributes/email", "Invalid email address"),
    ({"email": ""}, "/attributes/email", "Invalid email address"),
    ({"email": " a@b.co"}, "/attributes/email", "Invalid email address"),
    ({"email": "a@b"}, "/attributes/email", "Invalid email address"),
    ({"email": "a@b.co", "zip": "1"}, "/attributes/zip", "'zip' is not a valid field for the resource 'profile'."),
    ({"email": "a@b.co", "location": {"zip": 123}}, "/attributes/location/zip", "'zip' must be a string."),
    ({"email": "a@b.co", "subscriptions": {}}, "/attributes/subscriptions",
     "'subscriptions' is not a valid field for the resource 'profile'."),
    ({"email": "a@b.co", "anonymous_id": "x"}, "/attributes/anonymous_id",
     "'anonymous_id' is not a valid field for the resource 'profile'."),
    ({"email": "a@b.co", "external_id": "x" * 256}, "/attributes/external_id",
     "'external_id' must have at most 255 characters."),
    ({"first_name": "Ann"}, "/attributes",
     "A profile must have at least one identifier: 'email', 'phone_number', 'external_id' or 'id'."),
    ({"phone_number": "0151"}, "/attributes/phone_number",
     "Invalid phone number format (Example of a valid format: +12345678901)"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "where", "detail"), BAD_ROWS, ids=lambda value: str(value)[:40])
def test_one_bad_row_refuses_the_whole_request_and_is_named(
    klaviyo: KlaviyoSimulator, row: dict[str, Any], where: str, detail: str
) -> None:
    got = import_rows(klaviyo, [{"email": "good@b.co"}, row], "Y6nRLr")

    assert got.status == 400
    assert got.pointers == [ROW.format(1) + where]
    assert got.errors[0]["detail"] == detail
    assert (klaviyo.profiles, klaviyo.jobs, len(klaviyo.lists["Y6nRLr"])) == ([], {}, 0)


@pytest.mark.parametrize(("every", "named"), [(True, [0, 2]), (False, [0])])
def test_a_refusal_names_every_bad_row_or_the_first_alone(every: bool, named: list[int]) -> None:
    with KlaviyoSimulator(name_every_bad_row=every) as klaviyo:
        got = import_rows(klaviyo, [{"email": "no", "zip": 1}, {"email": "a@b.co"}, {"email": "no"}])

    assert [int(pointer.split("/")[5]) for pointer in got.pointers] == named


def test_a_bad_phone_beside_an_email_is_dropped_silently(klaviyo: KlaviyoSimulator) -> None:
    job = import_rows(klaviyo, [{"email": "a@b.co", "phone_number": "0151"}]).json["data"]["id"]

    assert klaviyo.profiles[0]["phone_number"] is None
    done = call(klaviyo, "GET", f"{JOBS}/{job}").json["data"]["attributes"]
    assert (done["status"], done["completed_count"], done["failed_count"]) == ("complete", 1, 0)


def test_a_lone_bad_phone_may_become_an_import_error() -> None:
    with KlaviyoSimulator(lone_bad_phone="import_error", job_polls=0) as klaviyo:
        job = import_rows(klaviyo, [{"phone_number": "0151"}]).json["data"]["id"]
        call(klaviyo, "GET", f"{JOBS}/{job}")
        (error,) = call(klaviyo, "GET", f"{JOBS}/{job}/import-errors").json["data"]

    assert error["attributes"]["original_payload"] == {}
    assert error["type"] == "import-error"


def test_matching_goes_by_id_then_email_whatever_its_case_then_phone_then_external_id(
    klaviyo: KlaviyoSimulator,
) -> None:
    import_rows(klaviyo, [{"email": "a@b.co", "phone_number": "+12025550100", "external_id": "1"}])
    (known,) = klaviyo.profiles

    import_rows(
        klaviyo,
        [
            {**profile(first_name="Id"), "id": known["id"]},
            {"email": "A@B.CO", "last_name": "Email"},
            {"phone_number": "+12025550100", "title": "Phone"},
            {"external_id": "1", "organization": "External"},
        ],
    )

    assert len(klaviyo.profiles) == 1
    assert [known[name] for name in ("first_name", "last_name", "title", "organization")] == [
        "Id",
        "Email",
        "Phone",
        "External",
    ]


def test_two_identifiers_of_two_profiles_are_an_import_error_that_repeats_the_row(klaviyo: KlaviyoSimulator) -> None:
    import_rows(klaviyo, [{"email": "a@b.co"}, {"external_id": "2"}])

    job = import_rows(klaviyo, [{"email": "a@b.co", "external_id": "2"}, {"email": "new@b.co"}]).json["data"]["id"]
    done = call(klaviyo, "GET", f"{JOBS}/{job}").json["data"]["attributes"]
    (error,) = call(klaviyo, "GET", f"{JOBS}/{job}/import-errors").json["data"]

    assert (done["completed_count"], done["failed_count"]) == (1, 1)
    assert error["attributes"]["original_payload"] == {"email": "a@b.co", "external_id": "2"}
    assert list(error["attributes"]) == ["code", "title", "detail", "source", "original_payload"]


def test_null_is_ignored_in_bulk_and_clears_on_a_single_profile(klaviyo: KlaviyoSimulator) -> None:
    full = {"email": "a@b.co", "first_name": "Ann", "location": {"city": "Rome"}, "properties": {"tier": "gold"}}
    empty = {"email": "a@b.co", "first_name": None, "location": {"city": None}, "properties": {"tier": None}}
    import_rows(klaviyo, [full])
    (held,) = klaviyo.profiles

    import_rows(klaviyo, [empty])
    assert (held["first_name"], held["location"], held["properties"]) == ("Ann", {"city": "Rome"}, {"tier": "gold"})

    assert call(klaviyo, "POST", "/api/profile-import", {"data": profile(**empty)}).status == 200
    assert (held["first_name"], held["location"], held["properties"]) == (None, {}, {})


def test_properties_are_patched_append_then_unappend_then_unset(klaviyo: KlaviyoSimulator) -> None:
    import_rows(klaviyo, [{"email": "a@b.co", "properties": {"tags": ["x", "y"], "old": 1, "one": "a"}}])
    patch = {"append": {"tags": "z", "one": ["b"]}, "unappend": {"tags": "x"}, "unset": ["old"]}

    import_rows(klaviyo, [{**profile(email="a@b.co"), "meta": {"patch_properties": patch}}])

    assert klaviyo.profiles[0]["properties"] == {"tags": ["z", "y"], "one": ["b", "a"]}


@pytest.mark.parametrize(("wins", "name"), [("last", "Second"), ("first", "First")])
def test_of_one_profile_twice_in_a_batch_one_wins(wins: str, name: str) -> None:
    with KlaviyoSimulator(repeated_profile=wins) as klaviyo:
        import_rows(klaviyo, [{"email": "a@b.co", "first_name": "First"}, {"email": "a@b.co", "first_name": "Second"}])

    assert [held["first_name"] for held in klaviyo.profiles] == [name]


def test_several_lists_may_be_refused() -> None:
    with KlaviyoSimulator(several_lists=False) as klaviyo:
        got = import_rows(klaviyo, [{"email": "a@b.co"}], "Y6nRLr", "Lst1Aa")

    assert (got.status, got.pointers) == (400, ["/data/relationships/lists/data"])


def test_ten_thousand_rows_pass_and_one_more_does_not(klaviyo: KlaviyoSimulator) -> None:
    rows = [{"external_id": str(number)} for number in range(10_001)]

    assert import_rows(klaviyo, rows[:-1]).status == 202
    got = import_rows(klaviyo, rows)

    assert (got.status, got.pointers) == (400, ["/data/attributes/profiles/data"])
    assert len(klaviyo.profiles) == 10_000


@pytest.mark.parametrize("status", [413, 400])
def test_more_than_five_megabytes_are_refused(status: int) -> None:
    with KlaviyoSimulator(oversize_status=status) as klaviyo:
        small = {"email": "a@b.co", "properties": {"x": "x" * 90_000}}
        got = import_rows(klaviyo, [small] * 56)

    assert got.status == status
    assert got.errors[0]["source"] == {"pointer": "/data"}


def test_a_row_of_more_than_a_hundred_kilobytes_is_named(klaviyo: KlaviyoSimulator) -> None:
    envelope = len('{"type":"profile","attributes":{"email":"a@b.co","properties":{"x":""}}}')
    fits = {"email": "a@b.co", "properties": {"x": "é" * ((100_000 - envelope) // 2)}}
    giant = {"email": "a@b.co", "properties": {"x": "é" * ((100_000 - envelope) // 2 + 1)}}

    assert import_rows(klaviyo, [fits]).status == 202
    assert import_rows(klaviyo, [{"email": "b@b.co"}, giant]).pointers == [ROW.format(1)]


def test_anonymous_ids_are_accepted_by_revisions_until_2025(klaviyo: KlaviyoSimulator) -> None:
    body = import_body([{"email": "a@b.co", "anonymous_id": "x"}])

    assert call(klaviyo, "POST", JOBS, body, {"revision": "2025-10-15"}).status == 202
    assert call(klaviyo, "POST", JOBS, body, {"revision": "2026-01-15"}).status == 400
