"""Times in columns: texts, numbers and times without a zone become moments in UTC, and moments become text.

What is done here equals what `screen.values.time` does to one text; a text that is not read here stays as it is and is
decided there.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_klaviyo.arrow import arrays
from spark_klaviyo.arrow.arrays import Mask, bytes_and_offsets, to_mask, valid_rows

MICROSECONDS = pa.timestamp("us")
MOMENT = pa.timestamp("us", "UTC")
WIDTH = len("2026-10-15T08:00:00.000000")
FIRST_YEAR, YEAR_10000 = -62_135_596_800_000_000, 253_402_300_800_000_000  # in microseconds: year 1, year 10000
# Up to which numbers are seconds, milliseconds and microseconds: the last is the year 5138, as all three are.
MOST_SECONDS, MOST_MILLISECONDS, MOST_MICROSECONDS = 1e11, 1e14, 1e17

# For pyarrow's matcher (RE2): times that its cast reads. February 29 is left to the exact check, and so is the year
# 9999, which UTC may have left already.
DAY = (
    r"(?:[1-8][0-9]{3}|9[0-8][0-9]{2}|99[0-8][0-9]|999[0-8])-"
    r"(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
)
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?"
_NAIVE = rf"^{DAY}(?:[T ]{_CLOCK})?\z"
_WITH_OFFSET = rf"^{DAY}[T ]{_CLOCK}(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])\z"
_PLAIN_LENGTHS = (10, 19, 23, 26)  # of a day, and of a time without offset and 0, 3 or 6 digits of a second


def read_texts(texts: pa.Array, zone: str) -> pa.Array:
    """Texts as moments; texts with `T` and an offset stay text, and so do all where one cannot be read."""
    texts = texts.cast(pa.string())
    content, offsets = bytes_and_offsets(texts)
    lengths = np.diff(offsets)
    there = lengths > 0
    if not there.any():
        return texts
    starts, ends = offsets[:-1], offsets[1:]
    tenth = content.take(np.where(lengths > 10, starts + 10, ends - 1), mode="clip")
    sign = content.take(ends - len("+00:00"), mode="clip")
    with_offset = (content.take(ends - 1, mode="clip") == ord("Z")) | (sign == ord("+")) | (sign == ord("-"))
    as_written = (tenth == ord("T")) & with_offset
    if as_written[there].all():
        return texts
    if (lengths[valid_rows(texts)] == lengths.max()).all() and lengths.max() in _PLAIN_LENGTHS:
        try:
            return in_zone(texts.cast(MICROSECONDS), zone)
        except pa.ArrowInvalid:
            pass
    return _read_some(texts, as_written, zone)


def _read_some(texts: pa.Array, as_written: Mask, zone: str) -> pa.Array:
    """The texts whose form is known as moments; as text, where some are left that are not."""
    naive, offset = pc.match_substring_regex(texts, _NAIVE), pc.match_substring_regex(texts, _WITH_OFFSET)
    offset = pc.and_(offset, arrays.from_numpy(~as_written))
    nothing = pa.scalar(None, pa.string())
    moments = in_zone(pc.if_else(naive, texts, nothing).cast(MICROSECONDS), zone)
    moments = pc.coalesce(moments, pc.if_else(offset, texts, nothing).cast(MOMENT))
    if moments.null_count == texts.null_count:
        return moments
    return pc.coalesce(time_texts(moments.cast(MICROSECONDS), "Z"), texts)


def in_zone(moments: pa.Array, zone: str) -> pa.Array:
    """Times without a zone as moments: the first one of a time that occurs twice when clocks are put back; a time that
    is skipped when clocks are put forward has the offset from before."""
    if zone == "UTC":
        return moments.cast(MICROSECONDS, safe=False).cast(MOMENT)
    moments = moments.cast(MICROSECONDS, safe=False)
    try:
        return pc.assume_timezone(moments, zone, ambiguous="earliest", nonexistent="raise").cast(MOMENT)
    except pa.ArrowInvalid:
        before = pc.assume_timezone(moments, zone, ambiguous="earliest", nonexistent="earliest")
        ahead = pc.subtract(pc.local_timestamp(before), before.cast(MOMENT).cast(MICROSECONDS))
        return pc.subtract(moments, ahead).cast(MOMENT)


def read_numbers(numbers: pa.Array) -> pa.Array:
    """Seconds, milliseconds or microseconds since 1970, by size, as moments; beyond all of them the year 10000."""
    there = valid_rows(numbers)
    whole = pa.types.is_integer(numbers.type)
    values = numbers.fill_null(0).cast(pa.int64() if whole else pa.float64(), safe=False).to_numpy()
    size = np.abs(values.astype(np.float64))
    factor = np.where(size < MOST_SECONDS, 1_000_000, np.where(size < MOST_MILLISECONDS, 1_000, 1))
    sent = size < MOST_MICROSECONDS
    micros = np.where(sent, values, 0) * factor
    micros = np.where(sent, micros if whole else np.rint(micros).astype(np.int64), YEAR_10000)
    return arrays.from_numpy(micros, there).cast(MOMENT)


def beyond_years(column: pa.Array) -> Mask | None:
    """Which times lie outside the years 1 to 9999, which RFC 3339 cannot write; None where a column holds no times."""
    kind = column.type
    if pa.types.is_date(kind):
        column = column.cast(MICROSECONDS, safe=False)
    elif not pa.types.is_timestamp(kind):
        return None
    micros = column.cast(MICROSECONDS, safe=False).cast(pa.int64())
    return to_mask(pc.or_(pc.less(micros, FIRST_YEAR), pc.greater_equal(micros, YEAR_10000)))


def compare(column: pa.Array, moment: datetime, comparison: Callable[[pa.Array, pa.Scalar], pa.Array]) -> Mask:
    """Which times compare so with a moment: of texts their first 19 characters, whatever offset they have."""
    kind = column.type
    if arrays.is_text(kind):
        text = moment.strftime("%Y-%m-%dT%H:%M:%S")
        return to_mask(comparison(pc.utf8_slice_codeunits(column, 0, len(text)), pa.scalar(text, kind)))
    if pa.types.is_date(kind):
        return to_mask(comparison(column, pa.scalar(moment.date(), kind)))
    return to_mask(comparison(column.cast(MICROSECONDS, safe=False), pa.scalar(moment.replace(tzinfo=None))))


def time_texts(moments: pa.Array, zone: str) -> pa.Array:
    """Naive timestamps in microseconds as ISO 8601, each with six digits of a second and `zone` behind it."""
    text = moments.cast(pa.string())
    content, offsets = arrays.bytes_and_offsets(text)
    if len(content) != WIDTH * (len(text) - text.null_count):  # a year beyond 9999
        return pc.binary_join_element_wise(pc.replace_substring(text, " ", "T"), pa.scalar(zone), "")
    table = np.empty((len(content) // WIDTH, WIDTH + len(zone)), np.uint8)
    table[:, :WIDTH] = content.reshape(-1, WIDTH)
    table[:, 10] = ord("T")
    table[:, WIDTH:] = np.frombuffer(zone.encode(), np.uint8)
    starts = pa.py_buffer((offsets // WIDTH * (WIDTH + len(zone))).astype(np.int32))
    validity = text.is_valid().buffers()[1] if text.null_count else None
    return pa.StringArray.from_buffers(len(text), starts, pa.py_buffer(table), validity)
