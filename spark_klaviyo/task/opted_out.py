"""Subscribing brings nobody back who opted out: consent is read before it is written, and such rows are rejected.

Klaviyo's subscribe call lifts unsubscribes, spam reports and manual suppressions (spec: bulk_subscribe_profiles). Rows
of `resubscribe=true` say that the person has signed up again: nothing is read for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain

from spark_klaviyo.core.clock import rfc3339, time_of
from spark_klaviyo.core.codes import RejectCode
from spark_klaviyo.core.exact_json import Json, get, put
from spark_klaviyo.core.models import Batch, Rejection
from spark_klaviyo.deliver.delivery import SendContext
from spark_klaviyo.deliver.reads import Reader, ReadFailed, ReadTarget, Resource
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.task.consent import ConsentReader, Consents, Standing, judge_consent
from spark_klaviyo.task.profiles import find_profiles, parsed, rejections_of, with_needed_identifiers
from spark_klaviyo.templates.limits import L
from spark_klaviyo.templates.model import Channel

LOOK_AHEAD = 1_000  # rows whose people are read at once, so that reads are full also where requests are small
OPTED_OUT = (
    "people who had opted out were not subscribed (opted_out); resubscribe=true, or column:NAME row by row, says who "
    "has signed up again since, and would subscribe them"
)
UNREAD = "whether the person has opted out could not be read: {}"
NEEDS = "{} (who has opted out is read before anybody is subscribed: that needs profiles:read)"
MEMBERS_NEED = "{} (who is on the list is read for historical_import: that needs lists:read and profiles:read)"


@dataclass(frozen=True)
class SubscribeGuard:
    """Rejects rows of people who opted out of a channel of the row.

    With `historical_import` only an opt-out that is newer than the consent counts, and a subscription that stands
    already is delivered: Klaviyo would refuse a later date of it.
    """

    plan: WritePlan
    context: SendContext
    reject: Callable[[Rejection], None]
    report: TaskReport

    def checked(self, batches: Iterator[Batch | None]) -> Iterator[Batch | None]:
        """The batches without the rows that must not be sent; rows that may be sent are in their own batch still."""
        held: list[Batch] = []
        for batch in batches:
            if batch is None or self.context.stop.is_set():
                yield batch
                continue
            if batch.envelope.resubscribes:
                yield with_needed_identifiers(self.plan, batch, dict(enumerate(parsed(batch))), set())
                continue
            if sum(one.rows for one in held) + batch.rows > LOOK_AHEAD:
                yield from self._decided(held)
                held = []
            held.append(batch)
        yield from self._decided(held)

    def _decided(self, batches: list[Batch]) -> Iterator[Batch]:
        """The batches as they may be sent; as they are where reading had to stop, to be counted as unsent."""
        if not batches or self.context.stop.is_set():
            yield from batches
            return
        reader = ConsentReader(self.plan, self.context, self.report)
        try:
            consents = reader.read(record for one in batches for record in parsed(one))
        except ReadFailed as failed:
            self.context.stop.set(failed.code, NEEDS.format(failed))
            yield from batches
            return
        for batch in batches:
            left = self._without_opted_out(batch, consents)
            if left is not None:
                yield left

    def _without_opted_out(self, batch: Batch, consents: Consents) -> Batch | None:
        """The batch without the rows that must not be sent, or need not be; None where nothing is left."""
        records, list_id = parsed(batch), batch.envelope.list_id
        open_rows: dict[int, Json] = {}
        for position, (record, rejection) in enumerate(zip(records, rejections_of(batch), strict=True)):
            standings = consents.standings(record, list_id)
            closed = [channel.name for channel, standing in standings.items() if standing is Standing.OPTED_OUT]
            if consents.is_unread(record):
                detail = UNREAD.format(consents.why)
                self.reject(replace(rejection, code=RejectCode.UNAVAILABLE, detail=detail))
            elif closed:
                self.report.warn(OPTED_OUT)
                detail = f"{RejectCode.OPTED_OUT.text} ({', '.join(closed)})"
                self.reject(replace(rejection, code=RejectCode.OPTED_OUT, detail=detail))
            else:
                open_rows[position] = record
        changed: set[int] = set()
        if self.plan.settings.get("historical_import") == "true":
            open_rows = self._without_standing(consents, list_id, open_rows)
            changed = {position for position, record in open_rows.items() if _date_no_later(record, consents)}
        return with_needed_identifiers(self.plan, batch, open_rows, changed)

    # --- consent that was given before --------------------------------------------------------

    def _without_standing(self, consents: Consents, list_id: str, records: dict[int, Json]) -> dict[int, Json]:
        """The rows to send; who is subscribed already, and on the list where there is one, is delivered."""
        standing = {
            position: consents.meant(record)
            for position, record in records.items()
            if set(consents.standings(record, list_id).values()) == {Standing.SUBSCRIBED}
        }
        try:
            settled = self._on_list(standing, list_id)
        except ReadFailed as failed:
            self.context.stop.set(failed.code, MEMBERS_NEED.format(failed))
            return records
        self.report.delivered += len(settled)
        return {position: record for position, record in records.items() if position not in settled}

    def _on_list(self, people: Mapping[int, list[Resource]], list_id: str) -> set[int]:
        """Those of these rows whose people are all on the list; all rows without a list."""
        if not list_id or not people:
            return set(people)
        reader = Reader(self.plan.policy, self.context)
        members = ReadTarget.of("/api/lists/{id}/profiles", L, id=list_id)
        ids: set[str] = set()
        for kind in ("email", "phone_number"):
            values = {str(person.get(kind) or "") for persons in people.values() for person in persons}
            found, _ = find_profiles(reader, members, kind, sorted(values))
            ids.update(chain.from_iterable(found.values()))
        return {at for at, persons in people.items() if all(person["id"] in ids for person in persons)}


def _date_no_later(record: Json, consents: Consents) -> bool:
    """Put no date of consent after that of a subscription that stands; whether the record changed.

    Klaviyo refuses a later date. Recorded 2026-09: an earlier or equal one is taken, and the standing date stays.
    """
    changed = False
    for channel, people in consents.found(record).items():
        path = (*channel.json_path, "consented_at")
        given, times = time_of(get(record, path)), [_subscribed_since(person, channel) for person in people]
        since = min(filter(None, times), default=None)
        if given is not None and since is not None and since < given and isinstance(record, dict):
            put(record, path, rfc3339(since))
            changed = True
    return changed


def _subscribed_since(person: Resource, channel: Channel) -> datetime | None:
    medium, use = channel.json_path[-2:]
    stands = judge_consent(person.get("subscriptions"), channel) is Standing.SUBSCRIBED
    return time_of(get(person, ("subscriptions", medium, use, "consent_timestamp"))) if stands else None
