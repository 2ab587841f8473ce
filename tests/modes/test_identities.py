"""Rows and members are compared by hashes of their identifiers, as Klaviyo compares them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_klaviyo.modes.mirror.execute import ceiling, find_removals, hash_pages
from spark_klaviyo.modes.mirror.identities import (
    IdentitySet,
    comparable_form,
    hash_identifier,
    hash_people,
    identifies,
    pack,
    unpack,
)


def hashed(kind: str, value: object) -> int:
    return hash_identifier(kind, comparable_form(kind, value))


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("email", "Ann@Example.com ", "ann@example.COM"),
        ("phone_number", "+1 (202) 555-0123", "+12025550123"),
        ("external_id", " 77", "77"),
        ("external_id", 77, "77"),
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
    pages = hash_pages([[*people[at : at + size]] for at in range(0, len(people), size)])
    in_frame = IdentitySet([hash_people([{"email": f"P{number}@example.com"} for number in rows])])
    found = find_removals(pages, in_frame, 100)
    assert {int(one) for one in found.ids} == set(on_list) - set(rows)
    assert (found.members, found.count) == (len(set(on_list)), len(set(on_list) - set(rows)))


def test_members_beyond_the_ceiling_are_counted_and_not_held() -> None:
    people = [{"id": str(number)} for number in range(30)]
    pages = hash_pages([[*people[at : at + 10]] for at in (0, 10, 20)])
    found = find_removals(pages, IdentitySet([]), 5)
    assert (found.count, len(found.ids)) == (30, 5)


@pytest.mark.parametrize(("text", "members", "most"), [("10%", 22, 2), ("0%", 9, 0), ("100%", 9, 9), ("3", 100, 3)])
def test_a_ceiling_is_a_number_or_a_share_rounded_down(text: str, members: int, most: int) -> None:
    assert ceiling(text, members) == most


def test_people_are_packed_as_text_with_each_hash_once() -> None:
    people = hash_people([{"email": "a@example.com"}, {"id": "1", "phone_number": "+12025550123"}])
    unpacked, unidentified = unpack([pack(people[:1]), pack(people)])
    assert (len(unpacked), unidentified) == (3, 0)
    assert unpacked.contains(people).all()
    assert len(unpack([])[0]) == 0


@pytest.mark.parametrize(
    ("kind", "value", "country", "expected"),
    [
        ("email", "ann@example.com", "", True),
        ("email", "Ann <ann@example.com>", "", False),
        ("phone_number", "(202) 555-0123", "", False),
        ("phone_number", "(202) 555-0123", "US", True),
        ("external_id", 7, "", True),
        ("id", " ", "", False),
        ("external_id", None, "", False),
    ],
)
def test_only_what_a_member_can_have_identifies_a_row(kind: str, value: object, country: str, expected: bool) -> None:
    assert identifies(kind, comparable_form(kind, value, country)) is expected
