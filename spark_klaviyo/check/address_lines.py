"""Check lines for addresses outside Klaviyo's current API: what can be found out about them without writing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from spark_klaviyo.check.account_lines import unreachable_line
from spark_klaviyo.core.choices import Api, KeyIn
from spark_klaviyo.core.codes import Failure
from spark_klaviyo.core.models import Reply
from spark_klaviyo.core.secrets import Credentials
from spark_klaviyo.http.transport import Transport
from spark_klaviyo.options.addresses import host_of, is_klaviyo, without_secrets
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.manual.manual_mode import ManualCall, api_of
from spark_klaviyo.report.pages.check import CheckLine
from spark_klaviyo.templates import CURRENT, find_template

GONE = 410  # the status of every call of a retired API
RETIRED = "Klaviyo retired its v1 and v2 API on 2024-06-30: every call is answered HTTP 410 and stores nothing"
SAMPLE = "`check_klaviyo(send_sample=row, ...)`"


@dataclass(frozen=True)
class Address:
    """Where a write would go. `is_current`: to Klaviyo's current API, which reads the key from the header.

    `old_path`: the path of a call of v1 or v2; empty otherwise.
    """

    origin: str
    old_path: str = ""
    is_current: bool = True


def address_of(options: Options) -> Address:
    """The address that these options name."""
    if options.template:
        template = find_template(options.template, options.api)
        return Address(options.base_url, template.path if template.is_retired else "", not template.is_retired)
    if not options.url:
        return Address(options.base_url)
    path = urlsplit(options.url).path
    old_path = path if api_of(path) is not Api.CURRENT else ""
    known = is_klaviyo(host_of(options.url)) or any(_matches(path, template.path) for template in CURRENT.values())
    is_current = known and not old_path and options.key_in is KeyIn.HEADER
    return Address(ManualCall(options).origin, old_path, is_current)


def address_lines(options: Options, address: Address) -> Iterator[CheckLine]:
    """What a read of the account does not show."""
    host = host_of(address.origin)
    retired = bool(address.old_path) and is_klaviyo(host)
    if not address.is_current:
        reply = _probe(options, address)
        yield _reachable_line(reply, host, options.timeout_seconds)
        retired = retired or (bool(address.old_path) and reply.status == GONE)
        yield CheckLine("key", None, "it cannot be tried at this address without writing")
    if retired:
        yield CheckLine("endpoint", False, RETIRED, "Use a template of the current API (`api=current`).")
    elif address.old_path or options.url:
        call = f"{options.method} {without_secrets(options.url)}" if options.url else ""
        shown = call or f"{options.template} (api={options.api})"
        yield CheckLine("endpoint", None, f"{shown} cannot be tried without writing", f"{SAMPLE} really sends one row.")


def _matches(path: str, template_path: str) -> bool:
    """Whether a path is that of an endpoint; `{id}` stands for any segment."""
    given, known = path.rstrip("/").split("/"), template_path.split("/")
    same = (one == other or other.startswith("{") for one, other in zip(given, known, strict=False))
    return len(given) == len(known) and all(same)


def _probe(options: Options, address: Address) -> Reply:
    """One HEAD of the host's root, or a GET of the old call, without key and row: neither writes anything."""
    transport = Transport(
        address.origin,
        {},
        Credentials(),
        key_in=KeyIn.NONE,
        timeout_seconds=options.timeout_seconds,
        proxy=options.proxy,
    )
    try:
        if address.old_path:
            return transport.send("GET", re.sub(r"\{[^{}]*\}", "x", address.old_path))
        return transport.send("HEAD", "/")
    finally:
        transport.close()


def _reachable_line(reply: Reply, host: str, seconds: float) -> CheckLine:
    """Any status shows that the host can be reached; a connection without an answer does not."""
    if reply.status is not None:
        return CheckLine("address", True, f"{host} answers")
    failure = reply.failure.text if reply.failure else "no answer came"
    if not reply.sent:
        return unreachable_line(host, failure)
    if reply.failure is Failure.TIMEOUT:
        found = f"{host} takes the connection, but gave no answer within {seconds:g} s"
        return CheckLine("address", False, found, "Check that a server, and not only a gateway, listens there.")
    found = f"{host} takes the connection, but {failure}"
    return CheckLine("address", None, found, f"{SAMPLE} shows whether it answers a write.")
