"""What no source settles about Klaviyo, and what a test may want otherwise: one frozen record of switches."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timezone

CHOICES: dict[str, tuple[object, ...]] = {
    "legacy": ("retired", "alive"),
    "oversize_status": (413, 400),
    "header_window": ("second", "fewest", "minute"),
    "job_applies": ("at_once", "at_end"),
    "too_many_jobs_status": (429, 400),
    "repeated_event": ("refuse", "ignore"),
    "repeated_item": ("job_error", "update"),
    "repeated_code": ("job_error", "ignore"),
    "lone_bad_phone": ("refuse", "import_error"),
    "repeated_profile": ("last", "first"),
}


@dataclass(frozen=True)
class Switches:
    """Every choice of the simulator; the defaults are what was recorded, or else the more cautious reading."""

    account: str = "Simulated Shop"
    legacy: str = "retired"  # v1/v2: "retired" (410) | "alive"
    legacy_most_rows: int | None = None  # unsettled: no batch limit of v2 members was ever published
    name_every_bad_row: bool = True  # unsettled: a report shows only the first offence named per reply
    oversize_status: int = 413  # unsettled: 413 or 400
    limited_counts: bool = True  # unsettled: whether a 429 itself counts against the window
    header_window: str = "second"  # unsettled: "second" | "fewest" | "minute"
    job_polls: int = 1
    job_seconds: float | None = None
    job_applies: str = "at_once"  # rows are readable before the job ends ("at_once"), or only then ("at_end")
    full_counts_early: bool = False  # recorded 2026-09: counts full while a catalog job still says processing
    too_many_jobs_status: int = 429  # unsettled: answer to the 501st catalog or 101st coupon-code job in progress
    repeated_event: str = "refuse"  # unsettled: bulk events repeating a unique_id of an earlier request
    repeated_item: str = "job_error"  # unsettled: catalog create of an existing id: "job_error" | "update"
    repeated_code: str = "job_error"  # unsettled: coupon code that exists: "job_error" | "ignore"
    lone_bad_phone: str = "refuse"  # unsettled: import row whose only identifier is a bad phone: | "import_error"
    repeated_profile: str = "last"  # unsettled: one profile twice in an import: "last" | "first" wins
    several_lists: bool = True  # unsettled: bulk import with more than one list
    accept_gzip: bool = False  # unsettled: gzip request bodies
    fall_forward: bool = True  # docs: retired revisions fall forward to a supported one
    require_scopes: bool = True
    push: bool = True  # recorded 2026-09: without push every token is 403
    custom_objects: bool = True
    object_types: bool = True  # False: record deletions are 404, as recorded in an account without object types
    double_opt_in: bool = False  # the account's default where no list is named
    throttle_content_type: bool = False  # recorded 2026-09: 18 of 20 429s had no Content-Type
    today: date = field(default_factory=lambda: max(datetime.now(tz=timezone.utc).date(), date(2026, 11, 23)))

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                message = f"{name} must be one of {', '.join(map(repr, choices))}, not {getattr(self, name)!r}"
                raise ValueError(message)
