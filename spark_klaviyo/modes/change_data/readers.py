"""Identifiers as they are sent, and an order that is text: functions of Python that Spark calls with each row."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation

import pyarrow as pa

from spark_klaviyo.arrow.columns import NOTHING, bare
from spark_klaviyo.modes.mirror.identities import comparable_form, identifies

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
MICROSECOND = timedelta(microseconds=1)
ORDER_DDL = "number decimal(38,9), is_time boolean"
PLAIN = re.compile(r"[0-9A-Za-z+][!-9;-~]*")  # nothing is taken off such a text
MOST = Decimal(10) ** 29  # beyond it a number has too many digits for the type


def read_identifiers(names: Sequence[str], country: str, *texts: str | None) -> list[str | None]:
    """The identifiers of a row as they compare, given in the order of `names` and followed by its own country.

    `country`: that of all national phone numbers, empty where each row gives it. None where there is no identifier, or
    one that Klaviyo cannot know, such as words that many rows have in place of one.
    """
    country = country or texts[len(names)] or ""
    cleaned = map(_cleaned, texts[: len(names)])
    forms = [comparable_form(name, text, country) for name, text in zip(names, cleaned, strict=True)]
    return [form if _is_known(name, form) else None for name, form in zip(names, forms, strict=True)]


def _cleaned(text: str | None) -> str | None:
    """The text as it is sent; None where it says that there is none."""
    if text is None or text.lower() in NOTHING:
        return None
    if PLAIN.fullmatch(text):
        return text
    cleaned: str | None = bare(pa.array([text], pa.string()), identifier=True)[0].as_py()
    return cleaned


def _is_known(name: str, form: str) -> bool:
    return identifies(name, form) if name in ("email", "phone_number") else bool(form)


def read_order(text: str | None) -> tuple[Decimal | None, bool | None]:
    """The number that a text is, or the time as seconds since 1970, and whether it is a time; None where it is neither.

    Times are in UTC where they have no offset: any one zone orders them, unless its clocks are turned.
    """
    trimmed = (text or "").strip()
    with suppress(InvalidOperation):
        number = Decimal(trimmed)
        return (number, False) if number.is_finite() and abs(number) < MOST else (None, None)
    try:
        time = datetime.fromisoformat(trimmed)
    except ValueError:
        return None, None
    time = time if time.tzinfo else time.replace(tzinfo=timezone.utc)
    return Decimal((time - EPOCH) // MICROSECOND) / 1_000_000, True
