"""The page of a write: headline, counts, what became of the rows, the run over time, and what to do next."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING

from spark_klaviyo.core.codes import RejectCode
from spark_klaviyo.report.advice import advice
from spark_klaviyo.report.pages.html import (
    Markup,
    card,
    cards,
    element,
    fragment,
    join,
    marked,
    section,
    stacked,
    steps,
    table,
)
from spark_klaviyo.report.pages.plot import binding, plot, quota_use, throughput
from spark_klaviyo.report.sentence import sentence
from spark_klaviyo.report.text import counted, duration, share, size

if TYPE_CHECKING:
    from spark_klaviyo.report.report import WriteReport

OUTCOMES = {
    "delivered": "confirmed by Klaviyo",
    "accepted": "taken, not confirmed",
    "rejected": "refused",
    "skipped": "needed no sending",
    "unsent": "not sent",
}


def write_fragment(report: WriteReport) -> Markup:
    """The report as a notebook shows it."""
    inside = [
        element("section", cards(_cards(report))),
        section("Rows", _rows(report)),
        section("What to do next", steps(map(marked, advice(report)), "bad" if report.stopped else "wary")),
        section("Rejected rows", _reasons(report)),
        section("Why rows were not confirmed, or not sent", _because(report)),
        section("Over time", _over_time(report)),
        section("Replies", _replies(report)),
        section("Jobs", _jobs(report)),
        section("Slowest requests", _slowest(report)),
        section("Warnings", table(("warning", "times"), report.warnings.items(), ("times",))),
    ]
    form = report.to_dict()
    times = f"{form['started_at']} to {form['ended_at']}" if report.ended else ""
    return fragment(
        _pill(report), report.template, sentence(report, reasons=False), inside, (f"run {report.run_id}", times)
    )


def _pill(report: WriteReport) -> tuple[str, str]:
    if report.stopped:
        return "bad", "Stopped"
    if report.rejected:
        return "wary", "Done, with rejected rows"
    return ("good", "Done") if report.rows else ("dim", "Nothing to send")


def _cards(report: WriteReport) -> Iterator[Markup]:
    yield card("rows", f"{report.rows:,}")
    for name, meaning in OUTCOMES.items():
        number = getattr(report, name)
        if number or name == "delivered":
            yield card(name, f"{number:,}", meaning, tone=name)
    yield card("requests", f"{report.requests:,}", _extra(report))
    yield card("sent", size(report.bytes))
    limiter = report.rows / report.seconds if report.seconds else 0
    yield card("time", duration(report.seconds), f"{limiter:,.0f} rows/s" if limiter else "")
    if report.removed:
        yield card("removed", f"{report.removed:,}", "members taken off the list")
    if report.resent:
        yield card("resent", f"{report.resent:,}", "may have arrived twice", tone="unsent")


def _extra(report: WriteReport) -> str:
    retries = counted(report.retries, "retry").replace("retrys", "retries") if report.retries else ""
    throttled = f"{report.throttled:,} throttled" if report.throttled else ""
    return ", ".join(filter(None, (retries, throttled)))


def _rows(report: WriteReport) -> Markup:
    parts = [
        (name, number, f"{name} ({share(number, report.rows)})")
        for name, number in ((name, getattr(report, name)) for name in OUTCOMES)
    ]
    return stacked(parts, ", ".join(f"{number:,} {name}" for name, number, _ in parts if number))


def _reasons(report: WriteReport) -> Markup:
    ranked = sorted(report.reasons.items(), key=lambda pair: -pair[1])
    rows = [
        (element("code", code), RejectCode.text_of(code, "Klaviyo's own code"), f"{times:,}", _examples(report, code))
        for code, times in ranked
    ]
    return table(("code", "meaning", "rows", "for example (partition: row)"), rows, ("rows",))


def _examples(report: WriteReport, code: str) -> str:
    return ", ".join(f"{partition}: {row:,}" for partition, row in report.examples.get(code, ()))


def _because(report: WriteReport) -> Markup:
    tallies = (("accepted", report.accepted_because), ("skipped", report.skipped_because))
    rows = [(name, why, f"{times:,}") for name, tally in tallies for why, times in tally.items()]
    return table(("count", "reason", "rows"), rows, ("rows",))


def _over_time(report: WriteReport) -> Markup:
    if not report.series.buckets:
        return Markup("")
    series = report.series.during(report.started, report.ended)
    flow, quota = throughput(series), quota_use(series, report.quota)
    peak = f"at most {max(flow.values):,.0f} rows a second"
    window = binding(series, report.quota)[1]
    used = f"Requests in the last {window:,.0f} s" if window > 1 else "Requests a second"
    limit = f", of {quota.limit:,.0f} that the account allows (dashed)" if quota.limit else ""
    hits = Markup(" · <span class='bad'>▎</span>429") if quota.hits else ""
    summary = f"{used}{limit}; at most {max(quota.values):,.0f}, with {counted(report.throttled, '429 reply')}"
    return join(
        [
            plot("Rows a second, when they were taken", flow, peak),
            plot(join([used, limit, hits]), quota, summary.replace("replys", "replies")),
        ]
    )


def _replies(report: WriteReport) -> Markup:
    total = sum(report.statuses.values())
    rows = [
        (element("b", status or "none", kind=_tone(status)), _phrase(status), f"{times:,}", share(times, total))
        for status, times in sorted(report.statuses.items(), key=lambda pair: -pair[1])
    ]
    return table(("status", "meaning", "replies", "share"), rows, ("replies", "share"))


def _tone(status: int) -> str:
    return "good" if 200 <= status < 300 else "wary" if status == 429 else "bad"


def _phrase(status: int | None) -> str:
    if not status:
        return "no answer came"
    return next((known.phrase for known in HTTPStatus if known == status), "")


def _jobs(report: WriteReport) -> Markup:
    states = ", ".join(f"{times:,} {state}" for state, times in report.job_states.items())
    rows = [(element("code", job.job_id), job.state, f"{job.rows:,}") for job in report.jobs if job.state != "complete"]
    listed = table(("job", "state", "rows"), rows[:10], ("rows",))
    return join([element("p", states), listed]) if states else listed


def _slowest(report: WriteReport) -> Markup:
    rows = [
        (
            duration(slow.seconds) if slow.seconds >= 1 else f"{1000 * slow.seconds:,.0f} ms",
            slow.status or "none",
            f"{slow.rows:,}",
            size(slow.bytes),
            element("code", slow.request_id) if slow.request_id else "",
        )
        for slow in report.slowest
    ]
    return table(("time", "status", "rows", "size", "Klaviyo's request id"), rows, ("rows", "size"))
