"""The columns of one Arrow batch, found by the leaves of a plan and cleaned as their fields ask.

There is a rule for each `Clean`. It asks first whether any value needs it, and hands on the column itself where none
does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_klaviyo.arrow import arrays
from spark_klaviyo.arrow.arrays import Mask, bytes_and_offsets, from_numpy, is_text, to_mask, valid_rows
from spark_klaviyo.arrow.times import in_zone, read_numbers, read_texts
from spark_klaviyo.core.identifiers import BLANKS
from spark_klaviyo.plan.names import is_secret_name
from spark_klaviyo.plan.shape import Clean, Leaf
from spark_klaviyo.plan.types import Field

LARGEST_WHOLE = 2.0**53  # up to which a double holds every whole number
NOTHING = ("null", "none", "nan", "n/a", "-", "\\n", "undefined")  # what other programs write for no value
_SHORT, _SPACE, _DELETE = max(map(len, NOTHING)), 0x20, 0x7F
_FIRSTS = np.zeros(256, np.bool_)
_FIRSTS[[ord(letter) for word in NOTHING for letter in (word[0], word[0].upper())]] = True
_NO_VALUE = rf"^(?i:{'|'.join(map(re.escape, NOTHING))})\z"
_BEFORE = f"^[{BLANKS}]*'?[{BLANKS}]*"
_AFTER = f"[{BLANKS}]*\\z"
_SCHEME = f"(?i:(?:mailto|tel):[{BLANKS}]*)?"
# What numbers of payment cards look like (ISO 7812); of 15 digits are those of American Express, and those of devices.
_CARD = re.compile(r"3[47][0-9]{13}|4[0-9]{12}|[2-6](?:[0-9]{13}|[0-9]{15,18})")
_BETWEEN_DIGITS = str.maketrans("", "", " -")
# A task sees a part of the rows: of 100 values that eight tasks share, each sees 12. So many cannot be card numbers by
# chance, as one of ten numbers has a fitting check digit.
LEAST_VALUES = 12
NEARLY_ALL = 0.95
_SAMPLE = 16  # values that say whether the others are worth a look


class Columns:
    """The columns of one batch are the plan's, in order, whatever the batch calls them.

    Spark renames columns on the way to Python where a name holds a dot. Of columns with the same name the first counts.
    NaN, which pandas writes for null, is null; `nan` holds the rows where it stood, by column. `cards` holds the rows
    of columns of card numbers, and `secrets` those from which something with the name of a secret was taken;
    `no_objects` the rows of columns of JSON text that hold something else than an object; `value_inside` those with an
    entry `value`.
    """

    def __init__(self, batch: pa.RecordBatch, fields: Sequence[Field], zone: str = "UTC") -> None:
        self.rows: int = batch.num_rows
        self.nan: dict[str, Mask] = {}
        self.cards: dict[tuple[str, ...], Mask] = {}
        self.secrets: Mask = np.zeros(self.rows, np.bool_)
        self.no_objects: dict[str, Mask] = {}
        self.value_inside: Mask = np.zeros(self.rows, np.bool_)
        self._batch, self._zone = batch, zone
        names = [field.name for field in fields] if len(fields) == batch.num_columns else batch.schema.names
        self._index = {name: index for index, name in reversed(list(enumerate(names)))}
        self._whole: dict[str, pa.Array] = {}
        self._found: dict[tuple[tuple[str, ...], Clean], pa.Array] = {}

    def column(self, leaf: Leaf) -> pa.Array:
        """The values of a leaf; null, too, where a struct on its path is null."""
        key = leaf.source, leaf.clean
        found = self._found.get(key)
        if found is None:
            found = self._top(leaf)
            for part in leaf.source[1:]:
                found = pc.struct_field(found, [found.type.get_field_index(part)])
            has_secrets = leaf.clean is Clean.SECRETS
            found = self._without_secrets(leaf, found) if has_secrets else cleaned(found, leaf.clean, self._zone)
            self._found[key] = found
        return found

    def _without_secrets(self, leaf: Leaf, column: pa.Array) -> pa.Array:
        if holds_card_numbers(column):
            self.cards[leaf.source] = valid_rows(column)
            return pa.nulls(len(column), column.type)
        column, taken = without_secrets(column)
        if taken is not None:
            self.secrets |= taken
        return column

    def _top(self, leaf: Leaf) -> pa.Array:
        name = leaf.source[0]
        found = self._whole.get(name)
        if found is None:
            found = self._batch.column(self._index[name])
            nan = arrays.anywhere(found, _is_nan)
            if nan is not None and nan.any():
                self.nan[name] = nan
                found = arrays.with_scalars(found, pa.types.is_floating, _nan_as_null)
            self._whole[name] = found
        return found


# --- what is done to values ------------------------------------------------------------------------


def cleaned(column: pa.Array, clean: Clean, zone: str) -> pa.Array:
    """The column, cleaned by this rule; `zone` is that of times without one."""
    kind = column.type
    if clean is Clean.TIME:
        return _moments(column, zone)
    if clean is Clean.NOTHING or pa.types.is_null(kind):
        return column
    if pa.types.is_floating(kind) or (pa.types.is_decimal(kind) and kind.scale != 0):
        return whole_texts(column)
    if not is_text(kind) or clean is Clean.NUMBER_AS_TEXT:
        return column
    if clean is Clean.UPPER_CASE:
        return pc.utf8_upper(pc.utf8_trim(column, BLANKS))
    return bare(column, identifier=clean is Clean.IDENTIFIER)


def _moments(column: pa.Array, zone: str) -> pa.Array:
    kind = column.type
    if is_text(kind):
        return read_texts(column, zone)
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        return read_numbers(column)
    has_zone = pa.types.is_timestamp(kind) and kind.tz
    return column if has_zone or pa.types.is_null(kind) else in_zone(column, zone)


def whole_texts(numbers: pa.Array) -> pa.Array:
    """Whole numbers as text without a fraction; any other number with one, which the exact check rejects."""
    if pa.types.is_decimal(numbers.type):
        text = numbers.cast(pa.string())
        return pc.replace_substring_regex(text, r"\.0+\z", "")
    numbers = numbers.cast(pa.float64())
    whole = pc.and_(pc.equal(pc.floor(numbers), numbers), pc.less(pc.abs(numbers), LARGEST_WHOLE))
    text = pc.if_else(whole, numbers, arrays.null_scalar(pa.float64())).cast(pa.int64()).cast(pa.string())
    if text.null_count == numbers.null_count:
        return text
    shown = numbers.cast(pa.string())
    looks_whole = pc.match_substring_regex(shown, r"^-?[0-9]+\z")
    return pc.coalesce(text, pc.if_else(looks_whole, pc.binary_join_element_wise(shown, "0", "."), shown))


def bare(texts: pa.Array, *, identifier: bool) -> pa.Array:
    """Texts without blanks around them and without a spreadsheet's apostrophe.

    Of identifiers `mailto:` and `tel:` go, too, and a text that is blank, or a word for nothing, becomes null.
    """
    content, offsets = bytes_and_offsets(texts)
    filled = offsets[1:] > offsets[:-1]
    if not filled.any():
        return pa.nulls(len(texts), texts.type) if identifier else texts
    first, last = content.take(offsets[:-1], mode="clip"), content.take(offsets[1:] - 1, mode="clip")
    odd = filled & ((first <= _SPACE) | (first >= _DELETE) | (first == ord("'")) | (last <= _SPACE) | (last >= _DELETE))
    if odd.any() or (identifier and (content == ord(":")).any()):
        texts = pc.replace_substring_regex(texts, _BEFORE + (_SCHEME if identifier else ""), "")
        texts = pc.replace_substring_regex(texts, _AFTER, "")
        content, offsets = bytes_and_offsets(texts)
        first = content.take(offsets[:-1], mode="clip") if len(content) else np.zeros(len(texts), np.uint8)
    if not identifier:
        return texts
    lengths = np.diff(offsets)
    empty: Mask = lengths == 0
    short = np.flatnonzero(~empty & (lengths <= _SHORT) & _FIRSTS[first])
    empty[short] = to_mask(pc.match_substring_regex(texts.take(from_numpy(short)), _NO_VALUE))
    return pc.if_else(from_numpy(empty), arrays.null_scalar(texts.type), texts) if empty.any() else texts


# --- NaN ------------------------------------------------------------------------------------------


def _is_nan(column: pa.Array) -> Mask | None:
    return to_mask(pc.is_nan(column)) if pa.types.is_floating(column.type) else None


def _nan_as_null(column: pa.Array) -> pa.Array:
    return pc.if_else(pc.is_nan(column), arrays.null_scalar(column.type), column)


# --- secrets --------------------------------------------------------------------------------------

# Entries and fields have the name of one (`plan.names`); a column is one of card numbers where nearly all values of a
# batch are.


def without_secrets(column: pa.Array) -> tuple[pa.Array, Mask | None]:
    """The column without what has the name of a secret inside it, at any depth; and from which rows that was taken."""
    found = arrays.anywhere(column, _holds_secrets)
    return (column, None) if found is None else (_without(column), found)


def _holds_secrets(column: pa.Array) -> Mask | None:
    """Which structs and maps hold something with the name of a secret; None where none can."""
    if pa.types.is_struct(column.type):
        named = [number for number, field in enumerate(column.type) if is_secret_name(field.name)]
        return reduce(np.logical_or, (valid_rows(column.field(number)) for number in named)) if named else None
    if not pa.types.is_map(column.type):
        return None
    (keys, _), groups = arrays.children(column)
    secret = _are_secret(keys)
    return arrays.any_in_group(secret, groups) if secret.any() else None


def _are_secret(keys: pa.Array) -> Mask:
    names = keys.cast(pa.string()).dictionary_encode()
    secret = np.array([is_secret_name(name) for name in names.dictionary.to_pylist()], np.bool_)
    return secret[arrays.to_integers(names.indices)] if len(names) else np.zeros(0, np.bool_)


def _without(column: pa.Array) -> pa.Array:
    valid = valid_rows(column)
    if pa.types.is_struct(column.type):
        fields = ((field.name, column.field(number)) for number, field in enumerate(column.type))
        parts = {name: _without(part) for name, part in fields if not is_secret_name(name)}
        if not parts:
            return pa.nulls(len(column))
        return pa.StructArray.from_arrays(list(parts.values()), list(parts), mask=from_numpy(~valid))
    if arrays.is_list(column.type):
        (items,), groups = arrays.children(column)
        return arrays.list_array(valid, groups, _without(items))
    if pa.types.is_map(column.type):
        (keys, items), groups = arrays.children(column)
        kept = ~_are_secret(keys)
        groups = np.concatenate([np.zeros(1, np.int64), np.cumsum(kept)])[groups]
        names, values = (held.filter(from_numpy(kept)) for held in (keys, _without(items)))
        return arrays.map_array(valid, groups, names, values)
    return column


# --- card numbers ---------------------------------------------------------------------------------


def holds_card_numbers(column: pa.Array) -> bool:
    """Whether nearly all values of a column are card numbers: written as text, with blanks or dashes or without, or as
    whole numbers."""
    kind = column.type
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    if not (is_number or arrays.is_text(kind)) or len(column) - column.null_count < LEAST_VALUES:
        return False
    misses = 0  # most columns show with two values that they hold something else
    for row in range(0, len(column), max(len(column) // _SAMPLE, 1)):
        misses += not is_card_number(column[row].as_py()) and column[row].is_valid
        if misses > 1:
            return False
    values = [value for value in column.drop_null().to_pylist() if value != ""]
    return len(values) >= LEAST_VALUES and sum(map(is_card_number, values)) >= NEARLY_ALL * len(values)


def is_card_number(value: object) -> bool:
    """Whether a value is a card number: its first digits are a network's, and its last one is Luhn's check digit."""
    text = str(value).translate(_BETWEEN_DIGITS) if isinstance(value, str) else str(value).removesuffix(".0")
    if not _CARD.fullmatch(text):
        return False
    digits = [int(digit) for digit in reversed(text)]
    return sum(digits[::2] + [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]) % 10 == 0
