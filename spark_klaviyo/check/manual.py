"""Addresses that are no current endpoint of Klaviyo's: what can be told of them without writing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from spark_klaviyo.account.account import unreachable_line
from spark_klaviyo.core.choices import KeyIn
from spark_klaviyo.core.models import Reply
from spark_klaviyo.http.failures import TEXTS
from spark_klaviyo.http.transport import Transport
from spark_klaviyo.options.addresses import host_of, without_secrets
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.manual import manual_mode
from spark_klaviyo.report.pages.check import CheckLine
from spark_klaviyo.templates import CURRENT, find_template

GONE = 410  # what retired calls are answered with
RETIRED = "Klaviyo retired its v1 and v2 API on 2024-06-30: every call is answered HTTP 410 and stores nothing"


@dataclass(frozen=True)
class Address:
    """Where a write would go. `is_current`: to Klaviyo's current API, which can be asked with the key in the header.

    `old_path`: that of a call of v1 or v2; empty otherwise.
    """

    origin: str
    old_path: str = ""
    is_current: bool = True


def address(options: Options) -> Address:
    """The address that these options name."""
    if options.template:
        template = find_template(options.template, options.api)
        return Address(options.base_url, template.path if template.is_retired else "", not template.is_retired)
    if not options.url:
        return Address(options.base_url)
    path = urlsplit(options.url).path
    old = path if manual_mode.is_old(path) else ""
    known = _is_klaviyos(host_of(options.url)) or any(_fits(path, template.path) for template in CURRENT.values())
    return Address(manual_mode.origin(options.url), old, known and not old and options.key_in is KeyIn.HEADER)


def lines(options: Options, where: Address) -> Iterator[CheckLine]:
    """What a read of the account does not tell."""
    host = host_of(where.origin)
    retired = bool(where.old_path) and _is_klaviyos(host)
    if not where.is_current:
        reply = _asked(options, where)
        yield _reached(reply, host, options.timeout_seconds)
        retired = retired or (bool(where.old_path) and reply.status == GONE)
        yield CheckLine("key", None, "it cannot be tried at this address without writing")
    if retired:
        yield CheckLine("endpoint", False, RETIRED, "Use a template of the current API (`api=current`).")
    elif where.old_path or options.url:
        shown = without_secrets(options.url) if options.url else options.template
        told = f"{options.method} {shown}" if options.url else f"{shown} (api={options.api})"
        told = f"{told} cannot be tried without writing"
        yield CheckLine("endpoint", None, told, "`check_klaviyo(send_sample=row, ...)` really sends one row.")


def _is_klaviyos(host: str) -> bool:
    return host == "klaviyo.com" or host.endswith(".klaviyo.com")


def _fits(path: str, known: str) -> bool:
    """Whether a path is that of an endpoint, whatever stands in place of its `{id}`."""
    ours, theirs = path.rstrip("/").split("/"), known.split("/")
    same = (one == other or other.startswith("{") for one, other in zip(ours, theirs, strict=False))
    return len(ours) == len(theirs) and all(same)


def _asked(options: Options, where: Address) -> Reply:
    """One HEAD of the host's root, or a GET of the old call, without key and row: nothing is written by either."""
    transport = Transport(
        where.origin, {}, None, key_in=KeyIn.NONE, timeout_seconds=options.timeout_seconds, proxy=options.proxy
    )
    try:
        if where.old_path:
            return transport.send("GET", re.sub(r"\{[^{}]*\}", "x", where.old_path))
        return transport.send("HEAD", "/")
    finally:
        transport.close()


def _reached(reply: Reply, host: str, seconds: float) -> CheckLine:
    """Whatever a host answers, somebody is there; one that takes the request and stays silent is none to write to."""
    if reply.status is not None:
        return CheckLine("address", True, f"{host} answers")
    if not reply.sent:
        return unreachable_line(host, TEXTS.get(reply.failure, "no answer came"))
    if reply.failure == "timeout":
        told = f"{host} takes the connection, and gave no answer within {seconds:g} s"
        return CheckLine(
            "address", False, told, "ScreenRule whether a server, and not only a gateway, is listening there."
        )
    told = f"{host} takes the connection, and {TEXTS.get(reply.failure, 'no answer came')}"
    return CheckLine("address", None, told, "`check_klaviyo(send_sample=row, ...)` shows whether it answers a write.")
