"""The columns of an encoded batch: what travels between encoding and sending, through Spark where a state is used."""

from __future__ import annotations

from enum import IntEnum

import pyarrow as pa

RECORD, VERDICT, KEY, PARAMS, FINGERPRINT, ROW_STATUS = (
    "record",  # JSON of the row and one byte behind it: the separator of JSON rows, else a line feed
    "verdict",  # a `Verdict`, or NOT_FINITE plus the index of a column of the plan
    "key",  # the identifier that makes two rows the same profile, event or item; null: none
    "params",  # JSON object of the row's request parameters; null where the plan has none
    "fingerprint",  # only with a state: key and fingerprint of the row, 32 bytes
    "row_status",  # only with a state: whether the row has to be sent
)
ENCODED = pa.schema([(RECORD, pa.large_string()), (VERDICT, pa.int32()), (KEY, pa.string()), (PARAMS, pa.string())])
# The same for Spark, whose strings have 32-bit offsets.
ENCODED_DDL = f"{RECORD} string, {VERDICT} int, {KEY} string, {PARAMS} string"
SPARK_ENCODED = pa.schema([(RECORD, pa.string()), *list(ENCODED)[1:]])


class Verdict(IntEnum):
    """What the check in columns says of a row."""

    VALID = 0  # certainly valid: sent as encoded
    CHECK = 1  # to be decided by `screen.validate_row`
    NOT_FINITE = 2  # this, plus the index of the column that holds NaN or an infinity


def record_texts(batch: pa.RecordBatch) -> list[str]:
    """Each row's record as JSON, without the byte behind it."""
    return [text[:-1] for text in batch.column(RECORD).to_pylist()]
