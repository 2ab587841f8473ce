"""Helpers to write request shapes as JSON:API documents."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from spark_klaviyo.simulator.rules.schema import Many, Rule, Spec, Text, Thing


def a(kind: str) -> Text:
    """The `type` key, which takes one value alone."""
    return Text(choices=(kind,), nullable=False)


ID = Text(nullable=False)


def resource(
    kind: str,
    attributes: Spec | None = None,
    *,
    id: str = "",  # noqa: A002  JSON:API's word
    relationships: Spec | None = None,
    meta: Spec | None = None,
    needs: Collection[str] = ("attributes",),
    rules: Sequence[Rule] = (),
) -> Thing:
    """A resource object; `id` is "", "optional" or "required", `needs` names the members that must be there."""
    fields: dict[str, Spec] = {"type": a(kind)}
    if id:
        fields["id"] = ID if id == "required" else Text()
    for name, spec in (("attributes", attributes), ("relationships", relationships), ("meta", meta)):
        if spec is not None:
            fields[name] = spec
    required = {"type", *(need for need in needs if need in fields), *(("id",) if id == "required" else ())}
    return Thing(kind, fields, required, rules=rules)


def one(spec: Spec, name: str = "data") -> Thing:
    """`{"data": <resource>}`."""
    return Thing(name, {"data": spec}, {"data"})


def many(spec: Spec, name: str = "data", *, nullable: bool = False) -> Thing:
    """`{"data": [<resource>, ...]}`."""
    return Thing(name, {"data": Many(spec)}, {"data"}, nullable=nullable)


def link(kind: str) -> Thing:
    """A resource identifier: type and id, nothing else."""
    return Thing(kind, {"type": a(kind), "id": ID}, {"type", "id"})


def relations(required: Collection[str] = (), **named: Spec) -> Thing:
    """A `relationships` object; `_` in a name stands for `-`."""
    fields: Mapping[str, Spec] = {name.replace("_", "-"): spec for name, spec in named.items()}
    return Thing("relationships", fields, required)


def job(
    kind: str, rows: str, row: Spec, *, relationships: Spec | None = None, needs: Collection[str] = ("attributes",)
) -> Thing:
    """A bulk job: its rows stand under `/data/attributes/<rows>/data`."""
    attributes = Thing(kind, {rows: many(row, rows)}, {rows})
    return one(resource(kind, attributes, relationships=relationships, needs=needs))
