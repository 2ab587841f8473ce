"""Klaviyo's dated revisions: the one that is pinned, how long one lives, and what its bodies look like.

Docs, life cycle: released about quarterly, stable for one year, deprecated for one more, then retired. A retired
revision falls forward to a supported one by default; a future one is answered 404.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta

from spark_klaviyo.errors import OptionError
from spark_klaviyo.templates.model import FieldSpec, Template

TESTED_REVISION = "2026-10-15"  # the newest that the package was tested with
SOON = timedelta(days=90)
_FORM = re.compile(r"(\d{4}-\d{2}-\d{2})(\.[a-z]+)?")


def date_of(revision: str) -> date:
    """The day of a revision; `OptionError` where it is none."""
    found = _FORM.fullmatch(revision)
    try:
        return date.fromisoformat(found[1] if found else "")
    except ValueError as error:
        raise OptionError(f"revision: must be a date such as {TESTED_REVISION}, or {TESTED_REVISION}.pre") from error


def warn_of(revision: str, today: date) -> str | None:
    """What to know about a revision on this day; None while it is stable for long.

    Raises `OptionError` for one that is malformed, or that lies ahead (the tested one never does, whatever the clock).
    """
    made = date_of(revision)
    if made > today and revision != TESTED_REVISION:
        raise OptionError(
            f"revision: {revision} lies ahead, and Klaviyo answers 404; leave it out ({TESTED_REVISION} is tested)"
        )
    deprecated, retired = _years_on(made, 1), _years_on(made, 2)
    use = f"use {TESTED_REVISION}"
    if today >= retired:
        return f"revision {revision} was retired on {retired}: Klaviyo answers in the form of a newer one; {use}"
    if today >= retired - SOON:
        return f"revision {revision} is retired on {retired}; {use}"
    if today >= deprecated:
        return f"revision {revision} is deprecated since {deprecated} and retired on {retired}; {use}"
    if today >= deprecated - SOON:
        return f"revision {revision} is deprecated from {deprecated} on; {use}, or update this package"
    return None


def at_revision(template: Template, revision: str) -> Template:
    """The template as this revision takes it: fields that came later left out, fields that moved in their old place."""
    made = date_of(revision).isoformat()
    fields = tuple(_moved(known, made) for known in template.fields if known.since <= made)
    consent = template.consent
    if consent is not None:
        consent = replace(consent, channels=tuple(one for one in consent.channels if one.since <= made))
    return replace(template, fields=fields, consent=consent)


def _moved(known: FieldSpec, made: str) -> FieldSpec:
    since, place = known.earlier_path
    return replace(known, json_path=place) if made < since else known


def _years_on(day: date, years: int) -> date:
    return day.replace(year=day.year + years, day=min(day.day, 28) if day.month == 2 else day.day)
