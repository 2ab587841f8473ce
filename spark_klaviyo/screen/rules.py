"""Compiles a plan's checks into rules for whole columns.

A row that passes every rule is certainly valid and is sent as encoded. Any other row goes to `screen.validate_row`, so
a rule may be too strict, never too lax. Knows neither values nor records.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from spark_klaviyo.options.choices import Validate
from spark_klaviyo.plan.forms import TEXT, TIME, WHOLE
from spark_klaviyo.plan.model import FieldCheck, WritePlan
from spark_klaviyo.plan.shape import Leaf, Node, Record, leaf_at, leaves_of, node_at
from spark_klaviyo.plan.types import depth, holds
from spark_klaviyo.screen.patterns import (
    DATE,
    EMAIL,
    MAX_EMAIL,
    NOT_BLANK,
    TIME_WITH_OFFSET,
    UTC_TIME,
)
from spark_klaviyo.templates.model import FieldForm

KEY_PARTS = "\x1f"  # stands between an identifier and what belongs to it in the column `key`


@dataclass(frozen=True)
class Bounds:
    """The times between which a time is certainly valid."""

    earliest: datetime | None
    latest: datetime | None


@dataclass(frozen=True)
class ScreenRule:
    """What every value of one column must be."""

    leaf: Leaf
    patterns: tuple[str, ...] = ()  # regular expressions that a text matches as a whole
    max_length: int | None = None  # characters
    required: bool = False  # null fails
    never: bool = False  # any value fails
    bounds: Bounds | None = None
    phone: bool = False  # an E.164 number of a possible length


@dataclass(frozen=True)
class KeyPart:
    """One column of the identifier that makes two rows the same profile, event or item."""

    leaf: Leaf
    lower: bool  # compared without case


@dataclass(frozen=True)
class ScreenRules:
    """The rules of a plan."""

    every_row: bool  # every row goes to `validate_row`
    numbers: tuple[tuple[Leaf, int], ...]  # columns that can hold NaN, with their index in the plan
    values: tuple[ScreenRule, ...] = ()
    identifiers: tuple[Leaf, ...] = ()  # at least one is present ...
    exactly_one: bool = False  # ... or exactly one
    deep: tuple[Leaf, ...] = ()  # nested too deep wherever present
    arrays: tuple[Leaf, ...] = ()  # their arrays hold at most `max_items`
    max_items: int = 0
    maps: tuple[Leaf, ...] = ()  # their sizes count as properties
    properties: tuple[Leaf, ...] = ()  # columns that are properties
    max_properties: int | None = None  # None: too few columns to reach the limit
    max_row_bytes: int | None = None  # of the record with its separator
    key: tuple[KeyPart, ...] = ()  # the first of these that is present ...
    key_with: tuple[KeyPart, ...] = ()  # ... together with all of these


def compile_screen(plan: WritePlan) -> ScreenRules:
    """The rules of a plan; made once and used for every batch."""
    checks, record = plan.checks, plan.record
    index = {column.name: number for number, column in reversed(list(enumerate(plan.columns)))}
    leaves = tuple(leaves_of(record)) if record is not None else ()
    numbers = tuple((leaf, index[leaf.source[0]]) for leaf in leaves if holds(leaf.type, "float", "double"))
    key, key_with = _parts(plan, checks.key), _parts(plan, checks.key_with)
    if record is None or checks.validate is Validate.OFF:
        return ScreenRules(checks.every_row or record is None, numbers, key=key, key_with=key_with)
    properties = node_at(record, checks.properties_path) if checks.properties_path else None
    return ScreenRules(
        every_row=checks.every_row,
        numbers=numbers,
        values=tuple(filter(None, map(rule_for, checks.fields))),
        identifiers=tuple(leaf for at in checks.identifiers if (leaf := leaf_at(record, at)) is not None),
        exactly_one=checks.exactly_one_identifier,
        deep=tuple(_too_deep(properties, checks.record_limits.max_depth)),
        arrays=tuple(
            leaf for leaf in leaves if checks.record_limits.max_items is not None and holds(leaf.type, "array")
        ),
        max_items=checks.record_limits.max_items or 0,
        maps=_maps(properties),
        properties=tuple(node for node in _children(properties) if isinstance(node, Leaf)),
        max_properties=_reachable(properties, checks.record_limits.max_properties),
        max_row_bytes=min(filter(None, (checks.max_row_bytes, checks.max_unchecked_bytes)), default=None),
        key=key,
        key_with=key_with,
    )


# --- one value ------------------------------------------------------------------------------------


def rule_for(check: FieldCheck) -> ScreenRule | None:
    """The rule for one field's column; None where any value of its type is valid."""
    leaf = check.leaf
    if leaf is None:
        return None
    if leaf.type.name in TEXT:
        rule = _text_rule(check, leaf)
    elif leaf.type.name in TIME:
        rule = ScreenRule(
            leaf, required=check.required, bounds=_bounds(check) if check.form is FieldForm.DATETIME else None
        )
    else:
        strict = (
            check.form in (FieldForm.EMAIL, FieldForm.PHONE)
            or bool(check.choices)
            or (leaf.type.name in WHOLE and _ruled(check))
        )
        rule = ScreenRule(leaf, required=check.required, never=strict)
    return None if rule == ScreenRule(leaf) else rule


def _ruled(check: FieldCheck) -> bool:
    return bool(check.choices or check.pattern) or check.max_length is not None


def _text_rule(check: FieldCheck, leaf: Leaf) -> ScreenRule:
    limit, bounds = check.max_length, _bounds(check) if check.form is FieldForm.DATETIME else None
    patterns = [NOT_BLANK] if check.required or check.is_identifier else []
    if check.form is FieldForm.EMAIL:
        patterns, limit = [EMAIL], min(limit or MAX_EMAIL, MAX_EMAIL)
    elif check.form is FieldForm.PHONE:
        patterns = []
    elif check.form is FieldForm.DATETIME:
        patterns = [UTC_TIME if bounds else TIME_WITH_OFFSET]
    elif check.form is FieldForm.DATE:
        patterns = [DATE]
    if check.choices:
        patterns.append("|".join(map(re.escape, check.choices)))
    readable = _same_in_re2(check.pattern)
    if check.pattern and readable:
        patterns.append(check.pattern)
    phone = check.form is FieldForm.PHONE
    return ScreenRule(leaf, tuple(patterns), limit, check.required, never=not readable, bounds=bounds, phone=phone)


def _same_in_re2(pattern: str) -> bool:
    """Whether pyarrow's matcher, RE2, reads a template's pattern as Python does: no look-around, no back reference."""
    return not re.search(r"\(\?(?!:)|\\[1-9]|\\[wdsbWDSBAZzpP]", pattern)


def _bounds(check: FieldCheck) -> Bounds | None:
    if not check.earliest and check.latest_days is None:
        return None
    earliest = datetime.fromisoformat(check.earliest) if check.earliest else None
    if earliest is not None:
        earliest = (earliest if earliest.tzinfo else earliest.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
    ahead = None if check.latest_days is None else datetime.now(timezone.utc) + timedelta(days=check.latest_days)
    return Bounds(earliest, ahead)


# --- the whole record -----------------------------------------------------------------------------


def _parts(plan: WritePlan, paths: Iterable[tuple[str, ...]]) -> tuple[KeyPart, ...]:
    if plan.record is None:
        return ()
    emails = {check.json_path for check in plan.checks.fields if check.form is FieldForm.EMAIL}
    found = ((at, leaf_at(plan.record, at)) for at in paths)
    return tuple(KeyPart(leaf, at in emails or at[-1] == "email") for at, leaf in found if leaf is not None)


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
