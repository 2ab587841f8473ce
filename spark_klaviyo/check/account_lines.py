"""Check lines from reads of the account: key, account, revision, the ids that options name, and the key's scopes.

A scope for writing shows only in a write.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timezone
from urllib.parse import urlsplit

from spark_klaviyo.account.names import Resource, ResourceKind, find_named, kind_of, setting_values
from spark_klaviyo.account.reads import read_account
from spark_klaviyo.core.codes import Failure, StopCode
from spark_klaviyo.core.models import Target
from spark_klaviyo.deliver.reads import Reader, ReadFailed, ReadTarget
from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.choices import ListMode
from spark_klaviyo.options.model import Options
from spark_klaviyo.options.readers import COLUMN, is_name
from spark_klaviyo.report.pages.check import CheckLine
from spark_klaviyo.templates import find_template
from spark_klaviyo.templates.limits import L, S
from spark_klaviyo.templates.model import JobErrors, Setting, Template
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


def check_account(reader: Reader, options: Options, origin: str) -> tuple[Target | None, list[CheckLine]]:
    """Read the account once, and say what that shows; None in its place where nothing can be read with this key."""
    host = urlsplit(origin).hostname or origin
    reachable = CheckLine("address", True, f"{host} answers")
    try:
        account, headers = read_account(reader)
    except ReadFailed as failed:
        if failed.code in _NO_ANSWER:
            return None, [unreachable_line(host, failed.message)]
        usable = failed.code is StopCode.FORBIDDEN and "scope" in failed.message
        return Target() if usable else None, [reachable, *_failed_lines(failed, options, usable)]
    revision = revision_line(options.revision, headers)
    return account, [reachable, _KEY_KNOWN, _account_line(account, options), revision]


def _account_line(account: Target, options: Options) -> CheckLine:
    if options.account_id in (None, account.account_id):
        return CheckLine("account", True, str(account))
    found = f"{account}, and account_id={options.account_id} is expected"
    return CheckLine("account", False, found, "Give the key of the account that is meant.")


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
        needed = False if options.account_id else None  # a write would refuse the key
        return _KEY_KNOWN, CheckLine("account", needed, failed.message, advice), revision
    if failed.code in (StopCode.NOT_FOUND, StopCode.RETIRED):
        advice = "" if revision.ok is False else "Check `base_url` and `revision`."
        return revision, CheckLine("account", False, failed.message, advice)
    advice = "Give the private key (`pk_...`) of the account, whole and not revoked."
    return (CheckLine("key", False, failed.message, advice if failed.code is StopCode.UNAUTHORIZED else ""),)


# --- the ids and names that options give ----------------------------------------------------------


def setting_lines(reader: Reader, options: Options, template: Template) -> Iterator[CheckLine]:
    """A line for each id or name; several for a setting with several."""
    for setting in template.settings:
        for value in setting_values(options, setting) if setting.lookup_kind else ():
            if is_name(value):
                yield _name_line(reader, setting, value)
            elif value.startswith(COLUMN):
                column = value.removeprefix(COLUMN)
                yield CheckLine(kind_of(setting).label, None, f"taken from each row, column {column!r}")
            else:
                yield _id_line(reader, kind_of(setting), value)


def _name_line(reader: Reader, setting: Setting, named: str) -> CheckLine:
    try:
        return _id_line(reader, kind_of(setting), find_named(reader, setting, named).id)
    except OptionError as error:
        return CheckLine(setting.lookup_kind, False, "; ".join(error.complaints))
    except ReadFailed as failed:
        return CheckLine(setting.lookup_kind, False, failed.message)


def _id_line(reader: Reader, kind: ResourceKind, resource_id: str) -> CheckLine:
    try:
        document = reader.read(kind.by_id(resource_id))
    except ReadFailed as failed:
        return _failed_line(failed, kind, resource_id)
    shown = next((str(Resource.of(one, kind)) for one in document.resources), resource_id)
    return CheckLine(kind.label, True, shown)


def _failed_line(failed: ReadFailed, kind: ResourceKind, resource_id: str) -> CheckLine:
    if failed.code in (StopCode.NOT_FOUND, StopCode.REFUSED):
        listed = kind.label == "list"
        advice = "`spark-klaviyo lists` prints ids and names." if listed else "Its address in Klaviyo holds the id."
        return CheckLine(kind.label, False, f"the account has no {kind.label} with the id {resource_id}", advice)
    forbidden = failed.code is StopCode.FORBIDDEN
    advice = f"Give the key `{kind.scope}` to check it; writing does not need that." if forbidden else ""
    return CheckLine(kind.label, None, f"{resource_id} could not be read: {failed}", advice)


# --- scopes ---------------------------------------------------------------------------------------

REMOVING = "remove_profile_ids_from_list"  # the template with which a mirror removes members
ONE = (("page[size]", "1"),)
# spec: a cheap read that needs this scope and no other.
PROBES: Mapping[str, ReadTarget] = {
    "lists:read": ReadTarget("/api/lists", L, ONE),
    "profiles:read": ReadTarget("/api/profiles", L, ONE),
    "tags:read": ReadTarget("/api/tags", S, ONE),
}


def scope_lines(reader: Reader, options: Options, template: Template) -> Iterator[CheckLine]:
    """The scopes needed for writing, for the reads that go with it, and for following jobs."""
    called = _templates_called(options, template)
    scopes = list(dict.fromkeys(scope for one in called for scope in one.scopes))
    writing = [scope for scope in scopes if not scope.endswith(":read")]
    if writing:
        needed = f"{', '.join(writing)} needed; reading cannot show whether the key has them"
        yield CheckLine("scopes for writing", None, needed)
    reading = [scope for scope in scopes if scope in PROBES]
    reading += ["lists:read", "profiles:read"] if options.list_mode is ListMode.MIRROR else []
    if reading:
        probes = [PROBES[scope] for scope in dict.fromkeys(reading)]
        yield _probe(reader, "scopes for reading", probes, reading, "The write needs them.")
    jobs = [one.job for one in called if one.job is not None and one.job.list_path and options.wait_for_jobs]
    if jobs:
        # recorded: job listings take no page size, those of imports excepted
        listings = [ReadTarget(job.list_path, job.quota, ONE if job.errors is JobErrors.PAGES else ()) for job in jobs]
        advice = "Without them rows end as accepted; give the key the scopes, or `wait_for_jobs=false`."
        needed_scopes = [scope for job in jobs for scope in job.scopes]
        yield _probe(reader, "scopes for following jobs", listings, needed_scopes, advice)


def _templates_called(options: Options, template: Template) -> list[Template]:
    """The templates that the write calls: the chosen one, that of its deletes, that of a mirror's removals."""
    names = [template.delete_templates.get(options.on_delete) if options.on_delete else None]
    names += [REMOVING] if options.list_mode is ListMode.MIRROR else []
    return [template, *(find_template(name) for name in names if name)]


def _probe(reader: Reader, name: str, probes: list[ReadTarget], needed: list[str], advice: str) -> CheckLine:
    for probe in probes:
        try:
            reader.read(probe)
        except ReadFailed as failed:
            return CheckLine(name, False if failed.code is StopCode.FORBIDDEN else None, failed.message, advice)
    return CheckLine(name, True, ", ".join(dict.fromkeys(needed)))
