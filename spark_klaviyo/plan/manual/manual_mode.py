"""Manual mode: any URL, method, headers, content format and body, made into a template like any other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlsplit

from spark_klaviyo.core.choices import Api, ContentFormat, KeyIn
from spark_klaviyo.core.models import Limits
from spark_klaviyo.plan.manual import body
from spark_klaviyo.plan.manual.body import KEY, PLACEHOLDER, RESERVED, ROW, ROWS
from spark_klaviyo.templates import CURRENT
from spark_klaviyo.templates.model import MAX_BODY, BodyLayout, Family, M, Setting, Template

if TYPE_CHECKING:
    from spark_klaviyo.options.parse import Options

DEFAULT_ROWS = 100  # no endpoint, no limit known: what v2 members took; `max_rows` changes it
OLD = re.compile(r"/api/(?:(v1|v2)/.*|(track|identify)/?)")
# content format -> characters that a key in the body may not have, as it is written there as it is
UNSAFE_KEYS = {
    ContentFormat.JSON: '"\\',
    ContentFormat.NDJSON: '"\\',
    ContentFormat.FORM: "%&+=;#",
    ContentFormat.FORM_DATA_PARAM: '"\\%&+=;#',
    ContentFormat.XML: "<>&\"'",
    ContentFormat.CSV: ',"',
}
JSON_FORM = '{"api_key":"{api_key}","profiles":{rows}}'  # v2: the key beside the rows


# --- what the URL says ----------------------------------------------------------------------------


def origin(url: str) -> str:
    """Scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def query(url: str) -> tuple[tuple[str, str], ...]:
    """The query parameters of the given URL, in order, its placeholders not filled."""
    return tuple(parse_qsl(urlsplit(url).query, keep_blank_values=True))


def api_of(path: str) -> Api:
    """The generation of the API that a path belongs to; track and identify are v1's."""
    found = OLD.fullmatch(path)
    return Api(found[1] or "v1") if found else Api.CURRENT


def is_old(path: str) -> bool:
    """Whether a path belongs to the retired v1 and v2 APIs, which know no `revision`."""
    return api_of(path) is not Api.CURRENT


def takes_token(path: str) -> bool:
    """Whether a path is v1's track or identify: the key is a token inside the payload, the answer 1 or 0."""
    found = OLD.fullmatch(path)
    return found is not None and found[2] is not None


def known_endpoint(options: Options) -> Template | None:
    """The current endpoint that URL and method mean, whatever ids stand in its path."""
    ours = urlsplit(options.url).path.rstrip("/").split("/")
    for known in CURRENT.values():
        theirs = known.path.split("/")
        same = (one == other or other.startswith("{") for one, other in zip(ours, theirs, strict=False))
        if known.method == options.method and len(ours) == len(theirs) and all(same):
            return known
    return None


def url_columns(options: Options) -> list[str]:
    """The columns that fill path and query."""
    parts = urlsplit(options.url)
    return body.names(f"{parts.path}?{parts.query}")


def placeholders(options: Options) -> list[str]:
    """The columns that URL and body name: `{sku}` in either, filled per row."""
    return list(dict.fromkeys([*url_columns(options), *body.names(body_text(options))]))


def names_in_body(options: Options) -> set[str]:
    """The columns that only the body names, where JSON takes values of any type."""
    return set(body.names(body_text(options))) - set(url_columns(options))


# --- what the options say -------------------------------------------------------------------------


def template(options: Options) -> Template:
    """A template made of the manual options; a current endpoint's limits, quota and outcome where the URL is one's."""
    path, text = urlsplit(options.url).path, body_text(options)
    known = known_endpoint(options)
    place = body.rows_place(text) if options.content_format is ContentFormat.JSON and ROWS in text else None
    return Template(
        name="manual",
        family=Family.MANUAL,
        summary="Any URL, method, headers, content format and body.",
        method=options.method,
        path=path,
        body={"token": KEY} if _token_form(options) else text or None,
        fields=(),
        limits=known.limits if known else Limits(DEFAULT_ROWS, MAX_BODY),
        quota=known.quota if known else M,
        confirmed_by_reply=known.confirmed_by_reply if known else not takes_token(path),
        job=known.job if known else None,
        already_satisfied=known.already_satisfied if known else (),
        settings=tuple(Setting(name, "column of the url", required=True) for name in url_columns(options)),
        layout=_layout(options, text),
        raw_rows=True,
        keep_empty=(),
        rows_pointer=place or "",
        api=api_of(path),
    )


def _layout(options: Options, text: str) -> BodyLayout:
    if _token_form(options):
        return BodyLayout.FORM
    return BodyLayout.SEQUENCE if ROWS in text or ROW in text else BodyLayout.APART


def _token_form(options: Options) -> bool:
    """v1's own form: `data=` and the row with the key beside its fields."""
    ours = options.content_format is ContentFormat.FORM_DATA_PARAM and takes_token(urlsplit(options.url).path)
    return ours and options.body is None and options.method != "GET" and key_in(options) is KeyIn.BODY


def content_format(options: Options) -> ContentFormat:
    """How rows are written; those of v1's own form stay JSON until the body is composed."""
    return ContentFormat.JSON if _token_form(options) else options.content_format


def key_in(options: Options) -> KeyIn:
    """Where the key travels: as told; where `{api_key}` stands; else as the API of the URL has it.

    v2 takes a header of its own, v1 the query, track and identify a token in their payload.
    """
    path = urlsplit(options.url).path
    if "key_in" not in options.given:
        if KEY in (options.body or ""):
            return KeyIn.BODY
        if takes_token(path):
            in_payload = options.content_format is ContentFormat.FORM_DATA_PARAM and options.body is None
            return KeyIn.BODY if in_payload else KeyIn.NONE
        if api_of(path) is Api.V1:
            return KeyIn.QUERY
    own_header = options.key_in is KeyIn.HEADER and api_of(path) is Api.V2
    return KeyIn.API_KEY_HEADER if own_header else options.key_in


def body_text(options: Options) -> str:
    """The body template: as given (a blank one is none), or the rows; nothing where the URL says all."""
    if options.body is not None:
        return options.body if options.body.strip() else ""
    by_url = bool(url_columns(options))
    if options.method == "GET" or (options.method == "DELETE" and by_url):
        return ""
    if options.key_in is KeyIn.BODY and options.content_format is ContentFormat.JSON:
        return JSON_FORM
    if options.key_in is KeyIn.BODY and options.content_format is ContentFormat.FORM:
        return f"api_key={KEY}&{ROW}"
    # pairs of several rows in one form could not be told apart, and v1's payload is one object
    single = by_url or options.content_format is ContentFormat.FORM or _takes_one(options)
    return ROWS if options.batch_mode and not single else ROW


def _takes_one(options: Options) -> bool:
    known = known_endpoint(options)
    return takes_token(urlsplit(options.url).path) or (known is not None and known.limits.max_rows == 1)


def one_row_a_request(made: Template, options: Options) -> bool:
    """Whether URL or body hold one row: columns in the URL, `{row}`, or no rows at all."""
    if not made.is_manual:
        return bool(made.path_fields)
    return bool(url_columns(options)) or made.layout is not BodyLayout.SEQUENCE or ROWS not in body_text(options)


def complaints(options: Options) -> Iterator[str]:
    """What cannot be as the manual options say."""
    text, where = body_text(options), key_in(options)
    parts = urlsplit(options.url)
    if set("{}") & set(PLACEHOLDER.sub("", f"{parts.path}?{parts.query}")):
        yield "url: holds a brace that belongs to no {column}; write the column's name without blanks, or %7B and %7D"
    misplaced = [name for name in PLACEHOLDER.findall(options.url) if name in RESERVED]
    if misplaced:
        yield f"url: {{{misplaced[0]}}} has its place in body; for the key in the query write ?api_key={{api_key}}"
    if text:
        yield from body.complaints(text, options.content_format)
    if KEY in text and where is not KeyIn.BODY:
        yield f"body: holds {{api_key}}, and key_in={options.key_in} sends the key elsewhere; leave key_in out"
    unsafe = UNSAFE_KEYS.get(options.content_format, "")
    key = options.credentials.api_key
    if where is KeyIn.BODY and key is not None and set(unsafe) & set(key.reveal()):
        yield f"api_key: has characters that end a value in {options.content_format}; send it with key_in=header"
    if where is KeyIn.BODY and KEY not in text and not _token_form(options):
        yield "key_in: body needs a body that says where: put {api_key} into it"
    if options.record_column is not None and options.content_format is ContentFormat.CSV:
        yield "record_column: csv needs columns for its header; use another content_format, or columns"


# --- what a request says --------------------------------------------------------------------------


def filled_path(path: str, values: Mapping[str, str]) -> str:
    """The path with its columns percent-encoded."""
    return body.filled_text(path, values, lambda value: quote(value, safe=""))


def filled_query(pairs: tuple[tuple[str, str], ...], values: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The query with its columns filled in; it is percent-encoded when it is sent."""
    return tuple((body.filled_text(name, values), body.filled_text(text, values)) for name, text in pairs)
