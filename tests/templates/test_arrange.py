"""Bodies whose rows do not simply follow each other: grouped events, lists of identifiers, forms, and none at all."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_klaviyo.plan.envelopes import ARRANGEMENTS
from spark_klaviyo.simulator import KlaviyoSimulator
from spark_klaviyo.templates.model import BodyLayout
from tests.templates.examples import ANN, BEA, NEWSLETTER, NOON, RETIRED, Columns, Example
from tests.templates.made import batches_of, body_of, marked, plan_of, write

EVENTS = ARRANGEMENTS[BodyLayout.EVENT_GROUPS]
texts = st.text('ab"{}[]:,\\ é', max_size=6)
values = st.recursive(texts | st.integers() | st.none() | st.booleans(), lambda inner: st.lists(inner, max_size=3))
people = st.fixed_dictionaries(
    {"email": st.sampled_from(["a@b.co", "c@d.co"])},
    optional={"properties": st.dictionaries(st.sampled_from(["events", "data", "x"]), values, max_size=2)},
)
events = st.dictionaries(st.sampled_from(["properties", "time", "value"]), values, max_size=3)


def _record(person: object, event: object) -> bytes:
    profile = {"data": {"type": "profile", "attributes": person}}
    held = {"data": [{"type": "event", "attributes": event}]}
    record = {"type": "event-bulk-create", "attributes": {"profile": profile, "events": held}}
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()


def _meant(groups: list[dict[str, Any]]) -> Counter[str]:
    """Each (profile, event) pair that groups say, with how often they say it."""
    return Counter(
        json.dumps([group["attributes"]["profile"], event], sort_keys=True)
        for group in groups
        for event in group["attributes"]["events"]["data"]
    )


@given(st.lists(st.tuples(people, events), min_size=1, max_size=12))
def test_grouping_loses_nothing_adds_nothing_and_is_never_longer(rows: list[tuple[object, object]]) -> None:
    records = [_record(person, event) for person, event in rows]
    inside = EVENTS.inside(records)
    assert inside is not None
    groups = json.loads(b"[" + inside + b"]")
    assert _meant(groups) == _meant([json.loads(record) for record in records])
    assert len(inside) <= len(b",".join(records))
    profiles = [json.dumps(group["attributes"]["profile"], sort_keys=True) for group in groups]
    assert len(set(profiles)) == len(profiles)


@given(st.lists(st.tuples(people, events), min_size=1, max_size=12))
def test_a_pointer_into_groups_finds_the_row_it_was_made_of(rows: list[tuple[object, object]]) -> None:
    records = [_record(person, event) for person, event in rows]
    groups = json.loads(b"[" + (EVENTS.inside(records) or b"") + b"]")
    found = []
    for number, group in enumerate(groups):
        for place, event in enumerate(group["attributes"]["events"]["data"]):
            ((row,),) = EVENTS.named(records, [f"/{number}/attributes/events/data/{place}/attributes/time"])
            assert json.loads(records[row])["attributes"]["events"]["data"] == [event]
            found.append(row)
    assert sorted(found) == list(range(len(records)))


def test_a_pointer_to_the_person_of_a_group_means_all_its_rows() -> None:
    records = [_record({"email": email}, {"value": n}) for n, email in enumerate([ANN, BEA, ANN])]
    pointers = ["/0/attributes/profile/data/attributes/email", "/7/attributes/profile", "/data/relationships"]
    assert EVENTS.named(records, pointers) == [[0, 2], [], []]


@pytest.mark.parametrize("every", [True, False], ids=["all bad rows named", "only the first named"])
def test_klaviyos_refusal_of_one_event_rejects_that_row_alone(every: bool) -> None:
    names = ["m", "m" * 200, "m", "m" * 200]
    example = Example(
        {"email": [ANN, BEA, BEA, ANN], "metric": names, "order": [0, 1, 2, 3], "time": [NOON] * 4}, {"validate": "off"}
    )
    with KlaviyoSimulator(name_every_bad_row=every) as klaviyo:
        report = write(klaviyo, "bulk_create_events", example)
        assert sorted(event["properties"]["order"] for event in klaviyo.events) == [0, 2]
    assert (report.accepted, report.rejected, report.rows) == (2, 2, 4)


def test_equal_events_of_one_request_are_sent_once() -> None:
    columns: Columns = {"email": [ANN, ANN, BEA], "time": [NOON] * 3, "order": ["o-1", "o-1", "o-1"]}
    derived = Example(columns, {"metric": "Placed Order"})
    given_ids = Example({**columns, "unique_id": ["o-1"] * 3, "seen": [1, 2, 3]}, {"metric": "Placed Order"})
    for example in (derived, given_ids):
        with KlaviyoSimulator() as klaviyo:
            report = write(klaviyo, "bulk_create_events", example)
            assert len(klaviyo.events) == 2
        assert (report.accepted, report.skipped, report.rejected) == (2, 1, 0)


def test_events_written_again_are_there_already_and_never_doubled() -> None:
    rows = 1_500
    columns: Columns = {"email": [f"{row % 50}@example.com" for row in range(rows)], "order": list(range(rows))}
    example = Example({**columns, "time": [NOON] * rows}, {"metric": "Placed Order"})
    with KlaviyoSimulator(repeated_event="refuse") as klaviyo:
        first = write(klaviyo, "bulk_create_events", example)
        again = write(klaviyo, "bulk_create_events", example)
        assert len(klaviyo.events) == rows
    assert (first.accepted, again.accepted, again.rejected) == (rows, rows, 0)


def test_one_unique_id_under_two_metrics_is_two_events() -> None:
    example = Example(
        {"email": [ANN, ANN], "unique_id": ["o-1", "o-1"], "metric": ["Placed", "Shipped"]}, {"event_time": "now"}
    )
    with KlaviyoSimulator() as klaviyo:
        report = write(klaviyo, "bulk_create_events", example)
        assert {event["metric"] for event in klaviyo.events} == {"Placed", "Shipped"}
    assert report.skipped == 0


def test_the_unique_id_of_an_event_is_the_same_however_numbers_are_written() -> None:
    whole = Example({"email": [ANN], "total": [20.0], "time": [NOON]}, {"metric": "Met"})
    plan = plan_of("create_event", whole)
    (first,), _ = batches_of(plan, whole)
    again = Example({"email": [ANN], "total": [20], "time": [NOON]}, {"metric": "Met"})
    (second,), _ = batches_of(plan_of("create_event", again), again)
    ids = [json.loads(body_of(batch))["data"]["attributes"]["unique_id"] for batch in (first, second)]
    assert ids[0] == ids[1]


def test_v2_removals_are_lists_of_identifiers() -> None:
    example = RETIRED["remove_profiles_from_list", "v2"]
    (batch,), _ = batches_of(plan_of("remove_profiles_from_list", example, api="v2"), example)
    body = json.loads(marked(body_of(batch)))
    assert body == {"api_key": "THE_KEY", "emails": [ANN], "phone_numbers": ["+16175550100"]}
    assert batch.envelope.path == f"/api/v2/list/{NEWSLETTER}/members"


def test_v1_forms_hold_the_key_and_the_row_in_one_field() -> None:
    example = RETIRED["identify", "v1"]
    (batch,), _ = batches_of(plan_of("identify", example, api="v1"), example)
    (field,) = parse_qs(marked(body_of(batch)), strict_parsing=True)["data"]
    assert json.loads(field) == {
        "token": "THE_KEY",
        "properties": {"$email": ANN, "$first_name": "Ann", "tier": "gold & more"},
    }


def only_id(template: str, columns: Columns, **options: str) -> str:
    """The unique_id of the one event of an example."""
    options = {"metric": "Placed", "event_time": "now", **options}
    example = Example({"email": [ANN], "value": [9.5], "order": ["o-1"], **columns}, options)
    (batch,), _ = batches_of(plan_of(template, example), example)
    (made,) = set(re.findall(r'"unique_id":"([^"]+)"', body_of(batch).decode()))
    return str(made)


def test_the_unique_id_of_an_event_tells_what_it_is_and_not_how_it_is_sent() -> None:
    patch = {"profile.meta.patch_properties.unset": ["tier"]}
    same = {
        only_id("bulk_create_events", patch),
        only_id("bulk_create_events", patch, backfill="true"),
        only_id("bulk_create_events", {**patch, "backfill": [True]}),
        only_id("bulk_create_events", patch, service="shop"),
        only_id("bulk_create_events", {**patch, "metric": ["Placed"]}, metric="column:metric"),
        only_id("create_event", patch),
        only_id("create_event", patch, revision="2026-07-15"),
    }
    assert len(same) == 1
    others = {
        only_id("create_event", patch, metric="Shipped"),
        only_id("create_event", {**patch, "email": [BEA]}),
        only_id("create_event", {**patch, "order": ["o-2"]}),
        only_id("create_event", {**patch, "value": [9.0]}),
        only_id("create_event", {**patch, "time": ["2026-11-01T00:00:00Z"]}),
    }
    assert len(others | same) == 6
