"""The `revision` header: a year stable, a year deprecated, then retired (docs)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from spark_klaviyo.simulator.errors import Refused, bad_request, not_found
from spark_klaviyo.simulator.switches import Switches

FORM = re.compile(r"(\d{4})-(\d{2})-(\d{2})(\.[a-z0-9.-]+)?\Z")
RELEASED = (
    *("2022-10-17", "2023-01-24", "2023-02-22", "2023-06-15", "2023-07-15", "2023-08-15", "2023-09-15", "2023-10-15"),
    *("2023-12-15", "2024-02-15", "2024-05-15", "2024-06-15", "2024-07-15", "2024-10-15", "2025-01-15", "2025-04-15"),
    *("2025-07-15", "2025-10-15", "2026-01-15", "2026-04-15", "2026-07-15", "2026-10-15"),
)
OPT_OUT = "x-klaviyo-revision-fall-forward-opt-out"


@dataclass(frozen=True)
class Revision:
    """The revision that answers, and when it retires where it is deprecated."""

    name: str
    retires: str | None = None


def read_revision(asked: str | None, switches: Switches, *, opted_out: bool, born: str = "") -> Revision:
    """The revision a request gets.

    recorded 2026-04: missing or malformed 400, future 404, retired: fall forward, or 410 with the opt-out header;
    an endpoint absent from the revision 404.
    """
    if asked is None:
        raise bad_request("/data", "A revision header is required.")  # wording unsettled
    match = FORM.match(asked)
    day = _day(*match.group(1, 2, 3)) if match else None
    if day is None:
        raise bad_request(
            "/data", f"Invalid revision '{asked}'. Use the form YYYY-MM-DD[.suffix]."
        )  # wording unsettled
    if day > switches.today:
        raise not_found("Cannot specify a future revision.")  # wording unsettled
    name = max((known for known in RELEASED if known <= asked[:10]), default=RELEASED[0])
    if _after(name, 2) <= switches.today.isoformat():
        if opted_out or not switches.fall_forward:
            raise Refused(410, [_gone(asked)])
        name = next(
            known
            for known in (*RELEASED, asked)
            if _after(known, 2) > switches.today.isoformat() or known == RELEASED[-1]
        )
    if born and name < born:
        raise not_found("No valid revisions found for method")
    return Revision(name, _after(name, 2) if _after(name, 1) <= switches.today.isoformat() else None)


def _day(year: str, month: str, day: str) -> date | None:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None


def _after(name: str, years: int) -> str:
    return f"{int(name[:4]) + years}{name[4:]}"


def _gone(asked: str) -> dict[str, object]:
    detail = f"Revision {asked} is retired."  # wording unsettled
    return {"status": 410, "code": "gone", "title": "Gone.", "detail": detail, "source": {"pointer": "/data/"}}
