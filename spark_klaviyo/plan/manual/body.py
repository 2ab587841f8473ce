"""The body of manual mode: its content formats, and its template, a text with `{rows}`, `{row}`, `{api_key}`, `{now}`
and `{column}` in it.

In JSON a `{column}` inside quotes becomes part of that text, and a bare one the JSON of its value. Everything is filled
in one pass, so that a value that looks like a placeholder stays a value. `encode.formats` rewrites the rows themselves:
a row is always followed by the format's separator, and what stands around all rows fills `{rows}` or `{row}`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote_plus
from xml.sax.saxutils import escape

from spark_klaviyo.core.codes import ContentFormat
from spark_klaviyo.core.models import KEY_PLACEHOLDER, NOW_PLACEHOLDER
from spark_klaviyo.plan.types import NUMBER
from spark_klaviyo.templates.model import pointer_to

CSV_LINE = b"\r\n"  # RFC 4180
XML_DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'
XML_ROWS = (XML_DECLARATION + b"<rows>\n", b"\n</rows>\n")
Values = Mapping[str, str]


# --- content formats ------------------------------------------------------------------------------


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


@dataclass(frozen=True)
class Format:
    """One content format.

    `separator` follows each row; the last one of a request is dropped. `quoted` writes a value in place of its
    placeholder: inside quotes in JSON, as a cell in CSV. A key in the body is not escaped, so it must not have the
    characters `unsafe_in_key`. The rest are texts before and after the rows: `around` a batch that is the whole body,
    `alone` around a single row that is, `inside` around a batch in a body template, which holds all other text itself.
    """

    media_type: str
    separator: bytes
    quoted: Callable[[str], str]
    unsafe_in_key: str = ""
    around: tuple[bytes, bytes] = (b"", b"")
    alone: tuple[bytes, bytes] = (b"", b"")
    inside: tuple[bytes, bytes] = (b"", b"")


JSON_FORMATS = (ContentFormat.JSON, ContentFormat.NDJSON)  # rows are sent as the JSON that they are encoded as
LINE = (b"", b"\n")
FORM_TYPE = "application/x-www-form-urlencoded"
FORMATS: dict[ContentFormat, Format] = {
    ContentFormat.JSON: Format("application/json", b",", _json_text, '"\\', (b"[", b"]"), inside=(b"[", b"]")),
    ContentFormat.NDJSON: Format("application/x-ndjson", b"\n", _json_text, '"\\', LINE, LINE),
    ContentFormat.FORM: Format(FORM_TYPE, b"&", quote_plus, "%&+=;#"),
    # v1's `data=<JSON>`: the JSON list of the rows, percent-encoded, its commas too
    ContentFormat.FORM_DATA_PARAM: Format(
        FORM_TYPE, b"%2C", quote_plus, '"\\%&+=;#', (b"data=%5B", b"%5D"), (b"data=", b""), (b"%5B", b"%5D")
    ),
    ContentFormat.XML: Format("application/xml", b"\n", _xml_text, "<>&\"'", XML_ROWS, (XML_DECLARATION, b"\n")),
    ContentFormat.CSV: Format("text/csv; charset=utf-8", CSV_LINE, _csv_text, ',"', (b"", CSV_LINE), (b"", CSV_LINE)),
    ContentFormat.TEXT: Format("text/plain; charset=utf-8", b"\n", _plain_text),
}


# --- the template of a body -----------------------------------------------------------------------

ROWS, ROW, KEY = "{rows}", "{row}", "{api_key}"
RESERVED = ("rows", "row", "api_key", "now")
DATA = "data="

PLACEHOLDER = re.compile(r"\{([^{}\":,\s][^{}\":,]*)\}")
_JSON_TOKEN = re.compile(r'(?P<text>"(?:[^"\\]|\\.)*")|' + PLACEHOLDER.pattern)
_MARKS = {"api_key": KEY_PLACEHOLDER.decode(), "now": NOW_PLACEHOLDER.decode()}
_MARK = re.compile("|".join(map(re.escape, _MARKS.values())))
# Types whose values come as JSON.
_BARE = NUMBER | {"boolean", "array", "map", "struct"}


def names(text: str) -> list[str]:
    """The columns that a text names, in order, each once."""
    return [name for name in dict.fromkeys(PLACEHOLDER.findall(text)) if name not in RESERVED]


def filled_text(text: str, values: Values, written: Callable[[str], str] = str) -> str:
    """A text with its columns filled in; those without a value are empty."""
    return PLACEHOLDER.sub(lambda found: written(values.get(found[1], "")), text)


def around(text: str, content_format: ContentFormat, values: Values, types: Values) -> tuple[bytes, bytes]:
    """What stands before and after the rows of a body, with placeholders for key and time.

    `types` are the names of the Spark types of all columns, in order: the header of CSV needs the names. Among other
    text a single row stands as it is.
    """
    known, batched = FORMATS[content_format], ROWS in text
    has_header = content_format is ContentFormat.CSV
    header = ",".join(map(csv_cell, types)).encode() + CSV_LINE if has_header else b""
    if text.strip() in (ROWS, ROW):
        before, after = known.around if batched else known.alone
        return before + header, after
    before, after = (known.inside[0] + header, known.inside[1]) if batched else (b"", b"")
    wrapped = content_format is ContentFormat.FORM_DATA_PARAM and is_json(text.removeprefix(DATA))
    head, _, tail = (text.removeprefix(DATA) if wrapped else text).partition(ROWS if batched else ROW)
    if wrapped:
        start, end = (_encoded(_filled_json(part, values, types)) for part in (head, tail))
        return DATA.encode() + start.encode() + before, after + end.encode()
    start, end = (_filled(part, content_format, values, types) for part in (head, tail))
    return start.encode() + before, after + end.encode()


def _filled(text: str, content_format: ContentFormat, values: Values, types: Values) -> str:
    if content_format in JSON_FORMATS:
        return _filled_json(text, values, types)
    return _with_quoted(text, content_format, values)


def _with_quoted(text: str, content_format: ContentFormat, values: Values) -> str:
    quoted = FORMATS[content_format].quoted
    return PLACEHOLDER.sub(lambda found: _MARKS.get(found[1]) or quoted(values.get(found[1], "")), text)


def _filled_json(text: str, values: Values, types: Values) -> str:
    def put(found: re.Match[str]) -> str:
        if found["text"] is not None:
            return _with_quoted(found["text"], ContentFormat.JSON, values)
        name = found[2]
        if name in _MARKS:
            return f'"{_MARKS[name]}"'
        value = values.get(name, "null")  # it comes as text
        as_it_is = name not in values or types.get(name) in _BARE
        return value if as_it_is else json.dumps(value, ensure_ascii=False)

    return _JSON_TOKEN.sub(put, text)


def _encoded(text: str) -> str:
    """Percent-encoded, but for the marks."""
    parts, marks = _MARK.split(text), [*_MARK.findall(text), ""]
    return "".join(quote_plus(part) + mark for part, mark in zip(parts, marks, strict=True))


# --- what a template must not say -----------------------------------------------------------------


def complaints(text: str, content_format: ContentFormat) -> Iterator[str]:
    """What is wrong with a body template; never its text, which may hold a key."""
    if text.count(ROWS) + text.count(ROW) > 1:
        yield "body: holds {rows} or {row} more than once; keep one of them"
    elif content_format is ContentFormat.JSON and not is_json(text):
        yield (
            "body: is not JSON once its placeholders are filled; "
            "correct it, or give its content_format (ndjson, form, xml, csv, text)"
        )
    elif content_format is ContentFormat.JSON and (ROWS in text or ROW in text):
        made = parsed(text)
        if pointer_to(made, ROWS) is None and pointer_to(made, ROW) is None:
            yield "body: {rows} stands inside quotes; it is JSON itself, so leave the quotes out"


def is_json(text: str) -> bool:
    """Whether a body template is JSON once its placeholders hold something."""
    try:
        parsed(text)
    except (ValueError, RecursionError):
        return False
    return True


def parsed(text: str) -> object:
    """The JSON value of a body template: the texts "{rows}" or "{row}" where rows go, 0 for other placeholders.

    Raises ValueError where it is no JSON.
    """

    def put(found: re.Match[str]) -> str:
        if found["text"] is not None:
            return PLACEHOLDER.sub("0", found["text"])
        return json.dumps(found[0]) if found[0] in (ROWS, ROW) else "0"

    return json.loads(_JSON_TOKEN.sub(put, text))
