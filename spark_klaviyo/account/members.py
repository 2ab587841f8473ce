"""Who is on a list: its pages read side by side, in slices of the time of joining, within the account's quota."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import pairwise
from typing import TypeAlias

from spark_klaviyo.account.reads import READERS, Asking, place
from spark_klaviyo.deliver.pool import DaemonPool
from spark_klaviyo.deliver.reads import ReadTarget
from spark_klaviyo.templates.model import XS, L

PAGE = 100  # spec: get_profiles_for_list, largest page
PAGES_A_SLICE = 5  # a list is cut into slices of about so many pages ...
MOST_SLICES = 64  # ... and no more than this
JOIN_SECONDS = 5.0
Member: TypeAlias = Mapping[str, object]  # a profile's id, email, phone_number and external_id, where it has them
Page: TypeAlias = list[Member]


@dataclass(frozen=True)
class ListFacts:
    """A list before anything is changed: how many members it has, and since when it exists."""

    list_id: str
    members: int
    created: str = ""


def list_facts(ask: Asking, list_id: str) -> ListFacts:
    """Read a list with the number of its members, and see that members may be read. Raises `ReadFailed`.

    Recorded: asking for `profile_count` is a call of the XS tier.
    """
    counted = [("additional-fields[list]", "profile_count")]
    document = ask.one(place("/api/lists/{id}", XS, counted, id=list_id))
    ask.one(_members(list_id, 1))
    for resource in document.resources:
        attributes = resource.get("attributes")
        held = attributes if isinstance(attributes, Mapping) else {}
        count = held.get("profile_count")
        return ListFacts(list_id, count if isinstance(count, int) else 0, str(held.get("created") or ""))
    return ListFacts(list_id, 0)


def members(ask: Asking, facts: ListFacts, now: datetime | None = None) -> Iterator[Page]:
    """All members, a page at a time, in no order. Raises `ReadFailed`; closing the generator reads no further."""
    slices = cut(facts, now or datetime.now(timezone.utc))
    hands: DaemonPool[ReadTarget, Page] = DaemonPool(_carry(ask), READERS)
    try:
        while slices or hands.busy:
            while slices and hands.busy < READERS:
                hands.give(slices.pop())
            page = hands.result()
            if page is not None:
                yield page
    finally:
        if slices or hands.busy:
            ask.end()
        hands.finish(JOIN_SECONDS)


def cut(facts: ListFacts, now: datetime) -> list[ReadTarget]:
    """The slices of a list, open at both ends, so that nobody falls between the clocks."""
    wanted = min(facts.members // (PAGE * PAGES_A_SLICE), MOST_SLICES)
    born = _moment(facts.created)
    if wanted < 2 or born is None or born >= now:
        return [_members(facts.list_id, PAGE)]
    step = (now - born) / wanted
    edges = [(born + step * number).strftime("%Y-%m-%dT%H:%M:%SZ") for number in range(1, wanted)]
    first = f"less-than(joined_group_at,{edges[0]})"
    between = [
        f"greater-or-equal(joined_group_at,{low}),less-than(joined_group_at,{high})" for low, high in pairwise(edges)
    ]
    last = f"greater-or-equal(joined_group_at,{edges[-1]})"
    return [_members(facts.list_id, PAGE, text) for text in (first, *between, last)]


def _members(list_id: str, size: int, condition: str = "") -> ReadTarget:
    asked = [("fields[profile]", "email,phone_number,external_id"), ("page[size]", str(size))]
    asked += [("filter", condition)] if condition else []
    return place("/api/lists/{id}/profiles", L, asked, id=list_id)


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)


def _carry(ask: Asking) -> Callable[[ReadTarget, Callable[[Page], None]], None]:
    def carry(where: ReadTarget, hand_over: Callable[[Page], None]) -> None:
        for document in ask.pages(where):
            hand_over([_member(resource) for resource in document.resources])

    return carry


def _member(resource: Mapping[str, object]) -> Member:
    attributes = resource.get("attributes")
    return {**(attributes if isinstance(attributes, Mapping) else {}), "id": resource.get("id")}
