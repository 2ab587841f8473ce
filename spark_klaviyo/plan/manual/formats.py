"""What the content formats look like around the rows: media type, separator, what stands before and after.

The rewriting of the rows themselves is `encode.formats`. A row is always followed by the format's separator; what
stands around all rows fills `{rows}` or `{row}` of the body.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote_plus
from xml.sax.saxutils import escape

from spark_klaviyo.core.choices import ContentFormat

CSV_LINE = b"\r\n"  # RFC 4180
XML_DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'


@dataclass(frozen=True)
class Format:
    """One content format: `around` stands for a batch of rows, `alone` for a single one, where they are the whole body.

    `inside` stands around a batch within a body template, which says the rest itself.
    """

    media_type: str
    separator: bytes
    around: tuple[bytes, bytes] = (b"", b"")
    alone: tuple[bytes, bytes] = (b"", b"")
    inside: tuple[bytes, bytes] = (b"", b"")


FORMATS: dict[ContentFormat, Format] = {
    ContentFormat.JSON: Format("application/json", b",", (b"[", b"]"), inside=(b"[", b"]")),
    ContentFormat.NDJSON: Format("application/x-ndjson", b"\n", (b"", b"\n"), (b"", b"\n")),
    ContentFormat.FORM: Format("application/x-www-form-urlencoded", b"&"),
    # v1's `data=<JSON>`: the JSON list of the rows, percent-encoded, its commas too
    ContentFormat.FORM_DATA_PARAM: Format(
        "application/x-www-form-urlencoded", b"%2C", (b"data=%5B", b"%5D"), (b"data=", b""), (b"%5B", b"%5D")
    ),
    ContentFormat.XML: Format(
        "application/xml", b"\n", (XML_DECLARATION + b"<rows>\n", b"\n</rows>\n"), (XML_DECLARATION, b"\n")
    ),
    ContentFormat.CSV: Format("text/csv; charset=utf-8", CSV_LINE, (b"", CSV_LINE), (b"", CSV_LINE)),
    ContentFormat.TEXT: Format("text/plain; charset=utf-8", b"\n"),
}


def media_type(content_format: ContentFormat) -> str:
    """The `Content-Type` of a body in this format."""
    return FORMATS[content_format].media_type


def is_json(content_format: ContentFormat) -> bool:
    """Whether rows of this format are sent as the JSON they are encoded as."""
    return content_format in (ContentFormat.JSON, ContentFormat.NDJSON)


def separator(content_format: ContentFormat) -> bytes:
    """What follows each row; the last one of a request is dropped."""
    return FORMATS[content_format].separator


def header(content_format: ContentFormat, fields: Sequence[str]) -> bytes:
    """The header row of CSV with its line end; nothing in the other formats."""
    return ",".join(map(csv_cell, fields)).encode() + CSV_LINE if content_format is ContentFormat.CSV else b""


def around_rows(
    content_format: ContentFormat, fields: Sequence[str], *, batched: bool, whole: bool = True
) -> tuple[bytes, bytes]:
    """What stands before and after the rows; `fields` are the columns, in order.

    `whole`: the rows are the whole body. Within a body template a single row stands as it is.
    """
    known = FORMATS[content_format]
    if not whole:
        before, after = known.inside if batched else (b"", b"")
        return before + (header(content_format, fields) if batched else b""), after
    before, after = known.around if batched else known.alone
    return before + header(content_format, fields), after


def quoted(content_format: ContentFormat, value: str) -> str:
    """A value as it stands where a body's text has its placeholder: inside quotes in JSON, as a cell in CSV."""
    if content_format in (ContentFormat.JSON, ContentFormat.NDJSON):
        return json.dumps(value, ensure_ascii=False)[1:-1]
    if content_format in (ContentFormat.FORM, ContentFormat.FORM_DATA_PARAM):
        return quote_plus(value)
    if content_format is ContentFormat.XML:
        return xml_text(value)
    plain = value.replace("\0", "\ufffd")  # NUL marks the places of key and time
    return csv_cell(plain) if content_format is ContentFormat.CSV else plain


def csv_cell(text: str) -> str:
    """A cell by RFC 4180: quoted where it holds a quote, a comma, a line break, or blanks at its ends."""
    plain = text == text.strip() and not any(mark in text for mark in '",\r\n')
    return text if plain else '"' + text.replace('"', '""') + '"'


def xml_text(text: str) -> str:
    """Text or attribute content of XML 1.0."""
    return escape(xml_characters(text), {'"': "&quot;", "\r": "&#13;"})


def xml_characters(text: str) -> str:
    """The text with U+FFFD for characters that XML 1.0 cannot hold."""
    return text if text.isprintable() else "".join(c if _in_xml(c) else "\ufffd" for c in text)


def _in_xml(character: str) -> bool:
    point = ord(character)
    return (point >= 0x20 and point not in (0xFFFE, 0xFFFF) and not 0xD800 <= point <= 0xDFFF) or character in "\t\n\r"
