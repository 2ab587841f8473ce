"""Suppressing and unsuppressing emails, a list or a segment: jobs whose counts are no evidence of anything."""

from __future__ import annotations

from spark_klaviyo.simulator.api.job_reads import reads_of
from spark_klaviyo.simulator.api.people.imports import plan_job
from spark_klaviyo.simulator.api.people.lists import checked_list
from spark_klaviyo.simulator.errors import JsonObject, bad_request
from spark_klaviyo.simulator.http.documents import job_resource, single
from spark_klaviyo.simulator.http.operation import Answer, Call, Operation, always
from spark_klaviyo.simulator.rules import profiles as shapes
from spark_klaviyo.simulator.state import consent
from spark_klaviyo.simulator.state.jobs import Job, JobFamily

MISSING = "A bulk profile suppression job with the id '{}' does not exist."  # recorded 2026-09
SUPPRESS = JobFamily("profile-suppression-bulk-create-job", "processing", MISSING, suppression=True)
UNSUPPRESS = JobFamily("profile-suppression-bulk-delete-job", "processing", MISSING, suppression=True)
ROWS = ("data", "attributes", "profiles", "data")


def _run(call: Call, family: JobFamily) -> Answer:
    row = call.body["data"]
    rows = ((row.get("attributes") or {}).get("profiles") or {}).get("data")
    named = [name for name in ("list", "segment") if name in row.get("relationships", {})]
    if (rows is not None) + len(named) != 1:
        # recorded 2026-09: exactly one of the three; wording unsettled
        raise bad_request("/data", "Exactly one of 'profiles', 'list' or 'segment' must be given.")
    emails = [entry["attributes"]["email"] for entry in rows] if rows is not None else _emails(call)
    job = call.account.jobs.open(family, len(emails), call.now)
    job.lists = [row["relationships"]["list"]["data"]["id"]] if "list" in named else ()
    job.work = _Suppress(call, emails) if family is SUPPRESS else _Unsuppress(call, emails)
    plan_job(call, job)
    if job.ending != "cancelled" and call.account.switches.job_applies == "at_once":
        job.do_work()
    return single(call, 202, job_resource(call, job, first=True))


def _emails(call: Call) -> list[str]:
    held = checked_list(call)
    if held is not None:
        members = list(held)
    else:
        segment_id = call.body["data"]["relationships"]["segment"]["data"]["id"]
        segment = call.account.segments.get(segment_id)
        if segment is None:
            raise bad_request("/data/relationships/segment/data/id", f"Segment not found with id {segment_id}.")
        members = call.account.profiles.matching("id", segment.get("profile_ids", ()))
    return [profile["email"] for profile in members if profile["email"]]


class _Suppress:
    def __init__(self, call: Call, emails: list[str]) -> None:
        self.account, self.emails, self.now = call.account, emails, call.now

    def __call__(self, job: Job) -> None:
        """spec: an unknown email is created and suppressed."""
        for email in self.emails:
            self.one(job, {"attributes": {"email": email}})

    def one(self, job: Job, row: JsonObject) -> None:
        """Suppress one."""
        profile, _ = self.account.profiles.upsert(row, self.now, clears=False)
        if job.ending != "never":
            job.skipped += consent.is_suppressed(profile)
        consent.suppress(profile, "USER_SUPPRESSED", self.now)


class _Unsuppress(_Suppress):
    def one(self, job: Job, row: JsonObject) -> None:
        """spec: an unknown email is left alone; only USER_SUPPRESSED is lifted."""
        profile = self.account.profiles.prefer(row)
        if profile is None or not consent.is_suppressed(profile):
            job.skipped += job.ending != "never"
            return
        consent.lift(profile, ("USER_SUPPRESSED",))


def bulk_suppress_profiles(call: Call) -> Answer:
    """202 `processing` with completed_at set and counts 0 (recorded 2026-09)."""
    return _run(call, SUPPRESS)


def bulk_unsuppress_profiles(call: Call) -> Answer:
    """The same, the other way."""
    return _run(call, UNSUPPRESS)


OPERATIONS = (
    Operation(
        "bulk_suppress_profiles",
        "POST",
        SUPPRESS.path,
        "L",
        "profiles:write subscriptions:write",
        bulk_suppress_profiles,
        always(shapes.suppression_job(SUPPRESS.kind)),
        rows=ROWS,
        max_rows=100,
    ),
    Operation(
        "bulk_unsuppress_profiles",
        "POST",
        UNSUPPRESS.path,
        "L",
        "subscriptions:write",
        bulk_unsuppress_profiles,
        always(shapes.suppression_job(UNSUPPRESS.kind)),
        rows=ROWS,
        max_rows=100,
    ),
    *reads_of(SUPPRESS, "get_bulk_suppress_profiles_job", "get_bulk_suppress_profiles_jobs", "L", "subscriptions:read"),
    *reads_of(
        UNSUPPRESS, "get_bulk_unsuppress_profiles_job", "get_bulk_unsuppress_profiles_jobs", "L", "subscriptions:read"
    ),
)
