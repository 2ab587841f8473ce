"""What is done to the values of a column before they are checked and written: one rule for each `Clean`.

Each rule asks first whether any value needs it, and hands on the column itself where none does.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_klaviyo.arrow import arrays
from spark_klaviyo.arrow.arrays import Mask, bytes_and_offsets, from_numpy, is_text, null_scalar, to_mask
from spark_klaviyo.arrow.nested import with_scalars
from spark_klaviyo.arrow.times import in_zone, read_numbers, read_texts
from spark_klaviyo.core.identifiers import BLANKS
from spark_klaviyo.plan.shape import Clean

LARGEST_WHOLE = 2.0**53  # up to which a double holds every whole number
NOTHING = ("null", "none", "nan", "n/a", "-", "\\n", "undefined")  # what other programs write for no value
_SHORT, _SPACE, _DELETE = max(map(len, NOTHING)), 0x20, 0x7F
_FIRSTS = np.zeros(256, np.bool_)
_FIRSTS[[ord(letter) for word in NOTHING for letter in (word[0], word[0].upper())]] = True
_NO_VALUE = rf"^(?i:{'|'.join(map(re.escape, NOTHING))})\z"
_BEFORE = f"^[{BLANKS}]*'?[{BLANKS}]*"
_AFTER = f"[{BLANKS}]*\\z"
_SCHEME = f"(?i:(?:mailto|tel):[{BLANKS}]*)?"


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
        return _upper(column)
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
    text = pc.if_else(whole, numbers, null_scalar(pa.float64())).cast(pa.int64()).cast(pa.string())
    if text.null_count == numbers.null_count:
        return text
    shown = numbers.cast(pa.string())
    odd = pc.if_else(
        pc.match_substring_regex(shown, r"^-?[0-9]+\z"), pc.binary_join_element_wise(shown, "0", "."), shown
    )
    return pc.coalesce(text, odd)


def _upper(texts: pa.Array) -> pa.Array:
    content, _ = bytes_and_offsets(texts)
    return texts if content.max(initial=0) < ord("a") else pc.utf8_upper(pc.utf8_trim(texts, BLANKS))


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
    return pc.if_else(from_numpy(empty), null_scalar(texts.type), texts) if empty.any() else texts


# --- NaN ------------------------------------------------------------------------------------------


def nan_rows(column: pa.Array) -> Mask | None:
    """In which rows a number anywhere inside is NaN; None: in none."""
    found = arrays.anywhere(column, _is_nan)
    return found if found is not None and found.any() else None


def without_nan(column: pa.Array) -> pa.Array:
    """The column with null for NaN, at any depth."""
    return with_scalars(column, pa.types.is_floating, _nan_as_null)


def _is_nan(column: pa.Array) -> Mask | None:
    if not pa.types.is_floating(column.type) or arrays.all_finite(column):
        return None
    return to_mask(pc.is_nan(column))


def _nan_as_null(column: pa.Array) -> pa.Array:
    return pc.if_else(pc.is_nan(column), null_scalar(column.type), column)
