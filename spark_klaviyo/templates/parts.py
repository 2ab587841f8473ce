"""Parts that several templates share: fields, bodies, and the calls that change or delete one resource."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from spark_klaviyo.core.policy import Quota
from spark_klaviyo.templates.model import FieldForm, FieldSpec, JsonPath, Template

NOT_FOUND = ((404, "not_found"),)  # the reply to a deletion of what is deleted already


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


# --- paths and bodies -----------------------------------------------------------------------------


def job_call(
    kind: str, holder: str, relationships: Mapping[str, object] | None = None, rows: str = "{rows}", **attributes: str
) -> dict[str, Any]:
    """Path and body of the call that starts a job: its rows stand at `/data/attributes/<holder>/data`."""
    made: dict[str, object] = {"type": kind, "attributes": {**attributes, holder: {"data": rows}}}
    related = {"relationships?": relationships} if relationships else {}
    return {"path": f"/api/{kind}s", "body": {"data": {**made, **related}}}


def linked(kind: str, setting: str) -> dict[str, object]:
    """A relationship to one resource, whose id is a setting."""
    return {kind: {"data": {"type": kind, "id": "{" + setting + "}"}}}


# --- templates ------------------------------------------------------------------------------------


def create_of(kind: str, summary: str, quota: Quota, scope: str, *fields: FieldSpec, **facts: Any) -> Template:
    """The call that creates one resource of a kind; a second call makes a second one, or is refused."""
    name, path, record = "create_" + kind.replace("-", "_"), f"/api/{kind}s", {"type": kind}
    given = {"name": name, "path": path, "record": record, "idempotent": False, "scopes": (scope,), **facts}
    return Template(summary=summary, fields=fields, quota=quota, **given)


def update_of(create: Template, summary: str, *fields: FieldSpec, **changes: Any) -> Template:
    """The call that changes one resource of the kind that `create` makes; the first field is its id."""
    parts: dict[str, Any] = {"method": "PATCH", "path": create.path + "/{id}", "path_fields": ("id",), "key": ("id",)}
    parts |= {"idempotent": True, "notes": (), **changes}
    return replace(create, name=create.name.replace("create_", "update_"), summary=summary, fields=fields, **parts)


def delete_of(update: Template, summary: str, *notes: str) -> Template:
    """The call that deletes one resource of the kind that `update` changes."""
    name, own_id = update.name.replace("update_", "delete_"), update.fields[:1]
    gone = replace(update, name=name, summary=summary, method="DELETE", body=None, fields=own_id, keep_empty=())
    return replace(gone, deletes=True, already_satisfied=NOT_FOUND, notes=notes)
