"""Manual mode: any URL, method, headers, content format and body, made into a template like any other.

A URL of one of Klaviyo's own endpoints gets that endpoint's limits and quota. Nothing here knows the DataFrame.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from urllib.parse import parse_qsl, urlsplit

from spark_klaviyo.core.codes import Api, ContentFormat, KeyIn
from spark_klaviyo.core.policy import Limits
from spark_klaviyo.options.erasure import may_erase
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.manual import body
from spark_klaviyo.plan.manual.body import KEY, PLACEHOLDER, RESERVED, ROW, ROWS
from spark_klaviyo.plan.manual.formats import FORMATS
from spark_klaviyo.templates import CURRENT
from spark_klaviyo.templates.limits import MAX_BODY, M
from spark_klaviyo.templates.model import BodyLayout, Setting, Template

DEFAULT_ROWS = 100  # where no endpoint and so no limit is known: what v2's members took; `max_rows` changes it
_REACH = re.compile(r"/(?:subscribe|exclusions)\b")  # v1, v2: calls that change who gets messages
_SUBSCRIBES = re.compile(r"/api/v2/list/[^/]+/subscribe/?")
OPT_OUTS_UNREAD = (
    "who has opted out is not read in manual mode, and this url would subscribe them again; "
    "template=bulk_subscribe_profiles reads it first"
)
MEMBERS_UNREAD = (
    "who is on the list is not read in manual mode, and this url would unsubscribe anybody else from everything; "
    "template=bulk_unsubscribe_profiles reads it first"
)
RETIRED_PATH = re.compile(r"/api/(?:(v1|v2)/.*|(track|identify)/?)")
# v2 takes the key beside the rows.
BODY_WITH_KEY = {
    ContentFormat.JSON: '{"api_key":"{api_key}","profiles":{rows}}',
    ContentFormat.FORM: f"api_key={KEY}&{ROW}",
}


class ManualCall:
    """What the options of manual mode say, and what follows from them.

    `url` are the parts of the URL, its placeholders not filled: `origin` scheme, host and port, `query` its parameters,
    `columns_of_url` the columns that fill it. `api` is the generation of the API that it belongs to; `takes_token`
    whether it is v1's track or identify, where the key is a token in the payload and the answer 1 or 0.
    """

    def __init__(self, options: Options) -> None:
        self.options, self.url = options, urlsplit(options.url)
        self.origin = f"{self.url.scheme}://{self.url.netloc}"
        self.query = tuple(parse_qsl(self.url.query, keep_blank_values=True))
        self.columns_of_url = body.names(f"{self.url.path}?{self.url.query}")
        found = RETIRED_PATH.fullmatch(self.url.path)
        self.api = Api(found[1] or "v1") if found else Api.CURRENT
        self.takes_token = found is not None and found[2] is not None
        self._has_own_form = options.content_format is ContentFormat.FORM_DATA_PARAM and options.body is None

    @cached_property
    def endpoint(self) -> Template | None:
        """The template of the current endpoint that URL and method mean, whatever ids stand in the path."""
        path = self.url.path.rstrip("/")
        known = (one for one in CURRENT.values() if one.method == self.options.method)
        return next((one for one in known if re.fullmatch(re.sub(r"\{\w+\}", "[^/]*", one.path), path)), None)

    # --- key and body ---

    @property
    def key_in(self) -> KeyIn:
        """Where the key travels: as asked for; where `{api_key}` stands; else as the API of the URL has it.

        v2 takes a header of its own, v1 the query, track and identify a token in their payload.
        """
        options = self.options
        if "key_in" not in options.given:
            if KEY in (options.body or ""):
                return KeyIn.BODY
            if self.takes_token:
                return KeyIn.BODY if self._has_own_form else KeyIn.NONE
            if self.api is Api.V1:
                return KeyIn.QUERY
        own_header = options.key_in is KeyIn.HEADER and self.api is Api.V2
        return KeyIn.API_KEY_HEADER if own_header else options.key_in

    @property
    def is_token_form(self) -> bool:
        """Whether the body is v1's own form: `data=` and the row with the key beside its fields."""
        return self._has_own_form and self.takes_token and self.options.method != "GET" and self.key_in is KeyIn.BODY

    @property
    def carries_private_key(self) -> bool:
        """Whether requests carry the key that reads the account; v1's track and identify carry the public one."""
        return self.key_in is not KeyIn.NONE and not self.takes_token

    @property
    def content_format(self) -> ContentFormat:
        """How rows are written; those of v1's own form stay JSON until the body is composed."""
        return ContentFormat.JSON if self.is_token_form else self.options.content_format

    @cached_property
    def body_text(self) -> str:
        """The body template: as given, or the rows; empty where there is no body."""
        options = self.options
        if options.body is not None:
            return options.body if options.body.strip() else ""
        by_url = bool(self.columns_of_url)
        if options.method == "GET" or (options.method == "DELETE" and by_url):
            return ""
        if options.key_in is KeyIn.BODY and options.content_format in BODY_WITH_KEY:
            return BODY_WITH_KEY[options.content_format]
        is_form = options.content_format is ContentFormat.FORM
        # pairs of several rows in one form could not be distinguished, and v1's payload is one object
        single_endpoint = self.endpoint is not None and self.endpoint.limits.max_rows == 1
        single = by_url or is_form or self.takes_token or single_endpoint
        return ROWS if options.batch_mode and not single else ROW

    @property
    def one_row_per_request(self) -> bool:
        """Whether URL or body hold one row: columns in the URL, `{row}`, or no rows at all."""
        return bool(self.columns_of_url) or ROWS not in self.body_text

    # --- the template ---

    @property
    def erases(self) -> bool:
        """Whether its requests erase or merge people, or could."""
        return may_erase(self.options.url, self.options.trusted_hosts)

    def template(self) -> Template:
        """A template made of these options."""
        known, has_rows = self.endpoint, ROWS in self.body_text or ROW in self.body_text
        return Template(
            name="manual",
            is_manual=True,
            summary="Any URL, method, headers, content format and body.",
            method=self.options.method,
            path=self.url.path,
            body=self._body(),
            fields=(),
            limits=known.limits if known else Limits(DEFAULT_ROWS, MAX_BODY),
            quota=known.quota if known else M,
            confirmed_by_reply=known.confirmed_by_reply if known else not self.takes_token,
            job=known.job if known else None,
            deletes=self.erases,
            takes_away=self.erases,
            changes_reach=known.needs_care if known else _REACH.search(self.url.path) is not None,
            already_satisfied=known.already_satisfied if known else (),
            settings=tuple(Setting(name, "column of the url", required=True) for name in self.columns_of_url),
            layout=BodyLayout.FORM if self.is_token_form else BodyLayout.SEQUENCE if has_rows else BodyLayout.APART,
            raw_rows=True,
            keep_empty=(),
            api=self.api,
        )

    def warnings(self) -> Iterator[str]:
        """What protects people in a template of the same call, and not here."""
        known = self.endpoint
        if known is not None and known.unsubscribes:
            yield MEMBERS_UNREAD
        is_v2 = _SUBSCRIBES.fullmatch(self.url.path) is not None and self.options.method == "POST"
        if is_v2 or (known is not None and known.subscribes):
            yield OPT_OUTS_UNREAD

    def _body(self) -> object:
        if self.is_token_form:
            return {"token": KEY}
        is_json = bool(self.body_text) and self.options.content_format is ContentFormat.JSON
        made = body.parsed(self.body_text) if is_json else None  # None is also what `null` is parsed to
        return made if made is not None else self.body_text or None

    def complaints(self) -> Iterator[str]:
        """What these options must not say."""
        options, text = self.options, self.body_text
        if set("{}") & set(PLACEHOLDER.sub("", f"{self.url.path}?{self.url.query}")):
            yield (
                "url: holds a brace that belongs to no {column}; write the column's name without blanks, or %7B and %7D"
            )
        misplaced = [name for name in PLACEHOLDER.findall(options.url) if name in RESERVED]
        if misplaced:
            yield f"url: {{{misplaced[0]}}} has its place in body; for the key in the query write ?api_key={{api_key}}"
        if text:
            yield from body.complaints(text, options.content_format)
        if KEY in text and self.key_in is not KeyIn.BODY:
            yield f"body: holds {{api_key}}, and key_in={options.key_in} sends the key elsewhere; leave key_in out"
        unsafe = set(FORMATS[options.content_format].unsafe_in_key)
        if self.key_in is KeyIn.BODY and options.api_key is not None and unsafe & set(options.api_key.reveal()):
            yield f"api_key: has characters that end a value in {options.content_format}; send it with key_in=header"
        if self.key_in is KeyIn.BODY and KEY not in text and not self.is_token_form:
            yield "key_in: body needs {api_key} in the option body, where the key goes"
        if options.record_column is not None and options.content_format is ContentFormat.CSV:
            yield "record_column: csv needs columns for its header; use another content_format, or columns"
