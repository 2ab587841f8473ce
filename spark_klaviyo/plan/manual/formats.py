"""The content formats of manual mode: how each writes a row, a value, and what stands between and around rows.

A row comes as the JSON object that it is encoded as. In forms, CSV and text a nested value is JSON text; numbers keep
every digit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import quote, quote_plus
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from spark_klaviyo.core import exact_json
from spark_klaviyo.core.codes import ContentFormat
from spark_klaviyo.core.exact_json import Json, json_text, try_loads

Object: TypeAlias = "dict[str, Json]"
CSV_LINE = b"\r\n"  # RFC 4180
CSV_LINES = (b"", CSV_LINE)
XML_DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'
XML_ROWS, XML_ROW = (XML_DECLARATION + b"<rows>\n", b"\n</rows>\n"), (XML_DECLARATION, b"\n")


# --- values among other text ----------------------------------------------------------------------


def csv_cell(text: str) -> str:
    """A cell by RFC 4180: quoted where it holds a quote, a comma, a line break, or blanks at its ends."""
    plain = text == text.strip() and not any(mark in text for mark in '",\r\n')
    return text if plain else '"' + text.replace('"', '""') + '"'


def xml_characters(text: str) -> str:
    """The text with U+FFFD for characters that XML 1.0 cannot hold."""
    return text if text.isprintable() else "".join(c if _in_xml(c) else "\ufffd" for c in text)


def _in_xml(character: str) -> bool:
    point = ord(character)
    return (point >= 0x20 and point not in (0xFFFE, 0xFFFF) and not 0xD800 <= point <= 0xDFFF) or character in "\t\n\r"


# A parser reads line breaks and tabs in an attribute as blanks, unless they are written so.
_IN_ATTRIBUTES = {'"': "&quot;", "'": "&apos;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}


def _xml_text(text: str) -> str:
    return escape(xml_characters(text), _IN_ATTRIBUTES)


def _json_text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)[1:-1]


def _plain_text(value: str) -> str:
    return value.replace("\0", "\ufffd")  # NUL marks the places of key and time


def _csv_text(value: str) -> str:
    return csv_cell(_plain_text(value))


# --- rows -----------------------------------------------------------------------------------------


def form(record: Object, _: Sequence[str]) -> str:
    """`name=value` pairs, percent-encoded; fields without a value are left out."""
    pairs = ((name, value) for name, value in record.items() if value is not None)
    return "&".join(f"{quote_plus(name)}={quote_plus(_text(value))}" for name, value in pairs)


def form_data(record: Object, _: Sequence[str]) -> str:
    """The row's JSON, percent-encoded."""
    return quote(json_text(record), safe="")


def csv_row(record: Object, names: Sequence[str]) -> str:
    """One cell a column, by RFC 4180; an empty cell where there is no value."""
    return ",".join(csv_cell(_text(record.get(name))) for name in names)


def line(record: Object, names: Sequence[str]) -> str:
    """The text of the only column, or the row's JSON where there are several; line breaks become blanks.

    Without `names` the record says itself what it has.
    """
    only = names[0] if len(names) == 1 else next(iter(record)) if not names and len(record) == 1 else None
    return json_text(record) if only is None else " ".join(_text(record.get(only)).splitlines())


_LETTER = "A-Za-z_\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u00ff"  # more are allowed, but not by every parser
_UNSAFE = re.compile(f"[^{_LETTER}0-9.-]")
_START = re.compile(f"[{_LETTER}]")


def xml_row(record: Object, _: Sequence[str]) -> str:
    """An element: an object's fields inside, a list's items as repeated elements, nothing for null."""
    texts = [ElementTree.tostring(one, "unicode", short_empty_elements=False) for one in _elements("row", record)]
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


# --- formats --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Format:
    """One content format.

    `separator` follows each row; the last one of a request is dropped. `quoted` writes a value in place of its
    placeholder: inside quotes in JSON, as a cell in CSV. A key in the body is not escaped, so it must not have the
    characters `unsafe_in_key`. Then texts before and after the rows: `around` a batch that is the whole body, `alone`
    around a single row that is, `inside` around a batch in a body template, which holds all other text itself. `row`
    writes a row, given the names of the columns; None: it stays JSON.
    """

    media_type: str
    separator: bytes
    quoted: Callable[[str], str]
    unsafe_in_key: str = ""
    around: tuple[bytes, bytes] = (b"", b"")
    alone: tuple[bytes, bytes] = (b"", b"")
    inside: tuple[bytes, bytes] = (b"", b"")
    row: Callable[[Object, Sequence[str]], str] | None = None


JSON_FORMATS = (ContentFormat.JSON, ContentFormat.NDJSON)  # rows are sent as the JSON that they are encoded as
LINE = (b"", b"\n")
FORM_TYPE = "application/x-www-form-urlencoded"
FORMATS: dict[ContentFormat, Format] = {
    ContentFormat.JSON: Format("application/json", b",", _json_text, '"\\', (b"[", b"]"), inside=(b"[", b"]")),
    ContentFormat.NDJSON: Format("application/x-ndjson", b"\n", _json_text, '"\\', LINE, LINE),
    ContentFormat.FORM: Format(FORM_TYPE, b"&", quote_plus, "%&+=;#", row=form),
    # v1's `data=<JSON>`: the JSON list of the rows, percent-encoded, its commas too
    ContentFormat.FORM_DATA_PARAM: Format(
        FORM_TYPE, b"%2C", quote_plus, '"\\%&+=;#', (b"data=%5B", b"%5D"), (b"data=", b""), (b"%5B", b"%5D"), form_data
    ),
    ContentFormat.XML: Format("application/xml", b"\n", _xml_text, "<>&\"'", XML_ROWS, XML_ROW, row=xml_row),
    ContentFormat.CSV: Format("text/csv; charset=utf-8", CSV_LINE, _csv_text, ',"', CSV_LINES, CSV_LINES, row=csv_row),
    ContentFormat.TEXT: Format("text/plain; charset=utf-8", b"\n", _plain_text, row=line),
}


def written(records: Sequence[bytes], content_format: ContentFormat, names: Sequence[str]) -> list[bytes]:
    """JSON records, without separators, in a format; `names` are the columns, none where records are ready made."""
    row = FORMATS[content_format].row
    loaded = zip(records, map(try_loads, records), strict=True)
    return [row(fields, names).encode() if row and isinstance(fields, dict) else record for record, fields in loaded]
