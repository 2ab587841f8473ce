"""Addresses that are no current endpoint of Klaviyo's: what can be told of them without writing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from spark_klaviyo.ask.account import unreachable_line
from spark_klaviyo.options.addresses import host_of, without_secrets
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan import manual
from spark_klaviyo.report.check import CheckLine
from spark_klaviyo.templates import CURRENT, find_template
from spark_klaviyo.wire.failures import TEXTS
from spark_klaviyo.wire.transport import Transport

RETIRED = "Klaviyo retired its v1 and v2 API on 2024-06-30: every call is answered HTTP 410 and stores nothing"


@dataclass(frozen=True)
class Address:
    """Where a write would go. `is_current`: to Klaviyo's current API, which can be asked with the key in the header."""

    origin: str
    is_old: bool = False
    is_current: bool = True


def address(options: Options) -> Address:
    """The address that these options name."""
    if options.template:
        old = bool(find_template(options.template, options.api).legacy)
        return Address(options.base_url, old, not old)
    if not options.url:
        return Address(options.base_url)
    path = urlsplit(options.url).path
    old = manual.is_old(path)
    known = _is_klaviyos(host_of(options.url)) or any(_fits(path, template.path) for template in CURRENT.values())
    return Address(manual.origin(options.url), old, known and not old and options.key_in == "header")


def lines(options: Options, where: Address) -> Iterator[CheckLine]:
    """What a read of the account does not tell."""
    host = host_of(where.origin)
    if not where.is_current:
        yield _reached(options, where.origin, host)
        yield CheckLine("key", None, "it cannot be tried at this address without writing")
    if where.is_old and _is_klaviyos(host):
        yield CheckLine("endpoint", False, RETIRED, "Use a template of the current API (`api=current`).")
    elif where.is_old or options.url:
        shown = without_secrets(options.url) if options.url else options.template
        told = f"{options.method} {shown} cannot be tried without writing" if options.url else f"{shown}: {RETIRED}"
        yield CheckLine("endpoint", None, told, "`check_klaviyo(send_sample=row, ...)` really sends one row.")


def _is_klaviyos(host: str) -> bool:
    return host == "klaviyo.com" or host.endswith(".klaviyo.com")


def _fits(path: str, known: str) -> bool:
    """Whether a path is that of an endpoint, whatever stands in place of its `{id}`."""
    ours, theirs = path.rstrip("/").split("/"), known.split("/")
    same = (one == other or other.startswith("{") for one, other in zip(ours, theirs, strict=False))
    return len(ours) == len(theirs) and all(same)


def _reached(options: Options, origin: str, host: str) -> CheckLine:
    """One HEAD of the host's root, without the key: whatever it answers, somebody is there."""
    transport = Transport(origin, {}, None, key_in="none", timeout_seconds=options.timeout_seconds, proxy=options.proxy)
    try:
        reply = transport.send("HEAD", "/")
    finally:
        transport.close()
    if reply.status is None and not reply.sent:
        return unreachable_line(host, TEXTS.get(reply.failure, "no answer came"))
    return CheckLine("address", True, f"{host} answers")
