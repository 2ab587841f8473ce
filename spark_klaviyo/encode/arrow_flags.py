"""The columnar check over Arrow columns: which rows need the exact check, which hold NaN, which mean the same thing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import reduce

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spark_klaviyo.encode import arrow_texts as texts
from spark_klaviyo.encode.buffers import (
    Bytes,
    Mask,
    Offsets,
    any_in_group,
    bytes_and_offsets,
    masked,
    strings,
    valid_rows,
)
from spark_klaviyo.encode.columns import Columns
from spark_klaviyo.encode.joined import STRING
from spark_klaviyo.screen.patterns import CODES_BEGIN, NOT_BLANK, cheap_phone_pattern, whole
from spark_klaviyo.screen.rules import KEY_PARTS, Part, ScreenRule, ScreenRules

Test = Callable[[pa.Array], "Mask | None"]


class ArrowFlags:
    """`flag` and `key` of each row of one batch."""

    def __init__(self, columns: Columns, rules: ScreenRules) -> None:
        self.columns = columns
        self.rules = rules
        self.rows = columns.rows

    def flag(self, record: pa.Array) -> pa.Array:
        """0 fine, 1 look, 2 + n: the column number n holds NaN or an infinity."""
        flags = np.full(self.rows, int(self.rules.every_row), np.int32)
        if not self.rules.every_row:
            for mask in self._suspicions(record):
                flags[mask] = 1
        for leaf, flag in reversed(self.rules.numbers):
            found = anywhere(self.columns.column(leaf), _not_finite)
            if found is not None:
                flags[found] = flag
        return pa.array(flags)

    def key(self) -> pa.Array:
        """The first identifier that is present; null where there is none."""
        parts = [self._part(part) for part in self.rules.key]
        if not parts:
            return pa.nulls(self.rows, STRING)
        beside = [pc.fill_null(self._part(part), "") for part in self.rules.key_with]
        first = pc.coalesce(*parts)
        return pc.binary_join_element_wise(first, *beside, KEY_PARTS) if beside else first

    def _part(self, part: Part) -> pa.Array:
        text = texts.plain(self.columns.column(part.leaf)).cast(STRING)
        content, offsets = bytes_and_offsets(text)
        if (content == 0x20).any():
            text = pc.utf8_trim(text, " ")
            content, offsets = bytes_and_offsets(text)
        if part.lower and ((content >= 0x80) | ((content >= 0x41) & (content <= 0x5A))).any():
            text = pc.utf8_lower(texts.readable(text))
        there = offsets[1:] > offsets[:-1]
        return strings(content, offsets, there) if not part.lower else masked(text, there)

    # --- suspicions -----------------------------------------------------------------------------

    def _suspicions(self, record: pa.Array) -> Iterator[Mask]:
        rules, column = self.rules, self.columns.column
        if rules.identifiers:
            counts = self._count([column(leaf) for leaf in rules.identifiers])
            yield counts != 1 if rules.exactly_one else counts == 0
        for look in rules.values:
            yield from self._value(look, texts.plain(column(look.leaf)))
        for leaf in rules.deep:
            yield _mask(column(leaf).is_valid())
        for leaf in rules.arrays:
            found = anywhere(column(leaf), self._too_many)
            yield from () if found is None else (found,)
        if rules.max_properties is not None:
            yield self._properties() > rules.max_properties
        if rules.max_row_bytes is not None:
            yield np.diff(bytes_and_offsets(record)[1]) > rules.max_row_bytes

    def _value(self, look: ScreenRule, column: pa.Array) -> Iterator[Mask]:
        if look.required:
            yield _mask(column.is_null())
        if look.always:
            yield _mask(column.is_valid())
        if pa.types.is_string(column.type):
            yield from _text(look, texts.readable(column))
        if look.bounds is not None:
            value = _moment_column(column)
            if look.bounds.earliest is not None:
                yield _true(pc.less(value, _bound(look.bounds.earliest, value.type)))
            if look.bounds.latest is not None:
                yield _true(pc.greater(value, _bound(look.bounds.latest, value.type)))

    def _count(self, columns: Iterable[pa.Array]) -> npt.NDArray[np.int64]:
        return reduce(lambda a, b: a + b, (_mask(c.is_valid()) for c in columns), np.zeros(self.rows, np.int64))

    def _properties(self) -> npt.NDArray[np.int64]:
        counts = self._count(map(self.columns.column, self.rules.properties))
        for leaf in self.rules.maps:
            column = self.columns.column(leaf)
            counts = counts + np.where(_mask(column.is_valid()), np.diff(texts.children(column)[1]), 0)
        return counts

    def _too_many(self, column: pa.Array) -> Mask | None:
        if not texts.is_list(column.type):
            return None
        long: Mask = np.diff(texts.children(column)[1]) > self.rules.max_items
        return long


def _text(look: ScreenRule, column: pa.Array) -> Iterator[Mask]:
    content, offsets = bytes_and_offsets(column)
    lengths = np.diff(offsets)
    # Most texts begin with a printing ASCII character, and few have many bytes: both are seen for a part of the cost.
    plain = look.rules == (NOT_BLANK,) and _all_begin_plainly(content, offsets, column)
    for pattern in () if plain else look.rules:
        yield _doubted(column, pattern)
    if look.phone:
        second = content[offsets[:-1][lengths > 1] + 1]
        present = np.flatnonzero(np.bincount(second, minlength=256)).astype(np.uint8).tobytes()
        digits = "".join(digit for digit in CODES_BEGIN if digit.encode() in present)
        yield _doubted(column, cheap_phone_pattern(digits)) if digits else _mask(column.is_valid())
    if look.max_length is not None and lengths.max(initial=0) > look.max_length:
        yield _true(pc.greater(pc.utf8_length(column), look.max_length))


def _all_begin_plainly(content: Bytes, offsets: Offsets, column: pa.Array) -> bool:
    """Whether every text that is there begins with a printing ASCII character."""
    filled, valid = offsets[1:] > offsets[:-1], valid_rows(column)
    heads = content[offsets[:-1][filled]]
    fine = filled if valid is None else filled | ~valid
    return bool(fine.all() and ((heads > 0x20) & (heads < 0x7F)).all())


def _doubted(column: pa.Array, pattern: str) -> Mask:
    return _true(pc.invert(pc.match_substring_regex(column, whole(pattern))))


def _moment_column(column: pa.Array) -> pa.Array:
    """Times as naive UTC, or the text of a time without its fraction and zone."""
    if pa.types.is_string(column.type):
        return pc.utf8_slice_codeunits(column, 0, 19)
    return column if pa.types.is_date(column.type) else column.cast(pa.timestamp("us"), safe=False)


def _bound(moment: datetime, kind: pa.DataType) -> pa.Scalar:
    if pa.types.is_string(kind):
        return pa.scalar(moment.strftime("%Y-%m-%dT%H:%M:%S"))
    return pa.scalar(moment.date(), kind) if pa.types.is_date(kind) else pa.scalar(moment.replace(tzinfo=None), kind)


def _not_finite(column: pa.Array) -> Mask | None:
    if not pa.types.is_floating(column.type) or pc.all(pc.is_finite(column)).as_py() is not False:
        return None
    return _true(pc.invert(pc.is_finite(column)))


def _true(column: pa.Array) -> Mask:
    return _mask(pc.fill_null(column, False))


def _mask(column: pa.Array) -> Mask:
    mask: Mask = column.to_numpy(zero_copy_only=False)
    return mask


def anywhere(column: pa.Array, test: Test) -> Mask | None:
    """In which rows a value, or one anywhere inside it, passes the test; None: in no row."""
    column = texts.plain(column)
    found = [mask for mask in (test(column), *_inside(column, test)) if mask is not None]
    valid = valid_rows(column)
    return reduce(np.logical_or, found) & (True if valid is None else valid) if found else None


def _inside(column: pa.Array, test: Test) -> Iterator[Mask | None]:
    kind = column.type
    if pa.types.is_struct(kind):
        yield from (anywhere(column.field(i), test) for i in range(kind.num_fields))
    elif pa.types.is_map(kind) or texts.is_list(kind):
        is_map = pa.types.is_map(kind)
        items, groups = texts.children(column, (lambda c: c.items) if is_map else (lambda c: c.values))
        inner = anywhere(items, test)
        yield None if inner is None else any_in_group(inner, groups)
