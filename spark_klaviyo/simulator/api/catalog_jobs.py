"""The nine catalog jobs, all made of one: create, update, delete of items, variants, categories."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from uuid import uuid4

from spark_klaviyo.simulator.api.job_reads import reads_of
from spark_klaviyo.simulator.api.people.imports import plan_job
from spark_klaviyo.simulator.errors import JsonObject, Refused, error
from spark_klaviyo.simulator.http.documents import job_resource, single
from spark_klaviyo.simulator.http.operation import Answer, Call, Operation, always
from spark_klaviyo.simulator.rules import catalog as shapes
from spark_klaviyo.simulator.state.catalog import Catalog, CatalogError
from spark_klaviyo.simulator.state.jobs import Job, JobFamily

ROWS = {"catalog-item": "items", "catalog-variant": "variants", "catalog-category": "categories"}
MOST_JOBS = 500  # spec: at most 500 catalog jobs of a type in progress


def family(kind: str, verb: str) -> JobFamily:
    """The job family of a kind and a verb."""
    missing = f"A {kind} bulk {verb} job with id {{}} does not exist."  # recorded 2026-09
    return JobFamily(f"{kind}-bulk-{verb}-job", "processing", missing, ROWS[kind], kind, MOST_JOBS, has_errors=True)


def refuse_above_cap(call: Call, jobs: JobFamily) -> None:
    """unsettled: what answers a job above the cap."""
    if jobs.cap is not None and call.account.jobs.in_progress(jobs, call.now) >= jobs.cap:
        status = call.account.switches.too_many_jobs_status
        detail = f"At most {jobs.cap} jobs of this type may be in progress."
        code = "throttled" if status == 429 else "invalid"
        raise Refused(status, [error(status, code, "Invalid input.", detail, {"pointer": "/data"})])


def start_job(call: Call, jobs: JobFamily, rows: list[JsonObject], work: Callable[[Job], None]) -> Answer:
    """202 `processing` with the real total and zero counts (recorded 2026-09)."""
    refuse_above_cap(call, jobs)
    job = call.account.jobs.open(jobs, len(rows), call.now)
    job.work = work
    plan_job(call, job)
    if job.ending != "cancelled" and call.account.switches.job_applies == "at_once":
        job.do_work()
    return single(call, 202, job_resource(call, job, first=True))


def fail_row(job: Job, row_id: str, detail: str, pointer: str) -> None:
    """recorded 2026-09: errors[].meta.id names the row, the pointer has no index, the title no full stop."""
    job.failed += 1
    job.failures.append(
        {
            "id": str(uuid4()),
            "code": "invalid",
            "meta": {"id": row_id},
            "title": "Invalid input",
            "detail": detail,
            "source": {"pointer": pointer},
        }
    )


def injected(call: Call, job: Job, row_id: str, row: JsonObject, pointer: str) -> bool:
    """Whether a fault makes the row fail."""
    for fault in call.job_faults:
        if fault.kind in ("job_row_errors", "job_counts_only") and fault.picks(
            {"id": row_id, **row.get("attributes", {})}
        ):
            if fault.kind == "job_counts_only":
                job.failed += 1
            else:
                fail_row(job, row_id, fault.detail or "Invalid input", pointer)
            return True
    return False


def _run(kind: str, verb: str, jobs: JobFamily, call: Call) -> Answer:
    rows: list[JsonObject] = call.body["data"]["attributes"][ROWS[kind]]["data"]
    return start_job(call, jobs, rows, partial(_work, kind, verb, call, rows))


def _work(kind: str, verb: str, call: Call, rows: list[JsonObject], job: Job) -> None:
    catalog, pointer = Catalog(call.account), f"/data/attributes/{ROWS[kind]}/data/id"
    written = []
    for row in rows:
        row_id = row.get("id") or f"$custom:::$default:::{row['attributes']['external_id']}"
        if injected(call, job, row_id, row, pointer):
            continue
        try:
            if verb == "create":
                catalog.create(kind, row, call.now)
            elif verb == "update":
                catalog.update(kind, row, call.now)
            else:
                catalog.delete(kind, row_id)
        except CatalogError as refusal:
            fail_row(job, row_id, refusal.detail, pointer)
            continue
        written.append(row_id)
    job.written = written


def _operations(kind: str, verb: str) -> tuple[Operation, ...]:
    jobs, plural = family(kind, verb), f"catalog_{ROWS[kind]}"
    # recorded 2026-09: reads of delete jobs and of all category jobs are XL, the others L
    tier = "XL" if verb == "delete" or kind == "catalog-category" else "L"
    short = plural if kind == "catalog-item" else ROWS[kind]
    create = Operation(
        f"bulk_{verb}_{plural}",
        "POST",
        jobs.path,
        "L",
        "catalogs:write",
        partial(_run, kind, verb, jobs),
        always(shapes.bulk(kind, verb, ROWS[kind])),
        rows=("data", "attributes", ROWS[kind], "data"),
        max_rows=100,
        max_bytes=5_000_000,
    )
    return (
        create,
        *reads_of(jobs, f"get_bulk_{verb}_{short}_job", f"get_bulk_{verb}_{short}_jobs", tier, "catalogs:read"),
    )


OPERATIONS = tuple(
    operation for kind in ROWS for verb in ("create", "update", "delete") for operation in _operations(kind, verb)
)
