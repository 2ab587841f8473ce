"""Which scopes the key has, as far as reads can show it: a writing scope shows only when something is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from spark_klaviyo.account.reads import Asking, ReadFailed, place
from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.deliver.reads import ReadTarget
from spark_klaviyo.options.model import Options
from spark_klaviyo.report.pages.check import CheckLine
from spark_klaviyo.templates import find_template
from spark_klaviyo.templates.model import L, S, Template

REMOVING = "remove_profile_ids_from_list"  # with which a mirror takes members off its list
ONE = (("page[size]", "1"),)
# spec: a cheap read that needs this scope and no other.
PROBES: Mapping[str, ReadTarget] = {
    "lists:read": place("/api/lists", L, ONE),
    "profiles:read": place("/api/profiles", L, ONE),
    "tags:read": place("/api/tags", S, ONE),
}


def lines(ask: Asking, options: Options, template: Template) -> Iterator[CheckLine]:
    """The scopes needed for writing, for the reads that go with it, and for following jobs."""
    called = _called(options, template)
    scopes = list(dict.fromkeys(scope for one in called for scope in one.scopes))
    writing = [scope for scope in scopes if not scope.endswith(":read")]
    if writing:
        told = f"{', '.join(writing)} needed; reading cannot show whether the key has them"
        yield CheckLine("scopes for writing", None, told)
    reading = [scope for scope in scopes if scope in PROBES]
    reading += ["lists:read", "profiles:read"] if options.list_mode == "mirror" else []
    if reading:
        probes = [PROBES[scope] for scope in dict.fromkeys(reading)]
        yield _probed(ask, "scopes for reading", probes, reading, "The write needs them.")
    jobs = [one.job for one in called if one.job is not None and one.job.list_path and options.wait_for_jobs]
    if jobs:
        # recorded: job listings take no page size, those of imports excepted
        listings = [place(job.list_path, job.quota, ONE if job.errors == "pages" else ()) for job in jobs]
        advice = "Without them rows end as accepted; give the key the scopes, or `wait_for_jobs=false`."
        needed = [scope for job in jobs for scope in job.scopes]
        yield _probed(ask, "scopes for following jobs", listings, needed, advice)


def _called(options: Options, template: Template) -> list[Template]:
    """The templates that the write calls: the chosen one, what its deletes mean, what a mirror removes with."""
    names = [template.counterpart(options.on_delete) if options.on_delete else None]
    names += [REMOVING] if options.list_mode == "mirror" else []
    return [template, *(find_template(name, "current") for name in names if name)]


def _probed(ask: Asking, name: str, probes: list[ReadTarget], needed: list[str], advice: str) -> CheckLine:
    for probe in probes:
        try:
            ask.one(probe)
        except ReadFailed as failed:
            return CheckLine(name, False if failed.code is StopCode.FORBIDDEN else None, failed.message, advice)
    return CheckLine(name, True, ", ".join(dict.fromkeys(needed)))
