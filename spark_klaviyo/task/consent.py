"""What Klaviyo holds of people's consent: read for the identifiers of some rows, and judged for each channel.

spec: `subscriptions` of a profile, an additional field of `/api/profiles` (scope profiles:read). Subscribing lifts
UNSUBSCRIBE, SPAM_COMPLAINT and USER_SUPPRESSED (spec: bulk_subscribe_profiles), so these count as opting out, and so
does a reason that is not known; bounces and invalid addresses do not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from enum import Enum
from itertools import chain
from typing import TypeAlias

from spark_klaviyo.core.clock import time_of
from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.core.exact_json import Json, get, get_object
from spark_klaviyo.deliver.delivery import SendContext
from spark_klaviyo.deliver.reads import Reader, ReadFailed, ResourceFields
from spark_klaviyo.deliver.sender import DaemonPool
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.task.profiles import MOST_PAGES, PROFILES, asking_for, in_parts, wanted_form
from spark_klaviyo.templates.model import Channel, Template

BOUNCES = ("HARD_BOUNCE", "INVALID_EMAIL")  # the reasons of a suppression that are no opting out
KINDS = ("id", "email", "phone_number")  # in the order in which they decide whom a row is about
SHOWN = ("email", "phone_number", "subscriptions")
CONSENT = (("additional-fields[profile]", "subscriptions"),)
NOT_SHOWN = "Klaviyo's reply shows no subscriptions of the profile"
LATEST = datetime.max.replace(tzinfo=timezone.utc)  # of an opt-out without a time


class ConsentStatus(Enum):
    """A person's consent to a channel."""

    OPTED_OUT = "opted out"
    SUBSCRIBED = "subscribed"
    OPEN = "neither"


def judge_consent(
    subscriptions: Json, channel: Channel, list_id: str = "", consented_at: datetime | None = None
) -> ConsentStatus:
    """What the `subscriptions` of a profile say of a channel, and of a list's emails.

    With `consented_at` only an opt-out that is not older counts. All channels of email are closed by what stops its
    marketing.
    """
    medium, use = channel.json_path[-2:]
    consent = get_object(subscriptions, ("mobile_push" if medium == "push" else medium, use))
    opted_out = list(_unsubscribed(consent))
    if medium == "email":
        opted_out += _opted_out_of_email(get_object(subscriptions, ("email", "marketing")), list_id)
    if any(consented_at is None or time >= consented_at for time in opted_out):
        return ConsentStatus.OPTED_OUT
    return ConsentStatus.SUBSCRIBED if consent.get("consent") == "SUBSCRIBED" and not opted_out else ConsentStatus.OPEN


def _unsubscribed(consent: Mapping[str, Json]) -> Iterator[datetime]:
    """When a person unsubscribed, if they did; the newest of the times that may hold it."""
    if consent.get("consent") == "UNSUBSCRIBED":
        times = (time_of(consent.get(name)) for name in ("consent_timestamp", "last_updated"))
        yield max(filter(None, times), default=LATEST)


def _opted_out_of_email(marketing: Mapping[str, Json], list_id: str) -> Iterator[datetime]:
    """When a person opted out of email, of all or of this list's."""
    yield from _unsubscribed(marketing)
    everywhere, of_lists = marketing.get("suppression"), marketing.get("list_suppressions")
    held = list(everywhere) if isinstance(everywhere, list) else []
    if list_id and isinstance(of_lists, list):
        held += [one for one in of_lists if get(one, ("list_id",)) == list_id]
    for one in held:
        if get(one, ("reason",)) not in BOUNCES:
            yield time_of(get(one, ("timestamp",))) or LATEST


# --- reading --------------------------------------------------------------------------------------


# Profiles, each with the form of the identifier that it was asked for by.
Page: TypeAlias = list[tuple[str, ResourceFields]]
_Answer: TypeAlias = tuple[str, list[str], Page | ReadFailed]


@dataclass(repr=False)
class Consents:
    """The profiles that some rows name, by kind and form of identifier; `unread` could not be read, and `why`."""

    template: Template
    people: dict[tuple[str, str], list[ResourceFields]] = field(default_factory=dict)
    unread: set[tuple[str, str]] = field(default_factory=set)
    why: str = ""

    def add(self, kind: str, forms: Sequence[str], page: Page | ReadFailed) -> None:
        """Add the profiles that were read for these forms of a kind of identifier, or why there are none.

        A profile that shows none of them, as it may have several emails, is that of each.
        """
        if isinstance(page, ReadFailed):
            self.unread |= {(kind, form) for form in forms}
            self.why = page.message
            return
        for shown, person in page:
            names = [(kind, form) for form in ([shown] if shown in forms else forms)]
            for name in names:
                self.people.setdefault(name, []).append(person)
            if not isinstance(person.get("subscriptions"), dict):  # what is not shown is not taken for no opting out
                self.unread.update(names)
                self.why = NOT_SHOWN

    def is_unread(self, record: Json) -> bool:
        """Whether the profile of some identifier of the record could not be read."""
        return any(name in self.unread for name in identifiers_of(record, self.template).values())

    def meant(self, record: Json) -> list[ResourceFields]:
        """The profiles of the first identifier of the record that finds any."""
        found = (self.people.get(name, []) for name in identifiers_of(record, self.template).values())
        return next(filter(None, found), [])

    def found(self, record: Json) -> dict[Channel, list[ResourceFields]]:
        """For each channel of the record the profiles that its identifier finds, and those that the row means.

        A channel without an identifier of its own goes with those of the others, so any of them may find its person.
        """
        names, meant = identifiers_of(record, self.template), self.meant(record)
        channels = self.template.consent.channels if self.template.consent is not None else ()
        given = [channel for channel in channels if get(record, channel.json_path) is not None]
        finding = {one: [names[one.identifier]] if one.identifier in names else names.values() for one in given}
        return {one: [*chain(*(self.people.get(name, []) for name in finding[one])), *meant] for one in given}

    def statuses(self, record: Json, list_id: str) -> dict[Channel, ConsentStatus]:
        """Where the people of a record stand with each of its channels.

        Opted out where any of them is, subscribed where all are. The record's own `consented_at` is the time that an
        opt-out is compared with.
        """
        statuses = {}
        for channel, people in self.found(record).items():
            consented_at = time_of(get(record, (*channel.json_path, "consented_at")))
            judged = {judge_consent(person.get("subscriptions"), channel, list_id, consented_at) for person in people}
            same = next(iter(judged)) if len(judged) == 1 else ConsentStatus.OPEN
            statuses[channel] = ConsentStatus.OPTED_OUT if ConsentStatus.OPTED_OUT in judged else same
        return statuses


def identifiers_of(record: Json, template: Template) -> dict[str, tuple[str, str]]:
    """The identifiers of a record as they are compared: by kind, each with its kind."""
    values = ((kind, get(record, template.paths[kind])) for kind in KINDS if kind in template.paths)
    forms = ((kind, wanted_form(kind, value)) for kind, value in values if isinstance(value, str))
    return {kind: (kind, form) for kind, form in forms if form}


def read_consents(plan: WritePlan, context: SendContext, report: TaskReport, records: Iterable[Json]) -> Consents:
    """The profiles that these records name, several reads at once. Raises `ReadFailed` where none could be read.

    A read that Klaviyo refuses, for one of its identifiers perhaps, is made again in halves, and so is one whose reply
    holds a profile that shows none of them.
    """
    reader, consents = Reader(plan.policy, context), Consents(plan.template)
    names = [name for record in records for name in identifiers_of(record, plan.template).values()]
    parts = deque(
        (kind, part) for kind in KINDS for part in in_parts(kind, (form for named, form in names if named == kind))
    )

    def read_part(work: tuple[str, list[str]], emit: Callable[[_Answer], None]) -> None:
        kind, part = work
        try:
            for page in reader.pages(asking_for(PROFILES, kind, part, *SHOWN, more=CONSENT), MOST_PAGES):
                emit((kind, part, [(wanted_form(kind, str(one.get(kind) or "")), one) for one in page.resources]))
        except ReadFailed as failed:
            emit((kind, part, failed))

    pool: DaemonPool[tuple[str, list[str]], _Answer] = DaemonPool(read_part, max(plan.workers, 1))
    reads, began = 0, context.clock.now()
    try:
        for kind, part, page in pool.run(parts):
            reads += 1
            if isinstance(page, ReadFailed) and page.code.affects_every_request:
                raise page
            if len(part) > 1 and _leaves_open(page, part):
                half = len(part) // 2
                parts.extend([(kind, part[:half]), (kind, part[half:])])
            else:
                consents.add(kind, part, page)
    finally:
        pool.shutdown()
        report.record_consent_reads(reads, context.clock.now() - began)
    return consents


def _leaves_open(page: Page | ReadFailed, part: list[str]) -> bool:
    """Whether smaller reads would tell more: of what was refused, and of a profile with another identifier."""
    if isinstance(page, ReadFailed):
        return page.code is StopCode.REFUSED
    return any(form not in part for form, _ in page)
