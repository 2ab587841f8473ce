"""Turns what a server sent into plain values, in one place: bounded, valid text, finite numbers, without known secrets.

Nothing that reads a reply later can meet a lone surrogate, a number beyond 64 bits, a document of any depth or a text
of any length, so nothing behind it raises for what a server sends.
"""

from __future__ import annotations

import codecs
import json
import math
import re
from collections.abc import Callable, Iterable
from itertools import islice
from typing import TypeAlias

MAX_REPLY_BYTES = 16_000_000  # 100 import errors that each repeat a profile of 100 KB fit
MOST_RAW_BYTES = 100_000  # kept of a body that is no JSON document
MOST_DEPTH = 64  # docs: values are nested at most 10 deep; a document adds a few levels
MOST_TEXT = 200_000  # characters; spec: no text of a profile or event exceeds 100 KB
MOST_DIGITS = 18  # of a whole number: it fits 64 bits
MOST_HEADERS, MOST_NAME, MOST_HEADER = 100, 100, 1_000

_SURROGATE = re.compile(r"[\ud800-\udfff]")
_UNSENDABLE = re.compile(r"[^\x20-\x7e]")
_MARKS = ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"), (codecs.BOM_UTF8, "utf-8-sig"))
Cover: TypeAlias = Callable[[str], str]  # covers known secrets in a text


def plain_headers(given: Iterable[tuple[str, str]], cover: Cover) -> dict[str, str]:
    """Headers by lower-case name, of printable ASCII, as many and as long as any reply of Klaviyo's could need."""
    return {
        _UNSENDABLE.sub("?", str(name)[:MOST_NAME]).lower(): cover(_UNSENDABLE.sub("?", str(value)))[:MOST_HEADER]
        for name, value in islice(given, MOST_HEADERS)
    }


def plain_body(body: bytes, cover: Cover) -> bytes:
    """A body that JSON readers and text readers can take as it is: compact JSON of an object or a list, else text."""
    document = plain_json(body, cover)
    if isinstance(document, dict | list):
        return json.dumps(document, separators=(",", ":")).encode()
    return cover(plain_text(body[:MOST_RAW_BYTES])).encode()


def plain_json(text: str | bytes, cover: Cover = str) -> object:
    """The plain value of a JSON text; None where it is no JSON, no text, or nested too deeply to be read."""
    try:
        value = json.loads(text, parse_int=_whole, parse_float=_fraction, parse_constant=_cut) if text else None
    except (ValueError, RecursionError):
        return None
    return _plain(value, cover, 0)


def plain_text(body: bytes) -> str:
    """Bytes as text, by their byte order mark, which is left out; what is no text becomes U+FFFD."""
    encoding = next((encoding for mark, encoding in _MARKS if body.startswith(mark)), "utf-8")
    return body.decode(encoding, "replace")


def _plain(value: object, cover: Cover, depth: int) -> object:
    if isinstance(value, str):
        return cover(_SURROGATE.sub("\ufffd", value))[:MOST_TEXT]
    if isinstance(value, dict | list) and depth >= MOST_DEPTH:
        return None
    if isinstance(value, dict):
        return {str(_plain(key, cover, depth)): _plain(inner, cover, depth + 1) for key, inner in value.items()}
    return [_plain(inner, cover, depth + 1) for inner in value] if isinstance(value, list) else value


def _whole(text: str) -> int | str:
    return int(text) if len(text) <= MOST_DIGITS else _cut(text)


def _fraction(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else _cut(text)


def _cut(text: str) -> str:
    """A number that is none stays as text, so that readers see that something unreadable was there."""
    return text[: MOST_DIGITS + 2]
