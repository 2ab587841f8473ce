"""How rows become the inside of a body where they do not simply follow each other.

A batch is cut by the sizes of its single rows, which no arrangement exceeds; what is sent is arranged when the body is
composed, the same way each time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote_plus

from spark_klaviyo.core import exact_json
from spark_klaviyo.core.exact_json import Json
from spark_klaviyo.core.models import Arrangement
from spark_klaviyo.templates.model import BodyLayout

_GROUP = re.compile(r"/(\d{1,9})(?:/attributes/events/data/(\d{1,9}))?(?:/|$)")


@dataclass(frozen=True)
class Nothing:
    """A request without a body: the row is in its path."""

    def inside(self, records: Sequence[bytes]) -> bytes | None:  # noqa: ARG002
        """No bytes at all."""
        return None

    def named(self, records: Sequence[bytes], rests: Sequence[str]) -> list[list[int]]:  # noqa: ARG002
        """There is one row, and pointers name nothing inside it."""
        return [[] for _ in rests]


@dataclass(frozen=True)
class Apart:
    """A body that says all it says of a row by itself: the record is not in it (manual mode)."""

    def inside(self, records: Sequence[bytes]) -> bytes:  # noqa: ARG002
        """Nothing between head and tail."""
        return b""

    def named(self, records: Sequence[bytes], rests: Sequence[str]) -> list[list[int]]:  # noqa: ARG002
        """There is one row, and pointers name nothing inside it."""
        return [[] for _ in rests]


@dataclass(frozen=True)
class EventGroups:
    """Events of equal profiles in one group, in the order in which each profile first comes (bulk_create_events)."""

    def inside(self, records: Sequence[bytes]) -> bytes:
        """The groups, comma-separated."""
        loaded = [exact_json.loads(record) for record in records]
        return b",".join(_joined([loaded[position] for position in group]) for group in _groups(loaded))

    def named(self, records: Sequence[bytes], rests: Sequence[str]) -> list[list[int]]:
        """Rows that pointers mean: one event of a group, or the whole group where they stay outside the events."""
        groups = _groups([exact_json.loads(record) for record in records])
        return [_rows_at(groups, _GROUP.match(rest)) for rest in rests]


@dataclass(frozen=True)
class Identifiers:
    """v2: lists of emails, phone numbers and push tokens; the skeleton opens and closes the list of emails."""

    def inside(self, records: Sequence[bytes]) -> bytes:
        """Emails, then the other lists where there are any."""
        kinds: dict[str, list[Json]] = {"email": [], "phone_number": [], "push_token": []}
        for record in map(exact_json.loads, records):
            held = record if isinstance(record, dict) else {}
            kind = next((kind for kind in kinds if held.get(kind)), "email")
            kinds[kind].append(held.get(kind))
        emails, phones, tokens = (exact_json.dumps(values)[1:-1] for values in kinds.values())
        others = ((b'"phone_numbers":[', phones), (b'"push_tokens":[', tokens))
        return emails + b"".join(b"]," + name + values for name, values in others if values)

    def named(self, records: Sequence[bytes], rests: Sequence[str]) -> list[list[int]]:  # noqa: ARG002
        """v2 named no rows."""
        return [[] for _ in rests]


@dataclass(frozen=True)
class Form:
    """v1: fields of one record beside the token, percent-encoded in the form field `data`."""

    def inside(self, records: Sequence[bytes]) -> bytes:
        """The record without its braces."""
        return quote_plus(records[0].strip()[1:-1]).encode()

    def named(self, records: Sequence[bytes], rests: Sequence[str]) -> list[list[int]]:  # noqa: ARG002
        """v1 named no rows."""
        return [[] for _ in rests]


NOTHING = Nothing()
ARRANGEMENTS: dict[BodyLayout, Arrangement] = {
    BodyLayout.APART: Apart(),
    BodyLayout.EVENT_GROUPS: EventGroups(),
    BodyLayout.IDENTIFIERS: Identifiers(),
    BodyLayout.FORM: Form(),
}


def _groups(loaded: Sequence[Json]) -> list[list[int]]:
    """Positions of the rows of each group, by everything but the events."""
    groups: dict[bytes, list[int]] = {}
    for position, record in enumerate(loaded):
        groups.setdefault(_person(record), []).append(position)
    return list(groups.values())


def _rows_at(groups: list[list[int]], found: re.Match[str] | None) -> list[int]:
    if found is None or int(found[1]) >= len(groups):
        return []
    group = groups[int(found[1])]
    if found[2] is None:
        return group
    return [group[int(found[2])]] if int(found[2]) < len(group) else []


def _person(record: Json) -> bytes:
    attributes = record.get("attributes") if isinstance(record, dict) else None
    about = (
        {name: value for name, value in attributes.items() if name != "events"} if isinstance(attributes, dict) else {}
    )
    return exact_json.dumps(about, sort_keys=True)


def _joined(records: list[Json]) -> bytes:
    """The first record with the events of all."""
    first = records[0]
    events: list[Json] = []
    for record in records:
        events += _events(record)
    if isinstance(first, dict) and isinstance(first.get("attributes"), dict):
        first["attributes"] = {**first["attributes"], "events": {"data": events}}  # type: ignore[dict-item]
    return exact_json.dumps(first)


def _events(record: Json) -> list[Json]:
    attributes = record.get("attributes") if isinstance(record, dict) else None
    held = attributes.get("events") if isinstance(attributes, dict) else None
    listed = held.get("data") if isinstance(held, dict) else None
    return listed if isinstance(listed, list) else []
