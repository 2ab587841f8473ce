"""The cheap check of one row at the door that hands out Python rows: the same questions as in columns."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, timezone
from typing import TypeAlias

from spark_klaviyo.encode.row_records import Maker, RowValues
from spark_klaviyo.encode.row_values import Value, type_of
from spark_klaviyo.options.choices import Validate
from spark_klaviyo.plan.forms import UNKNOWN
from spark_klaviyo.plan.model import Checks, FieldCheck
from spark_klaviyo.plan.shape import ONE_ITEM
from spark_klaviyo.plan.types import Type
from spark_klaviyo.screen.rules import KEY_PARTS, Bounds, ScreenRule, ScreenRules, rule_for

Test: TypeAlias = Callable[[RowValues, Value], bool]  # of the row and its record


class RowFlags:
    """Tests whether a row is suspicious, and says what it is identified by."""

    def __init__(self, maker: Maker, checks: Checks, rules: ScreenRules, *, typed: bool) -> None:
        self._maker = maker
        self._checks = checks
        self._looks = rules
        self._typed = typed
        self._every_row = rules.every_row
        asked = checks.validate is not Validate.OFF and not rules.every_row
        self._values = list(self._fine_values()) if asked else []
        self._tests = list(self._all_tests()) if asked else []
        self._parts = [(maker.place(part.leaf), part.lower) for part in rules.key]
        self._beside = [(maker.place(part.leaf), part.lower) for part in rules.key_with]

    def flag(self, row: RowValues, record: Value, size: int) -> int:
        """0 fine, 1 look. `size` is that of the record in bytes."""
        if self._every_row:
            return 1
        if self._looks.max_row_bytes is not None and size > self._looks.max_row_bytes:
            return 1
        for place, fine in self._values:
            if not fine(row[place]):
                return 1
        for test in self._tests:
            if test(row, record):
                return 1
        return 0

    def key(self, row: RowValues) -> str | None:
        """The first identifier that is present; None where there is none."""
        for place, lower in self._parts:
            text = _bare(row[place], lower=lower)
            if text:
                return KEY_PARTS.join([text, *(_bare(row[at], lower=low) for at, low in self._beside)])
        return None

    # --- the tests ------------------------------------------------------------------------------

    def _all_tests(self) -> Iterator[Test]:
        checks, rules = self._checks, self._looks
        if rules.identifiers:
            yield _identified([self._maker.raw(leaf) for leaf in rules.identifiers], exactly_one=rules.exactly_one)
        for leaf in rules.deep:
            yield _present(self._maker.raw(leaf))
        for leaf in rules.arrays:
            yield _longer(self._maker.raw(leaf), rules.max_items)
        if checks.properties_at and (rules.max_properties is not None or not self._typed):
            yield _properties(checks)

    def _fine_values(self) -> Iterator[tuple[int, Callable[[Value], bool]]]:
        """Where values that are looked at stand, and the test that they are clearly fine."""
        for look in self._looks.values:
            yield self._maker.place(look.leaf), _fine(look)
        for wanted in self._checks.wanted:
            if wanted.leaf is not None and wanted.leaf.type.name == UNKNOWN:
                yield self._maker.place(wanted.leaf), _fine_by_value(wanted)


def _fine_by_value(wanted: FieldCheck) -> Callable[[Value], bool]:
    """The test of a column whose type nobody knows: each Python type has its own."""
    known: dict[type, Callable[[Value], bool]] = {}

    def test(value: Value) -> bool:
        fine = known.get(type(value))
        if fine is None:
            look = rule_for(wanted, Type("void") if value is None else type_of(value))
            fine = known[type(value)] = _fine(look) if look else _always
        return fine(value)

    return test


def _bare(value: Value, *, lower: bool) -> str:
    text = "" if value is None else str(value).strip(" ")
    return text.lower() if lower else text


def _always(_: Value) -> bool:
    return True


def _fine(look: ScreenRule) -> Callable[[Value], bool]:
    """Whether a value of the look's column is clearly fine."""
    patterns = [re.compile(pattern).fullmatch for pattern in look.patterns]
    longest = look.max_length if look.max_length is not None else 2**31
    bounds = look.bounds

    def test(value: Value) -> bool:
        if value is None:
            return not look.required
        if look.always or (bounds is not None and not _within(value, bounds)):
            return False
        if not isinstance(value, str):
            return True
        for matches in patterns:
            if not matches(value):
                return False
        return len(value) <= longest

    return test


def _within(value: Value, bounds: Bounds) -> bool:
    moments = [moment for moment in (bounds.earliest, bounds.latest) if moment is not None]
    if isinstance(value, str):
        texts = [moment.strftime("%Y-%m-%dT%H:%M:%S") for moment in moments]
        low, high = (texts[0] if bounds.earliest else ""), (texts[-1] if bounds.latest else "A")
        return low <= value[:19] <= high
    if not isinstance(value, date):
        return False
    when = _moment(value)
    return (bounds.earliest is None or when >= bounds.earliest) and (bounds.latest is None or when <= bounds.latest)


def _moment(value: date) -> datetime:
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc)
    return datetime(value.year, value.month, value.day, tzinfo=timezone.utc)


def _identified(gets: list[Callable[[RowValues], Value]], *, exactly_one: bool) -> Test:
    if exactly_one:
        return lambda row, _: sum(get(row) is not None for get in gets) != 1
    return lambda row, _: all(get(row) is None for get in gets)


def _present(get: Callable[[RowValues], Value]) -> Test:
    return lambda row, _: get(row) is not None


def _longer(get: Callable[[RowValues], Value], limit: int) -> Test:
    return lambda row, _: _longest(get(row)) > limit


def _longest(value: Value) -> int:
    if isinstance(value, Mapping):
        return max(map(_longest, value.values()), default=0)
    if isinstance(value, list | tuple):
        own = 0 if hasattr(value, "__fields__") else len(value)
        return max([own, *map(_longest, value)])
    return 0


def _properties(checks: Checks) -> Test:
    def test(_: RowValues, record: Value) -> bool:
        inner = record
        for part in checks.properties_at:
            inner = inner[0] if part == ONE_ITEM and isinstance(inner, list) else inner
            inner = inner.get(part) if isinstance(inner, Mapping) else inner
        many = checks.max_properties is not None and isinstance(inner, Mapping) and len(inner) > checks.max_properties
        return many or (checks.max_depth is not None and _depth(inner) > checks.max_depth)

    return test


def _depth(value: Value) -> int:
    items = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else None
    return 0 if items is None else 1 + max(map(_depth, items), default=0)
