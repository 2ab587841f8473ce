"""Compiles a plan's checks into rules for whole columns, and holds the regular expressions that they match.

A row that passes every rule is certainly valid and is sent as encoded. Any other row goes to `screen.validate_row`, so
a rule may be too strict, never too lax. Knows neither values nor records.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from spark_klaviyo.arrow.encoded import nan_columns
from spark_klaviyo.arrow.times import DAY
from spark_klaviyo.core.identifiers import BLANKS
from spark_klaviyo.options.choices import Validate
from spark_klaviyo.plan.model import Checks, FieldCheck, WritePlan
from spark_klaviyo.plan.shape import (
    FRACTIONAL,
    NUMBER,
    TEXT,
    TIME,
    WHOLE,
    Clean,
    Leaf,
    Node,
    Record,
    leaf_at,
    leaves_of,
    node_at,
)
from spark_klaviyo.plan.types import VARIANT, depth, holds
from spark_klaviyo.screen.event_notes import EventNotes, event_notes_of
from spark_klaviyo.screen.values import MAX_EMAIL
from spark_klaviyo.templates.model import FieldForm

# --- regular expressions of texts that are certainly valid, for pyarrow's matcher (RE2); `whole` adds the anchors ---

NOT_BLANK = f"[^{BLANKS}](?s:.*)"

_ATOM, _LABEL = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+", "[A-Za-z0-9-]+"
EMAIL = rf"{_ATOM}(?:\.{_ATOM}){{0,16}}@{_LABEL}(?:\.{_LABEL}){{1,8}}"

DATE = f"(?:{DAY})"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.(?:[0-9]{3}|[0-9]{6}))?"
TIME_WITH_OFFSET = rf"{DATE}T{_CLOCK}(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])"
MOST_OFFSET = timedelta(days=1)
WHOLE_NUMBER = "-?[0-9]+"


def whole(pattern: str) -> str:
    """The pattern, matching the whole text."""
    return f"^(?:{pattern})\\z"


def word_pattern(word: str) -> str:
    """Finds a word, in any case, among words parted by commas or blanks."""
    edge = "[, \\t\\r\\n]"
    return f"(?i)(?:^|{edge}){re.escape(word)}(?:{edge}|$)"


# --- rules ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ScreenRule:
    """What every value of one column must be."""

    leaf: Leaf
    patterns: tuple[str, ...] = ()  # regular expressions that a text matches as a whole
    max_length: int | None = None  # characters
    required: bool = False  # null fails
    never: bool = False  # any value fails
    earliest: datetime | None = None  # times outside may be refused
    latest: datetime | None = None
    never_replaced: bool = False  # no U+FFFD, which takes the place of text that is no valid UTF-8
    phone: bool = False  # an E.164 number of a possible length


@dataclass(frozen=True)
class ScreenRules:
    """The rules of a plan."""

    every_row: bool  # every row goes to `validate_row`
    numbers: tuple[tuple[Leaf, int], ...]  # columns that can hold infinities, with their index in the plan
    times: tuple[tuple[Leaf, int], ...]  # columns that can hold times of any year
    nan_columns: tuple[str, ...]
    objects: tuple[tuple[Leaf, int], ...]  # columns of JSON text, with their index in the plan
    cards: tuple[Leaf, ...]  # columns that may hold card numbers
    events: EventNotes  # what users are warned about in events
    hashes: tuple[Leaf, ...] = ()  # no text in them may be the hash of a password
    values: tuple[ScreenRule, ...] = ()
    identifiers: tuple[Leaf, ...] = ()  # at least one is present ...
    exactly_one: bool = False  # ... or exactly one
    deep: tuple[Leaf, ...] = ()  # nested too deep wherever present
    arrays: tuple[Leaf, ...] = ()  # their arrays hold at most `max_items`
    max_items: int = 0
    max_depth: int | None = None  # of JSON text
    maps: tuple[Leaf, ...] = ()  # their sizes count as properties
    properties: tuple[Leaf, ...] = ()  # columns that are properties
    max_properties: int | None = None  # None: too few columns to reach the limit
    max_row_bytes: int | None = None  # of the record with its separator


def compile_screen(plan: WritePlan) -> ScreenRules:
    """The rules of a plan; made once and used for every batch."""
    checks, template, record = plan.checks, plan.template, plan.record
    limits, path = template.record_limits, template.properties_path
    index = {column.name: number for number, column in reversed(list(enumerate(plan.columns)))}
    leaves = tuple(leaves_of(record)) if record is not None else ()
    numbers = tuple((leaf, index[leaf.source[0]]) for leaf in leaves if holds(leaf.type, "float", "double"))
    times = tuple(
        (leaf, index[leaf.source[0]]) for leaf in leaves if leaf.clean is Clean.TIME or holds(leaf.type, *TIME)
    )
    properties = node_at(record, path) if record is not None and path else None
    objects = tuple((leaf, index[leaf.source[0]]) for leaf in _spread(properties) if leaf.type.name != "map")
    held = (numbers, times, tuple(nan_columns(plan.columns)), objects, card_columns(plan), event_notes_of(plan))
    if record is None:
        return ScreenRules(True, *held)
    hashes = tuple(_unnamed_texts(properties, checks))
    if checks.validate is Validate.OFF and not (template.takes_away or template.consent):
        return ScreenRules(checks.every_row, *held, hashes=hashes)
    children = [child for _, child in properties.fields] if isinstance(properties, Record) else []
    maps = tuple(leaf for leaf in _spread(properties) if leaf.type.name == "map")
    if isinstance(properties, Leaf) and properties.type.name == "map":
        maps = (properties,)
    most = limits.max_properties if maps or objects or len(children) > (limits.max_properties or 0) else None
    loose = tuple(child for child in children if isinstance(child, Leaf))
    rules = [(_value_rule(check, check.leaf), check.leaf) for check in checks.fields if check.leaf is not None]
    unique_id = leaf_at(record, checks.unique_id_path) if checks.unique_id_path else None
    derived = (ScreenRule(unique_id, required=True),) if unique_id is not None else ()  # made in the exact check
    return ScreenRules(
        checks.every_row,
        *held,
        hashes=hashes,
        values=(*(rule for rule, leaf in rules if rule != ScreenRule(leaf)), *derived),
        identifiers=tuple(leaf for at in checks.identifiers if (leaf := leaf_at(record, at)) is not None),
        exactly_one=template.first_identifier_only,
        deep=(
            *(leaf for leaf in leaves if holds(leaf.type, VARIANT)),
            *(_too_deep(properties, limits.max_depth) if limits.max_depth is not None else ()),
        ),
        max_depth=limits.max_depth,
        arrays=tuple(leaf for leaf in leaves if limits.max_items is not None and holds(leaf.type, "array")),
        max_items=limits.max_items or 0,
        maps=maps,
        properties=loose,
        max_properties=None if most is None else most - (len(children) - len(loose)),
        max_row_bytes=min(filter(None, (template.limits.max_row_bytes, checks.max_unchecked_bytes)), default=None),
    )


def card_columns(plan: WritePlan) -> tuple[Leaf, ...]:
    """Columns that may hold card numbers, in the order of `card_note`."""
    leaves = leaves_of(plan.record) if plan.record is not None else ()
    return tuple(leaf for leaf in leaves if leaf.clean is Clean.SECRETS and leaf.type.name in TEXT | NUMBER)


def _too_deep(properties: Node | None, limit: int) -> Iterator[Leaf]:
    if isinstance(properties, Leaf) and depth(properties.type) > limit:
        yield properties
    if isinstance(properties, Record):
        for _, node in properties.fields:
            around = 1 if isinstance(node, Leaf) else 2
            yield from (leaf for leaf in leaves_of(node) if around + depth(leaf.type) > limit)
        yield from (leaf for leaf in properties.spread if depth(leaf.type) > limit)


def _spread(properties: Node | None) -> tuple[Leaf, ...]:
    return properties.spread if isinstance(properties, Record) else ()


def _unnamed_texts(properties: Node | None, checks: Checks) -> Iterator[Leaf]:
    """Custom properties that hold texts, but for those that `fields` names."""
    if isinstance(properties, Record):
        named = ((name, node) for name, node in properties.fields if name not in checks.asked_properties)
        leaves = (leaf for _, node in named for leaf in leaves_of(node))
        yield from (leaf for leaf in (*leaves, *properties.spread) if holds(leaf.type, *TEXT))


# --- one value ------------------------------------------------------------------------------------


def _value_rule(check: FieldCheck, leaf: Leaf) -> ScreenRule:
    kind, form, limit, readable = leaf.type.name, check.form, check.max_length, True
    earliest, latest = _bounds(check) if form is FieldForm.DATETIME else (None, None)
    if kind in TIME or (kind in NUMBER and form is FieldForm.DATETIME):
        return ScreenRule(leaf, required=check.required, earliest=earliest, latest=latest)
    if kind not in TEXT:
        ruled = bool(check.pattern) or limit is not None
        if kind in FRACTIONAL and leaf.clean is not Clean.NOTHING:
            return ScreenRule(leaf, (WHOLE_NUMBER,), limit, check.required, phone=form is FieldForm.PHONE)
        strict = form in (FieldForm.EMAIL, FieldForm.PHONE) or bool(check.choices) or (kind in WHOLE and ruled)
        return ScreenRule(leaf, required=check.required, never=strict)
    patterns = [NOT_BLANK] if (check.required and not check.may_be_blank) or check.is_identifier else []
    if form is FieldForm.EMAIL:
        patterns, limit = [EMAIL], min(limit or MAX_EMAIL, MAX_EMAIL)
    elif form is FieldForm.PHONE:
        patterns = []
    elif form is FieldForm.DATETIME:
        patterns = [TIME_WITH_OFFSET]  # compared as if it were UTC
        earliest, latest = earliest and earliest + MOST_OFFSET, latest and latest - MOST_OFFSET
    elif form is FieldForm.DATE:
        patterns = [DATE]
    if check.choices:
        patterns.append("|".join(map(re.escape, check.choices)))
    if check.pattern:
        # RE2 reads a pattern as Python does where it has no look-around, back reference or class of characters.
        readable = not re.search(r"\(\?(?!:)|\\[1-9]|\\[wdsbWDSBAZzpP]", check.pattern)
        patterns += [check.pattern] if readable else []
    phone = form is FieldForm.PHONE
    replaced = check.is_identifier
    return ScreenRule(leaf, tuple(patterns), limit, check.required, not readable, earliest, latest, replaced, phone)


def _bounds(check: FieldCheck) -> tuple[datetime | None, datetime | None]:
    """The times between which a time is certainly valid."""
    earliest = datetime.fromisoformat(check.earliest).astimezone(timezone.utc) if check.earliest else None
    ahead = None if check.latest_days is None else datetime.now(timezone.utc) + timedelta(days=check.latest_days)
    return earliest, ahead
