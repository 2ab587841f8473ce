"""Who is on a list: its pages read side by side, in slices of the time of joining, within the account's quota.

Who joined after a moment is decided by Klaviyo's own times alone: this machine's clock may be wrong.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from itertools import pairwise
from typing import TypeAlias

from spark_klaviyo.account.reads import READERS
from spark_klaviyo.core.clock import time_of
from spark_klaviyo.deliver.reads import MOST_VALUES, Document, Reader, ReadTarget, ResourceFields, any_of
from spark_klaviyo.deliver.sender import DaemonPool
from spark_klaviyo.templates.limits import XS, L

PAGE_SIZE = 100  # spec: get_profiles_for_list, largest page
PAGES_PER_SLICE = 5  # a list is cut into slices of about so many pages ...
MOST_SLICES = 64  # ... and no more than this
TIME_FORM = "%Y-%m-%dT%H:%M:%SZ"
IDENTIFIERS = ("email", "phone_number", "external_id")
NEVER = datetime.max.replace(tzinfo=timezone.utc)
FIELDS = ("fields[profile]", ",".join((*IDENTIFIERS, "joined_group_at")))  # spec: get_profiles_for_list
CLOCKS_DIFFER = timedelta(seconds=10)  # at most, among Klaviyo's own machines
UNKNOWN_TIME = timedelta(days=1)  # by which this machine's clock may be wrong where a reply has no header Date
Page: TypeAlias = list[ResourceFields]  # members: ids, identifiers where they have them, times of joining


@dataclass(frozen=True)
class ListFacts:
    """A list as a run begins: the number of its members, and when it was created.

    `recent` are the members who had joined since `since`, a little before that moment, by id with the time as Klaviyo
    writes it.
    """

    list_id: str
    members: int
    created: str = ""
    since: datetime = NEVER
    recent: Mapping[str, object] = field(default_factory=dict)

    def has_joined_since(self, member: ResourceFields) -> bool:
        """Whether a member joined, or came back, after the run began."""
        joined = member.get("joined_group_at")
        time = time_of(joined)
        return time is not None and time >= self.since and self.recent.get(str(member["id"])) != joined


def list_facts(reader: Reader, list_id: str) -> ListFacts:
    """Read a list with the number of its members, and make sure that members may be read. Raises `ReadFailed`.

    Recorded: asking for `profile_count` is a call of the XS tier.
    """
    query = (("additional-fields[list]", "profile_count"),)
    document = reader.read(ReadTarget("/api/lists/{id}", XS, query, id=list_id))
    found: ResourceFields = next(iter(document.resources), {})
    count = found.get("profile_count")
    facts = ListFacts(list_id, count if isinstance(count, int) else 0, str(found.get("created") or ""), _now(document))
    recent = [member for document in reader.pages(_recent(facts)) for member in document.resources]
    return replace(facts, recent={str(member["id"]): member.get("joined_group_at") for member in recent})


def _now(document: Document) -> datetime:
    """A moment shortly before a reply was sent, by the server's clock."""
    try:
        return parsedate_to_datetime(document.headers.get("date", "")).astimezone(timezone.utc) - CLOCKS_DIFFER
    except ValueError:
        return datetime.now(timezone.utc) - UNKNOWN_TIME


def members(reader: Reader, facts: ListFacts, now: datetime | None = None) -> Iterator[Page]:
    """All members, a page at a time, in no order. Raises `ReadFailed`; closing the generator reads no further."""
    return _read(reader, slice_list(facts, now or datetime.now(timezone.utc)))


def members_since(reader: Reader, facts: ListFacts, people: Iterable[ResourceFields]) -> set[str]:
    """The ids of the given members who joined, or came back, after the run began. Raises `ReadFailed`.

    Members are asked for by email or phone, 100 at a time; if some have neither, all who joined since are read.
    """
    asked: dict[str, list[object]] = {"email": [], "phone_number": []}
    is_whole = True
    for person in people:
        kind = next((kind for kind in asked if person.get(kind)), None)
        is_whole &= kind is not None
        if kind is not None:
            asked[kind].append(person[kind])
    targets = [] if is_whole else [_recent(facts)]
    for kind, values in asked.items():
        for start in range(0, len(values), MOST_VALUES):
            targets.append(_members(facts, any_of(kind, values[start : start + MOST_VALUES])))
    pages = _read(reader, targets)
    return {str(member["id"]) for page in pages for member in page if facts.has_joined_since(member)}


def _read(reader: Reader, targets: list[ReadTarget]) -> Iterator[Page]:
    """The pages of several collections, read side by side."""

    def read_slice(target: ReadTarget, emit: Callable[[Page], None]) -> None:
        for document in reader.pages(target):
            emit(document.resources)

    pool: DaemonPool[ReadTarget, Page] = DaemonPool(read_slice, READERS)
    todo = deque(targets)
    try:
        yield from pool.run(todo)
    finally:
        if todo or pool.busy:
            reader.stop()
        pool.shutdown()


def slice_list(facts: ListFacts, now: datetime) -> list[ReadTarget]:
    """The slices of a list by time of joining, open at both ends, so that no member is missed if clocks differ."""
    wanted = min(facts.members // (PAGE_SIZE * PAGES_PER_SLICE), MOST_SLICES)
    created = time_of(facts.created)
    if wanted < 2 or created is None or created >= now:
        return [_members(facts)]
    step = (now - created) / wanted
    edges = [(created + step * number).strftime(TIME_FORM) for number in range(1, wanted)]
    return [_members(facts, _joined(*pair)) for pair in pairwise(["", *edges, ""])]


def _joined(since: str, before: str) -> str:
    """The filter for members who joined between two times; an empty one is no bound."""
    bounds = [("greater-or-equal", since), ("less-than", before)]
    return ",".join(f"{operator}(joined_group_at,{time})" for operator, time in bounds if time)


def _recent(facts: ListFacts) -> ReadTarget:
    since = facts.since.astimezone(timezone.utc).strftime(TIME_FORM)
    return _members(facts, _joined(since, ""))


def _members(facts: ListFacts, condition: str = "") -> ReadTarget:
    query = (FIELDS, ("page[size]", str(PAGE_SIZE)), *((("filter", condition),) if condition else ()))
    return ReadTarget("/api/lists/{id}/profiles", L, query, id=facts.list_id)
