"""Parts that several templates share: fields, bodies, and the calls that change or delete one resource by its id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from spark_klaviyo.core.models import Limits
from spark_klaviyo.templates.model import MAX_BODY, FieldForm, FieldSpec, JsonPath, Template

MANY: Mapping[str, object] = {"data": "{rows}"}  # a list of resource identifiers
NOT_FOUND = ((404, "not_found"),)  # the reply to a deletion of what is deleted already
NOT_FOUND_IN_JOB = r"with (the )?id .* does not exist"  # the same as a job says it (recorded of catalog jobs)
# No maximum is published for the ids of one relationship call; this is what other endpoints of the kind take at least.
SOME_IDS = Limits(100, MAX_BODY)
NO_MAXIMUM = "Klaviyo publishes no maximum for this call; 100 ids go into one request."
# docs, data limits of ingestion; never withdrawn
MAX_DEPTH, MAX_ITEMS = 10, 4_000
CATALOG_ID = "$custom:::$default:::"  # spec: the only integration and catalog there are


# --- fields ---------------------------------------------------------------------------------------


def attribute(name: str, form: FieldForm = FieldForm.TEXT, **rules: Any) -> FieldSpec:
    """A field among the attributes of a record: `location.city` stands at attributes, location, city."""
    return FieldSpec(name, ("attributes", *name.split(".")), form, **rules)


def resource_id(meaning: str, *other_names: str, **rules: Any) -> FieldSpec:
    """The id of the resource that a row is."""
    return FieldSpec("id", ("id",), required=True, other_names=other_names, help=meaning, **rules)


def inside(fields: Iterable[FieldSpec], name: str, path: JsonPath, flat: Iterable[str] = ()) -> tuple[FieldSpec, ...]:
    """Fields of a record that stand inside another one; those in `flat` are found by their plain names too."""
    plain = set(flat)
    return tuple(
        replace(
            known,
            name=f"{name}.{known.name}",
            json_path=(*path, *known.json_path),
            other_names=(known.name, *known.other_names) if known.name in plain else (),
        )
        for known in fields
    )


# --- bodies ---------------------------------------------------------------------------------------


def job_body(kind: str, holder: str, relationships: Mapping[str, object] | None = None) -> dict[str, object]:
    """The body of a bulk job: its rows stand at `/data/attributes/<holder>/data`."""
    made: dict[str, object] = {"type": kind, "attributes": {holder: {"data": "{rows}"}}}
    return {"data": {**made, **({"relationships?": relationships} if relationships else {})}}


def linked(name: str, kind: str, setting: str) -> dict[str, object]:
    """A relationship to one resource, whose id is a setting."""
    return {name: {"data": {"type": kind, "id": "{" + setting + "}"}}}


# --- templates ------------------------------------------------------------------------------------


def update_of(create: Template, name: str, summary: str, *fields: FieldSpec, **changes: Any) -> Template:
    """The call that changes one resource of the kind that `create` makes; the first field is its id."""
    parts: dict[str, Any] = {"method": "PATCH", "path": create.path + "/{id}", "path_fields": ("id",), "key": ("id",)}
    parts |= {"idempotent": True, "notes": (), **changes}
    return replace(create, name=name, summary=summary, fields=fields, **parts)


def delete_of(update: Template, name: str, summary: str, *notes: str) -> Template:
    """The call that deletes one resource of the kind that `update` changes."""
    return replace(
        update,
        name=name,
        summary=summary,
        method="DELETE",
        body=None,
        fields=update.fields[:1],
        keep_empty=(),
        deletes=True,
        already_satisfied=NOT_FOUND,
        notes=notes,
    )
