"""Evaluates the rules of a screen on the columns of one batch: a verdict for each row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc
from phonenumbers import PhoneMetadata, PhoneNumber

from spark_klaviyo.arrow import arrays
from spark_klaviyo.arrow.arrays import Bytes, Ints, Mask, bytes_and_offsets, children, plain, to_mask, valid_rows
from spark_klaviyo.arrow.columns import Columns
from spark_klaviyo.arrow.encoded import REPLACED, SECRETS, Verdict, card_note, nan_note
from spark_klaviyo.arrow.times import beyond_years, compare
from spark_klaviyo.screen.event_notes import notes
from spark_klaviyo.screen.rules import NOT_BLANK, ScreenRule, ScreenRules, whole
from spark_klaviyo.screen.secrets import CRYPT_TEXT
from spark_klaviyo.screen.values import REPLACEMENT


def verdicts(columns: Columns, rules: ScreenRules, record: pa.Array) -> pa.Array:
    """A `Verdict` for each row, with the index of a column, and notes, where it says so."""
    found = np.full(columns.rows, Verdict.CHECK if rules.every_row else Verdict.VALID, np.int64)
    if not rules.every_row:
        for failed in _failures(columns, rules, record):
            found[failed] = Verdict.CHECK
    for leaf, index in rules.objects:
        if leaf.source[0] in columns.no_objects:
            found[columns.no_objects[leaf.source[0]]] = Verdict.NO_OBJECT.of_column(index)
    tests = ((rules.numbers, Verdict.NOT_FINITE, _infinite), (rules.times, Verdict.BAD_YEAR, beyond_years))
    for leaves, verdict, test in tests:
        for leaf, index in reversed(leaves):
            beyond = arrays.anywhere(columns.column(leaf), test)
            if beyond is not None:
                found[beyond] = verdict.of_column(index)
    _note(found, columns, rules, record)
    return arrays.from_numpy(found)


def _note(found: Ints, columns: Columns, rules: ScreenRules, record: pa.Array) -> None:
    """Add what a warning counts: NaN that became null, secrets, events, and text that was no valid UTF-8."""
    for number, name in enumerate(rules.nan_columns):
        if name in columns.nan:
            found[columns.nan[name]] |= nan_note(number)
    for number, leaf in enumerate(rules.cards):
        if leaf.source in columns.cards:
            found[columns.cards[leaf.source]] |= card_note(number)
    if columns.secrets is not None:
        found[columns.secrets] |= SECRETS
    for note, rows in notes(columns, rules.events):
        found[rows] |= note
    content, _ = bytes_and_offsets(record)
    # U+FFFD is EF BF BD in UTF-8, and few tables hold an EF: both are cheaper to see than the text
    if content.max(initial=0) >= 0xEF and (content == 0xEF).any():
        found[to_mask(pc.match_substring(record, REPLACEMENT))] |= REPLACED


# --- rows that fail a rule ------------------------------------------------------------------------


def _failures(columns: Columns, rules: ScreenRules, record: pa.Array) -> Iterator[Mask]:
    column = columns.column
    for leaf in rules.hashes:
        found = arrays.anywhere(column(leaf), _may_be_hash)
        yield from () if found is None else (found,)
    if rules.identifiers:
        counts = _count((column(leaf) for leaf in rules.identifiers), columns.rows)
        yield counts != 1 if rules.exactly_one else counts == 0
    for rule in rules.values:
        yield from _value_failures(rule, plain(column(rule.leaf)))
    for leaf in rules.deep:
        yield valid_rows(column(leaf))
    for leaf, _ in rules.objects:
        yield from _object_failures(plain(column(leaf)), rules)
    for leaf in rules.arrays:
        found = arrays.anywhere(column(leaf), lambda items: _longer(items, rules.max_items))
        yield from () if found is None else (found,)
    if rules.max_properties is not None:
        yield _properties(columns, rules) > rules.max_properties
    if rules.max_row_bytes is not None:
        yield np.diff(bytes_and_offsets(record)[1]) > rules.max_row_bytes


def _value_failures(rule: ScreenRule, column: pa.Array) -> Iterator[Mask]:
    if rule.required:
        yield ~valid_rows(column)
    if rule.never:
        yield valid_rows(column)
    if arrays.is_text(column.type):
        yield from _text_failures(rule, column)
    for bound, is_beyond in ((rule.earliest, pc.less), (rule.latest, pc.greater)):
        if bound is not None:
            yield compare(column, bound, is_beyond)


def _text_failures(rule: ScreenRule, column: pa.Array) -> Iterator[Mask]:
    content, offsets = bytes_and_offsets(column)
    lengths = np.diff(offsets)
    # Most texts begin with a printing ASCII character, and few have many bytes: both are cheaper to see.
    plainly = rule.patterns == (NOT_BLANK,) and _all_begin_plainly(content, offsets, column)
    for pattern in () if plainly else rule.patterns:
        yield to_mask(pc.invert(pc.match_substring_regex(column, whole(pattern))))
    if rule.never_replaced and content.max(initial=0) >= 0xEF:
        yield to_mask(pc.match_substring(column, REPLACEMENT))
    if rule.phone:
        yield valid_rows(column) & ~possible_numbers(column)
    if rule.max_length is not None and lengths.max(initial=0) > rule.max_length:
        yield to_mask(pc.greater(pc.utf8_length(column), rule.max_length))


def _all_begin_plainly(content: Bytes, offsets: Ints, column: pa.Array) -> bool:
    """Whether every text that is there begins with a printing ASCII character."""
    filled = offsets[1:] > offsets[:-1]
    first = content[offsets[:-1][filled]]
    return bool((filled | ~valid_rows(column)).all() and ((first > ord(" ")) & (first < 0x7F)).all())


def _object_failures(texts: pa.Array, rules: ScreenRules) -> Iterator[Mask]:
    """JSON texts that may hold more than is taken, by their brackets and commas, or the hash of a password."""
    most = [limit for limit in (rules.max_items or None, rules.max_properties) if limit is not None]
    if most:
        yield to_mask(pc.greater_equal(pc.count_substring(texts, ","), min(most) - len(rules.properties)))
    if rules.max_depth is not None:
        opening = pc.add(pc.count_substring(texts, "{"), pc.count_substring(texts, "["))
        yield to_mask(pc.greater(opening, rules.max_depth))
    yield to_mask(pc.match_substring_regex(texts, r'"(?:\$|\\u0024)'))


def _count(columns: Iterable[pa.Array], rows: int) -> Ints:
    return sum((valid_rows(column).astype(np.int64) for column in columns), np.zeros(rows, np.int64))


def _properties(columns: Columns, rules: ScreenRules) -> Ints:
    counts = _count(map(columns.column, rules.properties), columns.rows)
    for leaf in rules.maps:
        column = columns.column(leaf)
        counts = counts + np.where(valid_rows(column), np.diff(children(column)[1]), 0)
    return counts


def _longer(column: pa.Array, limit: int) -> Mask | None:
    if not arrays.is_list(column.type):
        return None
    long: Mask = np.diff(children(column)[1]) > limit
    return long


def _may_be_hash(column: pa.Array) -> Mask | None:
    """Which texts begin like the hash of a password; most columns hold no dollar sign at all."""
    held = column.buffers()[-1] if arrays.is_text(column.type) else None
    if held is None or not (np.frombuffer(held, np.uint8) == ord("$")).any():
        return None
    return to_mask(pc.match_substring_regex(column, "^" + CRYPT_TEXT))


def _infinite(column: pa.Array) -> Mask | None:
    if not pa.types.is_floating(column.type) or arrays.all_finite(column):
        return None
    return to_mask(pc.is_inf(column))


# --- phone numbers --------------------------------------------------------------------------------

FEWEST_DIGITS, MOST_DIGITS = 7, 15
E164 = rf"^\+[1-9][0-9]{{{FEWEST_DIGITS - 1},{MOST_DIGITS - 1}}}\z"
IS_DIGIT = np.isin(np.arange(256), np.arange(ord("0"), ord("9") + 1))
MOST_LENGTHS = 16  # the length of a national number is below


def possible_numbers(texts: pa.Array) -> Mask:
    """Which texts are certainly E.164 numbers of a possible length, written as they will be sent; null is not.

    False may be wrong, True never is. `phonenumbers` is asked once for each calling code and length that occurs in a
    batch, never for each number.
    """
    valid = _look_like_e164(texts)
    rows = np.flatnonzero(valid)
    content, offsets = bytes_and_offsets(texts)
    starts, lengths = offsets[:-1][rows] + 1, np.diff(offsets)[rows] - 1
    hundreds, tens, ones = (content[starts + place].astype(np.int64) - ord("0") for place in range(3))
    codes: Ints = CODE_OF[hundreds * 100 + tens * 10 + ones]
    lengths = lengths - np.where(codes < 10, 1, np.where(codes < 100, 2, 3))
    kinds = codes * MOST_LENGTHS + lengths
    possible = np.zeros(len(CODE_OF) * MOST_LENGTHS, np.bool_)
    found = np.flatnonzero(np.bincount(kinds)).tolist()
    possible[found] = [_is_possible(*divmod(kind, MOST_LENGTHS)) for kind in found]
    valid[rows] = possible[kinds]
    for code in sorted({kind // MOST_LENGTHS for kind in found if possible[kind]}):
        mine = rows[possible[kinds] & (codes == code)]
        valid[mine[_begins_with_trunk_prefix(texts, mine, code)]] = False
    return valid


def _look_like_e164(texts: pa.Array) -> Mask:
    """Which texts are a plus sign and seven to fifteen digits, the first of which is not zero."""
    content, offsets = bytes_and_offsets(texts)
    if not len(content):
        return np.zeros(len(texts), np.bool_)
    lengths = np.diff(offsets)
    right_size = (lengths >= FEWEST_DIGITS + 1) & (lengths <= MOST_DIGITS + 1)
    begins = right_size & valid_rows(texts) & (content.take(offsets[:-1], mode="clip") == ord("+"))
    if np.count_nonzero(IS_DIGIT[content]) + np.count_nonzero(begins) < len(content):  # other characters somewhere
        return to_mask(pc.match_substring_regex(texts, E164))
    found: Mask = begins & (content.take(offsets[:-1] + 1, mode="clip") != ord("0"))
    return found


def _code_table() -> Ints:
    known = phonenumbers.COUNTRY_CODE_TO_REGION_CODE
    heads = ([int(f"{head:03d}"[:digits]) for digits in (1, 2, 3)] for head in range(1000))
    return np.array([next((code for code in head if code in known), 0) for head in heads], np.int64)


CODE_OF = _code_table()  # three digits -> the calling code that numbers with these first digits have


def _is_possible(code: int, digits: int) -> bool:
    """Whether numbers of this calling code can have so many digits."""
    if not code or digits < 1:
        return False
    return bool(phonenumbers.is_possible_number(PhoneNumber(code, int("1" * digits))))


def _begins_with_trunk_prefix(texts: pa.Array, rows: Ints, code: int) -> Mask:
    """Which numbers have their country's trunk prefix behind the calling code; `phonenumbers` would drop it."""
    region = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code][0]
    metadata = PhoneMetadata.metadata_for_region_or_calling_code(code, region)
    pattern = metadata.national_prefix_for_parsing if metadata is not None else ""
    if not pattern:
        return np.zeros(len(rows), np.bool_)
    numbers, prefix = texts.take(arrays.from_numpy(rows)), rf"^(\+{code})(?:{pattern})"
    begins = to_mask(pc.match_substring_regex(numbers, prefix))
    if begins.any():  # the pattern may match nothing
        begins = to_mask(pc.not_equal(pc.replace_substring_regex(numbers, prefix, r"\1"), numbers))
    return begins
