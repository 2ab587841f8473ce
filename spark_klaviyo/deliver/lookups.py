"""Identifiers to profile ids: batched, encoded, paged reads of `GET /api/profiles`, within that endpoint's own quota.

spec: filter `any(email,[...])`, and the same of phone_number and external_id; page size 100. How many values one
`any()` takes is not published: 100 is safe for the length of the URL.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from spark_klaviyo.core.identifiers import normalise_identifier
from spark_klaviyo.deliver.reads import Document, Reader, ReadTarget, Unread
from spark_klaviyo.templates.model import L

IDENTIFIERS = ("email", "phone_number", "external_id")  # in order of preference
MOST_VALUES = 100
MOST_PAGES = 50  # of one look-up: far more than profiles that share 100 identifiers
PATH = "/api/profiles"


def wanted_form(field: str, value: str) -> str:
    """An identifier as it is asked for and compared.

    External ids stay as they are: another spelling may be another profile.
    """
    return value if field == "external_id" else normalise_identifier(field, value)


def profile_ids(reader: Reader, kind: str, values: Iterable[str]) -> dict[str, str] | Unread:
    """The ids of the profiles with these identifiers, by `wanted_form`; why there is no answer otherwise."""
    wanted = [one for one in dict.fromkeys(wanted_form(kind, value) for value in values) if one]
    found: dict[str, str] = {}
    for start in range(0, len(wanted), MOST_VALUES):
        for page in reader.pages(_place(kind, wanted[start : start + MOST_VALUES]), MOST_PAGES):
            if isinstance(page, Unread):
                return page
            for value, profile_id in _named(kind, page):
                found.setdefault(value, profile_id)
    return found


def _place(kind: str, values: list[str]) -> ReadTarget:
    listed = ",".join(json.dumps(value, ensure_ascii=False) for value in values)
    query = (("fields[profile]", kind), ("filter", f"any({kind},[{listed}])"), ("page[size]", "100"))
    return ReadTarget(PATH, PATH, L, query)


def _named(kind: str, page: Document) -> Iterator[tuple[str, str]]:
    for profile in page.resources:
        attributes, profile_id = profile.get("attributes"), profile.get("id")
        value = attributes.get(kind) if isinstance(attributes, Mapping) else None
        if isinstance(value, str) and isinstance(profile_id, str):
            yield wanted_form(kind, value), profile_id
