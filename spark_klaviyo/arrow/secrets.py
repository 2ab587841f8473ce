"""Takes secrets out of a column that no option names: entries and fields by their names, card numbers by their values.

Names are those of `plan.names`. A column of a batch is one of card numbers where nearly all of its values are.
"""

from __future__ import annotations

import re
from functools import reduce

import numpy as np
import pyarrow as pa

from spark_klaviyo.arrow import arrays
from spark_klaviyo.arrow.arrays import Mask, any_in_group, children, from_numpy, list_array, map_array, valid_rows
from spark_klaviyo.plan.names import is_secret_name

# What numbers of payment cards look like (ISO 7812); of 15 digits are those of American Express, and those of devices.
_CARD = re.compile(r"3[47][0-9]{13}|4[0-9]{12}|[2-6](?:[0-9]{13}|[0-9]{15,18})")
_BETWEEN_DIGITS = str.maketrans("", "", " -")
# A task sees a part of the rows: of 100 values that eight tasks share, each sees 12. So many cannot be card numbers by
# chance, as one of ten numbers has a fitting check digit.
LEAST_VALUES = 12
NEARLY_ALL = 0.95
_SAMPLE = 16  # values that say whether the others are worth a look


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
    (keys, _), groups = children(column)
    secret = _are_secret(keys)
    return any_in_group(secret, groups) if secret.any() else None


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
        (items,), groups = children(column)
        return list_array(valid, groups, _without(items))
    if pa.types.is_map(column.type):
        (keys, items), groups = children(column)
        kept = ~_are_secret(keys)
        counts = np.concatenate([np.zeros(1, np.int64), np.cumsum(kept)])
        return map_array(valid, counts[groups], *(held.filter(from_numpy(kept)) for held in (keys, _without(items))))
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
