"""What a report counts, as a person writes it: numbers, sizes, durations, times; the sentence; what to do next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timezone

from spark_klaviyo.core.codes import Outcome, RejectCode
from spark_klaviyo.report.counts.summary import Name, Summary

# What to do with rows that need no correction.
ADVICE = {
    RejectCode.AMBIGUOUS_CHANGE: "Rows of ambiguous_change were not sent: look in the source for what they are now.",
    RejectCode.NO_CONSENT: "Rows rejected as no_consent are of people who do not consent: leave them out.",
    RejectCode.UNAVAILABLE: "Some requests used up their attempts: write the rows marked unavailable again later.",
    RejectCode.IN_DOUBT: 'Rows in doubt may have arrived: send them again where that does no harm (`resend="always"`).',
}
MANY_THROTTLED = 0.05  # of all requests


def counted(number: int, noun: str, plural: str = "") -> str:
    """`1 row`, `12,000 rows`; `plural` where it is not the noun with an `s`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def size(number: float) -> str:
    """Bytes in decimal units, as Klaviyo counts them: `512 bytes`, `4.9 MB`."""
    if number < 1000:
        return counted(int(number), "byte")
    units = ((1e3, "KB"), (1e6, "MB"), (1e9, "GB"))
    scale, unit = next((pair for pair in units if number < 999.5 * pair[0]), units[-1])
    scaled = number / scale
    return f"{scaled:,.1f} {unit}" if scaled < 99.95 else f"{scaled:,.0f} {unit}"


def duration(seconds: float) -> str:
    """`2.1 s`, `42 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return _two_units(whole // 60, "min", whole % 60, "s")
    return _two_units(whole // 3600, "h", whole % 3600 // 60, "min")


def _two_units(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large:,} {large_unit} {small} {small_unit}" if small else f"{large:,} {large_unit}"


def share(part: float, whole: float) -> str:
    """A percentage that never rounds to all or nothing: `< 0.1 %`, `99.9 %`."""
    percent = 100 * part / whole if whole else 0.0
    if 0 < percent < 0.1:
        return "< 0.1 %"
    if 99.9 < percent < 100:
        return "> 99.9 %"
    return f"{percent:.0f} %" if percent in (0.0, 100.0) else f"{percent:.1f} %"


def ranked(tally: Mapping[Name, int]) -> list[tuple[Name, int]]:
    """The names with their counts, the largest first."""
    return sorted(tally.items(), key=lambda pair: -pair[1])


def listed(tally: Mapping[str, int], most: int = 4) -> str:
    """`3 bad_email, 1 no_identifier`, the largest first, what exceeds `most` summed up."""
    largest = ranked(tally)
    rest = sum(times for _, times in largest[most:])
    shown = [f"{times:,} {name}" for name, times in largest[:most]]
    return ", ".join([*shown, f"{rest:,} for other reasons"] if rest else shown)


def utc(epoch_seconds: float) -> str | None:
    """`2025-10-09T08:53:20.000Z`; None for 0, which stands for no time."""
    if not epoch_seconds:
        return None
    return datetime.fromtimestamp(epoch_seconds, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# --- the sentence of a printed report -------------------------------------------------------------


def sentence(summary: Summary, target: str = "", *, reasons: bool = True) -> str:
    """What became of the rows, and in which account (`target`).

    Such as `12,000 rows: 11,996 delivered in 3 requests, 4 rejected (4 bad_email); took 2.1 s; account Acme (Xy12Ab)`.
    """
    rows = ", ".join(_outcomes(summary, reasons)) or "nothing to send"
    clauses = [f"{counted(summary.rows, 'row')}: {rows}"]
    if summary.removed:
        clauses.append(f"{counted(summary.removed, 'member')} removed from the list")
    if summary.resent:
        clauses.append(f"{counted(summary.resent, 'row')} may have arrived twice")
    if summary.consent_reads:
        reads = counted(summary.consent_reads, "request")
        clauses.append(f"who has opted out was read in {reads} ({duration(summary.consent_seconds)})")
    if summary.seconds >= 0.05:
        clauses.append(f"took {duration(summary.seconds)}")
    if target:
        clauses.append(f"account {target}")
    if summary.stopped:
        clauses.append(f"stopped: {summary.stopped[1]}")
    return "; ".join(clauses)


def headline(summary: Summary) -> str:
    """The code with which more than half of the rows were rejected, as a sentence; "" where there is none."""
    code, rows = next(iter(ranked(summary.reasons)), ("", 0))
    if 2 * rows <= summary.rows:
        return ""
    detail = explanation(summary, str(code))  # that of one row: others may have another one
    example = f", for example: {detail}" if detail else ""
    return f"{rows:,} of {counted(summary.rows, 'row')} rejected with the code {code}{example}"


def explanation(summary: Summary, code: str) -> str:
    """What was wrong with a row that was rejected with this code, else what the code means; may be empty."""
    return summary.details.get(code) or RejectCode.text_of(code)


def lines(summary: Summary) -> Iterator[str]:
    """A line for each warning, and one for each reason of rejection: its sentence, how many rows, one example."""
    for warning, times in summary.warnings.items():
        yield f"warning: {warning}" + (f" ({times:,})" if times > 1 else "")
    for code, rows in ranked(summary.reasons):
        partition, row = next(iter(summary.examples.get(code, ())), (-1, -1))
        example = f", such as row {row:,} of partition {partition:,}" if row >= 0 else ""
        reason = ": ".join(filter(None, [code, explanation(summary, code)]))
        yield f"rejected: {counted(rows, 'row')}{example}; {reason}"


def _outcomes(summary: Summary, reasons: bool) -> list[str]:
    because = {
        Outcome.ACCEPTED: summary.accepted_because,
        Outcome.REJECTED: summary.reasons,
        Outcome.SKIPPED: summary.skipped_because,
    }
    phrases = [
        f"{rows:,} {outcome}{_why(because.get(outcome, {})) if reasons else ''}"
        for outcome, rows in summary.outcomes.items()
        if rows
    ]
    if summary.requests:
        requests = f"in {counted(summary.requests, 'request')}"
        if not phrases:
            return [requests]
        sent = 0 if summary.delivered + summary.accepted else -1
        phrases[sent] += f" {requests}"
    return phrases


def _why(because: Mapping[str, int]) -> str:
    if not because:
        return ""
    # one phrase speaks for itself; codes, and one of several phrases, need their number
    only = next(iter(because)) if len(because) == 1 else ""
    return f" ({only if ' ' in only else listed(because)})"


# --- what to do after a write ---------------------------------------------------------------------


def advice(summary: Summary, *, has_all_rejects: bool = False) -> list[str]:
    """The next steps, the most urgent first; none when all is well.

    Args:
        summary: What the write counted.
        has_all_rejects: Whether `report.rejects` holds all rejected rows, not a sample.
    """
    return [*_rows_to_send_again(summary, has_all_rejects), *_requests(summary)]


def _rows_to_send_again(summary: Summary, has_all_rejects: bool) -> Iterator[str]:
    if summary.stopped and summary.unsent:
        rows = counted(summary.unsent, "row")
        yield f"Write again once the cause is fixed: {rows} were not sent. With `state_path` only those are."
    if summary.faults > sum(summary.reasons.get(code, 0) for code in ADVICE):
        where = "`report.rejects`" if has_all_rejects else "`report.rejects` (all of them with `rejects_path`)"
        yield f'See the rejected rows in {where}, correct `record` and write them with `record_column="record"`.'
    yield from (text for code, text in ADVICE.items() if summary.reasons.get(code))


def _requests(summary: Summary) -> Iterator[str]:
    open_jobs = sum(jobs for state, jobs in summary.job_states.items() if state not in ("complete", "cancelled"))
    if open_jobs:
        jobs = counted(open_jobs, "job is", "jobs are")
        yield f"{jobs} not finished: follow with `follow_klaviyo(receipts)`, or write again with `state_path`."
    if summary.resent:
        rows = counted(summary.resent, "row")
        yield f"{rows} may have arrived twice: an answer was lost and the request sent again, or a task ran again."
    if summary.throttled > max(MANY_THROTTLED * summary.requests, 5):
        part = share(summary.throttled, summary.throttled + summary.requests)
        yield f"{part} of the replies were 429: something else uses the quota too, or tasks cannot share it here."
