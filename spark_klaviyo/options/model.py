"""Every option, grouped by what it is for, and `Options`: their values as the rest of the package reads them.

The parser and the README are made from these groups, so that a new option is a field here and the code that uses it.
Nothing here knows what other options say (`options.rules`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, fields, replace
from http import HTTPMethod
from typing import Any

from spark_klaviyo.core.codes import Api, ContentFormat, KeyIn, OnDelete
from spark_klaviyo.core.policy import Policy, Quota
from spark_klaviyo.core.secrets import Credentials, Secret
from spark_klaviyo.options import addresses, choices, readers
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.options.option import Option, manual_option, option, session_option, template_option
from spark_klaviyo.options.readers import OneOf, ceiling, seconds, secret, text, whole, yes_no
from spark_klaviyo.options.secrets import KEY_VARIABLE
from spark_klaviyo.templates.revisions import TESTED_REVISION

BASE_URL = "https://a.klaviyo.com"
METHODS = (HTTPMethod.POST, HTTPMethod.PUT, HTTPMethod.PATCH, HTTPMethod.DELETE, HTTPMethod.GET)


@dataclass(frozen=True)
class EverydayOptions:
    """What most jobs need."""

    template: str | None = option(text, None, "name of an endpoint template; exactly one of `template` and `url`")
    url: str = manual_option(
        addresses.complete_url,
        None,
        "complete URL of manual mode; `{column}` is filled in per row (percent-encoded), one row per request",
        hidden=True,
        if_unset="",
    )
    api_key: Secret | None = option(
        secret,
        f"env:{KEY_VARIABLE}",
        "private key, or a reference: `env:NAME`, `file:PATH`, `secret:SCOPE/KEY` (Databricks)",
        hidden=True,
    )
    fields: Mapping[str, str] = template_option(
        readers.mapping, None, "JSON object with the column name of each Klaviyo field", per_template=True, if_unset={}
    )
    default_country: str | None = template_option(
        readers.country, None, "country of national phone numbers: two letters (ISO 3166), or `column:NAME`"
    )
    validate: choices.Validate = option(
        choices.Validate,
        "strict",
        "checks before sending: `strict` rejects the row, `warn` sends it and warns, `off` does not check",
    )
    on_reject: choices.OnReject = option(
        choices.OnReject,
        "fail",
        "`fail`: raise RowsRejected at the end; `keep`: report only (the default in streams and foreachPartition)",
    )
    max_rejects: str | None = option(
        ceiling, None, "rows that may be rejected, a number or `2%`; beyond it sending stops"
    )
    rejects_path: str | None = option(addresses.place, None, "where rejected rows are appended, as Parquet")
    state_path: str | None = option(
        addresses.directory,
        None,
        "record of what was delivered, kept at a path: a re-run sends only what is new, changed or undelivered",
        needs_session=True,
    )


@dataclass(frozen=True)
class MappingOptions:
    """Map columns to fields."""

    record_column: str | None = option(text, None, "text column that holds complete records as JSON", per_template=True)
    other_columns: choices.OtherColumns = template_option(
        choices.OtherColumns,
        "properties",
        "columns that are not a field: sent as custom `properties`, `drop` leaves them out, `error` refuses them",
        per_template=True,
    )
    nulls: choices.Nulls = option(
        choices.Nulls, "omit", "null values: `omit`, or `send` (null clears a field where it can)", per_template=True
    )
    on_bad_phone: choices.OnBadPhone = template_option(
        choices.OnBadPhone,
        "reject",
        "invalid phone number: `reject` the row, or `drop` the phone where the row has another identifier",
    )
    time_zone: str = template_option(
        readers.time_zone, "UTC", "zone (IANA name) of times written without one: text, dates and `timestamp_ntz`"
    )
    unique_id_columns: tuple[str, ...] = template_option(
        readers.columns,
        None,
        "columns that an event's unique_id is derived from; by default all",
        per_template=True,
        if_unset=(),
    )


@dataclass(frozen=True)
class SizeOptions:
    """Set the size and the rate of requests."""

    batch_mode: bool = option(yes_no, "true", "`false`: one row per request")
    max_rows: int | None = option(
        whole(1), None, "most rows per request; by default the endpoint's limit, else 100", per_template=True
    )
    max_bytes: int | None = option(whole(1), None, "most bytes per request; the endpoint's limit", per_template=True)
    rate_limit: Quota | None = option(
        readers.rate, "auto", "`auto`: the account's limits; `10/s,150/m` sets them; `none`"
    )
    tasks: int = option(whole(1, 10_000), "8", "most tasks that send at once, where there is a session")
    workers: int = option(whole(1, 256), "4", "most requests in flight per task")
    send_from: choices.SendFrom = option(
        choices.SendFrom,
        "auto",
        "processes that send: `executors`, or `driver` (the calling process, where tasks have no internet access)",
    )


@dataclass(frozen=True)
class ErrorOptions:
    """Retry and resend."""

    timeout_seconds: float = option(
        seconds, f"{Policy.timeout_seconds:g}", "longest wait for a whole reply, from the last byte sent on"
    )
    attempts: int = option(whole(1, 1_000), f"{Policy.attempts}", "attempts per request; a 429 is not one")
    longest_wait_seconds: float = option(
        seconds,
        f"{Policy.longest_wait_seconds:g}",
        "a reply or a daily quota that asks for a longer wait, or throttling without end, stops the write",
    )
    resend: choices.Resend = option(
        choices.Resend,
        "auto",
        "a request whose answer was lost: `auto` sends it again if it is idempotent, else its rows are `in_doubt`",
    )


@dataclass(frozen=True)
class ResultOptions:
    """Record and show what became of rows."""

    receipts_path: str | None = option(addresses.place, None, "where a receipt per request is appended")
    runs_path: str | None = option(addresses.place, None, "where a row per run is appended")
    wait_for_jobs: bool = option(yes_no, "true", "follow asynchronous jobs to their end")
    job_timeout_seconds: float = option(seconds, "3600", "longest wait for a job")
    progress: choices.Progress = option(
        OneOf(choices.Progress, {"on": choices.Progress.ALWAYS, "off": choices.Progress.NEVER}),
        "auto",
        "progress bar: `auto` on a terminal or in a notebook, `true` always (log lines elsewhere), `false` never",
    )


@dataclass(frozen=True)
class ChangeOptions:
    """Delete, mirror a list, apply change data."""

    confirm_deletion: int | None = option(
        whole(0),
        None,
        "exact number of people about to be deleted or merged away; in streams the most per batch",
        needs_session=True,
    )
    change_column: str | None = session_option(text, None, "column that holds the kind of change", per_template=True)
    change_key: tuple[str, ...] = session_option(
        readers.columns,
        None,
        "columns that identify a row of the source table; by default external_id, else email, else phone_number",
        if_unset=(),
    )
    change_order: str = session_option(
        text, "_commit_version", "column that orders changes, by number or time; the latest of each key is sent"
    )
    on_delete: OnDelete | None = session_option(
        OnDelete, None, "what a delete means: `remove` (from the list), `suppress`, `delete` or `ignore`"
    )
    list_mode: choices.ListMode = session_option(
        choices.ListMode, "add", "`add`, or `mirror`: the list becomes exactly the DataFrame", per_template=True
    )
    max_removals: str = session_option(ceiling, "10%", "members that `mirror` may remove, a number or a share")


@dataclass(frozen=True)
class CallOptions:
    """Choose the API, its address and the credentials."""

    api: Api = template_option(
        Api,
        "current",
        "generation of the API: `current`, or `v2` and `v1` (retired) where the template has it",
        per_template=True,
    )
    revision: str = option(readers.revision, TESTED_REVISION, "the revision header, a date")
    base_url: str = option(addresses.base_url, BASE_URL, "scheme and host of the API")
    trusted_hosts: tuple[str, ...] = option(
        addresses.hosts,
        None,
        "hosts besides `*.klaviyo.com` and loopback addresses that may receive the key, comma-separated",
        if_unset=(),
    )
    account_id: str | None = option(
        readers.account_id,
        None,
        "public id of the account that the key must belong to, six letters and digits; any other is refused before "
        "anything is sent (the key needs `accounts:read`)",
    )
    allow_http: bool = option(yes_no, "false", "plain http to a host that is not loopback")
    headers: Mapping[str, str] = option(
        readers.headers,
        None,
        "JSON object, or `Name:value,Name2:value2`; `header.<Name>` sets one",
        hidden=True,
        if_unset={},
    )
    access_token: Secret | None = option(secret, None, "OAuth bearer token, or a reference as for api_key", hidden=True)
    proxy: str | None = option(
        addresses.proxy,
        None,
        "URL of a proxy; else that of the environment, whose CA settings are honoured too (.netrc never is)",
        hidden=True,
    )


@dataclass(frozen=True)
class ManualOptions:
    """Call any URL (manual mode)."""

    method: HTTPMethod = manual_option(OneOf(METHODS), "POST", "HTTP method: POST, PUT, PATCH, DELETE or GET")
    content_format: ContentFormat = manual_option(
        ContentFormat,
        "json",
        "how rows are written: `json`, `ndjson`, `form`, `form-data-param` (`data=<JSON>`), `xml`, `csv`, `text`",
    )
    body: str | None = manual_option(
        readers.verbatim,
        None,
        "template of the body: `{rows}`, `{row}`, `{api_key}`, `{column}`, `{now}`; by default `{rows}`; blank: none",
        hidden=True,
    )
    key_in: KeyIn = manual_option(
        OneOf((KeyIn.HEADER, KeyIn.QUERY, KeyIn.BODY, KeyIn.NONE)),
        "header",
        "where the key travels: `header`, `query`, `body` or `none`; `{api_key}` in the body means `body`",
    )


@dataclass(frozen=True, repr=False)
class Options(
    EverydayOptions, MappingOptions, SizeOptions, ErrorOptions, ResultOptions, ChangeOptions, CallOptions, ManualOptions
):
    """Every option with its value.

    `template` is None and `url` empty where the other was given, or where an entry point asks for neither. None means
    of `rate_limit` that the account's limits are followed (a Quota without windows is no limit), of `max_rows` and
    `max_bytes` the endpoint's limit. `max_rejects` and `max_removals` are a number or a share ("100", "2%"). `api_key`
    and `access_token` are resolved.
    """

    _: KW_ONLY
    entry_point: EntryPoint
    # The template's settings.
    settings: Mapping[str, str]
    # Names of the options and settings that the caller gave, and their values as text without any secret: for the runs
    # dataset, previews and reports.
    given: frozenset[str]
    shown: Mapping[str, str]

    @property
    def credentials(self) -> Credentials:
        """The key or the token of the call."""
        return Credentials(self.api_key, self.access_token)

    @property
    def taken_columns(self) -> tuple[str, ...]:
        """Columns that control the write instead of being sent."""
        return () if self.change_column is None else (self.change_column, self.change_order)

    def for_template(self, template: str, settings: Mapping[str, str], **changes: Any) -> Options:
        """The options of the same call for another template: what is about rows of the first one is reset."""
        reset: dict[str, Any] = {option.name: option.default_value for option in OPTIONS if option.per_template}
        return replace(self, template=template, settings=settings, **{**reset, **changes})

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={value!r}" for name, value in self.shown.items())
        return f"Options({self.entry_point.value}: {inside})"


def options_of(group: type) -> tuple[Option, ...]:
    """The options of one group, in order."""
    return tuple(one.metadata["option"](name=one.name) for one in fields(group))


# The groups, in the order of the bases of `Options`.
GROUPS = Options.__mro__[1:-1]
OPTIONS: tuple[Option, ...] = tuple(option for group in GROUPS for option in options_of(group))
BY_NAME: dict[str, Option] = {option.name: option for option in OPTIONS}
CREDENTIALS = tuple(option.name for option in OPTIONS if option.reader is secret)

_IGNORED = str.maketrans("", "", "_-.")


def normalized(name: str) -> str:
    """The one form of all spellings of a name: lower case, without `_`, `-` and `.`."""
    return name.lower().translate(_IGNORED)
