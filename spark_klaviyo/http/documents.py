"""Reads the JSON of replies: Klaviyo's error documents (current, v2 and v1), job ids, and what is safe to repeat.

Bodies are read, never headers: most 429 replies come without a Content-Type.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from spark_klaviyo.core.exact_json import get
from spark_klaviyo.core.identifiers import OF_PEOPLE
from spark_klaviyo.core.models import Reply
from spark_klaviyo.http.plain import plain_json, plain_text

MASKED = "…"
LEAST_CHARACTERS, LEAST_DIGITS = 4, 5  # of other values: shorter ones are words and counts of any sentence
MOST_DETAIL = 300  # characters
MOST_FAULTS = 10_000  # as many as a request may have rows
MOST_ID = 500  # characters; recorded: ids of jobs have 58

PAGE_BYTES = 4_000  # of a body, in which a page shows itself

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_FIELD = re.compile(
    r"(for the (?:resource|field) )'([a-z][a-z_-]*)'|'([a-z][a-z0-9_-]*)'(?= is (?:not a valid field|a required field))"
)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|“[^”]*”|‘[^’]*’|«[^»]*»")
_EMAIL = re.compile(r"[^\s'\"<>,;:]+@[^\s'\"<>,;:]+")
_PHONE = re.compile(r"(?<![\w-])\+?\(?\d(?:[\s().-]?\d){6,}(?![\w-])")
_TOKEN = re.compile(r"(?=[\w+/=-]*\d)[\w+/=-]{16,}")  # ids and tokens: long words with a digit in them
_AFTER_ID = re.compile(r"(\bids?:?\s+)(?!\d+;)[^\s,;'\"…]+(?:,\s*[^\s,;'\"…]+)*", re.IGNORECASE)
_LIST_ID = re.compile(r"\blist (?:id \S+|not found with id \S+)", re.IGNORECASE)  # a list's id is no personal data
_WORD_ENDS = re.compile(r"[\s,;`'\"“”‘’«»\[\]()]+|\.(?=\s|$)")


@dataclass(frozen=True)
class Fault:
    """One entry of an error document. `detail` may repeat a row's value, so only rejections may hold it.

    `words` are those of the whole detail, which `detail` may cut short: the ids that it names are among them.
    """

    code: str = ""
    title: str = ""
    detail: str = ""
    pointer: str = ""
    meta: Mapping[str, object] = field(default_factory=dict)
    words: frozenset[str] = field(default=frozenset(), repr=False, compare=False)


def json_object(text: str | bytes) -> dict[str, object]:
    """The JSON object that a text holds; empty where it holds anything else, or is not JSON."""
    document = plain_json(text)
    return document if isinstance(document, dict) else {}


def faults(body: bytes) -> tuple[Fault, ...]:
    """The faults that a body lists; none when it is empty, HTML, cut short or of no known form."""
    document = json_object(body)
    listed = document.get("errors")
    if isinstance(listed, list):
        return tuple(fault_of(entry) for entry in listed[:MOST_FAULTS] if isinstance(entry, dict))
    text = document.get("detail") or document.get("message")  # v2, v1
    return (Fault(detail=clean(text)),) if isinstance(text, str) else ()


def job_id(body: bytes) -> str | None:
    """`data.id` of a 202 with a job resource; None where there is none."""
    return id_text(get(json_object(body), ("data", "id"))) or None


def id_text(given: object) -> str:
    """An id as Klaviyo gives it; empty for anything that cannot be one."""
    return given if isinstance(given, str) and given.isprintable() and len(given) <= MOST_ID else ""


def is_page(reply: Reply) -> bool:
    """Whether a gateway or a bot challenge answered instead of the API, which answers with JSON or nothing.

    A page may begin with a byte order mark, blanks or a comment. A body whose Content-Type is HTML and that is not a
    JSON object counts as one, too: some gateways send a line of text.
    """
    text = plain_text(reply.body[:PAGE_BYTES]).lstrip("\ufeff\0 \t\r\n")
    if text.startswith("<"):
        return True
    return bool(text) and "html" in reply.headers.get("content-type", "").lower() and not json_object(reply.body)


def clean(text: object) -> str:
    """A text as one line of bounded length, without control characters; empty for anything but a text."""
    if not isinstance(text, str):
        return ""
    flat = " ".join(_CONTROL.sub(" ", text).split())
    return flat if len(flat) <= MOST_DETAIL else f"{flat[: MOST_DETAIL - 1]}…"


def safe_detail(text: str) -> str:
    """Klaviyo's sentence without the values that it quotes: for receipts, errors and logs, which hold no row's data."""
    kept: list[str] = []

    def keep(match: re.Match[str]) -> str:
        kept.append(match.group(0))
        return f"\x00{len(kept) - 1}\x00"

    marked = _LIST_ID.sub(keep, _FIELD.sub(keep, clean(text)))
    bare = _EMAIL.sub("…", _QUOTED.sub("'…'", marked))
    bare = _AFTER_ID.sub(r"\1…", _TOKEN.sub("…", _PHONE.sub("…", bare)))
    return re.sub(r"\x00(\d+)\x00", lambda match: kept[int(match.group(1))], bare)


def first_detail(found: tuple[Fault, ...]) -> str:
    """The detail of the first fault, safe to repeat; empty without one."""
    return safe_detail(found[0].detail) if found else ""


def fault_of(entry: Mapping[str, object]) -> Fault:
    """One entry of an error document."""
    source, meta, detail = entry.get("source"), entry.get("meta"), entry.get("detail")
    return Fault(
        code=clean(entry.get("code")),
        title=clean(entry.get("title")),
        detail=clean(detail) or clean(entry.get("title")),
        pointer=clean(get(source, ("pointer",)) or get(source, ("parameter",))),
        meta=meta if isinstance(meta, dict) else {},
        words=frozenset(_WORD_ENDS.split(detail)) - {""} if isinstance(detail, str) else frozenset(),
    )


# --- the values of a request's own rows -----------------------------------------------------------


def values_of(
    record: object, name: str = "", least: tuple[int, int] = (LEAST_CHARACTERS, LEAST_DIGITS)
) -> Iterator[str]:
    """The values in a record (loaded JSON) that no receipt, report or error may repeat: identifiers of any length.

    `least`: of other texts and numbers, the letters and digits that they have at least.
    """
    if isinstance(record, dict):
        for key, inner in record.items():
            yield from values_of(inner, key, least)
    elif isinstance(record, list):
        for inner in record:
            yield from values_of(inner, name, least)
    elif isinstance(record, str | int | float) and not isinstance(record, bool):
        text = " ".join(str(record).split())
        if text and (name in OF_PEOPLE or sum(map(str.isalnum, text)) >= least[not isinstance(record, str)]):
            yield text


def without_values(text: str, values: Iterable[str], keep: frozenset[str] = frozenset()) -> str:
    """The text with each of these values masked where it stands as a whole token; those in `keep` stay.

    Letters are compared without their case: Klaviyo writes emails in lower case.
    """
    folded = text.lower()
    found = {value for value in values if value.lower() in folded and value not in keep} if text else set()
    for value in sorted(found, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", MASKED, text, flags=re.IGNORECASE)
    return text
