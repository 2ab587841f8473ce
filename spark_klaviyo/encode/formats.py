"""Records as JSON in, records in a content format of manual mode other than JSON out, row by row.

`plan.manual.body` says what separates and surrounds them. In forms, CSV and text a nested value is JSON text;
numbers keep every digit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias
from urllib.parse import quote, quote_plus
from xml.etree import ElementTree

from spark_klaviyo.core import exact_json
from spark_klaviyo.core.codes import ContentFormat
from spark_klaviyo.core.exact_json import Json, try_loads
from spark_klaviyo.encode.json_values import json_text
from spark_klaviyo.plan.manual.body import csv_cell, xml_characters
from spark_klaviyo.plan.model import WritePlan

Object: TypeAlias = "dict[str, Json]"


def written(records: Sequence[bytes], plan: WritePlan) -> list[bytes]:
    """JSON records, without separators, in the plan's content format."""
    # a ready-made record has columns of its own
    names = [] if plan.record_column is not None else [column.name for column in plan.columns]
    return [_rewritten(record, plan.content_format, names) for record in records]


def _rewritten(record: bytes, content_format: ContentFormat, names: Sequence[str]) -> bytes:
    fields = try_loads(record)
    return _WRITERS[content_format](fields, names).encode() if isinstance(fields, dict) else record


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
    return json_text(record) if only is None else " ".join(_text(record.get(only)).splitlines())


# --- XML ------------------------------------------------------------------------------------------

_LETTER = "A-Za-z_\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u00ff"  # more are allowed, but not by every parser
_UNSAFE = re.compile(f"[^{_LETTER}0-9.-]")
_START = re.compile(f"[{_LETTER}]")


def element(name: str, value: Json) -> str:
    """An element for a value: an object's fields inside, a list's items as repeated elements, nothing for null."""
    texts = [ElementTree.tostring(one, "unicode", short_empty_elements=False) for one in _elements(name, value)]
    return "".join(texts).replace("\r", "&#13;")  # a parser would read it as a line feed


def _elements(name: str, value: Json) -> Iterator[ElementTree.Element]:
    if isinstance(value, list):
        for item in value:
            yield from _elements(name, {"item": item} if isinstance(item, list) else item)
    elif value is not None:
        made = ElementTree.Element(_tag(name))
        if isinstance(value, dict):
            for inner, held in value.items():
                made.extend(_elements(inner, held))
        else:
            made.text = xml_characters(_text(value))
        yield made


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
    return json_text(value)


_WRITERS: dict[ContentFormat, Callable[[Object, Sequence[str]], str]] = {
    ContentFormat.FORM: lambda record, _: form(record),
    ContentFormat.FORM_DATA_PARAM: lambda record, _: quote(json_text(record), safe=""),
    ContentFormat.XML: lambda record, _: element("row", record),
    ContentFormat.CSV: csv_row,
    ContentFormat.TEXT: line,
}
