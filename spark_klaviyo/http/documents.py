"""What a refusal says: Klaviyo's two error documents, v1's and v2's, and what is safe to repeat of them.

Bodies are read, never headers: most 429 replies come without a Content-Type.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

MOST_DETAIL = 300

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_FIELD = re.compile(
    r"(for the (?:resource|field) )'([a-z][a-z_-]*)'|'([a-z][a-z0-9_-]*)'(?= is (?:not a valid field|a required field))"
)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|“[^”]*”|‘[^’]*’|«[^»]*»")
_EMAIL = re.compile(r"[^\s'\"<>,;:]+@[^\s'\"<>,;:]+")
_PHONE = re.compile(r"(?<![\w-])\+?\(?\d(?:[\s().-]?\d){6,}(?![\w-])")
_LONG = re.compile(r"(?=[\w+/=-]*\d)[\w+/=-]{16,}")  # ids, tokens: long words with a digit in them
_NAMED = re.compile(r"(\bids?:?\s+)(?!\d+;)[^\s,;'\"…]+(?:,\s*[^\s,;'\"…]+)*", re.IGNORECASE)  # what "id" announces
_OPEN = re.compile(r"\blist (?:id \S+|not found with id \S+)", re.IGNORECASE)  # a list's id is nobody's data
_BETWEEN = re.compile(r"[\s,;`'\"“”‘’«»\[\]()]+|\.(?=\s|$)")
_DATE = re.compile(r"^\d{4}-\d\d-\d\d$")


@dataclass(frozen=True)
class Fault:
    """One entry of an error document; `detail` may repeat a row's value, so it belongs into Rejections alone.

    `words` are those of the whole detail, which `detail` may cut short: ids that it names are among them.
    """

    code: str = ""
    title: str = ""
    detail: str = ""
    pointer: str = ""
    meta: Mapping[str, object] = field(default_factory=dict)
    words: frozenset[str] = field(default=frozenset(), repr=False, compare=False)


def faults(body: bytes) -> tuple[Fault, ...]:
    """The faults a body lists; none when it is empty, HTML, cut short or of no known shape."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return ()
    if not isinstance(document, dict):
        return ()
    listed = document.get("errors")
    if isinstance(listed, list):
        return tuple(_fault(entry) for entry in listed if isinstance(entry, dict))
    text = document.get("detail") or document.get("message")  # v2, v1
    return (Fault(detail=clean(text)),) if isinstance(text, str) else ()


def job_id(body: bytes) -> str | None:
    """`data.id` of a 202 with a job resource; None where there is none."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    held = document.get("data") if isinstance(document, dict) else None
    found = held.get("id") if isinstance(held, dict) else None
    return found if isinstance(found, str) and found else None


def is_html(body: bytes) -> bool:
    """Whether a gateway or a bot challenge answered instead of the API."""
    return body[:200].lstrip().lower().startswith((b"<!doctype", b"<html", b"<head", b"<body"))


def clean(text: str) -> str:
    """Without control characters, on one line, of bounded length."""
    flat = " ".join(_CONTROL.sub(" ", text).split())
    return flat if len(flat) <= MOST_DETAIL else f"{flat[: MOST_DETAIL - 1]}…"


def safe_detail(text: str) -> str:
    """Klaviyo's sentence without the values it quotes: for receipts, errors and logs, which hold nobody's data."""
    kept: list[str] = []

    def keep(match: re.Match[str]) -> str:
        kept.append(match.group(0))
        return f"\x00{len(kept) - 1}\x00"

    marked = _OPEN.sub(keep, _FIELD.sub(keep, clean(text)))
    bare = _EMAIL.sub("…", _QUOTED.sub("'…'", marked))
    bare = _NAMED.sub(r"\1…", _LONG.sub("…", _PHONE.sub("…", bare)))
    return re.sub(r"\x00(\d+)\x00", lambda match: kept[int(match.group(1))], bare)


def _fault(entry: Mapping[str, object]) -> Fault:
    source = entry.get("source")
    pointer = source.get("pointer") or source.get("parameter") if isinstance(source, dict) else ""
    meta = entry.get("meta")
    said = entry.get("detail")
    return Fault(
        code=_text(entry.get("code")),
        title=_text(entry.get("title")),
        detail=_text(entry.get("detail")) or _text(entry.get("title")),
        pointer=_text(pointer),
        meta=meta if isinstance(meta, dict) else {},
        words=frozenset(_BETWEEN.split(said)) - {""} if isinstance(said, str) else frozenset(),
    )


def _text(value: object) -> str:
    return clean(value) if isinstance(value, str) else ""
