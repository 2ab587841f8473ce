"""What has to be looked at before sending: one `Checks` from the template, the mapping and the options.

What a consent is about is placed here, too: the channels of a setting or a column become the `subscriptions` of each
record. Nothing is inferred from an identifier: without channels there is no consent, and a channel without the
identifier it needs is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from spark_klaviyo.core.exact_json import ONE_ITEM
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.mapping import DROPPED, ColumnMap
from spark_klaviyo.plan.model import Checks, FieldCheck, RequiresField
from spark_klaviyo.plan.names import Sure
from spark_klaviyo.plan.shape import Fixed, Leaf, Node, Record, When
from spark_klaviyo.plan.types import FRACTIONAL
from spark_klaviyo.templates.model import Channel, Consent, FieldForm, FieldSpec, JsonPath, Template

PATCH = "patch_"  # how the fields of `meta` begin that add to a profile, or take from it
HOW = "backfill"  # whether an event starts flows, and no part of what happened
LOOKED_AT = frozenset({FieldForm.EMAIL, FieldForm.PHONE, FieldForm.DATETIME, FieldForm.DATE})
CHANNELS, CONSENTED_AT = "channels", "consented_at"
MARK = "channels"  # where a column's words stand in `subscriptions` until the exact check takes them out


def make_checks(options: Options, template: Template, found: ColumnMap | None) -> Checks:
    """The checks of a write; without a mapping (ready-made records, or no schema yet) those of all fields."""
    places = {known.name: known.json_path for known in template.fields}
    leaves: Mapping[str, Leaf | None] = dict.fromkeys(places) if found is None else found.leaves
    given = [known for known in template.fields if known.name in leaves]
    checked = [known for known in given if _is_checked(known, template, leaves[known.name])]
    # fields that came from columns ask for other fields of the row
    pairs = ((known, other) for known in given for other in known.requires)
    requires = [RequiresField(one.json_path, places[other], f"{one.name} needs {other}") for one, other in pairs]
    derived = template.unique_id_field and (found is None or template.unique_id_field not in leaves)
    # what an event is: all that a row tells of it, but not how it is sent
    content = [(name, path) for name, path in places.items() if name not in (template.unique_id_field, HOW)]
    content.append(("properties", template.properties_path))
    adding = [known.json_path for known in template.fields if f".{PATCH}" in known.name]
    becomes, notes = (dict(found.mapped), found.notes) if found is not None else ({}, ())
    likely = {becomes[note.column] for note in notes if note.sure is Sure.LIKELY}  # fields
    asked = [name.partition(".")[2] for name in options.fields if name.startswith("properties.")]
    sizes = [known.max_bytes for known in checked] + [template.record_limits.max_string_bytes]
    checks = Checks(
        validate=options.validate,
        fields=tuple(
            FieldCheck(
                **vars(known),
                leaf=leaves[known.name],
                is_identifier=known.name in (*template.identifiers, template.unique_id_field),
                is_likely=known.name in likely,
                may_be_blank=template.sends_blank(known),
            )
            for known in checked
        ),
        identifiers=tuple(places[path] for path in template.identifiers),
        key=tuple(places[path] for path in template.key or template.identifiers),
        key_with=tuple(places[path] for path in template.key_with),
        adds=tuple(at for at in adding if found is None or any(path[: len(at)] == at for path in found.nodes)),
        default_country=options.default_country or "",
        on_bad_phone=options.on_bad_phone,
        time_zone=options.time_zone,
        every_row=bool(derived or requires) or options.record_column is not None,
        unique_id_path=places[template.unique_id_field] if template.unique_id_field else (),
        unique_id_sources=_unique_places(options, template, found),
        unique_id_content=tuple(content) if template.unique_id_field else (),
        max_unchecked_bytes=min(filter(None, sizes), default=None),
        requires=tuple(requires),
        asked_properties=frozenset(asked),
    )
    return _with_channels(checks, template, template.consent, options.settings, found) if template.consent else checks


def _is_checked(known: FieldSpec, template: Template, leaf: Leaf | None) -> bool:
    if template.consent and known.name in (CHANNELS, CONSENTED_AT):
        return False
    ruled = known.required or known.choices or known.pattern or known.max_length is not None or known.max_bytes
    has_fraction = known.form is FieldForm.TEXT and leaf is not None and leaf.type.name in FRACTIONAL
    identifies = known.name in (*template.identifiers, template.unique_id_field)
    return bool(ruled) or has_fraction or identifies or known.form in LOOKED_AT


def _unique_places(options: Options, template: Template, found: ColumnMap | None) -> tuple[JsonPath, ...]:
    """Where the columns of `unique_id_columns` stand in the record."""
    if not options.unique_id_columns or found is None:
        return ()
    paths = {column: path for column, path in found.mapped if path != DROPPED}
    known = {known.name: known.json_path for known in template.fields}
    places = []
    for column in options.unique_id_columns:
        if column not in paths:
            names = ", ".join(paths)
            found.complaints.append(f"unique_id_columns: {column!r} is no column that is sent; these are: {names}")
            continue
        loose = (*template.properties_path, paths[column].partition(".")[2])
        places.append(known.get(paths[column], loose))
    return tuple(places)


# --- channels of a consent ------------------------------------------------------------------------


def place_channels(template: Template, consent: Consent, settings: Mapping[str, str], found: ColumnMap) -> None:
    """Put the consents of every record into its places; complain about what cannot be."""
    root = next(known.json_path for known in template.fields if known.name == CHANNELS)
    tokens = {at: found.nodes.pop(at) for at in list(found.nodes) if at[: len(root)] == root}
    inside_tokens = tuple((at[-1], node) for at, node in tokens.items() if at[-2] == ONE_ITEM)
    leaf, when = found.leaves.get(CHANNELS), found.leaves.get(CONSENTED_AT)
    found.complaints += _complaints(template.name, consent, settings, found, has_tokens=bool(inside_tokens))

    def only_with(word: str, node: Node) -> Node:
        return node if leaf is None else When(leaf, word, node)

    groups: dict[str, list[tuple[str, Node]]] = {}
    for channel in consent.channels if leaf is not None else _chosen(consent, settings):
        group, name = channel.json_path[len(root) :]
        inside: list[tuple[str, Node]] = [("consent", Fixed(consent.status))]
        if channel.takes_consented_at and when is not None:
            inside.append((CONSENTED_AT, when))
        groups.setdefault(group, []).append((name, only_with(channel.name, Record(tuple(inside)))))
    if "push" in groups and inside_tokens:
        held = Record(((ONE_ITEM, Record(inside_tokens, omit_empty=True)),), omit_empty=True)
        groups["push"].append(("tokens", only_with("push", held)))
    fields: list[tuple[str, Node]] = [(name, Record(tuple(group), omit_empty=True)) for name, group in groups.items()]
    found.nodes[root] = Record((*fields, *([(MARK, leaf)] if leaf is not None else [])))


def _with_channels(
    checks: Checks, template: Template, consent: Consent, settings: Mapping[str, str], found: ColumnMap | None
) -> Checks:
    """The checks with what channels ask of a row: their identifiers, and the time of an earlier consent."""
    fixed = found is not None and CHANNELS not in found.leaves
    among = _chosen(consent, settings) if fixed else consent.channels
    dated = settings.get("historical_import") == "true"
    specs = {known.name: known for known in template.fields}
    needs = [
        RequiresField(one.json_path, specs[one.identifier].json_path, f"the channel {one.name} needs {one.identifier}")
        for one in among
        if one.identifier
    ]
    times = [(channel, (*channel.json_path, CONSENTED_AT)) for channel in among if channel.takes_consented_at]
    if dated:
        needs += [RequiresField(one.json_path, at, "historical_import=true needs consented_at") for one, at in times]
    sure = {channel.identifier for channel in among} if fixed else set()
    fields = [replace(one, required=True) if one.name in sure else one for one in checks.fields]
    if CONSENTED_AT in specs:
        rules = {**vars(specs[CONSENTED_AT]), "required": fixed and dated}
        leaf = found.leaves.get(CONSENTED_AT) if found is not None else None
        for number, (_, at) in enumerate(times):
            fields.append(FieldCheck(**{**rules, "json_path": at}, leaf=leaf if number == 0 else None))
    return replace(
        checks,
        fields=tuple(fields),
        requires=checks.requires + tuple(needs),
        every_row=checks.every_row or not fixed,
        channels_path=specs[CHANNELS].json_path,
        channels=tuple(channel.name for channel in consent.channels),
    )


def _chosen(consent: Consent, settings: Mapping[str, str]) -> list[Channel]:
    words = settings.get(CHANNELS, "").split(",")
    return [channel for channel in consent.channels if channel.name in words]


def _complaints(
    template: str, consent: Consent, settings: Mapping[str, str], found: ColumnMap, *, has_tokens: bool
) -> Iterator[str]:
    words = [channel.name for channel in consent.channels]
    chosen = [word for word in settings.get(CHANNELS, "").split(",") if word]
    if not chosen and CHANNELS not in found.leaves:
        yield f"channels: is required by {template}; give some of {', '.join(words)}, or column:NAME"
    for word in sorted(set(chosen) - set(words)):
        yield f"channels: {word} belongs to a newer revision; leave revision out"
    for channel in _chosen(consent, settings):
        need = channel.identifier
        if need and need not in found.leaves:
            yield f"no column for {need}, which the channel {channel.name} needs; rename one, or use fields"
    if has_tokens and chosen and "push" not in chosen:
        yield "columns hold push tokens, and channels does not name push; add it, or drop the columns"
    dated, has_time = settings.get("historical_import") == "true", CONSENTED_AT in found.leaves
    if has_time and not dated:
        yield (
            "consented_at is for consent that was given before (historical_import=true), and people who sign up now "
            "have no such date; drop the column"
        )
    if dated and not has_time:
        yield "no column for consented_at, which historical_import=true requires; rename one, or use fields"
