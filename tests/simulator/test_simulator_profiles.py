"""Single profiles: finding, merging and deleting them; and the members of lists."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from spark_klaviyo.simulator import KlaviyoSimulator
from tests.simulator.wire_client import ManualClock, call, import_rows, new, profile


@pytest.fixture
def klaviyo() -> Iterator[KlaviyoSimulator]:
    with KlaviyoSimulator() as simulator:
        yield simulator


def ids(klaviyo: KlaviyoSimulator) -> list[str]:
    return [held["id"] for held in klaviyo.profiles]


def everything(klaviyo: KlaviyoSimulator, path: str) -> list[dict[str, Any]]:
    """All pages, read by following `next`."""
    found: list[dict[str, Any]] = []
    while path:
        document = call(klaviyo, "GET", path).json
        found.extend(document["data"])
        path = (document["links"]["next"] or "").removeprefix(klaviyo.url)
    return found


def test_an_upsert_is_201_then_200_and_clashes_with_409(klaviyo: KlaviyoSimulator) -> None:
    statuses = [
        call(klaviyo, "POST", "/api/profile-import", new("profile", **given)).status
        for given in ({"email": "a@b.co"}, {"email": "A@b.co", "external_id": "1"}, {"external_id": "2"})
    ]
    clash = call(klaviyo, "POST", "/api/profile-import", new("profile", email="a@b.co", external_id="2"))

    assert statuses == [201, 200, 201]
    assert clash.errors[0]["meta"] == {"duplicate_profile_id": ids(klaviyo)[1]}


def test_an_unknown_id_is_404_and_two_ids_that_differ_400(klaviyo: KlaviyoSimulator) -> None:
    klaviyo.add_profiles(2)
    one, two = ids(klaviyo)
    wrong = {"data": {"type": "profile", "id": two, "attributes": {"first_name": "x"}}}

    assert (
        call(klaviyo, "POST", "/api/profile-import", {"data": {**profile(email="x@y.co"), "id": "nosuch"}}).status
        == 404
    )
    assert call(klaviyo, "PATCH", f"/api/profiles/{one}", wrong).pointers == ["/data/id"]


def test_a_single_profile_refuses_a_bad_phone(klaviyo: KlaviyoSimulator) -> None:
    got = call(klaviyo, "POST", "/api/profiles", new("profile", email="a@b.co", phone_number="0151"))

    assert got.pointers == ["/data/attributes/phone_number"]
    assert got.errors[0]["detail"] == "Invalid phone number format (Example of a valid format: +12345678901)"


def test_a_single_profile_of_more_than_a_hundred_kilobytes_is_too_large(klaviyo: KlaviyoSimulator) -> None:
    assert (
        call(
            klaviyo, "POST", "/api/profile-import", new("profile", email="a@b.co", properties={"x": "x" * 100_000})
        ).status
        == 413
    )


@pytest.mark.parametrize(
    ("field", "value"), [("email", "plus+sign@b.co"), ("phone_number", "+12025550100"), ("external_id", 'q"1,2')]
)
def test_profiles_are_found_by_each_identifier(klaviyo: KlaviyoSimulator, field: str, value: str) -> None:
    import_rows(klaviyo, [{field: value}, {"email": "other@b.co"}])
    escaped = json.dumps(value)

    equal = call(klaviyo, "GET", "/api/profiles?filter=" + quote(f"equals({field},{escaped})")).json["data"]
    several = call(klaviyo, "GET", "/api/profiles?filter=" + quote(f'any({field},[{escaped},"no@b.co"])')).json["data"]

    assert [row["attributes"][field] for row in (*equal, *several)] == [value, value]


def test_a_plus_that_is_not_encoded_matches_no_profile(klaviyo: KlaviyoSimulator) -> None:
    import_rows(klaviyo, [{"email": "plus+sign@b.co"}])

    assert call(klaviyo, "GET", "/api/profiles?filter=equals(email,%22plus+sign@b.co%22)").json["data"] == []


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("filter=equals(first_name,%22A%22)", "'first_name' is not a valid field for filtering."),
        ("filter=contains(email,%22a%22)",
         "'contains' is not an allowed filter operator for email.  Allowed operators are any, equals"),
        ("filter=nonsense", "Invalid filter provided: nonsense"),
    ],
)  # fmt: skip
def test_a_refused_filter_names_the_parameter(klaviyo: KlaviyoSimulator, query: str, detail: str) -> None:
    got = call(klaviyo, "GET", f"/api/profiles?{query}")

    assert (got.status, got.errors[0]["source"], got.errors[0]["detail"]) == (400, {"parameter": "filter"}, detail)


@pytest.mark.parametrize("size", ["0", "101", "x"])
def test_a_page_size_out_of_bounds_is_refused(klaviyo: KlaviyoSimulator, size: str) -> None:
    assert call(klaviyo, "GET", f"/api/profiles?page%5Bsize%5D={size}").status == 400


def test_pages_hold_everything_once(klaviyo: KlaviyoSimulator) -> None:
    klaviyo.add_profiles(250, "Y6nRLr")

    people = everything(klaviyo, "/api/profiles?page%5Bsize%5D=100")
    members = everything(klaviyo, "/api/lists/Y6nRLr/relationships/profiles?page%5Bsize%5D=100")

    assert [row["id"] for row in people] == [row["id"] for row in members] == ids(klaviyo)
    assert call(klaviyo, "GET", "/api/profiles?page%5Bcursor%5D=!!").status == 400


def test_members_are_filtered_by_when_they_joined() -> None:
    clock = ManualClock()
    with KlaviyoSimulator(clock=clock) as klaviyo:
        klaviyo.add_profiles(3, "Y6nRLr")
        clock.seconds = 3600
        klaviyo.add_profiles([{"email": "late@b.co"}], "Y6nRLr")
        path = "/api/lists/Y6nRLr/profiles"
        joined = call(klaviyo, "GET", f"{path}?page%5Bsize%5D=100").json["data"][-1]["attributes"]["joined_group_at"]
        late, early, named = (
            call(klaviyo, "GET", f"{path}?filter={quote(condition)}").json["data"]
            for condition in (
                f"greater-or-equal(joined_group_at,{joined})",
                f"less-than(joined_group_at,{joined})",
                'any(email,["LATE@b.co"])',
            )
        )

    assert [row["attributes"]["email"] for row in (*late, *named)] == ["late@b.co", "late@b.co"]
    assert len(early) == 3


def test_list_membership_is_a_set_and_knows_only_profiles(klaviyo: KlaviyoSimulator) -> None:
    klaviyo.add_profiles(1)
    path, known = "/api/lists/Y6nRLr/relationships/profiles", {"type": "profile", "id": ids(klaviyo)[0]}

    assert [call(klaviyo, "POST", path, {"data": [known]}).status for _ in range(2)] == [204, 204]
    assert len(klaviyo.lists["Y6nRLr"]) == 1
    got = call(klaviyo, "POST", path, {"data": [known, {"type": "profile", "id": "nosuch"}]})
    assert (got.status, got.pointers, got.errors[0]["detail"]) == (400, ["/data/"], "Invalid profile IDs: nosuch")
    assert [call(klaviyo, "DELETE", path, {"data": [known]}).status for _ in range(2)] == [204, 204]
    assert len(klaviyo.lists["Y6nRLr"]) == 0
    assert call(klaviyo, "POST", "/api/lists/nosuch/relationships/profiles", {"data": [known]}).status == 404
    assert call(klaviyo, "POST", path, {"data": [known] * 1001}).status == 400


def test_a_merge_moves_the_data_of_the_source_whose_id_still_answers(klaviyo: KlaviyoSimulator) -> None:
    import_rows(klaviyo, [{"email": "keep@b.co"}, {"external_id": "7", "properties": {"x": 1}}], "Y6nRLr")
    kept, source = ids(klaviyo)
    merge = {
        "data": {
            "type": "profile-merge",
            "id": kept,
            "relationships": {"profiles": {"data": [{"type": "profile", "id": source}]}},
        }
    }

    assert call(klaviyo, "POST", "/api/profile-merge", merge).status == 202
    (held,) = klaviyo.profiles
    assert (held["external_id"], held["properties"]) == ("7", {"x": 1})
    assert call(klaviyo, "GET", f"/api/profiles/{source}").json["data"]["id"] == kept
    assert call(klaviyo, "POST", "/api/profile-merge", merge).status == 404  # a second merge meets a missing source


def test_a_deletion_takes_one_identifier_and_a_second_one_is_404(klaviyo: KlaviyoSimulator) -> None:
    import_rows(klaviyo, [{"email": "a@b.co", "phone_number": "+12025550100"}], "Y6nRLr")
    path = "/api/data-privacy-deletion-jobs"
    both = new("data-privacy-deletion-job", profile={"data": profile(email="a@b.co", phone_number="+12025550100")})
    one = new("data-privacy-deletion-job", profile={"data": profile(email="A@b.co")})

    assert call(klaviyo, "POST", path, both).status == 400
    assert [call(klaviyo, "POST", path, one).status for _ in range(2)] == [202, 404]
    assert (klaviyo.profiles, len(klaviyo.lists["Y6nRLr"]), klaviyo.deleted[0]["email"]) == ([], 0, "a@b.co")
