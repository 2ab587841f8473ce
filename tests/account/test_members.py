"""The members of a list are read in slices that together hold each member once."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from spark_klaviyo.account.members import ListFacts, list_facts, members, members_since, slice_list
from spark_klaviyo.account.reads import open_reader
from spark_klaviyo.deliver.reads import ReadFailed
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.options.model import Options
from spark_klaviyo.options.parse import read_options
from spark_klaviyo.simulator import Fault, KlaviyoSimulator

NOW = datetime(2026, 11, 24, tzinfo=timezone.utc)


def options_for(url: str) -> Options:
    return read_options({"base_url": url, "api_key": "pk_test"}, EntryPoint.CHECK)


def test_slices_read_in_parallel_return_every_member_once() -> None:
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
            ids = [str(member["id"]) for page in members(reader, facts, now) for member in page]
        assert sorted(ids) == sorted(klaviyo.lists["Y6nRLr"].joined)
        filters = {request.query.get("filter") for request in klaviyo.requests if "filter" in request.query}
        assert len(filters) == 6  # five slices, and who joined just now


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


def test_who_has_joined_since_is_told_by_the_servers_clock_alone() -> None:
    elapsed = [0.0]
    with KlaviyoSimulator(clock=lambda: elapsed[0]) as klaviyo:
        klaviyo.clock._epoch = NOW.timestamp() - 400 * 86_400.0  # this machine's clock is a year ahead
        klaviyo.add_profiles([{"email": "old@example.com"}], "Y6nRLr")
        elapsed[0] = 3_600.0
        klaviyo.add_profiles([{"email": "same-second@example.com"}], "Y6nRLr")
        with open_reader(options_for(klaviyo.url)) as reader:
            facts = list_facts(reader, "Y6nRLr")
            klaviyo.add_profiles([{"email": "new@example.com"}], "Y6nRLr")
            everybody = [one for page in members(reader, facts) for one in page]
            new = [one["id"] for one in everybody if one["email"] == "new@example.com"]
            assert members_since(reader, facts, everybody) == set(new)
            assert members_since(reader, facts, [{"id": new[0]}]) == set(new)
            assert members_since(reader, facts, []) == set()
        assert [one["email"] for one in everybody if facts.has_joined_since(one)] == ["new@example.com"]
        assert len(everybody) == 3


def test_a_member_who_left_and_came_back_has_joined_since() -> None:
    recent = {"1": "2026-11-24T00:00:00+00:00", "2": "2026-11-24T00:00:00+00:00"}
    facts = ListFacts("Y6nRLr", 2, since=NOW, recent=recent)
    assert not facts.has_joined_since({"id": "1", "joined_group_at": "2026-11-24T00:00:00+00:00"})
    assert facts.has_joined_since({"id": "1", "joined_group_at": "2026-11-24T00:05:00+00:00"})
    assert not facts.has_joined_since({"id": "3", "joined_group_at": "2026-11-23T23:59:00+00:00"})
    assert not facts.has_joined_since({"id": "3"})
