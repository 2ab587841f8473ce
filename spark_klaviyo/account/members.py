"""Who is on a list: its pages read side by side, in slices of the time of joining, within the account's quota."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import pairwise
from typing import TypeAlias

from spark_klaviyo.account.reads import READERS, AccountReader
from spark_klaviyo.deliver.reads import ReadTarget, attributes_of
from spark_klaviyo.deliver.sender import DaemonPool
from spark_klaviyo.templates.limits import XS, L

PAGE_SIZE = 100  # spec: get_profiles_for_list, largest page
PAGES_PER_SLICE = 5  # a list is cut into slices of about so many pages ...
MOST_SLICES = 64  # ... and no more than this
JOIN_SECONDS = 5.0
IDENTIFIERS = ("fields[profile]", "email,phone_number,external_id")
Member: TypeAlias = Mapping[str, object]  # a profile's id, email, phone_number and external_id, where it has them
Page: TypeAlias = list[Member]


@dataclass(frozen=True)
class ListFacts:
    """A list before anything is changed: the number of its members, and when it was created."""

    list_id: str
    members: int
    created: str = ""


def list_facts(reader: AccountReader, list_id: str) -> ListFacts:
    """Read a list with the number of its members, and make sure that members may be read. Raises `ReadFailed`.

    Recorded: asking for `profile_count` is a call of the XS tier.
    """
    query = [("additional-fields[list]", "profile_count")]
    document = reader.read(ReadTarget.of("/api/lists/{id}", XS, query, id=list_id))
    reader.read(_members(list_id, 1))
    attributes = next((attributes_of(resource) for resource in document.resources), {})
    count = attributes.get("profile_count")
    return ListFacts(list_id, count if isinstance(count, int) else 0, str(attributes.get("created") or ""))


def members(reader: AccountReader, facts: ListFacts, now: datetime | None = None) -> Iterator[Page]:
    """All members, a page at a time, in no order. Raises `ReadFailed`; closing the generator reads no further."""
    slices = slice_list(facts, now or datetime.now(timezone.utc))
    pool: DaemonPool[ReadTarget, Page] = DaemonPool(_read_slice(reader), READERS)
    try:
        while slices or pool.busy:
            while slices and pool.busy < READERS:
                pool.submit(slices.pop())
            page = pool.next_result()
            if page is not None:
                yield page
    finally:
        if slices or pool.busy:
            reader.stop()
        pool.shutdown(JOIN_SECONDS)


def slice_list(facts: ListFacts, now: datetime) -> list[ReadTarget]:
    """The slices of a list by time of joining, open at both ends, so that no member is missed if clocks differ."""
    wanted = min(facts.members // (PAGE_SIZE * PAGES_PER_SLICE), MOST_SLICES)
    created = _time(facts.created)
    if wanted < 2 or created is None or created >= now:
        return [_members(facts.list_id, PAGE_SIZE)]
    step = (now - created) / wanted
    edges = [(created + step * number).strftime("%Y-%m-%dT%H:%M:%SZ") for number in range(1, wanted)]
    return [_members(facts.list_id, PAGE_SIZE, _joined(*pair)) for pair in pairwise(["", *edges, ""])]


def _joined(since: str, before: str) -> str:
    """The filter for members who joined between two times; an empty one is no bound."""
    bounds = [("greater-or-equal", since), ("less-than", before)]
    return ",".join(f"{operator}(joined_group_at,{time})" for operator, time in bounds if time)


def _members(list_id: str, size: int, condition: str = "") -> ReadTarget:
    query = [IDENTIFIERS, ("page[size]", str(size))] + ([("filter", condition)] if condition else [])
    return ReadTarget.of("/api/lists/{id}/profiles", L, query, id=list_id)


def _time(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo is not None else time.replace(tzinfo=timezone.utc)


def _read_slice(reader: AccountReader) -> Callable[[ReadTarget, Callable[[Page], None]], None]:
    def read(target: ReadTarget, hand_over: Callable[[Page], None]) -> None:
        for document in reader.pages(target):
            hand_over([{**attributes_of(one), "id": one.get("id")} for one in document.resources])

    return read
