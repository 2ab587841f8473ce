"""What an email, a phone number and a time must be: each rule returns the value to send, or the problem."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import phonenumbers

from spark_klaviyo.core.codes import RejectCode

EMAIL = re.compile(r"[^\s@\"(),:;<>\[\]\\]+@[^\s@.,;:<>()\[\]\\\"]+(?:\.[^\s@.,;:<>()\[\]\\\"]+)+")
EXPECTED_PHONE = "expected E.164, for example +16175551234"
MAX_EMAIL = 254  # RFC 5321: the longest address that can be delivered


@dataclass(frozen=True)
class Problem:
    """Why a value cannot be sent; `detail` never repeats the value."""

    code: RejectCode
    detail: str


def email(text: str) -> str | Problem:
    """The trimmed address."""
    trimmed = text.strip()
    local = trimmed.partition("@")[0]
    dots = local.startswith(".") or local.endswith(".") or ".." in trimmed
    if dots or len(trimmed) > MAX_EMAIL or not EMAIL.fullmatch(trimmed):
        return Problem(RejectCode.BAD_EMAIL, "invalid email address (expected name@domain.tld)")
    return trimmed


def phone(text: str, country: str) -> str | Problem:
    """The number in E.164; `country` (ISO 3166) is that of national numbers, "" when none is known."""
    try:
        number = phonenumbers.parse(text, country.upper() or None)
    except phonenumbers.NumberParseException:
        hint = "" if country else "; give default_country for national numbers"
        return Problem(RejectCode.BAD_PHONE, f"invalid phone number ({EXPECTED_PHONE}){hint}")
    if not phonenumbers.is_possible_number(number):
        return Problem(RejectCode.BAD_PHONE, f"invalid phone number: wrong length for its country ({EXPECTED_PHONE})")
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def time(text: str, earliest: str, latest_days: int | None) -> str | Problem:
    """A time in RFC 3339, inside the window that Klaviyo takes."""
    try:
        when = datetime.fromisoformat(text.strip().replace("z", "Z"))
    except ValueError:
        return Problem(RejectCode.BAD_TIME, "invalid time (expected RFC 3339, for example 2026-10-15T08:00:00Z)")
    when = when if when.tzinfo else when.replace(tzinfo=timezone.utc)
    if earliest and when < datetime.fromisoformat(earliest):
        return Problem(RejectCode.BAD_TIME, f"the time is before {earliest[:10]}, which Klaviyo refuses")
    if latest_days is not None and when > datetime.now(timezone.utc) + timedelta(days=latest_days):
        return Problem(RejectCode.BAD_TIME, f"the time is more than {latest_days} days ahead, which Klaviyo refuses")
    return text.strip()
