"""Who is on a list: asked before a list-scoped unsubscribe, as Klaviyo unsubscribes everybody else EVERYWHERE.

spec: `GET /api/lists/{id}/profiles`, filters `any(email,[...])` and `any(phone_number,[...])`, 100 a page.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from spark_klaviyo.core.identifiers import normalise_identifier
from spark_klaviyo.core.models import Envelope
from spark_klaviyo.deliver.lookups import MOST_PAGES, MOST_VALUES
from spark_klaviyo.deliver.reads import Reader, ReadTarget, Unread
from spark_klaviyo.templates.model import L

ROUTE = "/api/lists/{id}/profiles"


def list_of(envelope: Envelope) -> str | None:
    """The id of the list that a consent request names, read from the body as it will be sent; None without one."""
    held: object = json.loads(envelope.head + envelope.tail)
    for name in ("data", "relationships", "list", "data", "id"):
        held = held.get(name) if isinstance(held, Mapping) else None
    return held if isinstance(held, str) else None


def members(reader: Reader, list_id: str, kind: str, values: Iterable[str]) -> frozenset[str] | Unread:
    """Those of these emails (`kind` email) or phone numbers that are on the list, or why it could not be read."""
    wanted = [one for one in dict.fromkeys(normalise_identifier(kind, value) for value in values) if one]
    found: set[str] = set()
    path = ROUTE.replace("{id}", quote(list_id, safe=""))
    for start in range(0, len(wanted), MOST_VALUES):
        listed = ",".join(json.dumps(value, ensure_ascii=False) for value in wanted[start : start + MOST_VALUES])
        query = (("fields[profile]", kind), ("filter", f"any({kind},[{listed}])"), ("page[size]", "100"))
        for page in reader.pages(ReadTarget(ROUTE, path, L, query), MOST_PAGES):
            if isinstance(page, Unread):
                return page
            held = (profile.get("attributes") for profile in page.resources)
            texts = (one.get(kind) for one in held if isinstance(one, Mapping))
            found |= {normalise_identifier(kind, text) for text in texts if isinstance(text, str)}
    return frozenset(found)
