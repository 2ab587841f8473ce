"""Looks people up before a batch is sent: by the identifier that requests take, on a list, and by their consent.

Subscribing brings nobody back who opted out: consent is read before it is written, and such rows are rejected.
Klaviyo's subscribe call lifts unsubscribes, spam reports and manual suppressions (spec: bulk_subscribe_profiles). Rows
of `resubscribe=true` say that the person has signed up again: nothing is read for them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from spark_klaviyo.core import exact_json
from spark_klaviyo.core.clock import rfc3339, time_of
from spark_klaviyo.core.codes import RejectCode, StopCode
from spark_klaviyo.core.exact_json import Json, get, put, remove
from spark_klaviyo.core.models import Batch, Batches, RejectRow
from spark_klaviyo.deliver.batch_sender import NOBODY_ERASED
from spark_klaviyo.deliver.delivery import SendContext
from spark_klaviyo.deliver.reads import Reader, ReadFailed, ReadTarget, ResourceFields
from spark_klaviyo.plan.consent_columns import unneeded_identifiers
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.task.consent import Consents, ConsentStatus, judge_consent, read_consents
from spark_klaviyo.task.profiles import Why, barred_rows, find_profiles, parsed, wanted_form, with_texts, without
from spark_klaviyo.templates.limits import L
from spark_klaviyo.templates.model import Channel

NOBODY_TO_REMOVE = "deletes of people whom Klaviyo does not know counted as delivered: there was nothing to remove"
NO_EMAIL = "the profile has no email, and people are suppressed by email alone"
OPTED_OUT = (
    "people who had opted out were not subscribed (opted_out); resubscribe=true, or column:NAME row by row, says who "
    "has signed up again since, and would subscribe them"
)
LOOK_AHEAD = 1_000  # rows whose consents are read at once, so that reads are full also where requests are small
UNREAD = "whether the profile is on the list could not be read: {}"
CONSENT_UNREAD = "whether the person has opted out could not be read: {}"
READS_CONSENT = "{} (who has opted out is read before anybody is subscribed: that needs profiles:read)"
READS_MEMBERS = "{} (who is on the list is read for historical_import: that needs lists:read and profiles:read)"
NEEDS = "{} (list members are read before any is unsubscribed from the list: that needs lists:read and profiles:read)"


@dataclass(frozen=True)
class Lookups:
    """The look-ups that a template asks for; rows that must not be sent are handed to `reject`, or counted."""

    plan: WritePlan
    context: SendContext
    reject: RejectRow
    report: TaskReport

    def checked(self, batches: Batches) -> Batches:
        """The batches with people looked up, and without those who are not on the list, where that is needed."""
        template = self.plan.template
        if template.looked_up_as:
            batches = self._each(batches, self._as_sent)
        if template.unsubscribes:
            batches = self._each(batches, self._only_list_members, NEEDS)
        elif template.subscribes:
            batches = self._without_opted_out(batches)
        return batches

    def _each(self, batches: Batches, check: Callable[[Reader, Batch], Batch | None], needs: str = "{}") -> Batches:
        """The batches as `check` leaves them; None: nothing is left to send.

        A look-up that would fail for every row (a refused key, say) stops sending; the batch then passes as it is, and
        is counted as unsent.
        """
        reader, stop = Reader(self.plan.policy, self.context), self.context.stop
        for batch in batches:
            try:
                checked = batch if batch is None or stop.is_set() else check(reader, batch)
            except ReadFailed as failed:
                stop.set(failed.code, needs.format(failed))
                checked = batch
            if batch is None or checked is not None:
                yield checked

    # --- the identifier that requests take ----------------------------------------------------

    def _as_sent(self, reader: Reader, batch: Batch) -> Batch | None:
        """The batch with each row named as requests name people, found by the row's first identifier and no other.

        Where several profiles have it, as families share a phone, the row is rejected: any of them would be a guess.
        """
        template, records = self.plan.template, parsed(batch)
        named = [self._first_identifier(record) for record in records]
        found: dict[str, tuple[dict[str, list[str]], str]] = {}
        for kind in template.identifiers:
            values = [value for name, value in named if name == kind]
            if values and kind not in template.sent_directly:
                found[kind] = find_profiles(reader, kind, values, wanted=template.looked_up_as)
        if not found:
            return batch
        texts: dict[int, bytes] = {}
        barred: dict[int, Why] = {}
        for position, (record, (kind, value)) in enumerate(zip(records, named, strict=True)):
            known, unread = found.get(kind, ({}, ""))
            names = known.get(wanted_form(kind, value), [])
            if kind not in found:
                texts[position] = exact_json.dumps(record)
            elif unread:
                barred[position] = RejectCode.UNAVAILABLE, unread
            elif len(names) > 1:
                barred[position] = RejectCode.AMBIGUOUS_PROFILE, f"{kind}: {RejectCode.AMBIGUOUS_PROFILE.text}"
            elif any(names):
                texts[position] = self._renamed(record, kind, names[0])
            elif not self._counts_as_done(has_profile=bool(names)):
                barred[position] = RejectCode.NOT_FOUND, NO_EMAIL if names else RejectCode.NOT_FOUND.text
        self._reject(batch, barred)
        return with_texts(batch, texts) if texts else None

    def _reject(self, batch: Batch, barred: Mapping[int, Why]) -> None:
        for one in barred_rows(batch, barred):
            self.reject(one)

    def _first_identifier(self, record: Json) -> tuple[str, str]:
        paths = self.plan.template.paths
        values = ((name, get(record, paths[name])) for name in self.plan.template.identifiers)
        return next(((name, value) for name, value in values if isinstance(value, str) and value.strip()), ("", ""))

    def _renamed(self, record: Json, kind: str, name: str) -> bytes:
        """The record with the identifier that requests take in place of the row's own."""
        template, paths = self.plan.template, self.plan.template.paths
        if isinstance(record, dict):
            remove(record, paths[kind])
            around = paths[kind][:-1]
            if get(record, around) == {} and around not in template.keep_empty:
                remove(record, around)
            put(record, paths[template.looked_up_as], name)
        return exact_json.dumps(record)

    def _counts_as_done(self, *, has_profile: bool) -> bool:
        """Count a row whose identifier finds no profile, or none with the identifier that requests take, if it is done.

        No profile is erased then; in change data a removal from the list counts as done.
        """
        template = self.plan.template
        if template.deletes:
            self.report.accept(1, NOBODY_ERASED)
            return True
        is_removed = not has_profile and self.plan.missing_counts_as_deleted and template.looked_up_as == "id"
        if is_removed:
            self.report.delivered += 1
            self.report.warn(NOBODY_TO_REMOVE)
        return is_removed

    # --- members of a list --------------------------------------------------------------------

    def _only_list_members(self, reader: Reader, batch: Batch) -> Batch | None:
        """The batch without people who are not on the request's list: Klaviyo would unsubscribe them from everything.

        Who has opted out already counts as delivered, anybody else is rejected as not_on_list. A row with both
        identifiers passes only if both are on the list.
        """
        list_id = batch.envelope.list_id
        if not list_id:
            return batch
        members = ReadTarget("/api/lists/{id}/profiles", L, id=list_id)
        records, barred = parsed(batch), dict[int, Why]()
        of_rows = StopCode.NOT_FOUND if "list_id" not in self.plan.settings else None  # a column gives the list
        for name in ("email", "phone_number"):
            given = ((row, get(record, self.plan.template.paths[name])) for row, record in enumerate(records))
            values = {row: value for row, value in given if isinstance(value, str) and value}
            found, unread = find_profiles(reader, name, values.values(), members, of_rows=of_rows)
            why = RejectCode.NOT_ON_LIST, RejectCode.NOT_ON_LIST.text
            if unread:
                why = RejectCode.UNAVAILABLE, UNREAD.format(unread)
            absent = [row for row, value in values.items() if wanted_form(name, value) not in found]
            barred |= dict.fromkeys(absent, why)
        off = [row for row, (code, _) in barred.items() if code is RejectCode.NOT_ON_LIST]
        consents = read_consents(self.plan, self.context, self.report, [records[row] for row in off])
        statuses = {row: consents.statuses(records[row], list_id) for row in off}
        opted_out = {row for row, each in statuses.items() if set(each.values()) == {ConsentStatus.OPTED_OUT}}
        self.report.delivered += len(opted_out)
        self._reject(batch, {row: why for row, why in barred.items() if row not in opted_out})
        return without(batch, barred)

    # --- nobody who opted out is brought back -------------------------------------------------

    def _without_opted_out(self, batches: Batches) -> Batches:
        """The batches without rows of people who opted out of a channel of the row; others stay in their own batch.

        With `historical_import` only an opt-out that is newer than the consent counts, and a subscription that stands
        already is delivered: Klaviyo would refuse a later date of it.
        """
        held: list[Batch] = []
        for batch in batches:
            if batch is None or self.context.stop.is_set():
                yield batch
                continue
            if batch.envelope.resubscribes:
                yield with_needed_identifiers(self.plan, batch, dict(enumerate(parsed(batch))))
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
        records = (record for one in batches for record in parsed(one))
        try:
            consents = read_consents(self.plan, self.context, self.report, records)
        except ReadFailed as failed:
            self.context.stop.set(failed.code, READS_CONSENT.format(failed))
            yield from batches
            return
        for batch in batches:
            left = self._only_open(batch, consents)
            if left is not None:
                yield left

    def _only_open(self, batch: Batch, consents: Consents) -> Batch | None:
        """The batch without the rows that must not be sent, or need not be; None where nothing is left."""
        list_id = batch.envelope.list_id
        open_rows: dict[int, Json] = {}
        barred: dict[int, Why] = {}
        for position, record in enumerate(parsed(batch)):
            statuses = consents.statuses(record, list_id)
            closed = [channel.name for channel, status in statuses.items() if status is ConsentStatus.OPTED_OUT]
            if consents.is_unread(record):
                barred[position] = RejectCode.UNAVAILABLE, CONSENT_UNREAD.format(consents.why)
            elif closed:
                self.report.warn(OPTED_OUT)
                barred[position] = RejectCode.OPTED_OUT, f"{RejectCode.OPTED_OUT.text} ({', '.join(closed)})"
            else:
                open_rows[position] = record
        self._reject(batch, barred)
        changed: set[int] = set()
        if self.plan.settings.get("historical_import") == "true":
            open_rows = self._without_subscribed(consents, list_id, open_rows)
            changed = {position for position, record in open_rows.items() if _date_no_later(record, consents)}
        return with_needed_identifiers(self.plan, batch, open_rows, changed)

    # --- consent that was given before --------------------------------------------------------

    def _without_subscribed(self, consents: Consents, list_id: str, records: dict[int, Json]) -> dict[int, Json]:
        """The rows to send; who is subscribed already, and on the list where there is one, is delivered."""
        subscribed = {
            position: consents.meant(record)
            for position, record in records.items()
            if set(consents.statuses(record, list_id).values()) == {ConsentStatus.SUBSCRIBED}
        }
        try:
            settled = self._on_list(subscribed, list_id)
        except ReadFailed as failed:
            self.context.stop.set(failed.code, READS_MEMBERS.format(failed))
            return records
        self.report.delivered += len(settled)
        return {position: record for position, record in records.items() if position not in settled}

    def _on_list(self, people: Mapping[int, list[ResourceFields]], list_id: str) -> set[int]:
        """Those of these rows whose people are all on the list; all rows without a list."""
        if not list_id or not people:
            return set(people)
        reader = Reader(self.plan.policy, self.context)
        members = ReadTarget("/api/lists/{id}/profiles", L, id=list_id)
        ids: set[str] = set()
        for kind in ("email", "phone_number"):
            values = {str(person.get(kind) or "") for persons in people.values() for person in persons}
            found, _ = find_profiles(reader, kind, sorted(values), members)
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


def _subscribed_since(person: ResourceFields, channel: Channel) -> datetime | None:
    medium, use = channel.json_path[-2:]
    stands = judge_consent(person.get("subscriptions"), channel) is ConsentStatus.SUBSCRIBED
    return time_of(get(person, ("subscriptions", medium, use, "consent_timestamp"))) if stands else None


def with_needed_identifiers(
    plan: WritePlan, batch: Batch, rows: dict[int, Json], changed: Collection[int] = ()
) -> Batch | None:
    """The batch of these rows, by position, without identifiers that no channel of theirs needs; None without rows.

    `changed`: rows whose records are no longer those of the batch.
    """
    changed = set(changed)
    for position, record in rows.items():
        if isinstance(record, dict):
            for path in unneeded_identifiers(plan.template, record):
                remove(record, path)
                changed.add(position)
    if changed:
        given = list(batch.records())
        texts = {at: exact_json.dumps(record) if at in changed else given[at] for at, record in rows.items()}
        return with_texts(batch, texts)
    return without(batch, set(range(batch.rows)) - rows.keys())
