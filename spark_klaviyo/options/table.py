"""Every option, one row each: the parser, the README's table and the command's help all read it."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPMethod

from spark_klaviyo.core.choices import Api, ContentFormat, KeyIn, OnDelete
from spark_klaviyo.options import addresses, readers
from spark_klaviyo.options.choices import (
    ListMode,
    Nulls,
    OnBadPhone,
    OnReject,
    OtherColumns,
    Progress,
    Resend,
    SendFrom,
    Validate,
)
from spark_klaviyo.options.entrypoints import SESSION_ENTRY_POINTS, EntryPoint
from spark_klaviyo.options.readers import Reader

BASE_URL = "https://a.klaviyo.com"
REVISION = "2026-10-15"  # the newest that the package was tested with
KEY_VARIABLE = "KLAVIYO_API_KEY"
METHODS = (HTTPMethod.POST, HTTPMethod.PUT, HTTPMethod.PATCH, HTTPMethod.DELETE, HTTPMethod.GET)

EVERYWHERE = frozenset(EntryPoint)


@dataclass(frozen=True)
class Option:
    """One option. `default` is written as a user would; None: nothing. `mode`: template, manual or both.

    `hidden`: its value may hold a key, so it is neither repeated in a message nor shown in a repr.
    """

    name: str
    group: str
    reader: Reader
    default: str | None
    help: str
    mode: str = "both"
    entry_points: frozenset[EntryPoint] = EVERYWHERE
    hidden: bool = False


_TARGET = (
    Option("template", "target", readers.text, None, "name of an endpoint template; exactly one of template and url"),
    Option(
        "api",
        "target",
        readers.choice(Api),
        "current",
        "form of the call: current, or a retired one where the template has it",
        "template",
    ),
    Option(
        "url",
        "target",
        addresses.complete_url,
        None,
        "complete URL; {column} is filled per row (percent-encoded), which makes it one row a request",
        "manual",
        hidden=True,
    ),
    Option(
        "method",
        "target",
        readers.choice(METHODS),
        "POST",
        "HTTP method",
        "manual",
    ),
    Option(
        "headers",
        "target",
        readers.headers,
        None,
        "JSON object, or Name:value,Name2:value2; header.<Name> sets one",
        hidden=True,
    ),
    Option(
        "content_format",
        "target",
        readers.choice(ContentFormat),
        "json",
        "what rows are written as; form-data-param is data=<JSON>",
        "manual",
    ),
    Option(
        "body",
        "target",
        readers.verbatim,
        None,
        "template of the body: {rows}, {row}, {api_key}, {column}, {now}; {rows} when batched, else {row}; blank: none",
        "manual",
        hidden=True,
    ),
    Option(
        "key_in",
        "target",
        readers.choice((KeyIn.HEADER, KeyIn.QUERY, KeyIn.BODY, KeyIn.NONE)),
        "header",
        "where the key travels; {api_key} in body and api_key in the url's query say so themselves",
        "manual",
    ),
    Option("base_url", "target", addresses.base_url, BASE_URL, "scheme and host of the API"),
    Option("allow_http", "target", readers.yes_no, "false", "plain http to a host that is not loopback"),
    Option("revision", "target", readers.revision, REVISION, "the revision header"),
)

_CREDENTIALS = (
    Option(
        "api_key",
        "credentials",
        readers.secret,
        f"env:{KEY_VARIABLE}",
        "private key, or env:NAME, file:PATH, secret:SCOPE/KEY (Databricks), resolved in the calling process",
        hidden=True,
    ),
    Option(
        "access_token",
        "credentials",
        readers.secret,
        None,
        "OAuth bearer token, or a reference as for api_key",
        hidden=True,
    ),
    Option(
        "proxy",
        "credentials",
        addresses.proxy,
        None,
        "URL of a proxy; otherwise the environment's, whose CA settings are honoured too, and never .netrc",
        hidden=True,
    ),
)

_REQUESTS = (
    Option("batch_mode", "requests", readers.yes_no, "true", "false: one row a request"),
    Option(
        "max_rows",
        "requests",
        readers.whole(1),
        None,
        "most rows in a request; the endpoint's limit (100 where none is published)",
    ),
    Option("max_bytes", "requests", readers.whole(1), None, "most bytes of a request; the endpoint's limit"),
    Option("tasks", "requests", readers.whole(1, 10_000), "8", "most tasks that send at once from a session door"),
    Option("workers", "requests", readers.whole(1, 256), "4", "most requests in flight per task"),
    Option("timeout_seconds", "requests", readers.seconds(), "60", "longest wait for an answer"),
    Option("attempts", "requests", readers.whole(1, 1_000), "8", "most attempts per request; a 429 is none"),
    Option(
        "longest_wait_seconds",
        "requests",
        readers.seconds(),
        "120",
        "a reply that asks for a longer wait, or throttling without end, stops the write",
    ),
    Option(
        "resend",
        "requests",
        readers.choice(Resend),
        "auto",
        "a request whose answer was lost: auto sends again only where that is harmless, else in_doubt",
    ),
    Option(
        "rate_limit",
        "requests",
        readers.rate,
        "auto",
        "auto follows the account's own limits; 10/s,150/m sets them; none",
    ),
    Option(
        "send_from",
        "requests",
        readers.choice(SendFrom),
        "auto",
        "where requests leave from; driver: the calling process, for compute whose tasks have no internet",
    ),
)

_ROWS = (
    Option("fields", "rows", readers.mapping, None, "JSON object: Klaviyo field path -> column name", "template"),
    Option("record_column", "rows", readers.text, None, "text column that holds each record ready made, as JSON"),
    Option(
        "other_columns",
        "rows",
        readers.choice(OtherColumns),
        "properties",
        "columns that are no known field",
        "template",
    ),
    Option("nulls", "rows", readers.choice(Nulls), "omit", "what becomes of null values"),
    Option(
        "validate",
        "rows",
        readers.choice(Validate),
        "strict",
        "checks before sending: reject the row, send and say, or none",
    ),
    Option(
        "default_country",
        "rows",
        readers.country,
        None,
        "country of national phone numbers (ISO 3166), or column:NAME",
        "template",
    ),
    Option(
        "on_bad_phone",
        "rows",
        readers.choice(OnBadPhone),
        "reject",
        "a phone that is no possible number: reject the row, or drop the phone where another identifier stands",
        "template",
    ),
    Option(
        "unique_id_columns",
        "rows",
        readers.columns,
        None,
        "columns that an event's unique_id is made from; the whole row",
        "template",
    ),
)

_OUTCOME = (
    Option(
        "on_reject",
        "outcome",
        readers.choice(OnReject),
        "fail",
        "fail: raise RowsRejected at the end; keep: report only (the default at streams and foreachPartition)",
    ),
    Option("max_rejects", "outcome", readers.ceiling, None, "a number or 2%: beyond it sending stops"),
    Option(
        "confirm_deletion",
        "outcome",
        readers.whole(0),
        None,
        "exact number of rows about to be deleted; in streams a ceiling per micro-batch",
        "template",
        SESSION_ENTRY_POINTS,
    ),
    Option("rejects_path", "outcome", addresses.place, None, "where rejected rows are appended, as Parquet"),
    Option("receipts_path", "outcome", addresses.place, None, "where per-request receipts are appended"),
    Option("runs_path", "outcome", addresses.place, None, "where one line a run is appended"),
    Option(
        "state_path",
        "outcome",
        addresses.directory,
        None,
        "durable record of what was delivered: a re-run sends only what is new, changed or undelivered",
        entry_points=SESSION_ENTRY_POINTS,
    ),
    Option("wait_for_jobs", "outcome", readers.yes_no, "true", "follow asynchronous jobs to their end"),
    Option("job_timeout_seconds", "outcome", readers.seconds(), "3600", "longest wait for a job"),
    Option(
        "progress",
        "outcome",
        readers.choice(Progress, on=Progress.ALWAYS, off=Progress.NEVER),
        "auto",
        "a progress bar on a terminal or in a notebook",
    ),
)

_CHANGES = (
    Option(
        "change_column",
        "changes",
        readers.text,
        None,
        "column that holds the kind of change",
        "template",
        SESSION_ENTRY_POINTS,
    ),
    Option(
        "change_order",
        "changes",
        readers.text,
        "_commit_version",
        "column that orders changes; only the latest per identifier is sent",
        "template",
        SESSION_ENTRY_POINTS,
    ),
    Option(
        "on_delete",
        "changes",
        readers.choice(OnDelete),
        None,
        "what a delete means: remove (from the list), suppress, delete or ignore",
        "template",
        SESSION_ENTRY_POINTS,
    ),
    Option(
        "list_mode",
        "changes",
        readers.choice(ListMode),
        "add",
        "mirror: the list becomes exactly the DataFrame",
        "template",
        SESSION_ENTRY_POINTS,
    ),
    Option(
        "max_removals",
        "changes",
        readers.ceiling,
        "10%",
        "most members that mirror may remove, a number or a share",
        "template",
        SESSION_ENTRY_POINTS,
    ),
)

OPTIONS: tuple[Option, ...] = (
    *_TARGET,
    *_CREDENTIALS,
    *_REQUESTS,
    *_ROWS,
    *_OUTCOME,
    *_CHANGES,
)
BY_NAME: dict[str, Option] = {option.name: option for option in OPTIONS}


_IGNORED = str.maketrans("", "", "_-.")


def plain(name: str) -> str:
    """The one spelling behind all: lower case, without `_`, `-` and `.`."""
    return name.lower().translate(_IGNORED)
