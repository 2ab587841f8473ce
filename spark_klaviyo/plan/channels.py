"""What a consent is about: the channels of a setting or a column become the `subscriptions` of each record.

Nothing is inferred from an identifier: without channels there is no consent, and a channel without the identifier it
needs is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from spark_klaviyo.core.json_paths import ONE_ITEM
from spark_klaviyo.plan.forms import TIME
from spark_klaviyo.plan.mapping import ColumnMap
from spark_klaviyo.plan.model import Checks, FieldCheck, RequiresField
from spark_klaviyo.plan.shape import Fixed, Leaf, LeafForm, Node, Record, When
from spark_klaviyo.templates.model import Channel, Consent, FieldSpec, Template

CHANNELS, CONSENTED_AT = "channels", "consented_at"
OWN = frozenset({CHANNELS, CONSENTED_AT})  # fields that this module places and checks
MARK = "channels"  # where a column's words stand in `subscriptions` until the exact check takes them out


def place_channels(template: Template, consent: Consent, settings: Mapping[str, str], found: ColumnMap) -> None:
    """Put the consents of every record into its places; complain about what cannot be."""
    root = next(known.json_path for known in template.fields if known.name == CHANNELS)
    tokens = {at: found.nodes.pop(at) for at in list(found.nodes) if at[: len(root)] == root}
    leaf, when = found.leaves.get(CHANNELS), found.leaves.get(CONSENTED_AT)
    chosen = _chosen(consent, settings)
    found.complaints += _complaints(
        template.name, consent, settings, found, {at[-1] for at in tokens if at[-2] == ONE_ITEM}
    )
    groups: dict[str, list[tuple[str, Node]]] = {}
    for channel in consent.channels if leaf is not None else chosen:
        group, name = channel.json_path[len(root) :]
        given = Record((("consent", Fixed(consent.status)), *_consented_at(channel, when)))
        groups.setdefault(group, []).append((name, _only_with(leaf, channel.name, given)))
    if "push" in groups:
        inner = tuple((at[-1], node) for at, node in tokens.items() if at[-2] == ONE_ITEM)
        held = Record(((ONE_ITEM, Record(inner, omit_empty=True)),), omit_empty=True)
        groups["push"] += [("tokens", _only_with(leaf, "push", held))] if inner else []
    fields: list[tuple[str, Node]] = [(name, Record(tuple(inside), omit_empty=True)) for name, inside in groups.items()]
    found.nodes[root] = Record((*fields, *([(MARK, leaf)] if leaf is not None else [])))


def check_channels(
    checks: Checks, template: Template, consent: Consent, settings: Mapping[str, str], found: ColumnMap | None
) -> Checks:
    """The checks with what channels ask of a row: their identifiers, and the time of an earlier consent."""
    chosen = _chosen(consent, settings)
    fixed = found is not None and CHANNELS not in found.leaves
    among = chosen if fixed else consent.channels
    dated = settings.get("historical_import") == "true"
    places = {known.name: known.json_path for known in template.fields}
    needs = [
        RequiresField(
            channel.json_path, places[channel.identifier], f"the channel {channel.name} needs {channel.identifier}"
        )
        for channel in among
        if channel.identifier
    ]
    times = [(channel, (*channel.json_path, CONSENTED_AT)) for channel in among if channel.takes_consented_at]
    if dated:
        needs += [
            RequiresField(channel.json_path, at, "historical_import=true needs consented_at") for channel, at in times
        ]
    sure = {channel.identifier for channel in among} if fixed else set()
    fields = tuple(replace(one, required=True) if one.name in sure else one for one in checks.fields)
    leaf = found.leaves.get(CONSENTED_AT) if found is not None else None
    known = next((known for known in template.fields if known.name == CONSENTED_AT), None)
    if known is not None:
        fields += tuple(
            _time(known, at, leaf if number == 0 else None, required=fixed and dated)
            for number, (_, at) in enumerate(times)
        )
    return replace(
        checks,
        fields=fields,
        requires=checks.requires + tuple(needs),
        every_row=checks.every_row or not fixed,
        channels_path=places[CHANNELS],
        channels=tuple(channel.name for channel in consent.channels),
    )


def _chosen(consent: Consent, settings: Mapping[str, str]) -> list[Channel]:
    words = settings.get(CHANNELS, "").split(",")
    return [channel for channel in consent.channels if channel.name in words]


def _consented_at(channel: Channel, when: Leaf | None) -> list[tuple[str, Node]]:
    if not channel.takes_consented_at or when is None:
        return []
    form = LeafForm.DATETIME if when.type.name in TIME else LeafForm.TEXT
    return [(CONSENTED_AT, Leaf(when.source, when.type, form))]


def _only_with(leaf: Leaf | None, word: str, node: Node) -> Node:
    return node if leaf is None else When(leaf, word, node)


def _time(known: FieldSpec, at: tuple[str, ...], leaf: Leaf | None, *, required: bool) -> FieldCheck:
    return FieldCheck(at, known.name, known.form, leaf, required=required, latest_days=known.latest_days)


def _complaints(
    template: str, consent: Consent, settings: Mapping[str, str], found: ColumnMap, tokens: set[str]
) -> list[str]:
    said: list[str] = []
    words = ", ".join(channel.name for channel in consent.channels)
    chosen = [word for word in settings.get(CHANNELS, "").split(",") if word]
    if not chosen and CHANNELS not in found.leaves:
        said.append(f"channels: is required by {template}: some of {words}, or column:NAME")
    late = set(chosen) - {channel.name for channel in consent.channels}
    said += [f"channels: {word} belongs to a newer revision; leave revision out" for word in sorted(late)]
    for channel in _chosen(consent, settings):
        if channel.identifier and channel.identifier not in found.leaves:
            said.append(
                f"no column for {channel.identifier}, which the channel {channel.name} needs; rename one, or use fields"
            )
    if tokens and chosen and "push" not in chosen:
        said.append("columns hold push tokens, and channels does not name push; add it, or drop the columns")
    dated, has_time = settings.get("historical_import") == "true", CONSENTED_AT in found.leaves
    if has_time and not dated:
        said.append("consented_at is taken with historical_import=true only; give it, or drop the column")
    if dated and not has_time:
        said.append("no column for consented_at, which historical_import=true requires; rename one, or use fields")
    return said
