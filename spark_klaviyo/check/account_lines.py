"""Check lines from one read of the account: address, key, account and revision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timezone
from urllib.parse import urlsplit

from spark_klaviyo.account.account import read_account
from spark_klaviyo.account.reads import AccountReader, ReadFailed
from spark_klaviyo.core.codes import Failure, StopCode
from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.model import Options
from spark_klaviyo.report.pages.check import CheckLine
from spark_klaviyo.templates.revisions import TESTED_REVISION, warn_of

RETIREMENT = "x-klaviyo-api-retirement-date"  # recorded 2026-04, on replies to deprecated revisions
_NO_ANSWER = frozenset({StopCode.UNREACHABLE, StopCode.UNAVAILABLE, StopCode.LATE, StopCode.STOPPED})
_KEY_KNOWN = CheckLine("key", True, "Klaviyo knows it")
_ADVICE: dict[str, str] = {
    Failure.DNS: "Check the host's name and the internet connection; behind a proxy, give `proxy`.",
    Failure.BLOCKED: "Ask the resolver's administrator to allow the host: tracker blocklists list `a.klaviyo.com`.",
    Failure.CONNECT: "Check firewalls and `proxy`.",
    Failure.CONNECT_TIMEOUT: "Check firewalls and `proxy`.",
    Failure.PROXY: "Check `proxy`, or `HTTPS_PROXY` in the environment.",
    Failure.TLS: "Behind a proxy that inspects TLS, name its CA file in `REQUESTS_CA_BUNDLE`.",
}


@dataclass(frozen=True)
class AccountCheck:
    """The account's name, the check lines, and whether more can be read with this key."""

    name: str = ""
    lines: tuple[CheckLine, ...] = ()
    usable: bool = False


def check_account(reader: AccountReader, options: Options, origin: str) -> AccountCheck:
    """Read the account once, and say what that shows."""
    host = urlsplit(origin).hostname or origin
    reachable = CheckLine("address", True, f"{host} answers")
    try:
        account = read_account(reader)
    except ReadFailed as failed:
        if failed.code in _NO_ANSWER:
            return AccountCheck(lines=(unreachable_line(host, failed.message),))
        usable = failed.code is StopCode.FORBIDDEN and "scope" in failed.message
        return AccountCheck("", (reachable, *_failed_lines(failed, options, usable)), usable)
    revision = revision_line(options.revision, account.headers)
    lines = (reachable, _KEY_KNOWN, CheckLine("account", True, account.name), revision)
    return AccountCheck(account.name, lines, usable=True)


def unreachable_line(host: str, message: str) -> CheckLine:
    """The line for an address without an answer."""
    failure = next((failure for failure in Failure if failure.text in message), "")
    return CheckLine("address", False, f"{host}: {message}", _ADVICE.get(failure, ""))


def revision_line(revision: str, headers: Mapping[str, str], today: date | None = None) -> CheckLine:
    """Whether the revision is alive, by its date and by what the reply's headers say of it."""
    now = today or datetime.now(timezone.utc).date()
    try:
        warning = warn_of(revision, now) or ""
    except OptionError as error:
        return CheckLine("revision", False, error.complaints[0].removeprefix("revision: "))
    retires = headers.get(RETIREMENT, "")
    retired = "was retired" in warning or (len(retires) == 10 and retires <= now.isoformat())
    advice = warning or (f"Klaviyo retires it on {retires}; use {TESTED_REVISION}" if retires else "")
    return CheckLine("revision", not retired, revision, advice)


def _failed_lines(failed: ReadFailed, options: Options, usable: bool) -> tuple[CheckLine, ...]:
    revision = revision_line(options.revision, {})
    if usable:
        advice = "Give the key `accounts:read` to see whose it is."
        return _KEY_KNOWN, CheckLine("account", None, failed.message, advice), revision
    if failed.code in (StopCode.NOT_FOUND, StopCode.RETIRED):
        advice = "" if revision.ok is False else "Check `base_url` and `revision`."
        return revision, CheckLine("account", False, failed.message, advice)
    advice = "Give the private key (`pk_...`) of the account, whole and not revoked."
    return (CheckLine("key", False, failed.message, advice if failed.code is StopCode.UNAUTHORIZED else ""),)
