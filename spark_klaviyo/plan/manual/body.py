"""The body template of manual mode: a text with `{rows}`, `{row}`, `{api_key}`, `{now}` and `{column}` in it.

In JSON a `{column}` inside quotes becomes part of that text, and a bare one the JSON of its value. Everything is filled
in one pass, so that a value that looks like a placeholder stays a value. A row is always followed by the separator of
its format (`plan.manual.formats`), and what stands around all rows fills `{rows}` or `{row}`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import quote_plus

from spark_klaviyo.core.codes import ContentFormat
from spark_klaviyo.core.models import KEY_PLACEHOLDER, NOW_PLACEHOLDER
from spark_klaviyo.plan.manual.formats import CSV_LINE, FORMATS, JSON_FORMATS, csv_cell
from spark_klaviyo.templates.model import pointer_to

Values = Mapping[str, str]


ROWS, ROW, KEY = "{rows}", "{row}", "{api_key}"
RESERVED = ("rows", "row", "api_key", "now")
DATA = "data="

PLACEHOLDER = re.compile(r"\{([^{}\":,\s][^{}\":,]*)\}")
_JSON_TOKEN = re.compile(r'(?P<text>"(?:[^"\\]|\\.)*")|' + PLACEHOLDER.pattern)
_MARKS = {"api_key": KEY_PLACEHOLDER.decode(), "now": NOW_PLACEHOLDER.decode()}
_MARK = re.compile("|".join(map(re.escape, _MARKS.values())))
# Types whose values come as JSON.
_BARE = frozenset(
    {"byte", "short", "integer", "long", "float", "double", "decimal", "boolean", "array", "map", "struct"}
)


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
    has_json = wrapped or content_format in JSON_FORMATS
    start, end = (
        _filled_json(part, values, types) if has_json else _with_quoted(part, content_format, values)
        for part in (head, tail)
    )
    if wrapped:
        start, end = DATA + _encoded(start), _encoded(end)
    return start.encode() + before, after + end.encode()


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
