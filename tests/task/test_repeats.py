"""Rows that share a phone, and rows that add to a profile: none replaces another, and all arrive."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from spark_klaviyo.batching.assembler import SHARED_PHONE, SUPERSEDED
from spark_klaviyo.plan.make import make_plan
from spark_klaviyo.plan.types import Field, read_type
from spark_klaviyo.simulator import KlaviyoSimulator
from tests.task.running import options_for, run, run_plan

PHONE = "+16175551234"


def imports(klaviyo: KlaviyoSimulator) -> list[list[dict[str, Any]]]:
    """The profiles of each import request."""
    bodies = [request.json() for request in klaviyo.requests if request.method == "POST"]
    return [body["data"]["attributes"]["profiles"]["data"] for body in bodies]


def test_two_people_who_share_a_phone_are_sent_in_different_requests_and_counted() -> None:
    rows: list[dict[str, object]] = [
        {"email": "ann@example.com", "phone_number": "+1 617 555 1234"},
        {"email": "bob@example.com", "phone_number": PHONE},
        {"email": "eve@example.com", "phone_number": None},
    ]
    with KlaviyoSimulator() as klaviyo:
        report = run(klaviyo, rows).report
        sent = [[one["attributes"]["email"] for one in request] for request in imports(klaviyo)]
    assert sorted(sent) == [["ann@example.com", "eve@example.com"], ["bob@example.com"]]
    assert (report.delivered, report.skipped, report.warnings[SHARED_PHONE]) == (3, 0, 2)


def test_an_external_id_tells_two_people_apart_who_share_a_phone() -> None:
    rows = [{"external_id": "1", "phone_number": PHONE}, {"external_id": "2", "phone_number": PHONE}]
    with KlaviyoSimulator() as klaviyo:
        report = run(klaviyo, rows).report
        assert [len(request) for request in imports(klaviyo)] == [1, 1]
    assert (report.skipped, report.warnings[SHARED_PHONE]) == (0, 2)


def test_a_phone_alone_tells_who_a_row_is() -> None:
    rows = [{"phone_number": PHONE, "first_name": name} for name in ("Ann", "Anna")]
    with KlaviyoSimulator() as klaviyo:
        report = run(klaviyo, rows).report
        assert [one["first_name"] for one in klaviyo.profiles] == ["Anna"]
    assert (report.delivered, report.skipped_because) == (1, {SUPERSEDED: 1})


def test_rows_that_add_to_a_profile_all_arrive() -> None:
    texts = {"type": "array", "elementType": "string", "containsNull": True}
    columns = [Field("email", read_type("string")), Field("colors", read_type(texts))]
    batch = pa.RecordBatch.from_pydict({"email": ["ann@example.com"] * 3, "colors": [["red"], ["blue"], ["green"]]})
    with KlaviyoSimulator() as klaviyo:
        given = options_for(klaviyo, fields='{"meta.patch_properties.append.colors":"colors"}')
        report = run_plan(make_plan(given, columns, "run"), [batch]).report
        assert sorted(klaviyo.profiles[0]["properties"]["colors"]) == ["blue", "green", "red"]
        assert [len(request) for request in imports(klaviyo)] == [1, 1, 1]
    assert (report.delivered, report.skipped) == (3, 0)


def test_a_later_row_with_the_same_external_id_replaces_one_of_another_email() -> None:
    rows: list[dict[str, object]] = [
        {"email": "old@example.com", "external_id": "1"},
        {"email": "bob@example.com", "external_id": "2"},
        {"email": None, "external_id": " 2"},
        {"email": "new@example.com", "external_id": "1"},
        {"email": "eve@example.com", "external_id": None},
    ]
    for given in (rows, [{**row, "email": f" {row['email'] or ''}"} for row in rows]):
        with KlaviyoSimulator() as klaviyo:
            report = run(klaviyo, given).report
            [sent] = imports(klaviyo)
        assert [one["attributes"].get("email") for one in sent] == [None, "new@example.com", "eve@example.com"]
        assert (report.delivered, report.skipped_because) == (3, {SUPERSEDED: 2})


def test_a_row_that_is_replaced_replaces_none_itself(klaviyo: KlaviyoSimulator) -> None:
    rows: list[dict[str, object]] = [
        {"email": None, "external_id": "1"},
        {"email": "ann@example.com", "external_id": "1"},
        {"email": "ann@example.com", "external_id": None},
    ]
    report = run(klaviyo, rows).report
    [sent] = imports(klaviyo)
    assert [one["attributes"].get("external_id") for one in sent] == ["1", None]
    assert (report.delivered, report.skipped) == (2, 1)


def test_rows_that_add_to_the_same_external_id_all_arrive() -> None:
    texts = {"type": "array", "elementType": "string", "containsNull": True}
    columns = [Field("email", read_type("string")), Field("external_id", read_type("string"))]
    columns.append(Field("colors", read_type(texts)))
    values = {"email": ["a@example.com", None], "external_id": ["1", "1"], "colors": [["red"], ["blue"]]}
    with KlaviyoSimulator() as klaviyo:
        given = options_for(klaviyo, fields='{"meta.patch_properties.append.colors":"colors"}')
        report = run_plan(make_plan(given, columns, "run"), [pa.RecordBatch.from_pydict(values)]).report
        assert [len(request) for request in imports(klaviyo)] == [1, 1]
    assert (report.delivered, report.skipped) == (2, 0)


def test_events_without_the_columns_of_their_id_are_told_apart_by_what_they_hold() -> None:
    order = {"email": "ann@example.com", "metric": "Ordered", "time": "2026-10-01T00:00:00Z"}
    pairs = [("1", "a"), (None, "b"), (None, "c"), (" ", "d"), (" ", "e"), ("1", "f")]
    rows: list[dict[str, object]] = [{**order, "order_id": number, "v": value} for number, value in pairs]
    with KlaviyoSimulator() as klaviyo:
        report = run(klaviyo, rows, template="bulk_create_events", unique_id_columns="order_id").report
    assert (report.accepted, report.skipped_because) == (5, {SUPERSEDED: 1})
