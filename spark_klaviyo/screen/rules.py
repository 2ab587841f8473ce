"""Compiles a plan's checks into tests of whole columns, and holds the regular expressions that they match.

A row that no test finds is certainly valid and is sent as encoded. Any other row goes to `screen.validate_row`, so a
test may be too strict, never too lax.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_klaviyo.arrow import arrays
from spark_klaviyo.arrow.arrays import Mask, bytes_and_offsets, children, to_mask, valid_rows
from spark_klaviyo.arrow.columns import Columns
from spark_klaviyo.arrow.times import DAY, compare
from spark_klaviyo.core.identifiers import BLANKS
from spark_klaviyo.options.choices import Validate
from spark_klaviyo.plan.model import Checks, FieldCheck, WritePlan
from spark_klaviyo.plan.shape import Clean, Leaf, Node, Record, leaf_at, leaves_of, node_at
from spark_klaviyo.plan.types import FRACTIONAL, NUMBER, TEXT, TIME, VARIANT, WHOLE, depth, holds
from spark_klaviyo.screen.unsent_parts import CRYPT_TEXT
from spark_klaviyo.screen.values import MAX_EMAIL, REPLACEMENT, possible_numbers
from spark_klaviyo.templates.model import FieldForm, RecordLimits

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

# Rows of a batch, whose records are the second argument, that fail a test; None where none can.
RowTest: TypeAlias = Callable[[Columns, pa.Array], "Mask | None"]


def row_tests(plan: WritePlan, record: Record) -> Iterator[RowTest]:
    """The tests of a plan; made once and used for every batch."""
    checks, template = plan.checks, plan.template
    properties = node_at(record, template.properties_path) if template.properties_path else None
    yield from (_anywhere_in(leaf, _may_be_hash) for leaf in _unnamed_texts(properties, checks))
    if checks.validate is Validate.OFF and not (template.takes_away or template.consent):
        return
    identifiers = [leaf for at in checks.identifiers if (leaf := leaf_at(record, at)) is not None]
    if identifiers and template.first_identifier_only:
        yield lambda columns, _: _count(columns, identifiers) != 1
    elif identifiers:
        yield lambda columns, _: _count(columns, identifiers) == 0
    for check in checks.fields:
        if check.leaf is not None:
            yield from (_of_column(check.leaf, test) for test in _value_tests(check, check.leaf))
    unique_id = leaf_at(record, checks.unique_id_path) if checks.unique_id_path else None
    if unique_id is not None:  # made in the exact check
        yield _of_column(unique_id, _missing)
    yield from _limit_tests(template.record_limits, properties, leaves_of(record))
    most_bytes = min(filter(None, (template.limits.max_row_bytes, checks.max_unchecked_bytes)), default=None)
    if most_bytes is not None:
        yield lambda _, records: np.diff(bytes_and_offsets(records)[1]) > most_bytes


def _of_column(leaf: Leaf, test: arrays.Test) -> RowTest:
    return lambda columns, _: test(columns.column(leaf))


def _anywhere_in(leaf: Leaf, test: arrays.Test) -> RowTest:
    return lambda columns, _: arrays.anywhere(columns.column(leaf), test)


def _count(columns: Columns, leaves: list[Leaf]) -> arrays.Ints:
    """How many of these columns have a value, for each row."""
    return sum((valid_rows(columns.column(leaf)).astype(np.int64) for leaf in leaves), np.zeros(columns.rows, np.int64))


def _missing(column: pa.Array) -> Mask:
    return ~valid_rows(column)


# --- the record as a whole ------------------------------------------------------------------------


def _limit_tests(limits: RecordLimits, properties: Node | None, leaves: Iterator[Leaf]) -> Iterator[RowTest]:
    """Tests of how many properties and items there are, and how deep they are nested."""
    for leaf in leaves:
        if holds(leaf.type, VARIANT):
            yield _of_column(leaf, valid_rows)
        if limits.max_items is not None and holds(leaf.type, "array"):
            yield _anywhere_in(leaf, _longer_than(limits.max_items))
    if limits.max_depth is not None:
        yield from (_of_column(leaf, valid_rows) for leaf in _too_deep(properties, limits.max_depth))
    inner = [child for _, child in properties.fields] if isinstance(properties, Record) else []
    loose = [child for child in inner if isinstance(child, Leaf)]
    spread = properties.spread if isinstance(properties, Record) else ()
    objects = (leaf for leaf in spread if leaf.type.name != "map")
    object_test = _of_texts(lambda texts: _object_may_fail(texts, limits, len(loose)))
    yield from (_of_column(leaf, object_test) for leaf in objects)
    maps = [leaf for leaf in (*spread, properties) if isinstance(leaf, Leaf) and leaf.type.name == "map"]
    most = limits.max_properties
    if most is not None and (maps or spread or len(inner) > most):
        others = len(inner) - len(loose)
        yield lambda columns, _: _count(columns, loose) + _entries(columns, maps) > most - others


def _too_deep(properties: Node | None, limit: int) -> Iterator[Leaf]:
    if isinstance(properties, Leaf) and depth(properties.type) > limit:
        yield properties
    if isinstance(properties, Record):
        for _, node in properties.fields:
            around = 1 if isinstance(node, Leaf) else 2
            yield from (leaf for leaf in leaves_of(node) if around + depth(leaf.type) > limit)
        yield from (leaf for leaf in properties.spread if depth(leaf.type) > limit)


def _unnamed_texts(properties: Node | None, checks: Checks) -> Iterator[Leaf]:
    """Custom properties that hold texts, but for those that `fields` names."""
    if isinstance(properties, Record):
        named = ((name, node) for name, node in properties.fields if name not in checks.asked_properties)
        leaves = (leaf for _, node in named for leaf in leaves_of(node))
        yield from (leaf for leaf in (*leaves, *properties.spread) if holds(leaf.type, *TEXT))


def _object_may_fail(texts: pa.Array, limits: RecordLimits, beside: int) -> Mask:
    """JSON texts that may hold more than is taken, by their brackets and commas, or the hash of a password."""
    found = to_mask(pc.match_substring_regex(texts, r'"(?:\$|\\u0024)'))
    most = [limit for limit in (limits.max_items, limits.max_properties) if limit is not None]
    if most:
        found |= to_mask(pc.greater_equal(pc.count_substring(texts, ","), min(most) - beside))
    if limits.max_depth is not None:
        opening = pc.add(pc.count_substring(texts, "{"), pc.count_substring(texts, "["))
        found |= to_mask(pc.greater(opening, limits.max_depth))
    return found


def _entries(columns: Columns, maps: list[Leaf]) -> arrays.Ints:
    """How many entries these maps have together, for each row."""
    held = map(columns.column, maps)
    sizes = (np.where(valid_rows(column), np.diff(children(column)[1]), 0) for column in held)
    return sum(sizes, np.zeros(columns.rows, np.int64))


def _longer_than(limit: int) -> arrays.Test:
    return lambda column: np.diff(children(column)[1]) > limit if arrays.is_list(column.type) else None


def _may_be_hash(column: pa.Array) -> Mask | None:
    """Which texts begin like the hash of a password; most columns hold no dollar sign at all."""
    held = column.buffers()[-1] if arrays.is_text(column.type) else None
    if held is None or not (np.frombuffer(held, np.uint8) == ord("$")).any():
        return None
    return to_mask(pc.match_substring_regex(column, "^" + CRYPT_TEXT))


# --- one value ------------------------------------------------------------------------------------


def _value_tests(check: FieldCheck, leaf: Leaf) -> Iterator[arrays.Test]:
    """Tests of one column, each for the values that are not certainly what the field takes."""
    kind, form = leaf.type.name, check.form
    if check.required:
        yield _missing
    if kind in TIME or (kind in NUMBER and form is FieldForm.DATETIME):
        yield from _window_tests(check)
    elif kind in TEXT:
        yield from map(_of_texts, _text_tests(check))
        yield from _window_tests(check, MOST_OFFSET)  # texts that could be read are times by now
    elif kind in FRACTIONAL and leaf.clean is not Clean.NOTHING:  # text by now
        yield from map(_of_texts, (_differs_from(WHOLE_NUMBER), *_form_tests(form, check.max_length)))
    else:
        ruled = kind in WHOLE and (check.pattern or check.max_length is not None)
        if form in (FieldForm.EMAIL, FieldForm.PHONE) or check.choices or ruled:
            yield valid_rows


def _window_tests(check: FieldCheck, offset: timedelta = timedelta()) -> Iterator[arrays.Test]:
    """Tests for times that may be outside the window of the field; texts are compared as if they were UTC."""
    if check.earliest:
        earliest = datetime.fromisoformat(check.earliest).astimezone(timezone.utc) + offset
        yield lambda column: compare(column, earliest, pc.less)
    if check.latest_days is not None:
        latest = datetime.now(timezone.utc) + timedelta(days=check.latest_days) - offset
        yield lambda column: compare(column, latest, pc.greater)


_PATTERNS = {FieldForm.EMAIL: EMAIL, FieldForm.DATETIME: TIME_WITH_OFFSET, FieldForm.DATE: DATE}


def _text_tests(check: FieldCheck) -> Iterator[arrays.Test]:
    form, limits = check.form, [check.max_length, MAX_EMAIL if check.form is FieldForm.EMAIL else None]
    if form in _PATTERNS:
        yield _differs_from(_PATTERNS[form])
    elif form is not FieldForm.PHONE and ((check.required and not check.may_be_blank) or check.is_identifier):
        yield _blank
    yield from _form_tests(form, min(filter(None, limits), default=None))
    if check.choices:
        yield _differs_from("|".join(map(re.escape, check.choices)))
    if check.pattern:  # those of templates mean the same to RE2 and to Python
        yield _differs_from(check.pattern)
    if check.is_identifier:
        yield _replaced


def _form_tests(form: FieldForm, limit: int | None) -> Iterator[arrays.Test]:
    if form is FieldForm.PHONE:
        yield lambda column: valid_rows(column) & ~possible_numbers(column)
    if limit is not None:
        yield lambda column: _longer_text(column, limit)


def _of_texts(test: arrays.Test) -> arrays.Test:
    """The test of a column of texts; where no schema is known, a batch without a value may hold another type."""
    return lambda column: test(column) if arrays.is_text(column.type) else None


def _differs_from(pattern: str) -> arrays.Test:
    return lambda column: to_mask(pc.invert(pc.match_substring_regex(column, whole(pattern))))


def _longer_text(column: pa.Array, limit: int) -> Mask | None:
    lengths = np.diff(bytes_and_offsets(column)[1])  # few texts have many bytes, which is cheaper to see
    return to_mask(pc.greater(pc.utf8_length(column), limit)) if lengths.max(initial=0) > limit else None


def _replaced(column: pa.Array) -> Mask | None:
    """Which texts hold U+FFFD, which takes the place of text that is no valid UTF-8."""
    content, _ = bytes_and_offsets(column)
    return to_mask(pc.match_substring(column, REPLACEMENT)) if content.max(initial=0) >= 0xEF else None


def _blank(column: pa.Array) -> Mask | None:
    """Which texts are blank; None where every text begins with a printing ASCII character, as most do."""
    content, offsets = bytes_and_offsets(column)
    filled = offsets[1:] > offsets[:-1]
    first = content[offsets[:-1][filled]]
    plainly = (filled | ~valid_rows(column)).all() and ((first > ord(" ")) & (first < 0x7F)).all()
    return None if plainly else _differs_from(NOT_BLANK)(column)
