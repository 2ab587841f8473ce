"""JSON:API documents as recorded: links, relationships, profiles, jobs, pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import quote

from spark_klaviyo.simulator.clock import iso
from spark_klaviyo.simulator.errors import JsonObject
from spark_klaviyo.simulator.http.operation import Answer, Call
from spark_klaviyo.simulator.state.jobs import Job

LOCATION = ("address1", "address2", "city", "country", "latitude", "longitude", "region", "zip", "timezone", "ip")
SHOWN = (
    "email",
    "phone_number",
    "external_id",
    "anonymous_id",
    "whatsapp_bsuid",
    "first_name",
    "last_name",
    "organization",
    "locale",
    "title",
    "image",
)


def collection_of(kind: str) -> str:
    """`profile` → `profiles`, `catalog-category` → `catalog-categories`."""
    return f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"


def self_link(call: Call, kind: str, resource_id: str) -> str:
    """recorded 2026-09: a resource's own link ends in a slash."""
    return f"{call.base}/api/{collection_of(kind)}/{quote(resource_id, safe='$:')}/"


def relation(call: Call, kind: str, resource_id: str, name: str, linked: object = ...) -> JsonObject:
    """A relationship: data where there is some, then its two links."""
    own = self_link(call, kind, resource_id)
    links = {"self": f"{own}relationships/{name}/", "related": f"{own}{name}/"}
    return {"links": links} if linked is ... else {"data": linked, "links": links}


def resource(
    call: Call, kind: str, resource_id: str, attributes: JsonObject, relationships: JsonObject | None = None
) -> JsonObject:
    """type, id, attributes (as asked for with fields[...]), relationships, links."""
    asked = call.query.get(f"fields[{kind}]")
    if asked is not None:
        # recorded 2026-09: attributes in the order asked for
        attributes = {name: attributes[name] for name in asked.split(",") if name in attributes}
    document: JsonObject = {"type": kind, "id": resource_id, "attributes": attributes}
    if relationships:
        document["relationships"] = relationships
    document["links"] = {"self": self_link(call, kind, resource_id)}
    return document


def single(call: Call, status: int, document: JsonObject, **more: object) -> Answer:
    """One resource; the top-level link echoes path and query."""
    return Answer(status, {"data": document, **more, "links": {"self": call.base + call.target}})


def identifiers(kind: str, ids: Iterable[str]) -> list[JsonObject]:
    """`{"type", "id"}` of each."""
    return [{"type": kind, "id": resource_id} for resource_id in ids]


def profile_attributes(profile: JsonObject, *, fresh: bool) -> JsonObject:
    """The attributes of a profile; `created` loses its fraction once stored (recorded 2026-09)."""
    shown: JsonObject = {name: profile.get(name) for name in SHOWN}
    shown["created"] = iso(profile["created"], fraction=fresh)
    shown["updated"] = iso(profile["updated"])
    event = profile["last_event_date"]
    shown["last_event_date"] = iso(event, fraction=False) if event is not None else None
    shown["location"] = {name: profile["location"].get(name) for name in LOCATION}
    shown["properties"] = profile["properties"]
    return shown


def profile_resource(
    call: Call, profile: JsonObject, *, fresh: bool = False, talk: str = "conversation", more: JsonObject | None = None
) -> JsonObject:
    """recorded 2026-09: the relationship is `conversation` in write replies, `conversations` in reads."""
    named = ("lists", "segments", "push-tokens", talk)
    relationships = {name: relation(call, "profile", profile["id"], name) for name in named}
    attributes = {**profile_attributes(profile, fresh=fresh), **(more or {})}
    return resource(call, "profile", profile["id"], attributes, relationships)


def job_resource(call: Call, job: Job, *, first: bool = False) -> JsonObject:
    """A job, in its 202 (`first`) or in a read."""
    early = call.account.switches.full_counts_early
    attributes = job.attributes(first=first, full_counts_early=early)
    return resource(call, job.family.kind, job.id, attributes, _job_relations(call, job, first=first))


def _job_relations(call: Call, job: Job, *, first: bool) -> JsonObject | None:
    kind = job.family.kind
    if job.family.suppression:
        named = identifiers("list", job.lists) if job.lists and not first else ...
        return {
            "lists": relation(call, kind, job.id, "lists", named),
            "segments": relation(call, kind, job.id, "segments"),
        }
    if not job.family.has_errors:
        errors = {"links": {"related": f"{self_link(call, kind, job.id)}import-errors/"}}
        lists = relation(call, kind, job.id, "lists", identifiers("list", job.lists))
        return {"lists": lists, "profiles": relation(call, kind, job.id, "profiles"), "import-errors": errors}
    early = call.account.switches.full_counts_early and job.looks > 0
    written = identifiers(job.family.written, job.written if early or not job.open else ())
    if job.family.written == "coupon-code":
        return {job.family.relation: relation(call, kind, job.id, job.family.relation, ... if first else written)}
    # recorded 2026-09: no relationships in the 202, nor where every row failed
    if first or (not job.open and not written):
        return None
    return {job.family.relation: {"data": written}}


def page_links(call: Call, following: str | None) -> JsonObject:
    """self, next, prev of a page."""
    return {"self": call.base + call.target, "next": following, "prev": None}


def collection(call: Call, documents: Sequence[JsonObject], following: str | None = None) -> Answer:
    """A page of resources."""
    return Answer(200, {"data": list(documents), "links": page_links(call, following)})
