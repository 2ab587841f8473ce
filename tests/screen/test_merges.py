"""A merge cannot be undone, so rows that contradict each other are refused before any of them is sent."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_klaviyo.errors import OptionError, SchemaError
from spark_klaviyo.screen.merges import faulty_merges
from spark_klaviyo.templates import CURRENT
from tests.templates.examples import Example
from tests.templates.made import plan_of

MERGE = CURRENT["merge_profiles"]
FIELDS = {"fields": '{"id":"stays","profiles":"goes"}', "confirm_deletion": "1"}


def record(source: object, destination: object) -> str:
    return json.dumps({"id": destination, "relationships": {"profiles": {"data": [{"type": "profile", "id": source}]}}})


def faults(*pairs: tuple[object, object]) -> dict[int, str]:
    """The codes of (source, destination) pairs, by row."""
    return {row: str(code) for row, code in faulty_merges(MERGE, [record(*pair) for pair in pairs]).items()}


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([("a", "b"), ("c", "b")], {}),
        ([("a", "b"), ("a", "b")], {}),
        ([("a", "a"), ("b", "c")], {0: "self_merge"}),
        ([("a", " A ")], {0: "self_merge"}),
        ([("a", "b"), ("a", "c"), ("d", "b")], {0: "ambiguous_merge", 1: "ambiguous_merge"}),
        ([("a", "b"), ("b", "a")], {0: "merge_cycle", 1: "merge_cycle"}),
        ([("a", "b"), ("b", "c"), ("c", "A")], {0: "merge_cycle", 1: "merge_cycle", 2: "merge_cycle"}),
        ([("x", "a"), ("a", "b"), ("b", "a")], {0: "merge_chain", 1: "merge_cycle", 2: "merge_cycle"}),
        ([("a", "b"), ("b", "c")], {0: "merge_chain"}),
        ([("a", "b"), ("b", "c"), ("c", "d")], {0: "merge_chain", 1: "merge_chain"}),
        ([("a", "b"), ("b", "b")], {1: "self_merge"}),
        ([(None, "b"), ("a", ""), (1, "b")], {}),  # these are refused row by row
    ],
)
def test_which_rows_are_refused(pairs: list[tuple[object, object]], expected: dict[int, str]) -> None:
    assert faults(*pairs) == expected


def test_a_record_that_cannot_be_read_is_none_of_them() -> None:
    assert faulty_merges(MERGE, ["not json", "[]", "{}"]) == {}


IDS = st.sampled_from("abcdefgh")


@given(st.lists(st.tuples(IDS, IDS), max_size=12))
def test_what_is_sent_means_the_same_in_any_order(pairs: list[tuple[str, str]]) -> None:
    refused = faults(*pairs)
    sent = [pair for row, pair in enumerate(pairs) if row not in refused]
    gone = {source for source, _ in sent}
    assert all(source != destination for source, destination in sent)
    assert len(set(sent)) == len(gone)  # each source has one destination
    assert not gone & {destination for _, destination in sent}  # and that one stays


def test_its_two_columns_come_from_the_option_fields_alone() -> None:
    plan = plan_of("merge_profiles", Example({"stays": ["A"], "goes": ["B"]}, FIELDS))
    assert dict(plan.mapped) == {"stays": "id", "goes": "profiles"}
    for columns in ({"id": ["A"], "source": ["B"]}, {"destination_id": ["A"], "source_id": ["B"]}):
        with pytest.raises(SchemaError, match="from this option alone, so that nobody is merged the wrong way round"):
            plan_of("merge_profiles", Example(columns, {"confirm_deletion": "1"}))
    half = {**FIELDS, "fields": '{"id":"stays"}'}
    with pytest.raises(SchemaError, match="from this option alone"):
        plan_of("merge_profiles", Example({"stays": ["A"], "source_id": ["B"]}, half))


def test_it_is_refused_without_a_session() -> None:
    from spark_klaviyo import klaviyo_partition_writer

    with pytest.raises(OptionError, match="merges profiles, and klaviyo_partition_writer has no session"):
        klaviyo_partition_writer(template="merge_profiles", fields={"id": "a", "profiles": "b"}, api_key="pk_test")
