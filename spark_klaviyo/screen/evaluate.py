"""Evaluates the rules of a screen on the columns of one batch: a verdict for each row."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_klaviyo.arrow import arrays
from spark_klaviyo.arrow.arrays import Ints, bytes_and_offsets, to_mask
from spark_klaviyo.arrow.columns import Columns
from spark_klaviyo.arrow.encoded import REPLACED, SECRETS, Verdict, card_note, nan_note
from spark_klaviyo.arrow.times import beyond_years
from spark_klaviyo.screen.rules import ScreenRules, infinite
from spark_klaviyo.screen.values import REPLACEMENT


def verdicts(columns: Columns, rules: ScreenRules, record: pa.Array) -> pa.Array:
    """A `Verdict` for each row, with the index of a column, and notes, where it says so."""
    found = np.full(columns.rows, Verdict.CHECK if rules.every_row else Verdict.VALID, np.int64)
    for test in () if rules.every_row else rules.tests:
        failed = test(columns, record)
        if failed is not None:
            found[failed] = Verdict.CHECK
    for name, rows in columns.no_objects.items():
        found[rows] = Verdict.NO_OBJECT.of_column(rules.index[name])
    beyond_json = ((rules.numbers, Verdict.NOT_FINITE, infinite), (rules.times, Verdict.BAD_YEAR, beyond_years))
    for leaves, verdict, is_beyond in beyond_json:
        for leaf in reversed(leaves):
            beyond = arrays.anywhere(columns.column(leaf), is_beyond)
            if beyond is not None:
                found[beyond] = verdict.of_column(rules.index[leaf.source[0]])
    _note(found, columns, rules, record)
    return arrays.from_numpy(found)


def _note(found: Ints, columns: Columns, rules: ScreenRules, record: pa.Array) -> None:
    """Add what a warning counts: NaN that became null, secrets, events, and text that was no valid UTF-8."""
    for name, rows in columns.nan.items():
        found[rows] |= nan_note(rules.nan_columns.index(name))
    for number, leaf in enumerate(rules.cards):
        if leaf.source in columns.cards:
            found[columns.cards[leaf.source]] |= card_note(number)
    if columns.secrets is not None:
        found[columns.secrets] |= SECRETS
    for note, rows_of in rules.events:
        found[rows_of(columns)] |= note
    content, _ = bytes_and_offsets(record)
    # U+FFFD is EF BF BD in UTF-8, and few tables hold an EF: both are cheaper to see than the text
    if content.max(initial=0) >= 0xEF and (content == 0xEF).any():
        found[to_mask(pc.match_substring(record, REPLACEMENT))] |= REPLACED
