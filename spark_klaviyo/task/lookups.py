"""Looks people up before a batch is sent: by the identifier that requests take, on a list, and by their consent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from spark_klaviyo.core import exact_json
from spark_klaviyo.core.codes import RejectCode, StopCode
from spark_klaviyo.core.exact_json import Json, get, put, remove
from spark_klaviyo.core.models import Batch, Rejection
from spark_klaviyo.deliver.batch_sender import NOBODY_ERASED
from spark_klaviyo.deliver.delivery import SendContext
from spark_klaviyo.deliver.reads import Reader, ReadFailed, ReadTarget
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.task.consent import ConsentReader, Standing
from spark_klaviyo.task.opted_out import SubscribeGuard
from spark_klaviyo.task.profiles import (
    PROFILES,
    find_profiles,
    parsed,
    rejections_of,
    values_at,
    wanted_form,
    with_texts,
)
from spark_klaviyo.templates.limits import L

NOBODY_TO_REMOVE = "deletes of people whom Klaviyo does not know counted as delivered: there was nothing to remove"
NO_EMAIL = "the profile has no email, and people are suppressed by email alone"
UNREAD = "whether the profile is on the list could not be read: {}"
NEEDS = "{} (list members are read before any is unsubscribed from the list: that needs lists:read and profiles:read)"


@dataclass(frozen=True)
class Lookups:
    """The look-ups that a template asks for; rows that must not be sent are handed to `reject`, or counted."""

    plan: WritePlan
    context: SendContext
    reject: Callable[[Rejection], None]
    report: TaskReport

    def checked(self, batches: Iterator[Batch | None]) -> Iterator[Batch | None]:
        """The batches with people looked up, and without those who are not on the list, where that is needed."""
        template = self.plan.template
        if template.looked_up_as:
            batches = self._each(batches, self._as_sent)
        if template.unsubscribes:
            batches = self._each(batches, self._only_list_members, NEEDS)
        elif template.subscribes:
            batches = SubscribeGuard(self.plan, self.context, self.reject, self.report).checked(batches)
        return batches

    def _each(
        self, batches: Iterator[Batch | None], check: Callable[[Reader, Batch], Batch | None], needs: str = "{}"
    ) -> Iterator[Batch | None]:
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
                found[kind] = find_profiles(reader, PROFILES, kind, values, template.looked_up_as)
        if not found:
            return batch
        texts: dict[int, bytes] = {}
        for position, (record, rejection) in enumerate(zip(records, rejections_of(batch), strict=True)):
            kind, value = named[position]
            known, unread = found.get(kind, ({}, ""))
            names = known.get(wanted_form(kind, value), [])
            if kind not in found:
                texts[position] = exact_json.dumps(record)
            elif unread:
                self.reject(replace(rejection, code=RejectCode.UNAVAILABLE, detail=unread))
            elif len(names) > 1:
                code = RejectCode.AMBIGUOUS_PROFILE
                self.reject(replace(rejection, code=code, detail=f"{kind}: {code.text}"))
            elif any(names):
                texts[position] = self._renamed(record, kind, names[0])
            else:
                self._count_unknown(rejection, has_profile=bool(names))
        return with_texts(batch, texts) if texts else None

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

    def _count_unknown(self, rejection: Rejection, *, has_profile: bool) -> None:
        """Count a row whose identifier finds no profile, or none with the identifier that requests take.

        No profile is erased or suppressed then; in change data a removal from the list counts as done.
        """
        template = self.plan.template
        if template.deletes:
            self.report.accept(1, NOBODY_ERASED)
        elif has_profile:
            self.reject(replace(rejection, detail=NO_EMAIL))
        elif self.plan.missing_counts_as_deleted and template.looked_up_as == "id":
            self.report.delivered += 1
            self.report.warn(NOBODY_TO_REMOVE)
        else:
            self.reject(rejection)

    # --- members of a list --------------------------------------------------------------------

    def _only_list_members(self, reader: Reader, batch: Batch) -> Batch | None:
        """The batch without people who are not on the request's list: Klaviyo would unsubscribe them from everything.

        Who has opted out already counts as delivered, anybody else is rejected as not_on_list. A row with both
        identifiers passes only if both are on the list.
        """
        list_id = batch.envelope.list_id
        if not list_id:
            return batch
        members = ReadTarget.of("/api/lists/{id}/profiles", L, id=list_id)
        records, barred = parsed(batch), dict[int, tuple[RejectCode, str]]()
        of_rows = StopCode.NOT_FOUND if "list_id" not in self.plan.settings else None  # a column gives the list
        for name in ("email", "phone_number"):
            values = values_at(records, self.plan.template.paths[name])
            found, unread = find_profiles(reader, members, name, values.values(), of_rows=of_rows)
            why = RejectCode.NOT_ON_LIST, RejectCode.NOT_ON_LIST.text
            if unread:
                why = RejectCode.UNAVAILABLE, UNREAD.format(unread)
            absent = [row for row, value in values.items() if wanted_form(name, value) not in found]
            barred |= dict.fromkeys(absent, why)
        off = [row for row, (code, _) in barred.items() if code is RejectCode.NOT_ON_LIST]
        consents = ConsentReader(self.plan, self.context, self.report).read([records[row] for row in off])
        standings = {row: consents.standings(records[row], list_id) for row in off}
        opted_out = {row for row, each in standings.items() if set(each.values()) == {Standing.OPTED_OUT}}
        for position, rejection in enumerate(rejections_of(batch)):
            if position in opted_out:
                self.report.delivered += 1
            elif position in barred:
                code, detail = barred[position]
                self.reject(replace(rejection, code=code, detail=detail))
        if not barred:
            return batch
        return batch.without(set(barred)) if len(barred) < batch.rows else None
