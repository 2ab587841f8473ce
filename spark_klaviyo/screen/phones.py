"""Which texts of a column are certainly E.164 numbers of a possible length, written as they will be sent.

`phonenumbers` is asked once for each calling code and length that occurs in a batch, never for each number.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc
from phonenumbers import PhoneMetadata, PhoneNumber

from spark_klaviyo.arrow.arrays import Mask, bytes_and_offsets, to_mask

Ints: TypeAlias = "npt.NDArray[np.int64]"
E164 = r"^\+[1-9][0-9]{6,14}\z"


def possible_numbers(texts: pa.Array) -> Mask:
    """Which texts are; null is not. False may be wrong, True never is."""
    valid = to_mask(pc.match_substring_regex(texts, E164))
    rows = np.flatnonzero(valid)
    content, offsets = bytes_and_offsets(texts)
    starts, lengths = offsets[:-1][rows] + 1, np.diff(offsets)[rows] - 1
    codes = _calling_codes(content, starts)
    lengths = lengths - np.where(codes < 10, 1, np.where(codes < 100, 2, 3))
    kinds, kind_of_row = np.unique(codes * 16 + lengths, return_inverse=True)
    possible = np.array([_is_possible(kind // 16, kind % 16) for kind in kinds.tolist()], np.bool_)
    valid[rows] = possible[kind_of_row]
    for code in np.unique(codes[valid[rows]]).tolist():
        mine = rows[(codes == code) & valid[rows]]
        valid[mine[_begins_with_trunk_prefix(texts, mine, code)]] = False
    return valid


def _calling_codes(content: npt.NDArray[np.uint8], starts: Ints) -> Ints:
    """The calling code of each number, found by its first three digits; 0: none."""
    first = content[starts[:, None] + np.arange(3)].astype(np.int64) - ord("0")
    codes: Ints = CODE_OF[first @ np.array([100, 10, 1])]
    return codes


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
    """Which numbers go on, behind their calling code, like their country's trunk prefix, which reading takes away."""
    region = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code][0]
    metadata = PhoneMetadata.metadata_for_region_or_calling_code(code, region)
    pattern = metadata.national_prefix_for_parsing if metadata is not None else ""
    if not pattern:
        return np.zeros(len(rows), np.bool_)
    national = pc.utf8_slice_codeunits(texts.take(pa.array(rows)), 1 + len(str(code)))
    return to_mask(pc.not_equal(pc.replace_substring_regex(national, f"^(?:{pattern})", ""), national))
