"""Custom objects: data sources, the records fed into them, and the deletion of object records."""

from __future__ import annotations

from spark_klaviyo.simulator.errors import JsonObject, bad_request, not_found
from spark_klaviyo.simulator.http.documents import collection, resource, single
from spark_klaviyo.simulator.http.operation import Answer, Call, Operation, always, since
from spark_klaviyo.simulator.http.queries import page, page_size
from spark_klaviyo.simulator.http.wire import encode
from spark_klaviyo.simulator.rules.build import link, many, one, relations
from spark_klaviyo.simulator.rules.build import resource as shape
from spark_klaviyo.simulator.rules.schema import Free, Many, Spec, Text, Thing
from spark_klaviyo.simulator.state.account import Account

RECORDS = "data-source-records"
DEFAULTS = {"visibility": "private", "description": "", "namespace": "custom-objects"}  # recorded 2026-09
MOST_RECORD_BYTES = 512_000  # spec: 512 KB a record


def source_resource(call: Call, held: JsonObject) -> JsonObject:
    """title, visibility, description, namespace."""
    return resource(call, "data-source", held["id"], {name: held[name] for name in ("title", *DEFAULTS)})


def create_data_source(call: Call) -> Answer:
    """201; only the title is needed."""
    given = {name: value for name, value in call.body["data"]["attributes"].items() if value is not None}
    held = {"id": call.account.ulid("data source"), **DEFAULTS, **given}
    call.account.data_sources[held["id"]] = held
    return single(call, 201, source_resource(call, held))


def find_source(account: Account, source_id: str) -> JsonObject:
    """recorded 2026-09."""
    held = account.data_sources.get(source_id)
    if held is None:
        raise not_found(f"Data source with ID {source_id} not found.")
    return held


def delete_data_source(call: Call) -> Answer:
    """204."""
    del call.account.data_sources[find_source(call.account, call.params["id"])["id"]]
    return Answer(204)


def get_data_source(call: Call) -> Answer:
    """One data source."""
    return single(call, 200, source_resource(call, find_source(call.account, call.params["id"])))


def get_data_sources(call: Call) -> Answer:
    """20 a page, 100 at most."""
    rows, following = page(call, call.account.data_sources.values(), page_size(call, 20, 100, "data-source"))
    return collection(call, [source_resource(call, held) for held in rows], following)


def _keep(call: Call, rows: list[JsonObject]) -> Answer:
    named = call.body["data"].get("relationships", {}).get("data-source", {}).get("data")
    source = find_source(call.account, named["id"])["id"] if named else None
    call.account.records.extend({"data_source": source, "record": row["attributes"]["record"]} for row in rows)
    return Answer(204)


def bulk_create_data_source_records(call: Call) -> Answer:
    """recorded 2026-09: 204, whatever the records are like."""
    return _keep(call, (call.body["data"]["attributes"].get(RECORDS) or {"data": []})["data"])


def create_data_source_record(call: Call) -> Answer:
    """One record; spec: at most 512 KB."""
    row = call.body["data"]["attributes"]["data-source-record"]["data"]
    if len(encode(row)) > MOST_RECORD_BYTES:
        pointer = "/data/attributes/data-source-record/data"
        raise bad_request(pointer, f"The entry is larger than {MOST_RECORD_BYTES} bytes.")
    return _keep(call, [row])


def bulk_delete_object_records(call: Call) -> Answer:
    """202 and no body; recorded 2026-09: 404 where the object type is unknown."""
    ids = [entry["id"] for entry in call.body["data"]["relationships"]["object-records"]["data"]]
    if not call.account.switches.object_types:
        raise not_found(f"Object type `{ids[0].partition(':')[0]}` not found")
    call.account.deleted_records.extend(ids)
    return Answer(202)


def get_ingestion_logs(call: Call) -> Answer:
    """Failures of the last 14 days; none here, and no page[size] (recorded 2026-09)."""
    if not call.account.switches.object_types:
        raise not_found(f"Object type `{call.params['id']}` not found")
    page_size(call, 50, 0, "object-ingestion-log")
    return collection(call, [])


def get_object_types(call: Call) -> Answer:
    """None: what an object type is made of is outside this simulator."""
    page_size(call, 20, 0, "object-type")
    return collection(call, [])


_RECORD = shape("data-source-record", Thing("data-source-record", {"record": Free(nullable=False)}, {"record"}))


def _job(kind: str, field: str, rows: Spec, *, strict: bool) -> Thing:
    related = relations({"data-source"} if strict else (), data_source=one(link("data-source"), "data-source"))
    attributes = Thing(kind, {field: rows}, {field} if strict else ())
    needs = ("attributes", "relationships") if strict else ("attributes",)
    return one(shape(kind, attributes, relationships=related, needs=needs))


_BULK, _SINGLE = "data-source-record-bulk-create-job", "data-source-record-create-job"
_SOURCE = {
    "title": Text(nullable=False),
    "visibility": Text(choices=("private", "shared")),
    "description": Text(),
    "namespace": Text(),
}
_DELETE = one(
    shape(
        "object-record-bulk-delete-job",
        relationships=relations(
            {"object-records"},
            object_records=Thing("object-records", {"data": Many(link("object-record"), least=1)}, {"data"}),
        ),
        needs=("relationships",),
    )
)
_WRITE, _READ, _STRICT = "custom-objects:write", "custom-objects:read", "2026-10-15"

OPERATIONS = (
    Operation(
        "create_data_source",
        "POST",
        "/api/data-sources",
        "S",
        _WRITE,
        create_data_source,
        always(one(shape("data-source", Thing("data-source", _SOURCE, {"title"})))),
    ),
    Operation("delete_data_source", "DELETE", "/api/data-sources/{id}", "S", _WRITE, delete_data_source),
    Operation("get_data_sources", "GET", "/api/data-sources", "S", _READ, get_data_sources),
    Operation("get_data_source", "GET", "/api/data-sources/{id}", "S", _READ, get_data_source),
    Operation(
        "bulk_create_data_source_records",
        "POST",
        "/api/data-source-record-bulk-create-jobs",
        "RECORDS",  # recorded 2026-09: 3/s and 15/min
        _WRITE,
        bulk_create_data_source_records,
        # revision 2026-10-15: the data-source relationship and the records become required
        since(
            _STRICT,
            _job(_BULK, RECORDS, many(_RECORD, RECORDS), strict=True),
            _job(_BULK, RECORDS, many(_RECORD, RECORDS, nullable=True), strict=False),
        ),
        rows=("data", "attributes", RECORDS, "data"),
        max_rows=500,
        max_bytes=4_000_000,
        max_row_bytes=MOST_RECORD_BYTES,
        born="2025-07-15",
    ),
    Operation(
        "create_data_source_record",
        "POST",
        "/api/data-source-record-create-jobs",
        "L",
        _WRITE,
        create_data_source_record,
        since(
            _STRICT,
            _job(_SINGLE, "data-source-record", one(_RECORD, "data-source-record"), strict=True),
            _job(_SINGLE, "data-source-record", one(_RECORD, "data-source-record"), strict=False),
        ),
        born="2025-07-15",
    ),
    Operation(
        "bulk_delete_object_records",
        "POST",
        "/api/object-record-bulk-delete-jobs",
        "S",
        _WRITE,
        bulk_delete_object_records,
        always(_DELETE),
        rows=("data", "relationships", "object-records", "data"),
        max_rows=500,
        max_bytes=5_000_000,
        born="2025-07-15",
    ),
    Operation("get_object_types", "GET", "/api/object-types", "S", _READ, get_object_types),
    Operation(
        "get_ingestion_logs_for_object_type",
        "GET",
        "/api/object-types/{id}/object-ingestion-logs",
        "XS",
        _READ,
        get_ingestion_logs,
    ),
)
