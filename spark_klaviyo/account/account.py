"""What one read of the account tells: is Klaviyo reached, is the key good, whose is it, is the revision alive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timezone
from urllib.parse import urlsplit

from spark_klaviyo.account.reads import Asking, ReadFailed, place
from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.deliver.reads import Document
from spark_klaviyo.errors import OptionError
from spark_klaviyo.http.failures import TEXTS
from spark_klaviyo.options.model import Options
from spark_klaviyo.report.pages.check import CheckLine
from spark_klaviyo.templates.model import XS
from spark_klaviyo.templates.revisions import PINNED, warn_of

# spec: get_accounts, scope accounts:read. One call a second is all it takes, so it is read once.
ACCOUNTS = place("/api/accounts", XS)
RETIREMENT = "x-klaviyo-api-retirement-date"  # recorded 2026-04, on replies to deprecated revisions
NOBODY_ANSWERS = frozenset({StopCode.UNREACHABLE, StopCode.UNAVAILABLE, StopCode.LATE, StopCode.STOPPED})
_ADVICE = {
    "dns": "Look at the host's name, and whether there is internet at all; behind a proxy, give `proxy`.",
    "blocked": "Ask whoever runs the resolver to allow the host: tracker blocklists carry `a.klaviyo.com`.",
    "connect": "Look at firewalls and at `proxy`.",
    "connect_timeout": "Look at firewalls and at `proxy`.",
    "proxy": "Look at `proxy`, or at `HTTPS_PROXY` in the environment.",
    "tls": "Behind a proxy that inspects TLS, name its CA file in `REQUESTS_CA_BUNDLE`.",
}


@dataclass(frozen=True)
class Account:
    """What was found; `usable` when more can be read with this key."""

    name: str = ""
    lines: tuple[CheckLine, ...] = ()
    usable: bool = False


def ask_account(ask: Asking, options: Options, origin: str) -> Account:
    """Read the account once, and tell what that shows."""
    host = urlsplit(origin).hostname or origin
    try:
        document = ask.one(ACCOUNTS)
    except ReadFailed as failed:
        return _refused(failed, host, options)
    name = _name(document)
    lines = (
        CheckLine("address", True, f"{host} answers"),
        CheckLine("key", True, "Klaviyo knows it"),
        CheckLine("account", True, name),
        revision_line(options.revision, document.headers),
    )
    return Account(name, lines, usable=True)


def unreachable_line(host: str, message: str) -> CheckLine:
    """The line for an address that nobody answers at."""
    word = next((word for word, text in TEXTS.items() if text in message), "")
    return CheckLine("address", False, f"{host}: {message}", _ADVICE.get(word, ""))


def revision_line(revision: str, headers: Mapping[str, str], today: date | None = None) -> CheckLine:
    """Whether the revision is alive, by its date and by what the reply says of it."""
    now = today or datetime.now(timezone.utc).date()
    try:
        warning = warn_of(revision, now) or ""
    except OptionError as error:
        return CheckLine("revision", False, error.complaints[0].removeprefix("revision: "))
    retires = headers.get(RETIREMENT, "")
    gone = "was retired" in warning or (len(retires) == 10 and retires <= now.isoformat())
    told = warning or (f"Klaviyo retires it on {retires}; use {PINNED}" if retires else "")
    return CheckLine("revision", not gone, revision, told)


def _name(document: Document) -> str:
    for resource in document.resources:
        attributes = resource.get("attributes")
        contact = attributes.get("contact_information") if isinstance(attributes, Mapping) else None
        name = contact.get("organization_name") if isinstance(contact, Mapping) else None
        return str(name or resource.get("id") or "")
    return ""


def _refused(failed: ReadFailed, host: str, options: Options) -> Account:
    if failed.code in NOBODY_ANSWERS:
        return Account(lines=(unreachable_line(host, failed.message),))
    address = CheckLine("address", True, f"{host} answers")
    if failed.code is StopCode.UNAUTHORIZED:
        advice = "Give the private key (`pk_...`) of the account, whole and not revoked."
        return Account(lines=(address, CheckLine("key", False, failed.message, advice)))
    if failed.code is StopCode.FORBIDDEN and "scope" in failed.message:
        known = CheckLine("key", True, "Klaviyo knows it")
        unnamed = CheckLine("account", None, failed.message, "Give the key `accounts:read` to see whose it is.")
        return Account(lines=(address, known, unnamed, revision_line(options.revision, {})), usable=True)
    if failed.code in (StopCode.NOT_FOUND, StopCode.RETIRED):
        revision = revision_line(options.revision, {})
        advice = "" if revision.ok is False else "Look at `base_url` and `revision`."
        told = CheckLine("account", False, failed.message, advice)
        return Account(lines=(address, revision, told))
    return Account(lines=(address, CheckLine("key", False, failed.message)))
