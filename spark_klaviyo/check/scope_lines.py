"""Check lines for the key's scopes, as far as reads can show them: a scope for writing shows only in a write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from spark_klaviyo.account.reads import AccountReader, ReadFailed
from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.deliver.reads import ReadTarget
from spark_klaviyo.options.choices import ListMode
from spark_klaviyo.options.model import Options
from spark_klaviyo.report.pages.check import CheckLine
from spark_klaviyo.templates import find_template
from spark_klaviyo.templates.model import JobErrors, L, S, Template

REMOVING = "remove_profile_ids_from_list"  # the template with which a mirror removes members
ONE = (("page[size]", "1"),)
# spec: a cheap read that needs this scope and no other.
PROBES: Mapping[str, ReadTarget] = {
    "lists:read": ReadTarget.of("/api/lists", L, ONE),
    "profiles:read": ReadTarget.of("/api/profiles", L, ONE),
    "tags:read": ReadTarget.of("/api/tags", S, ONE),
}


def scope_lines(reader: AccountReader, options: Options, template: Template) -> Iterator[CheckLine]:
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
        listings = [
            ReadTarget.of(job.list_path, job.quota, ONE if job.errors is JobErrors.PAGES else ()) for job in jobs
        ]
        advice = "Without them rows end as accepted; give the key the scopes, or `wait_for_jobs=false`."
        needed_scopes = [scope for job in jobs for scope in job.scopes]
        yield _probe(reader, "scopes for following jobs", listings, needed_scopes, advice)


def _templates_called(options: Options, template: Template) -> list[Template]:
    """The templates that the write calls: the chosen one, that of its deletes, that of a mirror's removals."""
    names = [template.counterpart(options.on_delete) if options.on_delete else None]
    names += [REMOVING] if options.list_mode is ListMode.MIRROR else []
    return [template, *(find_template(name) for name in names if name)]


def _probe(reader: AccountReader, name: str, probes: list[ReadTarget], needed: list[str], advice: str) -> CheckLine:
    for probe in probes:
        try:
            reader.read(probe)
        except ReadFailed as failed:
            return CheckLine(name, False if failed.code is StopCode.FORBIDDEN else None, failed.message, advice)
    return CheckLine(name, True, ", ".join(dict.fromkeys(needed)))
