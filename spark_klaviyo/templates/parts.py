"""What several families of templates have in common: body skeletons, a person inside a record, ids of the catalog."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from spark_klaviyo.core.models import Limits
from spark_klaviyo.templates.model import MAX_BODY, FieldSpec

ONE: Mapping[str, object] = {"data": "{row}"}  # a single-record endpoint
MANY: Mapping[str, object] = {"data": "{rows}"}  # a list of resource identifiers
ONE_ROW = Limits(1, MAX_BODY)
GONE = ((404, "not_found"),)  # a deletion's 404: what should be gone is gone
GONE_IN_JOB = r"with (the )?id .* does not exist"  # the same where a job says it of a row (recorded of catalog jobs)
# No maximum is published for the ids of one relationship call; this is what other endpoints of the kind take at least.
SOME_IDS = Limits(100, MAX_BODY)
NO_MAXIMUM = "Klaviyo publishes no maximum for this call; 100 ids go into one request."
# docs, data limits of ingestion; never withdrawn
MAX_DEPTH, MAX_ITEMS = 10, 4_000
CATALOG_ID = "$custom:::$default:::"  # spec: the only integration and catalog there are


def job_body(kind: str, holder: str, relationships: Mapping[str, object] | None = None) -> dict[str, object]:
    """The body of a bulk job: its rows stand at `/data/attributes/<holder>/data`."""
    made: dict[str, object] = {"type": kind, "attributes": {holder: {"data": "{rows}"}}}
    return {"data": {**made, **({"relationships?": relationships} if relationships else {})}}


def linked(name: str, kind: str, setting: str) -> dict[str, object]:
    """A relationship to one resource, whose id is a setting."""
    return {name: {"data": {"type": kind, "id": "{" + setting + "}"}}}


def inside(
    fields: Iterable[FieldSpec], path: str, at: tuple[str, ...], flat: Iterable[str] = ()
) -> tuple[FieldSpec, ...]:
    """Fields of a record that stand inside another one; those in `flat` are found by their plain names too."""
    bare = set(flat)
    return tuple(
        replace(
            known,
            name=f"{path}.{known.name}",
            json_path=(*at, *known.json_path),
            other_names=(known.name, *known.other_names) if known.name in bare else (),
        )
        for known in fields
    )
