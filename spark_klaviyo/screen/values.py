"""What one value must be: emails, phones, times and texts. Each rule returns the value to send, or the complaint."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import phonenumbers

EMAIL = re.compile(r"[^\s@\"(),:;<>\[\]\\]+@[^\s@.,;:<>()\[\]\\\"]+(?:\.[^\s@.,;:<>()\[\]\\\"]+)+")
MAX_EMAIL = 254  # RFC 5321: the longest address that can be delivered


@dataclass(frozen=True)
class Problem:
    """Why a value cannot be sent. `code` is one of `records.CODES`; `detail` never repeats the value."""

    code: str
    detail: str


def email(text: str) -> str | Problem:
    """The trimmed address."""
    trimmed = text.strip()
    local = trimmed.partition("@")[0]
    dots = local.startswith(".") or local.endswith(".") or ".." in trimmed
    if dots or len(trimmed) > MAX_EMAIL or not EMAIL.fullmatch(trimmed):
        return Problem("bad_email", "this is no email address: expected name@domain.tld")
    return trimmed


def phone(text: str, country: str) -> str | Problem:
    """The number in E.164; `country` (ISO 3166) is that of national numbers, "" when none is known."""
    try:
        number = phonenumbers.parse(text, country.upper() or None)
    except phonenumbers.NumberParseException:
        hint = "" if country else ", or give default_country for national numbers"
        return Problem("bad_phone", f"this is no phone number in E.164 form (+12345678901){hint}")
    if not phonenumbers.is_possible_number(number):
        return Problem("bad_phone", "this is no possible phone number: its length fits no number of its country")
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def moment(text: str, earliest: str, latest_days: int | None) -> str | Problem:
    """A time in RFC 3339, inside the window that Klaviyo takes."""
    try:
        when = datetime.fromisoformat(text.strip().replace("Z", "+00:00").replace("z", "+00:00"))
    except ValueError:
        return Problem("bad_time", "this is no time in RFC 3339 form (2026-10-15T08:00:00Z)")
    when = when if when.tzinfo else when.replace(tzinfo=timezone.utc)
    if earliest and when < datetime.fromisoformat(earliest):
        return Problem("bad_time", f"the time lies before {earliest[:10]}, which Klaviyo refuses")
    if latest_days is not None and when > datetime.now(timezone.utc) + timedelta(days=latest_days):
        return Problem("bad_time", f"the time lies more than {latest_days} days ahead, which Klaviyo refuses")
    return text.strip()
