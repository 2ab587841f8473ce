"""Finds profiles by their identifiers: batched, paged reads within the endpoint's own quota.

spec: the filters `any(email,[...])`, `any(phone_number,[...])` and `any(external_id,[...])` of `/api/profiles` and, but
for the last, of `/api/lists/{id}/profiles`; page size 100. How many values one `any()` takes is not published: 100 is
safe for the length of the URL.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote

from spark_klaviyo.core.identifiers import normalise_identifier
from spark_klaviyo.core.json_paths import get
from spark_klaviyo.core.models import Envelope
from spark_klaviyo.deliver.reads import NoDocument, Reader, ReadTarget, attributes_of
from spark_klaviyo.http.documents import json_object
from spark_klaviyo.templates.limits import L

IDENTIFIERS = ("email", "phone_number", "external_id")  # in order of preference
MOST_VALUES = 100
MOST_PAGES = 50  # of one look-up: far more than profiles that share 100 identifiers


def wanted_form(identifier: str, value: str) -> str:
    """An identifier as it is asked for and compared.

    External ids stay as they are: another spelling may be another profile.
    """
    return value if identifier == "external_id" else normalise_identifier(identifier, value)


def profile_ids(reader: Reader, identifier: str, values: Iterable[str]) -> dict[str, str] | NoDocument:
    """The ids of the profiles that have these values of an identifier, by `wanted_form`."""
    return _find_profiles(reader, ReadTarget("/api/profiles", "/api/profiles", L), identifier, values)


def list_members(reader: Reader, list_id: str, identifier: str, values: Iterable[str]) -> frozenset[str] | NoDocument:
    """Those of these values of an identifier that belong to members of a list, in `wanted_form`."""
    path = f"/api/lists/{quote(list_id, safe='')}/profiles"
    found = _find_profiles(reader, ReadTarget("/api/lists/{id}/profiles", path, L), identifier, values)
    return found if isinstance(found, NoDocument) else frozenset(found)


def list_id_of(envelope: Envelope) -> str | None:
    """The id of the list that a consent request names in its body; None without one."""
    path = ("data", "relationships", "list", "data", "id")
    found = get(json_object(envelope.head + envelope.tail), path)
    return found if isinstance(found, str) else None


def _find_profiles(
    reader: Reader, target: ReadTarget, identifier: str, values: Iterable[str]
) -> dict[str, str] | NoDocument:
    wanted = list(filter(None, dict.fromkeys(wanted_form(identifier, value) for value in values)))
    found: dict[str, str] = {}
    for start in range(0, len(wanted), MOST_VALUES):
        listed = json.dumps(wanted[start : start + MOST_VALUES], ensure_ascii=False, separators=(",", ":"))
        condition = ("filter", f"any({identifier},{listed})")
        query = (("fields[profile]", identifier), condition, ("page[size]", "100"))
        for page in reader.pages(target.with_query(query), MOST_PAGES):
            if isinstance(page, NoDocument):
                return page
            for value, profile_id in _identified(page.resources, identifier):
                found.setdefault(wanted_form(identifier, value), profile_id)
    return found


def _identified(profiles: Iterable[Mapping[str, object]], identifier: str) -> Iterator[tuple[str, str]]:
    """The identifier and the id of each profile that has both."""
    for profile in profiles:
        value, profile_id = attributes_of(profile).get(identifier), profile.get("id")
        if isinstance(value, str) and isinstance(profile_id, str):
            yield value, profile_id
