"""Which scopes the key has, as far as reads can show it: a writing scope shows only when something is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from spark_klaviyo.ask.reading import Asking, ReadFailed, place
from spark_klaviyo.deliver.reads import Place
from spark_klaviyo.options.model import Options
from spark_klaviyo.report.check import CheckLine
from spark_klaviyo.templates.model import L, S, Template

ONE = (("page[size]", "1"),)
# spec: a cheap read that needs this scope and no other.
PROBES: Mapping[str, Place] = {
    "lists:read": place("/api/lists", L, ONE),
    "profiles:read": place("/api/profiles", L, ONE),
    "tags:read": place("/api/tags", S, ONE),
}


def lines(ask: Asking, options: Options, template: Template) -> Iterator[CheckLine]:
    """The scopes needed for writing, for the reads that go with it, and for following jobs."""
    writing = [scope for scope in template.scopes if not scope.endswith(":read")]
    if writing:
        told = f"{', '.join(writing)} needed; reading cannot show whether the key has them"
        yield CheckLine("scopes for writing", None, told)
    reading = [scope for scope in template.scopes if scope in PROBES]
    reading += ["lists:read", "profiles:read"] if options.list_mode == "mirror" else []
    if reading:
        probes = [PROBES[scope] for scope in dict.fromkeys(reading)]
        yield _probed(ask, "scopes for reading", probes, reading, "The write needs them.")
    job = template.job
    if job is not None and options.wait_for_jobs and job.list_path:
        # recorded: job listings take no page size, those of imports excepted
        probe = place(job.list_path, job.quota, ONE if job.errors == "pages" else ())
        advice = "Without them rows end as accepted; give the key the scopes, or `wait_for_jobs=false`."
        yield _probed(ask, "scopes for following jobs", [probe], list(job.scopes), advice)


def _probed(ask: Asking, name: str, probes: list[Place], needed: list[str], advice: str) -> CheckLine:
    for probe in probes:
        try:
            ask.one(probe)
        except ReadFailed as failed:
            return CheckLine(name, False if failed.code == "forbidden" else None, failed.message, advice)
    return CheckLine(name, True, ", ".join(dict.fromkeys(needed)))
