"""Coupons, coupon codes, and the job that creates codes."""

from __future__ import annotations

import re
from functools import partial

from spark_klaviyo.simulator.api.catalog_jobs import fail_row, injected, start_job
from spark_klaviyo.simulator.api.job_reads import reads_of
from spark_klaviyo.simulator.clock import iso, read_time
from spark_klaviyo.simulator.errors import JsonObject, bad_request, conflict, not_found
from spark_klaviyo.simulator.http.documents import collection, relation, resource, single
from spark_klaviyo.simulator.http.operation import Answer, Call, Operation, always, since
from spark_klaviyo.simulator.http.queries import page, page_size
from spark_klaviyo.simulator.rules.build import job, link, one, relations
from spark_klaviyo.simulator.rules.build import resource as shape
from spark_klaviyo.simulator.rules.schema import Free, Spec, Text, Thing
from spark_klaviyo.simulator.state.jobs import Job, JobFamily

PATTERN = "^[0-9_A-z]+$"  # recorded 2026-09: no hyphen
YEAR = 365 * 86_400
CODES = JobFamily(
    "coupon-code-bulk-create-job",
    "processing",
    "A coupon code bulk create job with the id '{}' does not exist.",  # recorded 2026-09
    relation="coupon-codes",
    written="coupon-code",
    cap=100,  # spec: at most 100 queued
    has_errors=True,
)
_TOLD = ("external_id", "description", "monitor_configuration")
ASSIGNER = "assigner_configuration"
STATUSES = ("ASSIGNED_TO_PROFILE", "DELETING", "PROCESSING", "UNASSIGNED", "USED", "VERSION_NOT_ACTIVE")


def find_coupon(call: Call) -> JsonObject:
    """recorded 2026-09: a hyphen in the path is 400, anything else unknown 404."""
    coupon_id = call.params["id"]
    if not re.match(PATTERN, coupon_id):
        raise bad_request("/data/id", f"'id' must match regex '{PATTERN}' ('{coupon_id}' doesn't)")
    held = call.account.coupons.get(coupon_id)
    if held is None:
        raise not_found(f"A coupon with the given identifier '{coupon_id}' does not exist.")
    return held


def coupon_resource(call: Call, held: JsonObject) -> JsonObject:
    """recorded 2026-09: the threshold comes back as a string, 500 unless given."""
    attributes = {name: held[name] for name in (*_TOLD, ASSIGNER) if name in held}
    return resource(call, "coupon", held["id"], attributes)


def _monitor(given: JsonObject) -> JsonObject:
    threshold = (given.get("monitor_configuration") or {}).get("low_balance_threshold", 500)
    if not str(threshold).isdigit() or int(threshold) < 100:
        pointer = "/data/attributes/monitor_configuration/low_balance_threshold"
        raise bad_request(pointer, "'low_balance_threshold' must be at least 100.")  # wording unsettled
    return {"low_balance_threshold": str(threshold)}


def _assigner(given: JsonObject) -> JsonObject:
    return {ASSIGNER: dict(given[ASSIGNER])} if given.get(ASSIGNER) else {}


def create_coupon(call: Call) -> Answer:
    """201; its id is its external_id."""
    given = call.body["data"]["attributes"]
    coupon_id = given["external_id"]
    monitor = _monitor(given)
    if coupon_id in call.account.coupons:
        raise conflict(
            "/data/attributes/external_id", f"A coupon with external_id '{coupon_id}' already exists."
        )  # unsettled
    held = {
        "id": coupon_id,
        "external_id": coupon_id,
        "description": given.get("description"),
        "monitor_configuration": monitor,
        **_assigner(given),
    }
    call.account.coupons[coupon_id] = held
    return single(call, 201, coupon_resource(call, held))


def update_coupon(call: Call) -> Answer:
    """200."""
    held, given = find_coupon(call), call.body["data"]["attributes"]
    if given.get("monitor_configuration"):
        held["monitor_configuration"] = _monitor(given)
    held |= _assigner(given)
    held["description"] = given.get("description") or held["description"]
    return single(call, 200, coupon_resource(call, held))


def delete_coupon(call: Call) -> Answer:
    """204; its codes go with it."""
    coupon_id = find_coupon(call)["id"]
    del call.account.coupons[coupon_id]
    for code_id in [key for key, held in call.account.coupon_codes.items() if held["coupon"] == coupon_id]:
        del call.account.coupon_codes[code_id]
    return Answer(204)


def get_coupon(call: Call) -> Answer:
    """One coupon."""
    return single(call, 200, coupon_resource(call, find_coupon(call)))


def get_coupons(call: Call) -> Answer:
    """100 a page at most."""
    rows, following = page(call, call.account.coupons.values(), page_size(call, 100, 100, "coupon"))
    return collection(call, [coupon_resource(call, held) for held in rows], following)


def _code_fault(call: Call, row: JsonObject) -> str | None:
    coupon = row["relationships"]["coupon"]["data"]["id"]
    if coupon not in call.account.coupons:
        return f"A coupon with the given identifier '{coupon}' does not exist."
    if f"{coupon}-{row['attributes']['unique_code']}" in call.account.coupon_codes:
        return f"A coupon code with unique_code '{row['attributes']['unique_code']}' already exists."  # unsettled
    return None


def _keep_code(call: Call, row: JsonObject) -> JsonObject:
    given, coupon = row["attributes"], row["relationships"]["coupon"]["data"]["id"]
    expires = read_time(given["expires_at"]) if given.get("expires_at") else None
    held = {
        "id": f"{coupon}-{given['unique_code']}",
        "coupon": coupon,
        "unique_code": given["unique_code"],
        "expires_at": iso(call.now + YEAR if expires is None else expires, fraction=False),  # recorded: +1 year
        "status": "UNASSIGNED",
    }
    call.account.coupon_codes[held["id"]] = held
    return held


def code_resource(call: Call, held: JsonObject, *, fresh: bool = False) -> JsonObject:
    """recorded 2026-09: expires_at ends in Z when created, in +00:00 in reads."""
    expires = held["expires_at"].replace("+00:00", "Z") if fresh else held["expires_at"]
    attributes = {"unique_code": held["unique_code"], "expires_at": expires, "status": held["status"]}
    related = {
        "coupon": relation(call, "coupon-code", held["id"], "coupon", {"type": "coupon", "id": held["coupon"]}),
        "profile": relation(call, "coupon-code", held["id"], "profile"),
    }
    return resource(call, "coupon-code", held["id"], attributes, related)


def create_coupon_code(call: Call) -> Answer:
    """recorded 2026-09: 200, not 201."""
    row = call.body["data"]
    fault = _code_fault(call, row)
    if fault and row["relationships"]["coupon"]["data"]["id"] not in call.account.coupons:
        raise not_found(fault)
    if fault and call.account.switches.repeated_code != "ignore":
        raise conflict("/data/attributes/unique_code", fault)
    return single(call, 200, code_resource(call, _keep_code(call, row), fresh=True))


def find_code(call: Call) -> JsonObject:
    """A code by `<coupon>-<code>`."""
    held = call.account.coupon_codes.get(call.params["id"])
    if held is None:
        raise not_found(
            f"A coupon code with given identifier '{call.params['id']}' does not exist."
        )  # recorded 2026-09
    return held


def update_coupon_code(call: Call) -> Answer:
    """200."""
    held, given = find_code(call), call.body["data"]["attributes"]
    expires = read_time(given["expires_at"]) if given.get("expires_at") else None
    if expires is not None:
        held["expires_at"] = iso(expires, fraction=False)
    held["status"] = given.get("status") or held["status"]
    return single(call, 200, code_resource(call, held))


def delete_coupon_code(call: Call) -> Answer:
    """204; spec: a code assigned to a profile cannot be deleted."""
    held = find_code(call)
    if held["status"] == "ASSIGNED_TO_PROFILE":
        raise bad_request("/data", "A coupon code assigned to a profile can not be deleted.")  # wording unsettled
    del call.account.coupon_codes[held["id"]]
    return Answer(204)


def get_coupon_code(call: Call) -> Answer:
    """One code."""
    return single(call, 200, code_resource(call, find_code(call)))


def bulk_create_coupon_codes(call: Call) -> Answer:
    """Up to 1,000 codes; a code that exists is a job error (unsettled: switch)."""
    rows = call.body["data"]["attributes"]["coupon-codes"]["data"]
    return start_job(call, CODES, rows, partial(_work, call, rows))


def _work(call: Call, rows: list[JsonObject], job_: Job) -> None:
    pointer, written = "/data/attributes/coupon-codes/data/id", []
    for row in rows:
        row_id = f"{row['relationships']['coupon']['data']['id']}-{row['attributes']['unique_code']}"
        if injected(call, job_, row_id, row, pointer):
            continue
        fault = _code_fault(call, row)
        if fault and not (row_id in call.account.coupon_codes and call.account.switches.repeated_code == "ignore"):
            fail_row(job_, row_id, fault, pointer)
            continue
        written.append(_keep_code(call, row)["id"])
    job_.written = written


_ID = Text(pattern=PATTERN, nullable=False)
_CHANGING: dict[str, Spec] = {"description": Text(), "monitor_configuration": Free()}
# revision 2026-10-15 brought it; SDK 25.0.0: both words are required, each one of these
_ASSIGNING = Thing(
    ASSIGNER,
    {
        "used": Text(choices=("ALWAYS_ASSIGN", "ASSIGN_IF_EXPIRED", "NEVER_ASSIGN"), nullable=False),
        "unused_expired": Text(choices=("ALWAYS_ASSIGN", "NEVER_ASSIGN"), nullable=False),
    },
    {"used", "unused_expired"},
    nullable=True,
)


def _creating(**more: Spec) -> Thing:
    return one(shape("coupon", Thing("coupon", {"external_id": _ID, **_CHANGING, **more}, {"external_id"})))


def _updating(**more: Spec) -> Thing:
    return one(shape("coupon", Thing("coupon", {**_CHANGING, **more}), id="required"))


_CODE = shape(
    "coupon-code",
    Thing("coupon-code", {"unique_code": Text(nullable=False), "expires_at": Text(moment=True)}, {"unique_code"}),
    relationships=relations({"coupon"}, coupon=one(link("coupon"), "coupon")),
    needs=("attributes", "relationships"),
)
_CODE_UPDATE = Thing("coupon-code", {"status": Text(choices=STATUSES), "expires_at": Text(moment=True)})
_ONE, _ONE_CODE, _WRITE, _CODES = "/api/coupons/{id}", "/api/coupon-codes/{id}", "coupons:write", "coupon-codes:write"

OPERATIONS = (
    Operation(
        "create_coupon",
        "POST",
        "/api/coupons",
        "S",
        _WRITE,
        create_coupon,
        since("2026-10-15", _creating(assigner_configuration=_ASSIGNING), _creating()),
    ),
    Operation(
        "update_coupon",
        "PATCH",
        _ONE,
        "S",
        _WRITE,
        update_coupon,
        since("2026-10-15", _updating(assigner_configuration=_ASSIGNING), _updating()),
    ),
    Operation("delete_coupon", "DELETE", _ONE, "S", _WRITE, delete_coupon),
    Operation("get_coupons", "GET", "/api/coupons", "L", "coupons:read", get_coupons),
    Operation("get_coupon", "GET", _ONE, "L", "coupons:read", get_coupon),
    Operation("create_coupon_code", "POST", "/api/coupon-codes", "XL", _CODES, create_coupon_code, always(one(_CODE))),
    Operation(
        "update_coupon_code",
        "PATCH",
        _ONE_CODE,
        "XL",
        _CODES,
        update_coupon_code,
        always(one(shape("coupon-code", _CODE_UPDATE, id="required"))),
    ),
    Operation("delete_coupon_code", "DELETE", _ONE_CODE, "XL", _CODES, delete_coupon_code),
    Operation("get_coupon_code", "GET", _ONE_CODE, "XL", "coupon-codes:read", get_coupon_code),
    Operation(
        "bulk_create_coupon_codes",
        "POST",
        CODES.path,
        "L",
        _CODES,
        bulk_create_coupon_codes,
        always(job(CODES.kind, "coupon-codes", _CODE)),
        rows=("data", "attributes", "coupon-codes", "data"),
        max_rows=1000,
    ),
    *reads_of(CODES, "get_bulk_create_coupon_codes_job", "get_bulk_create_coupon_code_jobs", "L", "coupon-codes:read"),
)
