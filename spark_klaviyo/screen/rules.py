"""A plan in, what the columnar check of each encoder asks of a row out: `ScreenRules`.

The answer "fine" must be certain, "look" may be wrong: such a row meets `screen.validate_row`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from spark_klaviyo.options.choices import Validate
from spark_klaviyo.plan.forms import TEXT, TIME, UNKNOWN, WHOLE
from spark_klaviyo.plan.model import FieldCheck, WritePlan
from spark_klaviyo.plan.shape import Each, Leaf, Node, Record, When
from spark_klaviyo.plan.types import Type, depth
from spark_klaviyo.screen.patterns import DATE, EMAIL, MAX_EMAIL, MOMENT, NOT_BLANK, UTC_MOMENT, cheap_phone_pattern

KEY_PARTS = "\x1f"  # stands between an identifier and what belongs to it in the column `key`


@dataclass(frozen=True)
class Bounds:
    """The moments between which a time is clearly fine."""

    earliest: datetime | None
    latest: datetime | None


@dataclass(frozen=True)
class ScreenRule:
    """What one column must be to be clearly fine. `always`: any value is looked at; None of `bounds`: any time.

    `rules` are patterns; a phone number (`phone`) must match `cheap_phone_pattern`, too.
    """

    leaf: Leaf
    rules: tuple[str, ...] = ()
    max_length: int | None = None
    required: bool = False
    always: bool = False
    bounds: Bounds | None = None
    phone: bool = False

    @property
    def patterns(self) -> tuple[str, ...]:
        """All patterns that a text must match as a whole."""
        return (cheap_phone_pattern(), *self.rules) if self.phone else self.rules


@dataclass(frozen=True)
class Part:
    """One column of the identifier that makes two rows the same thing."""

    leaf: Leaf
    lower: bool


@dataclass(frozen=True)
class ScreenRules:
    """The columnar check of a plan. `numbers` are the leaves that can hold NaN, with the flag of their column."""

    every_row: bool
    numbers: tuple[tuple[Leaf, int], ...]
    values: tuple[ScreenRule, ...] = ()
    identifiers: tuple[Leaf, ...] = ()
    exactly_one: bool = False
    deep: tuple[Leaf, ...] = ()  # nested too deep where present
    arrays: tuple[Leaf, ...] = ()  # hold arrays, which hold at most `max_items`
    max_items: int = 0
    maps: tuple[Leaf, ...] = ()  # their sizes count as properties
    properties: tuple[Leaf, ...] = ()  # columns that are properties
    max_properties: int | None = None  # None: too few columns to reach the limit
    max_row_bytes: int | None = None  # a longer record, its separator included, is looked at
    key: tuple[Part, ...] = ()  # the first of these that is present ...
    key_with: tuple[Part, ...] = ()  # ... together with all of these


def compile_screen(plan: WritePlan) -> ScreenRules:
    """What has to be asked of each row of a plan with a record."""
    checks, record = plan.checks, plan.record
    index = {column.name: number for number, column in reversed(list(enumerate(plan.columns)))}
    leaves = tuple(leaves_of(record)) if record is not None else ()
    numbers = tuple((leaf, 2 + index.get(leaf.source[0], 0)) for leaf in leaves if holds(leaf.type, "float", "double"))
    key, key_with = _parts(plan, checks.key), _parts(plan, checks.key_with)
    if record is None or checks.validate is Validate.OFF:
        return ScreenRules(checks.every_row or record is None, numbers, key=key, key_with=key_with)
    properties = node_at(record, checks.properties_at) if checks.properties_at else None
    return ScreenRules(
        every_row=checks.every_row,
        numbers=numbers,
        values=tuple(filter(None, map(rule_for, checks.wanted))),
        identifiers=tuple(leaf for at in checks.identifiers if (leaf := leaf_at(record, at)) is not None),
        exactly_one=checks.exactly_one,
        deep=tuple(_too_deep(properties, checks.max_depth)),
        arrays=tuple(leaf for leaf in leaves if checks.max_items is not None and holds(leaf.type, "array", UNKNOWN)),
        max_items=checks.max_items or 0,
        maps=_maps(properties),
        properties=tuple(node for node in _children(properties) if isinstance(node, Leaf)),
        max_properties=_reachable(properties, checks.max_properties),
        max_row_bytes=min(filter(None, (checks.max_row_bytes, checks.look_bytes)), default=None),
        key=key,
        key_with=key_with,
    )


# --- one value ------------------------------------------------------------------------------------


def rule_for(wanted: FieldCheck, kind: Type | None = None) -> ScreenRule | None:
    """What makes this field clearly fine in a column of this type; None where anything does."""
    leaf = wanted.leaf
    if leaf is None:
        return None
    name = (kind or leaf.type).name
    if name == UNKNOWN:
        return None
    if name in TEXT:
        look = _text_look(wanted, leaf)
    elif name in TIME:
        look = ScreenRule(leaf, required=wanted.required, bounds=_bounds(wanted) if wanted.form == "datetime" else None)
    else:
        strict = wanted.form in ("email", "phone") or bool(wanted.choices) or (name in WHOLE and _ruled(wanted))
        look = ScreenRule(leaf, required=wanted.required, always=strict)
    asks = look.rules or look.phone or look.required or look.always or look.bounds or look.max_length is not None
    return look if asks else None


def _ruled(wanted: FieldCheck) -> bool:
    return bool(wanted.choices or wanted.pattern) or wanted.max_length is not None


def _text_look(wanted: FieldCheck, leaf: Leaf) -> ScreenRule:
    limit, bounds = wanted.max_length, _bounds(wanted) if wanted.form == "datetime" else None
    patterns = [NOT_BLANK] if wanted.required or wanted.identifies else []
    if wanted.form == "email":
        patterns, limit = [EMAIL], min(limit or MAX_EMAIL, MAX_EMAIL)
    elif wanted.form == "phone":
        patterns = []
    elif wanted.form == "datetime":
        patterns = [UTC_MOMENT if bounds else MOMENT]
    elif wanted.form == "date":
        patterns = [DATE]
    if wanted.choices:
        patterns.append("|".join(map(re.escape, wanted.choices)))
    known = readable(wanted.pattern)
    return ScreenRule(
        leaf,
        tuple(patterns) + ((wanted.pattern,) if wanted.pattern and known else ()),
        limit,
        wanted.required,
        always=not known,
        bounds=bounds,
        phone=wanted.form == "phone",
    )


def readable(pattern: str) -> bool:
    """Whether a template's own pattern means the same to all matchers: no look-around, no back reference."""
    return not re.search(r"\(\?(?!:)|\\[1-9]|\\[wdsbWDSBAZzpP]", pattern)


def _bounds(wanted: FieldCheck) -> Bounds | None:
    if not wanted.earliest and wanted.latest_days is None:
        return None
    earliest = datetime.fromisoformat(wanted.earliest.replace("Z", "+00:00")) if wanted.earliest else None
    if earliest is not None and earliest.tzinfo is None:
        earliest = earliest.replace(tzinfo=timezone.utc)
    ahead = None if wanted.latest_days is None else datetime.now(timezone.utc) + timedelta(days=wanted.latest_days)
    return Bounds(earliest and earliest.astimezone(timezone.utc), ahead)


# --- the whole record -----------------------------------------------------------------------------


def _parts(plan: WritePlan, places: Iterable[tuple[str, ...]]) -> tuple[Part, ...]:
    if plan.record is None:
        return ()
    emails = {wanted.at for wanted in plan.checks.wanted if wanted.form == "email"}
    found = ((at, leaf_at(plan.record, at)) for at in places)
    return tuple(Part(leaf, at in emails or at[-1] == "email") for at, leaf in found if leaf is not None)


def key_places(plan: WritePlan) -> tuple[tuple[str, ...], ...]:
    """Places of what belongs to an identifier in the column `key`: those that some column gives, in their order."""
    record = plan.record
    return tuple(at for at in plan.checks.key_with if record is None or leaf_at(record, at) is not None)


def _too_deep(properties: Node | None, limit: int | None) -> Iterator[Leaf]:
    if limit is None:
        return
    for node in _children(properties):
        own = [leaf for leaf in leaves_of(node) if 1 + depth(leaf.type) + (not isinstance(node, Leaf)) > limit]
        yield from own
    if isinstance(properties, Record):
        yield from (leaf for leaf in properties.spread if depth(leaf.type) > limit)
    if isinstance(properties, Leaf) and depth(properties.type) > limit:
        yield properties


def _maps(properties: Node | None) -> tuple[Leaf, ...]:
    if isinstance(properties, Record):
        return properties.spread
    return (properties,) if isinstance(properties, Leaf) and properties.type.name == "map" else ()


def _reachable(properties: Node | None, limit: int | None) -> int | None:
    if limit is None or (not _maps(properties) and len(_children(properties)) <= limit):
        return None
    return limit - sum(not isinstance(node, Leaf) for node in _children(properties))


def _children(node: Node | None) -> tuple[Node, ...]:
    return tuple(child for _, child in node.fields) if isinstance(node, Record) else ()


# --- walking the tree -----------------------------------------------------------------------------


def leaves_of(node: Node) -> Iterator[Leaf]:
    """Every column that a node writes, in order."""
    if isinstance(node, Leaf):
        yield node
    elif isinstance(node, Each):
        yield node.leaf
    elif isinstance(node, When):
        yield from leaves_of(node.then)
    elif isinstance(node, Record):
        for _, child in node.fields:
            yield from leaves_of(child)
        yield from node.spread


def node_at(record: Record, at: Iterable[str]) -> Node | None:
    """What stands at a place of the record."""
    node: Node | None = record
    for part in at:
        inner = node.then if isinstance(node, When) else node
        node = dict(inner.fields).get(part) if isinstance(inner, Record) else None
    return node


def leaf_at(record: Record, at: Iterable[str]) -> Leaf | None:
    """The column at a place of the record, if it is one."""
    node = node_at(record, at)
    return node if isinstance(node, Leaf) else None


def holds(kind: Type, *names: str) -> bool:
    """Whether a type is, or holds anywhere inside, one of these."""
    children = [field.type for field in kind.fields] + [t for t in (kind.element, kind.value) if t]
    return kind.name in names or any(holds(child, *names) for child in children)
