"""Who is on a list and who is in a DataFrame: slices that miss nobody, and hashes that compare as Klaviyo does."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_klaviyo.account.members import ListFacts, list_facts, members, slice_list
from spark_klaviyo.account.reads import ReadFailed, open_reader
from spark_klaviyo.modes.mirror.identities import (
    IdentitySet,
    hashed,
    member_pages,
    names_somebody,
    of_people,
    packed,
    unpacked,
)
from spark_klaviyo.modes.mirror.removals import ceiling, removals
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.options.model import Options
from spark_klaviyo.options.parse import read_options
from spark_klaviyo.simulator import Fault, KlaviyoSimulator
from spark_klaviyo.templates import find_template, templates

NOW = datetime(2026, 11, 24, tzinfo=timezone.utc)


def options_for(url: str) -> Options:
    return read_options({"base_url": url, "api_key": "pk_test"}, EntryPoint.CHECK, templates(), find_template)


def test_slices_read_side_by_side_bring_every_member_once() -> None:
    elapsed = [0.0]
    with KlaviyoSimulator(clock=lambda: elapsed[0]) as klaviyo:
        for step in range(8):
            elapsed[0] = 600.0 * step
            people = [{"email": f"p{step}-{number}@example.com"} for number in range(330)]
            klaviyo.add_profiles(people, "Y6nRLr")
        with open_reader(options_for(klaviyo.url)) as reader:
            facts = list_facts(reader, "Y6nRLr")
            assert facts.members == 2_640
            now = datetime.now(timezone.utc) + timedelta(seconds=elapsed[0])
            pages = list(members(reader, facts, now))
        ids = [str(one["id"]) for page in pages for one in page]
        assert sorted(ids) == sorted(klaviyo.lists["Y6nRLr"].joined)
        filters = {request.query.get("filter") for request in klaviyo.requests if "filter" in request.query}
        assert len(filters) == 5


def test_a_small_list_is_read_without_slices() -> None:
    assert len(slice_list(ListFacts("Y6nRLr", 900, "2020-01-01T00:00:00Z"), NOW)) == 1
    assert len(slice_list(ListFacts("Y6nRLr", 1_000_000, ""), NOW)) == 1
    assert len(slice_list(ListFacts("Y6nRLr", 1_000_000, "2020-01-01T00:00:00+00:00"), NOW)) == 64


def test_a_page_that_cannot_be_read_ends_the_reading() -> None:
    with KlaviyoSimulator() as klaviyo:
        klaviyo.add_profiles(500, "Y6nRLr")
        klaviyo.inject(Fault("status", path="/api/lists/Y6nRLr/profiles", status=403, after=2))
        with open_reader(options_for(klaviyo.url)) as reader, pytest.raises(ReadFailed):
            list(members(reader, ListFacts("Y6nRLr", 500)))


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("email", "Ann@Example.com ", "ann@example.COM"),
        ("phone_number", "+1 (202) 555-0123", "+12025550123"),
        ("external_id", " 77", "77"),
        ("external_id", 77, "77"),
    ],
)
def test_spellings_of_one_identifier_compare(kind: str, one: object, other: object) -> None:
    assert hashed(kind, one) == hashed(kind, other) != 0


def test_an_identifier_that_is_missing_is_nobodys_and_kinds_do_not_mix() -> None:
    assert hashed("email", None) == hashed("email", "  ") == 0
    assert hashed("id", "1") != hashed("external_id", "1")
    assert not IdentitySet(of_people([{"email": None}])).has(of_people([{"email": ""}])).any()


@given(st.lists(st.integers(0, 60), max_size=40), st.lists(st.integers(0, 60), max_size=40), st.integers(1, 7))
def test_those_who_are_removed_are_members_without_a_row(rows: list[int], on_list: list[int], size: int) -> None:
    people = [{"email": f"p{number}@example.com", "id": str(number)} for number in dict.fromkeys(on_list)]
    pages = member_pages([[*people[at : at + size]] for at in range(0, len(people), size)])
    known = IdentitySet(of_people([{"email": f"P{number}@example.com"} for number in rows]))
    found = removals(pages, known, 100)
    assert {int(one) for one in found.ids} == set(on_list) - set(rows)
    assert (found.members, found.count) == (len(set(on_list)), len(set(on_list) - set(rows)))


def test_beyond_the_ceiling_members_are_counted_and_not_held() -> None:
    people = [{"id": str(number)} for number in range(30)]
    pages = member_pages([[*people[at : at + 10]] for at in (0, 10, 20)])
    found = removals(pages, IdentitySet(of_people([])), 5)
    assert found.too_many
    assert (found.count, len(found.ids)) == (30, 5)


@pytest.mark.parametrize(("text", "members", "most"), [("10%", 22, 2), ("0%", 9, 0), ("100%", 9, 9), ("3", 100, 3)])
def test_a_ceiling_is_a_number_or_a_share_rounded_down(text: str, members: int, most: int) -> None:
    assert ceiling(text, members) == most


def test_people_travel_as_text_each_hash_once() -> None:
    people = of_people([{"email": "a@example.com"}, {"id": "1", "phone_number": "+12025550123"}])
    known, lost = unpacked([packed(people[:1]), packed(people)])
    assert (len(known), lost) == (3, 0)
    assert known.has(people).all()
    assert len(unpacked([])[0]) == 0


@pytest.mark.parametrize(
    ("kind", "value", "country", "names"),
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
def test_only_what_a_member_may_have_names_somebody(kind: str, value: object, country: str, names: bool) -> None:
    assert names_somebody(kind, value, country) is names
