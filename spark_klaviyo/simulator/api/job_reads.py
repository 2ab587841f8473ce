"""Status reads of every job family, and the pages behind an import job."""

from __future__ import annotations

from functools import partial

from spark_klaviyo.simulator.api.people.imports import IMPORT
from spark_klaviyo.simulator.api.people.lists import list_resource
from spark_klaviyo.simulator.errors import not_found
from spark_klaviyo.simulator.http.documents import (
    collection,
    identifiers,
    job_resource,
    page_links,
    profile_resource,
    single,
)
from spark_klaviyo.simulator.http.operation import Answer, Call, Operation
from spark_klaviyo.simulator.http.queries import EQUALS, page, page_size, read_filter
from spark_klaviyo.simulator.state.jobs import Job, JobFamily


def find_job(call: Call, family: JobFamily, *, look: bool = True) -> Job:
    """The job of the path, or its family's 404."""
    job_id = call.params["id"]
    job = call.account.jobs.get(family, job_id, call.now)
    if job is None:
        raise not_found(family.missing.format(job_id))
    if look:
        job.look(call.now, call.account.switches)
    return job


def get_job(family: JobFamily, call: Call) -> Answer:
    """One job; each read is a look that may end it."""
    job = find_job(call, family)
    included: dict[str, object] = {"included": []} if "include" in call.query else {}
    return single(call, 200, job_resource(call, job), **included)


def get_jobs(family: JobFamily, call: Call) -> Answer:
    """The family's jobs, newest first; listing looks at each of them, too."""
    fields: dict[str, tuple[str, ...]] = {"status": EQUALS if family is IMPORT else ("equals",)}
    if family.suppression:
        fields.update(list_id=("equals",), segment_id=("equals",))
    conditions = read_filter(call, fields)
    size = page_size(call, 20, 100 if family is IMPORT else 0, family.kind)
    jobs = sorted(
        call.account.jobs.of(family, call.now),
        key=lambda job: job.created,
        reverse=call.query.get("sort") != "created_at",
    )
    for job in jobs:
        job.look(call.now, call.account.switches)
    fitting = (job for job in jobs if all(c.holds(_shown(job, c.field)) for c in conditions))
    rows, following = page(call, fitting, size)
    return collection(call, [job_resource(call, job) for job in rows], following)


def _shown(job: Job, field: str) -> str | None:
    named = {"list_id": job.lists, "segment_id": job.segments}.get(field)
    return job.status if named is None else next(iter(named), None)


def get_import_errors(call: Call) -> Answer:
    """spec: 20 a page, at most 100; the fault `import_errors_pages` makes the pages smaller."""
    job = find_job(call, IMPORT, look=False)
    size = page_size(call, 20, 100, "import-error")
    for fault in call.job_faults:
        if fault.kind == "import_errors_pages":
            size = min(size, fault.page_size)
    rows, following = page(call, [] if job.open else job.failures, size)
    return collection(call, rows, following)


def get_import_profiles(call: Call) -> Answer:
    """Profiles an import wrote."""
    job = find_job(call, IMPORT, look=False)
    ids, following = page(call, job.written, page_size(call, 20, 100, "profile"))
    held = call.account.profiles.by_id
    return collection(
        call, [profile_resource(call, held[i], talk="conversations") for i in ids if i in held], following
    )


def get_import_profile_ids(call: Call) -> Answer:
    """Their ids alone."""
    job = find_job(call, IMPORT, look=False)
    ids, following = page(call, job.written, page_size(call, 20, 100, "profile"))
    return collection(call, identifiers("profile", ids), following)


def get_import_list_ids(call: Call) -> Answer:
    """recorded 2026-09: no next or prev."""
    job = find_job(call, IMPORT, look=False)
    return Answer(200, {"data": identifiers("list", job.lists), "links": {"self": page_links(call, None)["self"]}})


def get_import_lists(call: Call) -> Answer:
    """The lists an import adds to."""
    job = find_job(call, IMPORT, look=False)
    held = [call.account.lists[list_id] for list_id in job.lists if list_id in call.account.lists]
    return Answer(200, {"data": [list_resource(call, one) for one in held], "links": {"self": call.base + call.target}})


def reads_of(family: JobFamily, name: str, plural: str, tier: str, scopes: str) -> tuple[Operation, ...]:
    """The two status reads of a family: one job, and all."""
    return (
        Operation(plural, "GET", family.path, tier, scopes, partial(get_jobs, family)),
        Operation(name, "GET", f"{family.path}/{{job_id}}", tier, scopes, partial(get_job, family)),
    )


_ONE = f"{IMPORT.path}/{{id}}"
_LISTS = "get_list_for_bulk_import_profiles_job"
OPERATIONS = (
    Operation(_LISTS, "GET", f"{_ONE}/lists", "M", "lists:read", get_import_lists),
    *reads_of(IMPORT, "get_bulk_import_profiles_job", "get_bulk_import_profiles_jobs", "M", "lists:read profiles:read"),
    Operation(
        "get_errors_for_bulk_import_profiles_job",
        "GET",
        f"{_ONE}/import-errors",
        "M",
        "profiles:read",
        get_import_errors,
    ),
    Operation(
        "get_profiles_for_bulk_import_profiles_job",
        "GET",
        f"{_ONE}/profiles",
        "M",
        "profiles:read",
        get_import_profiles,
    ),
    Operation(
        "get_profile_ids_for_bulk_import_profiles_job",
        "GET",
        f"{_ONE}/relationships/profiles",
        "M",
        "profiles:read",
        get_import_profile_ids,
    ),
    Operation(
        "get_list_ids_for_bulk_import_profiles_job",
        "GET",
        f"{_ONE}/relationships/lists",
        "M",
        "lists:read",
        get_import_list_ids,
    ),
)
