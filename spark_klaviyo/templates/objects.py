"""Custom objects: records of data sources, which Klaviyo maps to objects, and the sources themselves."""

from __future__ import annotations

from dataclasses import replace

from spark_klaviyo.core.models import Limits
from spark_klaviyo.templates.model import (
    BULK_RECORDS,
    KILOBYTE,
    MAX_BODY,
    MEGABYTE,
    Family,
    FieldSpec,
    L,
    S,
    Setting,
    Template,
)
from spark_klaviyo.templates.parts import GONE, MANY, ONE, ONE_ROW, job_body, linked

_SOURCE = linked("data-source", "data-source", "data_source_id")
_RECORD = ("attributes", "record")
BULK = Template(
    name="bulk_create_data_source_records",
    family=Family.OBJECTS,
    summary="Send rows as records of a data source, which become custom objects.",
    method="POST",
    path="/api/data-source-record-bulk-create-jobs",
    body=job_body("data-source-record-bulk-create-job", "data-source-records", _SOURCE),
    record={"type": "data-source-record"},
    fields=(),
    properties_path=_RECORD,
    keep_empty=(_RECORD,),
    limits=Limits(500, 4 * MEGABYTE, 512 * KILOBYTE),
    quota=BULK_RECORDS,
    confirmed_by_reply=False,
    rows_pointer="/data/attributes/data-source-records/data",
    scopes=("custom-objects:write",),
    settings=(
        Setting("data_source_id", "id of the data source", required=True, per_row=True, lookup_kind="data-source"),
    ),
    notes=(
        "Every column goes into the record by its own name; a struct or map column `record` joins in.",
        "Klaviyo takes records that no object type reads, or that its mapping refuses: see its ingestion logs.",
    ),
)
ONE_RECORD = replace(
    BULK,
    name="create_data_source_record",
    summary="Send one record a request to a data source.",
    path="/api/data-source-record-create-jobs",
    body={
        "data": {
            "type": "data-source-record-create-job",
            "attributes": {"data-source-record": {"data": "{row}"}},
            "relationships": _SOURCE,
        }
    },
    limits=Limits(1, MAX_BODY, 512 * KILOBYTE),
    quota=L,
    rows_pointer="",
)
DELETE_RECORDS = Template(
    name="bulk_delete_object_records",
    family=Family.OBJECTS,
    summary="Delete records of custom objects, by their ids.",
    method="POST",
    path="/api/object-record-bulk-delete-jobs",
    body={"data": {"type": "object-record-bulk-delete-job", "relationships": {"object-records": MANY}}},
    record={"type": "object-record"},
    fields=(
        FieldSpec("id", ("id",), required=True, other_names=("record_id", "object_record_id"), help="id of the record"),
    ),
    key=("id",),
    keep_empty=(),
    limits=Limits(500, MAX_BODY),
    quota=S,
    confirmed_by_reply=False,
    rows_pointer="/data/relationships/object-records/data",
    deletes=True,
    scopes=("custom-objects:write",),
)
CREATE_SOURCE = Template(
    name="create_data_source",
    family=Family.OBJECTS,
    summary="Create data sources.",
    method="POST",
    path="/api/data-sources",
    body=ONE,
    record={"type": "data-source"},
    fields=(
        FieldSpec(
            "title", ("attributes", "title"), required=True, other_names=("name",), max_length=255, help="unique"
        ),
        FieldSpec("visibility", ("attributes", "visibility"), choices=("private", "shared")),
        FieldSpec("description", ("attributes", "description")),
        FieldSpec("namespace", ("attributes", "namespace")),
    ),
    limits=ONE_ROW,
    quota=S,
    idempotent=False,
    scopes=("custom-objects:write",),
)
DELETE_SOURCE = Template(
    name="delete_data_source",
    family=Family.OBJECTS,
    summary="Delete data sources.",
    method="DELETE",
    path="/api/data-sources/{id}",
    body=None,
    record={"type": "data-source"},
    fields=(FieldSpec("id", ("id",), required=True, other_names=("data_source_id",), help="id of the data source"),),
    key=("id",),
    keep_empty=(),
    limits=ONE_ROW,
    quota=S,
    path_fields=("id",),
    deletes=True,
    already_satisfied=GONE,
    scopes=("custom-objects:write",),
)

TEMPLATES = (BULK, ONE_RECORD, DELETE_RECORDS, CREATE_SOURCE, DELETE_SOURCE)
