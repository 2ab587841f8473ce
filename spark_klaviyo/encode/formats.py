"""Records as JSON in, records in the content format of manual mode out.

`plan.manual.formats` says what separates and surrounds them. JSON and NDJSON rows are taken as they are, all at once;
the other formats are made row by row. In forms, CSV and text a nested value is JSON text; numbers keep every digit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias
from urllib.parse import quote, quote_plus

import numpy as np
import pyarrow as pa

from spark_klaviyo.core import exact_json
from spark_klaviyo.core.choices import ContentFormat
from spark_klaviyo.core.exact_json import Json
from spark_klaviyo.encode.buffers import bytes_and_offsets, strings
from spark_klaviyo.plan.manual.formats import csv_cell, separator, xml_text
from spark_klaviyo.plan.model import WritePlan

Object: TypeAlias = "dict[str, Json]"
Rewrite: TypeAlias = "Callable[[Object], str]"


def rewrite(records: pa.Array, plan: WritePlan) -> pa.Array:
    """The encoded records, each still followed by the separator, in the plan's content format.

    A record that is no JSON object (a ready-made one) stays as it is.
    """
    if as_json(plan.content_format):
        return records
    after = separator(plan.content_format)
    content, offsets = bytes_and_offsets(records)
    text, ends = content.tobytes(), (offsets[1:] - len(after)).tolist()
    rows = written([text[start:end] for start, end in zip(offsets.tolist(), ends, strict=False)], plan)
    lengths = np.fromiter(map(len, rows), np.int64, len(rows)) + len(after)
    places = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    return strings(np.frombuffer(after.join([*rows, b""]), np.uint8), places)


def as_json(content_format: ContentFormat) -> bool:
    """Whether rows of this format are sent as the JSON they are encoded as."""
    return content_format in (ContentFormat.JSON, ContentFormat.NDJSON)


def written(records: Sequence[bytes], plan: WritePlan) -> list[bytes]:
    """JSON records, without separators, in the plan's content format."""
    make = _maker(plan)
    return [_rewritten(record, make) for record in records]


def _rewritten(record: bytes, make: Rewrite) -> bytes:
    try:
        fields = exact_json.loads(record)
    except ValueError:
        return record
    return make(fields).encode() if isinstance(fields, dict) else record


def _maker(plan: WritePlan) -> Rewrite:
    # a ready-made record has columns of its own
    names = [] if plan.record_column is not None else [column.name for column in plan.columns]
    makers: dict[ContentFormat, Rewrite] = {
        ContentFormat.FORM: form,
        ContentFormat.FORM_DATA_PARAM: lambda record: quote(_json(record), safe=""),
        ContentFormat.XML: lambda record: element("row", record),
        ContentFormat.CSV: lambda record: csv_row(record, names),
        ContentFormat.TEXT: lambda record: line(record, names),
    }
    return makers[plan.content_format]


def form(record: Object) -> str:
    """`name=value` pairs, percent-encoded; fields without a value are left out."""
    pairs = ((name, value) for name, value in record.items() if value is not None)
    return "&".join(f"{quote_plus(name)}={quote_plus(_text(value))}" for name, value in pairs)


def csv_row(record: Object, names: Sequence[str]) -> str:
    """One cell a column, by RFC 4180; an empty cell where there is no value."""
    return ",".join(csv_cell(_text(record.get(name))) for name in names)


def line(record: Object, names: Sequence[str]) -> str:
    """The text of the only column, or the row's JSON where there are several; line breaks become blanks.

    Without `names` the record says itself what it has.
    """
    only = names[0] if len(names) == 1 else next(iter(record)) if not names and len(record) == 1 else None
    return _json(record) if only is None else " ".join(_text(record.get(only)).splitlines())


# --- XML ------------------------------------------------------------------------------------------

_LETTER = "A-Za-z_\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u00ff"  # more are allowed, but not by every parser
_UNSAFE = re.compile(f"[^{_LETTER}0-9.-]")
_START = re.compile(f"[{_LETTER}]")


def element(name: str, value: Json) -> str:
    """An element for a value: an object's fields inside, a list's items as repeated elements, nothing for null."""
    tag = _tag(name)
    if isinstance(value, dict):
        return f"<{tag}>{''.join(_elements(value))}</{tag}>"
    if isinstance(value, list):
        return "".join(element(name, {"item": item} if isinstance(item, list) else item) for item in value)
    return "" if value is None else f"<{tag}>{xml_text(_text(value))}</{tag}>"


def _elements(record: Object) -> Iterator[str]:
    for name, value in record.items():
        yield element(name, value)


def _tag(name: str) -> str:
    """A name that XML takes: letters, digits, `_`, `-` and `.`, not beginning with a digit, `-` or `.`."""
    safe = _UNSAFE.sub("_", name)
    return safe if _START.match(safe) else f"_{safe}"


# --- values ---------------------------------------------------------------------------------------


def _text(value: Json) -> str:
    if value is None:
        return ""
    if isinstance(value, str) and not exact_json.is_number(value):
        return value
    return _json(value)


def _json(value: Json) -> str:
    return exact_json.dumps(value).decode("utf-8", "replace")
