"""Takes the values of a request's own rows out of a sentence that a server sent, wherever in it they stand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from spark_klaviyo.core.identifiers import OF_PEOPLE

MASKED = "…"
LEAST_CHARACTERS, LEAST_DIGITS = 4, 5  # of other values: shorter ones are words and counts of any sentence


def values_of(
    record: object, name: str = "", least: tuple[int, int] = (LEAST_CHARACTERS, LEAST_DIGITS)
) -> Iterator[str]:
    """The values in a record (loaded JSON) that no receipt, report or error may repeat: identifiers of any length.

    `least`: of other texts and numbers, the letters and digits that they have at least.
    """
    if isinstance(record, dict):
        for key, inner in record.items():
            yield from values_of(inner, key, least)
    elif isinstance(record, list):
        for inner in record:
            yield from values_of(inner, name, least)
    elif isinstance(record, str | int | float) and not isinstance(record, bool):
        text = " ".join(str(record).split())
        if text and (name in OF_PEOPLE or sum(map(str.isalnum, text)) >= least[not isinstance(record, str)]):
            yield text


def without_values(text: str, values: Iterable[str], keep: frozenset[str] = frozenset()) -> str:
    """The text with each of these values masked where it stands as a whole token; those in `keep` stay.

    Letters are compared without their case: Klaviyo writes emails in lower case.
    """
    folded = text.lower()
    found = {value for value in values if value.lower() in folded and value not in keep} if text else set()
    for value in sorted(found, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", MASKED, text, flags=re.IGNORECASE)
    return text
