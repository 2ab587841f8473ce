"""Custom objects: records of data sources, which Klaviyo maps to objects, and the sources themselves."""

from __future__ import annotations

from dataclasses import replace

from spark_klaviyo.core.policy import Limits
from spark_klaviyo.templates.limits import BULK_RECORDS, KILOBYTE, MAX_BODY, MEGABYTE, L, S
from spark_klaviyo.templates.model import MANY, Setting, Template
from spark_klaviyo.templates.parts import attribute, create_of, delete_of, job_call, linked, resource_id, update_of

_SOURCE = linked("data-source", "data_source_id")
_SOURCE_ID = Setting("data_source_id", "id of the data source", required=True, per_row=True, lookup_kind="data-source")
_RECORD = ("attributes", "record")
BULK = Template(
    name="bulk_create_data_source_records",
    summary="Send rows as records of a data source, which become custom objects.",
    **job_call("data-source-record-bulk-create-job", "data-source-records", _SOURCE),
    record={"type": "data-source-record"},
    fields=(),
    properties_path=_RECORD,
    keep_empty=(_RECORD,),
    limits=Limits(500, 4 * MEGABYTE, 512 * KILOBYTE),
    quota=BULK_RECORDS,
    confirmed_by_reply=False,
    scopes=("custom-objects:write",),
    settings=(_SOURCE_ID,),
    notes=(
        "Every column goes into the record by its own name; a struct or map column `record` joins in.",
        "Klaviyo takes records that no object type reads, or that its mapping refuses: see its ingestion logs.",
    ),
)
ONE_BY_ONE = replace(
    BULK,
    name="create_data_source_record",
    summary="Send one record a request to a data source.",
    **job_call("data-source-record-create-job", "data-source-record", _SOURCE, "{row}"),
    limits=Limits(1, MAX_BODY, 512 * KILOBYTE),
    quota=L,
)
DELETE_RECORDS = Template(
    name="bulk_delete_object_records",
    summary="Delete records of custom objects, by their ids.",
    path="/api/object-record-bulk-delete-jobs",
    body={"data": {"type": "object-record-bulk-delete-job", "relationships": {"object-records": MANY}}},
    record={"type": "object-record"},
    fields=(resource_id("id of the record", "record_id", "object_record_id"),),
    key=("id",),
    keep_empty=(),
    limits=Limits(500, MAX_BODY),
    quota=S,
    confirmed_by_reply=False,
    deletes=True,
    scopes=("custom-objects:write",),
)
CREATE_SOURCE = create_of(
    "data-source",
    "Create data sources.",
    S,
    "custom-objects:write",
    attribute("title", required=True, other_names=("name",), max_length=255, help="unique"),
    attribute("visibility", choices=("private", "shared")),
    attribute("description"),
    attribute("namespace"),
)
# Klaviyo's API has no call that changes a source.
_SOURCE_BY_ID = update_of(CREATE_SOURCE, "", resource_id("id of the data source", "data_source_id"))

TEMPLATES = (BULK, ONE_BY_ONE, DELETE_RECORDS, CREATE_SOURCE, delete_of(_SOURCE_BY_ID, "Delete data sources."))
