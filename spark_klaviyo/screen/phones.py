"""Which texts of a column are phone numbers in E.164, of a length that their country has."""

from __future__ import annotations

import numpy as np
import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc
from phonenumbers import PhoneMetadata, PhoneNumber

from spark_klaviyo.arrow.arrays import Ints, Mask, bytes_and_offsets, from_numpy, to_mask

FEWEST_DIGITS, MOST_DIGITS = 7, 15
E164 = rf"^\+[1-9][0-9]{{{FEWEST_DIGITS - 1},{MOST_DIGITS - 1}}}\z"
MOST_LENGTHS = 16  # the length of a national number is below


def possible_numbers(texts: pa.Array) -> Mask:
    """Which texts are certainly E.164 numbers of a possible length, written as they will be sent; null is not.

    False may be wrong, True never is. `phonenumbers` is asked once for each calling code and length that occurs in a
    batch, never for each number.
    """
    valid = to_mask(pc.match_substring_regex(texts, E164))
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
    numbers, prefix = texts.take(from_numpy(rows)), rf"^(\+{code})(?:{pattern})"
    begins = to_mask(pc.match_substring_regex(numbers, prefix))
    if begins.any():  # the pattern may match nothing
        begins = to_mask(pc.not_equal(pc.replace_substring_regex(numbers, prefix, r"\1"), numbers))
    return begins
