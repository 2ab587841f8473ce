"""What a job's errors and counts say about its rows: each row counts once, as delivered only where that is certain."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

import pytest

from spark_klaviyo.simulator import KlaviyoSimulator
from tests.http.loopback_server import Answer, Loopback, Received, reply
from tests.task.running import Ran, people, run

JSONAPI = "Content-Type: application/vnd.api+json\r\n"
UNNAMED = "without naming them"
UNCOUNTED = "do not account for all of its rows"


def says(job: dict[str, Any], errors: list[Any], name: Callable[[int], str] = "job{}".format) -> Answer:
    """A Klaviyo whose jobs have ended at once, with these attributes and these pages of errors."""
    made: list[str] = []

    def answer(connection: socket.socket, request: Received) -> bool:
        path = request.target.partition("?")[0]
        if request.method == "POST":
            made.append(name(len(made)))
            document: object = {"data": {"type": "profile-bulk-import-job", "id": made[-1]}}
        elif path.endswith("/import-errors"):
            document = {"data": errors, "links": {"next": None}}
        elif path.endswith("-jobs"):
            document = {"data": [], "links": {"next": None}}
        else:
            document = {"data": {"type": "profile-bulk-import-job", "id": path.split("/")[-1], "attributes": job}}
        status = 202 if request.method == "POST" else 200
        return reply(status, json.dumps(document).encode(), JSONAPI)(connection, request)

    return answer


def complete(**counts: object) -> dict[str, Any]:
    return {"status": "complete", "total_count": 3, "completed_count": 3, "failed_count": 0, **counts}


def error(mark: str, payload: object, detail: str = "bad") -> dict[str, Any]:
    attributes = {"code": "invalid", "detail": detail, "source": {"pointer": "/data"}, "original_payload": payload}
    return {"type": "import-error", "id": mark, "attributes": attributes}


def ran(job: dict[str, Any], *errors: dict[str, Any]) -> Ran:
    """Three people sent to such a Klaviyo."""
    with Loopback([says(job, list(errors))]) as klaviyo:
        done = run(klaviyo, people(3), job_timeout_seconds=60)
    assert done.report.adds_up()
    return done


def counts(done: Ran) -> tuple[int, int, int]:
    return done.report.delivered, done.report.accepted, done.report.rejected


P0, P1 = {"email": "p0@example.com", "first_name": "N0"}, {"email": "p1@example.com"}
ONE_FAILED = complete(completed_count=2, failed_count=1)


def test_several_errors_of_one_row_reject_it_once() -> None:
    done = ran(ONE_FAILED, error("e1", P0), error("e2", P0, "another"), error("e3", {**P0, "email": "P0@Example.com "}))
    assert counts(done) == (2, 0, 1)
    assert [(one.email, one.detail) for one in done.rejected] == [("p0@example.com", "bad")]


def test_an_error_that_comes_twice_counts_once() -> None:
    assert counts(ran({"status": "complete"}, error("e1", None), error("e1", None), error("e2", P0))) == (0, 2, 1)


@pytest.mark.parametrize(
    "payload",
    [
        P0,
        {"type": "profile", "attributes": P0},
        {"data": {"type": "profile", "attributes": P0}},
        {"data": P0},
        json.dumps(P0),
        json.dumps({"data": {"type": "profile", "attributes": P0}}),
    ],
    ids=["attributes", "resource", "document", "attributes in data", "text", "document as text"],
)
def test_a_payload_is_read_whatever_its_form(payload: object) -> None:
    done = ran(ONE_FAILED, error("e1", payload))
    assert counts(done) == (2, 0, 1)
    assert done.rejected[0].email == "p0@example.com"
    assert json.loads(done.rejected[0].record) == {"type": "profile", "attributes": P0}


@pytest.mark.parametrize(
    ("job", "errors", "expected", "said"),
    [
        (ONE_FAILED, [error("e1", {"first_name": "N0"})], (0, 3, 0), UNNAMED),
        (ONE_FAILED, [error("e1", "no JSON")], (0, 3, 0), UNNAMED),
        (ONE_FAILED, [error("e1", P0), error("e2", P1)], (0, 2, 1), UNNAMED),
        (complete(completed_count=1, failed_count=2), [error("e1", P0), error("e2", None)], (0, 2, 1), UNNAMED),
        (ONE_FAILED, [error("e1", P0), error("e2", None)], (2, 0, 1), ""),
        ({"status": "complete"}, [error("e1", None)], (0, 3, 0), UNNAMED),
        ({"status": "complete"}, [error("e1", P0)], (2, 0, 1), ""),
        ({"status": "complete"}, [], (3, 0, 0), ""),
        (complete(failed_count="2"), [], (0, 3, 0), UNNAMED),
        (complete(failed_count="many"), [], (0, 3, 0), UNNAMED),
        (complete(failed_count="1", completed_count="2"), [error("e1", P0)], (2, 0, 1), ""),
        (complete(completed_count=0), [], (0, 3, 0), UNCOUNTED),
        (complete(total_count=1, completed_count=1), [], (0, 3, 0), UNCOUNTED),
        (complete(total_count=None, completed_count=1), [], (0, 3, 0), UNCOUNTED),
        (complete(completed_count=1, failed_count=1), [error("e1", P0)], (0, 2, 1), UNCOUNTED),
        (complete(completed_count=0, failed_count=3), [error("e1", P0)], (0, 2, 1), UNNAMED),
    ],
)
def test_rows_whose_end_is_not_certain_are_accepted_with_the_reason(
    job: dict[str, Any], errors: list[Any], expected: tuple[int, int, int], said: str
) -> None:
    done = ran(job, *errors)
    assert counts(done) == expected
    assert said in "".join(done.report.accepted_because)


def test_jobs_with_the_same_id_are_followed_together() -> None:
    job = complete(total_count=30, completed_count=30)
    with Loopback([says(job, [], lambda _: "same")]) as klaviyo:
        done = run(klaviyo, people(30), max_rows=10)
    assert counts(done) == (30, 0, 0)
    assert {one.outcome for one in done.report.receipts_sample} == {"delivered"}


def of_item(mark: str, detail: str, item: str) -> dict[str, Any]:
    return {"id": mark, "code": "invalid", "meta": {"id": f"$custom:::$default:::{item}"}, "detail": detail}


NOT_THERE = "An item with the id `$custom:::$default:::{}` does not exist."


@pytest.mark.parametrize(
    ("template", "errors", "expected"),
    [
        ("bulk_delete_catalog_items", [of_item("e1", NOT_THERE.format("I1"), "I1")], (3, 0, 0)),
        ("bulk_delete_catalog_items", [of_item("e1", "It is locked.", "I1")], (2, 0, 1)),
        (
            "bulk_delete_catalog_items",
            [of_item("e1", NOT_THERE.format("I1"), "I1"), of_item("e2", "It is locked.", "I2")],
            (2, 0, 1),
        ),
        (
            "bulk_delete_catalog_items",
            [of_item("e1", NOT_THERE.format("I1"), "I1"), of_item("e2", "It is locked.", "I1")],
            (2, 0, 1),
        ),
        ("bulk_update_catalog_items", [of_item("e1", NOT_THERE.format("I1"), "I1")], (2, 0, 1)),
    ],
)
def test_rows_that_a_deletion_job_does_not_find_count_as_deleted(
    template: str, errors: list[Any], expected: tuple[int, int, int]
) -> None:
    failed = len({one["meta"]["id"] for one in errors})
    job = complete(completed_count=3 - failed, failed_count=failed, errors=errors)
    deleting: dict[str, Any] = {"confirm_deletion": 3} if "delete" in template else {}
    rows: list[dict[str, object]] = [{"id": f"I{n}"} for n in range(3)]
    with Loopback([says(job, [])]) as klaviyo:
        done = run(klaviyo, rows, template=template, **deleting)
    assert counts(done) == expected


def test_deleting_items_again_delivers_them_again() -> None:
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        rows: list[dict[str, object]] = [{"id": "I1"}, {"id": "I2"}]
        done = run(klaviyo, rows, template="bulk_delete_catalog_items", confirm_deletion=2)
    assert counts(done) == (2, 0, 0)
