"""Jobs: their states, how they end, how they report failed rows, and when they expire."""

from __future__ import annotations

from typing import Any

import pytest

from spark_klaviyo.simulator import Fault, KlaviyoSimulator
from tests.simulator.wire_client import ManualClock, call, catalog_job, code, import_rows, item, item_id, new, profile

IMPORTS = "/api/profile-bulk-import-jobs"
ITEMS = "/api/catalog-item-bulk-create-jobs"
SUPPRESSIONS = "/api/profile-suppression-bulk-create-jobs"


def start(klaviyo: KlaviyoSimulator, rows: int = 2) -> str:
    got = import_rows(klaviyo, [{"email": f"p{number}@b.co"} for number in range(rows)])
    job: str = got.json["data"]["id"]
    return job


def read_job(klaviyo: KlaviyoSimulator, path: str, job: str) -> dict[str, Any]:
    attributes: dict[str, Any] = call(klaviyo, "GET", f"{path}/{job}").json["data"]["attributes"]
    return attributes


@pytest.mark.parametrize(
    ("polls", "statuses"),
    [(0, ["complete"]), (1, ["queued", "complete"]), (3, ["queued", "processing", "processing", "complete"])],
)
def test_an_import_is_complete_after_so_many_polls(polls: int, statuses: list[str]) -> None:
    with KlaviyoSimulator(job_polls=polls) as klaviyo:
        job = start(klaviyo)
        seen = [read_job(klaviyo, IMPORTS, job) for _ in statuses]

    assert [attributes["status"] for attributes in seen] == statuses
    assert (seen[-1]["completed_count"], seen[-1]["failed_count"]) == (2, 0)
    assert seen[-1]["completed_at"]


def test_an_import_may_end_by_the_clock() -> None:
    clock = ManualClock()
    with KlaviyoSimulator(job_seconds=240, clock=clock) as klaviyo:
        job = start(klaviyo)
        assert [read_job(klaviyo, IMPORTS, job)["status"] for _ in range(3)] == ["queued", "processing", "processing"]
        clock.seconds = 240
        assert klaviyo.jobs[job].status == "complete"
        assert read_job(klaviyo, IMPORTS, job)["status"] == "complete"


def test_a_job_is_gone_after_seven_days() -> None:
    clock = ManualClock()
    with KlaviyoSimulator(clock=clock) as klaviyo:
        job = start(klaviyo)
        clock.seconds = 7 * 86_400
        assert call(klaviyo, "GET", f"{IMPORTS}/{job}").errors[0]["detail"] == "Invalid job id"
        assert call(klaviyo, "GET", IMPORTS).json["data"] == []


def test_the_first_reply_has_a_time_in_whole_seconds_and_later_reads_have_fractions() -> None:
    with KlaviyoSimulator() as klaviyo:
        first = import_rows(klaviyo, [{"email": "a@b.co"}]).json["data"]
        later = read_job(klaviyo, IMPORTS, first["id"])

    assert "." not in first["attributes"]["created_at"]
    assert "." in later["created_at"]


def test_listing_jobs_polls_each_of_them_and_filters_by_status() -> None:
    with KlaviyoSimulator(job_polls=1) as klaviyo:
        jobs = {start(klaviyo), start(klaviyo)}
        queued = call(klaviyo, "GET", f"{IMPORTS}?filter=any(status,[%22queued%22,%22processing%22])").json["data"]
        complete = call(klaviyo, "GET", f"{IMPORTS}?filter=equals(status,%22complete%22)&page%5Bsize%5D=1").json

    assert {job["id"] for job in queued} == jobs
    assert len(complete["data"]) == 1
    assert complete["links"]["next"].startswith(klaviyo.url)


def test_rows_may_be_applied_only_when_the_job_ends() -> None:
    with KlaviyoSimulator(job_applies="at_end") as klaviyo:
        job = start(klaviyo)
        read_job(klaviyo, IMPORTS, job)
        assert klaviyo.profiles == []
        read_job(klaviyo, IMPORTS, job)
        assert len(klaviyo.profiles) == 2


def test_rows_named_by_identifier_fail_after_the_202() -> None:
    fault = Fault("job_row_errors", identifiers=("p1@b.co",), detail="Blocked")
    with KlaviyoSimulator(job_polls=0, faults=[fault]) as klaviyo:
        job = start(klaviyo, 3)
        done = read_job(klaviyo, IMPORTS, job)
        (error,) = call(klaviyo, "GET", f"{IMPORTS}/{job}/import-errors").json["data"]

    assert (done["status"], done["completed_count"], done["failed_count"]) == ("complete", 2, 1)
    assert error["attributes"]["original_payload"] == {"email": "p1@b.co"}
    assert error["attributes"]["detail"] == "Blocked"
    assert [held["email"] for held in klaviyo.profiles] == ["p0@b.co", "p2@b.co"]


def test_import_errors_come_in_pages_and_may_hide_the_row() -> None:
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        klaviyo.inject(Fault("job_row_errors", original_payload=False), Fault("import_errors_pages", page_size=2))
        job = start(klaviyo, 5)
        read_job(klaviyo, IMPORTS, job)
        pages, path = [], f"{IMPORTS}/{job}/import-errors?page%5Bsize%5D=100"
        while path:
            document = call(klaviyo, "GET", path).json
            pages.append(document["data"])
            path = (document["links"]["next"] or "").removeprefix(klaviyo.url)

    assert [len(rows) for rows in pages] == [2, 2, 1]
    assert {error["attributes"]["original_payload"] for rows in pages for error in rows} == {None}


def test_a_share_of_the_rows_fails_and_it_is_the_same_rows_each_time() -> None:
    def failed() -> list[str]:
        with KlaviyoSimulator(faults=[Fault("job_row_errors", share=0.3)]) as klaviyo:
            start(klaviyo, 200)
            return sorted(str(held["email"]) for held in klaviyo.profiles)

    first = failed()
    assert 100 < len(first) < 180
    assert failed() == first


def test_a_job_may_count_failures_without_naming_them() -> None:
    with KlaviyoSimulator(job_polls=0, faults=[Fault("job_counts_only")]) as klaviyo:
        job = start(klaviyo)
        done = read_job(klaviyo, IMPORTS, job)
        errors = call(klaviyo, "GET", f"{IMPORTS}/{job}/import-errors").json["data"]

    assert (done["failed_count"], done["completed_count"], errors) == (2, 0, [])


def test_a_job_may_be_cancelled_and_then_nothing_is_stored() -> None:
    with KlaviyoSimulator(job_polls=0, faults=[Fault("job_cancelled")]) as klaviyo:
        job = start(klaviyo)

        assert read_job(klaviyo, IMPORTS, job)["status"] == "cancelled"
        assert klaviyo.profiles == []


def test_a_job_may_never_end_or_end_late() -> None:
    clock = ManualClock()
    with KlaviyoSimulator(job_polls=0, clock=clock) as klaviyo:
        klaviyo.inject(Fault("job_never_ends", times=1), Fault("job_slow", seconds=240, after=1))
        stuck, slow = start(klaviyo), start(klaviyo)
        assert read_job(klaviyo, IMPORTS, slow)["status"] == "queued"
        clock.seconds = 240
        assert read_job(klaviyo, IMPORTS, slow)["status"] == "complete"
        assert {read_job(klaviyo, IMPORTS, stuck)["status"] for _ in range(5)} == {"queued"}


def test_catalog_jobs_say_processing_and_name_failed_rows_by_meta_id() -> None:
    with KlaviyoSimulator(job_polls=1) as klaviyo:
        call(klaviyo, "POST", "/api/catalog-items", {"data": item("I1")})
        got = call(klaviyo, "POST", ITEMS, catalog_job("catalog-item", "create", "items", [item("I1"), item("I2")]))
        job = got.json["data"]["id"]
        first, done = read_job(klaviyo, ITEMS, job), read_job(klaviyo, ITEMS, job)

    assert got.json["data"]["attributes"]["status"] == first["status"] == "processing"
    assert (got.json["data"]["attributes"]["total_count"], first["completed_count"], first["errors"]) == (2, 0, [])
    assert (done["status"], done["completed_count"], done["failed_count"]) == ("complete", 1, 1)
    (error,) = done["errors"]
    assert list(error) == ["id", "code", "meta", "title", "detail", "source"]
    assert error["meta"] == {"id": "$custom:::$default:::I1"}
    assert (error["title"], error["source"]) == ("Invalid input", {"pointer": "/data/attributes/items/data/id"})


def test_a_job_of_failed_rows_alone_is_complete_without_relationships() -> None:
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        path = "/api/catalog-item-bulk-update-jobs"
        body = catalog_job("catalog-item", "update", "items", [{**item_id("I8"), "attributes": {}}])
        job = call(klaviyo, "POST", path, body).json["data"]["id"]
        done = call(klaviyo, "GET", f"{path}/{job}").json["data"]

    assert "relationships" not in done
    assert done["attributes"]["completed_count"] == 0
    assert done["attributes"]["errors"][0]["detail"] == "An item with the id `$custom:::$default:::I8` does not exist."


def test_counts_may_be_full_while_a_job_is_still_processing() -> None:
    with KlaviyoSimulator(job_polls=1, full_counts_early=True) as klaviyo:
        job = call(klaviyo, "POST", ITEMS, catalog_job("catalog-item", "create", "items", [item("I1")])).json["data"][
            "id"
        ]
        early = call(klaviyo, "GET", f"{ITEMS}/{job}").json["data"]

    assert (early["attributes"]["status"], early["attributes"]["completed_count"]) == ("processing", 1)
    assert early["attributes"]["completed_at"] is None
    assert early["relationships"]["items"]["data"] == [item_id("I1")]


def test_an_update_chained_too_early_fails_where_creation_is_not_over() -> None:
    with KlaviyoSimulator(job_applies="at_end", job_polls=0) as klaviyo:
        made = call(klaviyo, "POST", ITEMS, catalog_job("catalog-item", "create", "items", [item("I1")])).json["data"][
            "id"
        ]
        path = "/api/catalog-item-bulk-update-jobs"
        body = catalog_job("catalog-item", "update", "items", [{**item_id("I1"), "attributes": {"title": "x"}}])
        early = call(klaviyo, "POST", path, body).json["data"]["id"]
        assert read_job(klaviyo, path, early)["failed_count"] == 1
        read_job(klaviyo, ITEMS, made)
        late = call(klaviyo, "POST", path, body).json["data"]["id"]
        assert read_job(klaviyo, path, late)["failed_count"] == 0


def test_suppression_says_completed_at_once_and_may_stay_stuck() -> None:
    body = new("profile-suppression-bulk-create-job", profiles={"data": [profile(email="a@b.co")]})
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        first = call(klaviyo, "POST", SUPPRESSIONS, body).json["data"]
        klaviyo.inject(Fault("job_never_ends"))
        stuck = call(klaviyo, "POST", SUPPRESSIONS, body).json["data"]["id"]
        done, later = read_job(klaviyo, SUPPRESSIONS, first["id"]), read_job(klaviyo, SUPPRESSIONS, stuck)

    assert first["attributes"]["status"] == "processing"
    assert first["attributes"]["completed_at"]
    assert first["attributes"]["total_count"] == 0
    assert (done["status"], done["total_count"]) == ("complete", 1)
    assert (later["status"], later["skipped_count"]) == ("processing", 1)
    assert klaviyo.suppressed == {"a@b.co"}  # suppressed all the same


@pytest.mark.parametrize("status", [429, 400])
def test_more_unfinished_jobs_than_allowed_are_refused(status: int) -> None:
    path = "/api/coupon-code-bulk-create-jobs"
    clock = ManualClock()
    with KlaviyoSimulator(too_many_jobs_status=status, clock=clock) as klaviyo:
        call(klaviyo, "POST", "/api/coupons", new("coupon", external_id="C"))
        rows = [
            new("coupon-code-bulk-create-job", **{"coupon-codes": {"data": [code("C", str(n))]}}) for n in range(102)
        ]
        statuses = [call(klaviyo, "POST", path, body).status for body in rows[:101]]
        clock.seconds = 3600
        assert statuses == [202] * 100 + [status]
        assert call(klaviyo, "POST", path, rows[101]).status == 202


FAULTY_READS = [
    (Fault("job_gone"), 404, "application/vnd.api+json"),
    (Fault("status_refused"), 403, "application/vnd.api+json"),
    (Fault("html_status"), 200, "text/html; charset=UTF-8"),
]


@pytest.mark.parametrize(
    ("fault", "status", "media_type"), FAULTY_READS, ids=lambda value: getattr(value, "kind", None)
)
def test_reading_a_jobs_status_may_fail_after_a_successful_write(fault: Fault, status: int, media_type: str) -> None:
    with KlaviyoSimulator(faults=[fault]) as klaviyo:
        job = start(klaviyo)
        got = call(klaviyo, "GET", f"{IMPORTS}/{job}")

    assert (got.status, got.headers["Content-Type"]) == (status, media_type)
    assert len(klaviyo.profiles) == 2
