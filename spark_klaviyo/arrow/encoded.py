"""The columns of an encoded batch: what travels between encoding and sending, through Spark where a state is used."""

from __future__ import annotations

from enum import IntEnum

import pyarrow as pa

RECORD, VERDICT, KEY, PARAMS, PHONE, EXTERNAL_ID, ROW_KEY, CONTENT, FINGERPRINT, ROW_STATUS = (
    "record",  # JSON of the row and one byte behind it: the separator of JSON rows, else a line feed
    "verdict",  # a `Verdict`, with the index of a column and with notes: see there
    "key",  # the identifier that makes two rows the same profile, event or item (`encode.keys`); null: none
    "params",  # JSON object of the row's request parameters; null where the plan has none
    "phone",  # the phone number of a row, where two people may share one; null elsewhere
    "external_id",  # where a row may have it beside another key; null elsewhere
    "row_key",  # hash of the row's key, 16 bytes; null without a state
    "content",  # hash of its content, 16 bytes; null without a state
    "fingerprint",  # both together, once the row was compared with a state
    "row_status",  # whether the row has to be sent, once it was compared with a state
)
ENCODED = pa.schema(
    [
        (RECORD, pa.large_string()),
        (VERDICT, pa.int64()),
        *((name, pa.string()) for name in (KEY, PARAMS, PHONE, EXTERNAL_ID)),
    ]
)
# The same for Spark, whose strings have 32-bit offsets, and with hashes.
SPARK_ENCODED = pa.schema([(RECORD, pa.string()), *list(ENCODED)[1:], (ROW_KEY, pa.binary()), (CONTENT, pa.binary())])


class Verdict(IntEnum):
    """What the check in columns says of a row."""

    VALID = 0  # certainly valid: sent as encoded
    CHECK = 1  # to be decided by `screen.validate_row`
    NOT_FINITE = 2  # a number is infinite; with the index of its column
    NO_OBJECT = 4  # a text is no JSON object; with the index of its column
    BAD_YEAR = 3  # a time lies outside the years 1 to 9999; with the index of its column

    def of_column(self, index: int) -> int:
        """The verdict with the index of a column of the plan: `verdict_of` reads both."""
        return int(self) + (index << COLUMN_SHIFT)


# Bits of the column `verdict`: from here on the index of a column, and what a warning counts: U+FFFD in a text, an old
# event, a row of an order that has several, an event whose value is an entry of a map or of JSON text, something with
# the name of a secret, and NaN and card numbers in the first columns that may hold them (`screen.evaluate`).
COLUMN_SHIFT, NOTES_SHIFT = 8, 32
REPLACED, OLD, LINE_ITEM, VALUE_INSIDE, SECRETS = (1 << NOTES_SHIFT + note for note in range(5))


def verdict_of(held: int) -> tuple[Verdict, int]:
    """A verdict and the index of its column, without notes."""
    bare = held & (REPLACED - 1)
    return Verdict(bare & ((1 << COLUMN_SHIFT) - 1)), bare >> COLUMN_SHIFT


def record_texts(batch: pa.RecordBatch) -> list[str]:
    """Each row's record as JSON, without the byte behind it."""
    return [text[:-1] for text in batch.column(RECORD).to_pylist()]
