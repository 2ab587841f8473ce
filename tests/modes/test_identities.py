"""Rows and members are compared by hashes of their identifiers, as Klaviyo compares them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_klaviyo.account.members import ListFacts
from spark_klaviyo.modes.mirror.identities import (
    IdentitySet,
    cleaned_email,
    comparable_form,
    hash_identifier,
    hash_people,
    identifies,
)
from spark_klaviyo.modes.mirror.removals import MemberPage, ceiling, find_removals, read_pages
from spark_klaviyo.modes.mirror.rows import Identified, RowPeople, pack_people

FACTS = ListFacts("Y6nRLr", 0)


def rows_of(emails: list[str], in_doubt: list[bool] | None = None) -> Identified:
    hashes = [hash_identifier("email", email.lower()) for email in emails]
    people = np.array([[0, one, 0, 0, 0] for one in hashes], np.int64).reshape(-1, 5)
    return Identified(people, np.array(in_doubt or [False] * len(emails), bool))


def pages_of(people: list[dict[str, str]], size: int) -> list[MemberPage]:
    return list(read_pages([[*people[at : at + size]] for at in range(0, len(people), size)], FACTS))


def hashed(kind: str, value: object) -> int:
    return hash_identifier(kind, comparable_form(kind, value))


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("email", "Ann@Example.com ", "ann@example.COM"),
        ("phone_number", "+1 (202) 555-0123", "+12025550123"),
        ("external_id", " 77", "77"),
        ("external_id", 77, "77"),
        ("external_id", 77.0, "77"),
    ],
)
def test_spellings_of_one_identifier_are_equal(kind: str, one: object, other: object) -> None:
    assert hashed(kind, one) == hashed(kind, other) != 0


def test_a_missing_identifier_equals_none_and_kinds_do_not_mix() -> None:
    assert hashed("email", None) == hashed("email", "  ") == 0
    assert hashed("id", "1") != hashed("external_id", "1")
    assert not IdentitySet([hash_people([{"email": None}])]).contains(hash_people([{"email": ""}])).any()


@given(st.lists(st.integers(0, 60), max_size=40), st.lists(st.integers(0, 60), max_size=40), st.integers(1, 7))
def test_members_without_a_row_are_removed(rows: list[int], on_list: list[int], size: int) -> None:
    people = [{"email": f"p{number}@example.com", "id": str(number)} for number in dict.fromkeys(on_list)]
    in_frame = RowPeople.of([rows_of([f"P{number}@example.com" for number in rows])])
    found = find_removals(pages_of(people, size), in_frame, 100)
    assert {int(one) for one in found.people["id"].to_pylist()} == set(on_list) - set(rows)
    assert (found.members, found.count) == (len(set(on_list)), len(set(on_list) - set(rows)))
    assert len(found.absent) == len(set(rows) - set(on_list))


def test_members_beyond_the_ceiling_are_counted_and_not_held() -> None:
    found = find_removals(pages_of([{"id": str(number)} for number in range(30)], 10), RowPeople.of([]), 5)
    assert found.too_many
    assert (found.count, len(found.people)) == (30, 5)


@pytest.mark.parametrize(("text", "members", "most"), [("10%", 22, 2), ("0%", 9, 0), ("100%", 9, 9), ("3", 100, 3)])
def test_a_ceiling_is_a_number_or_a_share_rounded_down(text: str, members: int, most: int) -> None:
    assert ceiling(text, members) == most


def test_people_travel_with_each_hash_once_and_rows_in_doubt_apart() -> None:
    parts = [rows_of(["a@x.com", "b@x.com", "a@x.com"]), rows_of(["b@x.com", "c@x.com"], [True, True])]
    there = RowPeople.unpack(pack_people(part) for part in parts)
    here = RowPeople.of(parts)
    for rows in (there, here):
        assert (rows.count, len(rows.people), len(rows.in_doubt)) == (5, 3, 2)
        rows.people.contains(hash_people([{"email": "b@x.com"}]))
        assert rows.count_unplaced() == 1
    assert RowPeople.unpack([]).count == 0


@pytest.mark.parametrize(
    ("kind", "value", "country", "expected"),
    [
        ("email", "ann@example.com", "", True),
        ("email", "Ann <ann@example.com>", "", False),
        ("phone_number", "(202) 555-0123", "", False),
        ("phone_number", "(202) 555-0123", "US", True),
        ("external_id", 7, "", True),
        ("id", " ", "", False),
        ("id", "4711", "", False),
        ("id", "01GDDKASAP8TKDDA2GRZDSVP4H", "", True),
        ("email", "ann@exa\u200bmple.com", "", False),
        ("email", "\u0430nn@example.com", "", False),
        ("email", "ann@ex\u0430mple.com", "", False),
        ("email", "ann\x00@example.com", "", False),
        ("email", "j\u00f6rg@example.com", "", True),
        ("external_id", None, "", False),
    ],
)
def test_only_what_a_member_can_have_identifies_a_row(kind: str, value: object, country: str, expected: bool) -> None:
    assert identifies(kind, comparable_form(kind, value, country)) is expected


@pytest.mark.parametrize(
    "typed",
    ["'ann@example.com", "mailto:Ann@example.com", "ann@exa\u200bmple.com", "\u0430nn@example.com", "ann@example,com",
     "\uff41nn@example.com", "\u2019ann @example.com"],
)  # fmt: skip
def test_the_address_that_was_meant_is_found(typed: str) -> None:
    assert cleaned_email(comparable_form("email", typed)) == "ann@example.com"
