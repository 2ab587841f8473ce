"""Events: which are the same event, what refuses a whole request, and where a profile's meta belongs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from spark_klaviyo.simulator import KlaviyoSimulator
from tests.simulator.wire_client import Got, call, event, events_body, new, profile, single_event

BULK = "/api/event-bulk-create-jobs"
ANN = {"email": "ann@b.co"}


@pytest.fixture
def klaviyo() -> Iterator[KlaviyoSimulator]:
    with KlaviyoSimulator() as simulator:
        yield simulator


def send(klaviyo: KlaviyoSimulator, *groups: tuple[dict[str, Any], list[dict[str, Any]]]) -> Got:
    return call(klaviyo, "POST", BULK, events_body(*groups))


def test_events_keep_their_values_and_make_profiles(klaviyo: KlaviyoSimulator) -> None:
    given = event(
        value=9.99, value_currency="USD", unique_id="o1", time="2026-01-02T03:04:05.678Z", properties={"sku": "x"}
    )
    got = send(klaviyo, ({**ANN, "first_name": "Ann"}, [given]))

    assert (got.status, got.body) == (202, b"")
    (held,) = klaviyo.events
    assert held["time"] == "2026-01-02T03:04:05+00:00"  # cut to seconds
    assert [held[name] for name in ("metric", "value", "value_currency", "unique_id", "properties")] == [
        "Placed Order", 9.99, "USD", "o1", {"sku": "x"},
    ]  # fmt: skip
    assert klaviyo.profiles[0]["first_name"] == "Ann"
    assert klaviyo.profiles[0]["last_event_date"] is not None


def test_a_repeat_inside_one_request_refuses_it_whole(klaviyo: KlaviyoSimulator) -> None:
    got = send(
        klaviyo, (ANN, [event(unique_id="1"), event(unique_id="2")]), ({"email": "ANN@b.co"}, [event(unique_id="1")])
    )

    assert got.status == 400
    assert got.pointers == ["/data/attributes/events-bulk-create/data/1/attributes/events/data/0/attributes/unique_id"]
    assert (klaviyo.events, klaviyo.profiles) == ([], [])


def test_the_same_id_is_another_event_for_another_metric_or_person(klaviyo: KlaviyoSimulator) -> None:
    groups = (
        (ANN, [event(unique_id="1"), event("Viewed", unique_id="1")]),
        ({"email": "bea@b.co"}, [event(unique_id="1")]),
    )

    assert send(klaviyo, *groups).status == 202
    assert len(klaviyo.events) == 3


@pytest.mark.parametrize(("repeated", "status"), [("refuse", 400), ("ignore", 202)])
def test_a_repeat_of_an_earlier_request_is_refused_or_ignored(repeated: str, status: int) -> None:
    with KlaviyoSimulator(repeated_event=repeated) as klaviyo:
        send(klaviyo, (ANN, [event(unique_id="1")]))
        got = send(klaviyo, (ANN, [event(unique_id="1"), event(unique_id="2")]))

    assert got.status == status
    assert [held["unique_id"] for held in klaviyo.events] == (["1"] if status == 400 else ["1", "2"])


def test_of_single_events_with_one_id_the_first_is_kept_without_an_error(klaviyo: KlaviyoSimulator) -> None:
    statuses = [call(klaviyo, "POST", "/api/events", single_event(ANN, unique_id="1", value=n)).status for n in (1, 2)]

    assert statuses == [202, 202]
    assert [held["value"] for held in klaviyo.events] == [1]


def test_without_an_id_the_time_in_seconds_is_the_id(klaviyo: KlaviyoSimulator) -> None:
    same, later = "2026-01-02T03:04:05Z", "2026-01-02T03:04:06Z"
    send(klaviyo, (ANN, [event(time=same), event(time=same), event(time=later)]))

    assert len(klaviyo.events) == 2


EVENT = "/data/attributes/events-bulk-create/data/0/attributes/events/data/0/attributes"
BAD: list[tuple[dict[str, Any], str]] = [
    (event(value="9.99"), "/value"),
    (event(value=True), "/value"),
    (event(time="yesterday"), "/time"),
    (event(time="1989-12-31T00:00:00Z"), "/time"),
    (event(time="2999-01-01T00:00:00Z"), "/time"),
    (event("x" * 128), "/metric/data/attributes/name"),
    (event(properties={str(number): 1 for number in range(401)}), "/properties"),
    (event(properties={"deep": ["x" * 100_001]}), "/properties"),
    (event(properties=None), "/properties"),
    (event(colour="red"), "/colour"),
    (event(profile={}), "/profile"),
]


@pytest.mark.parametrize(("bad", "where"), BAD, ids=[where + str(number) for number, (_, where) in enumerate(BAD)])
def test_a_bad_event_refuses_the_request_and_is_named(
    klaviyo: KlaviyoSimulator, bad: dict[str, Any], where: str
) -> None:
    got = send(klaviyo, (ANN, [bad, event(unique_id="fine")]))

    assert (got.status, got.pointers) == (400, [EVENT + where])
    assert klaviyo.events == []


def test_a_thousand_events_are_counted_over_all_groups(klaviyo: KlaviyoSimulator) -> None:
    groups = [({"external_id": str(number)}, [event(), event("Viewed")]) for number in range(500)]

    assert send(klaviyo, *groups).status == 202
    assert send(klaviyo, *groups, (ANN, [event()])).pointers == ["/data/attributes/events-bulk-create/data"]


def test_the_profile_of_an_event_needs_an_identifier_and_may_be_anonymous(klaviyo: KlaviyoSimulator) -> None:
    assert send(klaviyo, ({"first_name": "x"}, [event()])).pointers == [
        "/data/attributes/events-bulk-create/data/0/attributes/profile/data/attributes"
    ]
    assert send(klaviyo, ({"anonymous_id": "cookie"}, [event()])).status == 202


META = {"patch_properties": {"append": {"tags": "x"}}}


@pytest.mark.parametrize(("revision", "inside"), [("2026-10-15", False), ("2026-07-15", True)])
def test_a_profiles_meta_moved_in_october_2026(klaviyo: KlaviyoSimulator, revision: str, inside: bool) -> None:
    within, beside = profile(**ANN, meta=META), {**profile(**ANN), "meta": META}

    def statuses(path: str, make: Any) -> list[int]:
        return [call(klaviyo, "POST", path, make(who), {"revision": revision}).status for who in (within, beside)]

    def token(who: dict[str, Any]) -> dict[str, Any]:
        return new("push-token", token="t", platform="ios", vendor="apns", profile={"data": who})

    def one(who: dict[str, Any]) -> dict[str, Any]:
        body = single_event(ANN)
        body["data"]["attributes"]["profile"]["data"] = who
        return body

    assert statuses("/api/events", one) == statuses("/api/push-tokens", token) == ([202, 400] if inside else [400, 202])
    assert klaviyo.profiles[0]["properties"]["tags"] == ["x", "x"]
