"""Looks people up before a batch is sent: profile ids for rows that name people otherwise, and who is on a list.

Batched, paged reads within the endpoint's own quota. spec: the filters `any(email,[...])`, `any(phone_number,[...])`
and `any(external_id,[...])` of `/api/profiles` and, but for the last, of `/api/lists/{id}/profiles`; page size 100. How
many values one `any()` takes is not published: 100 is safe for the length of the URL.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import pyarrow as pa

from spark_klaviyo.core import exact_json
from spark_klaviyo.core.codes import RejectCode
from spark_klaviyo.core.exact_json import Json, get
from spark_klaviyo.core.identifiers import normalise_identifier
from spark_klaviyo.core.models import Batch, EncodedRows, Rejection, Span
from spark_klaviyo.deliver.delivery import SendContext
from spark_klaviyo.deliver.reads import NoDocument, Reader, ReadTarget, attributes_of
from spark_klaviyo.http.documents import json_object
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.templates.limits import L

IDENTIFIERS = ("email", "phone_number", "external_id")  # in order of preference
PROFILES = ReadTarget.of("/api/profiles", L)
MOST_VALUES = 100
MOST_PAGES = 50  # of one look-up: far more than profiles that share 100 identifiers
LIST_ID = ("data", "relationships", "list", "data", "id")  # in the body of a consent request
NOBODY_TO_REMOVE = "deletes of people whom Klaviyo does not know counted as delivered: there was nothing to remove"
SAME_PROFILE = "another row of the same request means the same profile"
UNREAD = "it could not be read whether the profile is on the list: {}"
NEEDS = "{} (list members are read before any is unsubscribed from the list: that needs lists:read and profiles:read)"


@dataclass(frozen=True)
class Lookups:
    """The look-ups that a template asks for; rows that must not be sent are handed to `reject`, or counted."""

    plan: WritePlan
    context: SendContext
    reject: Callable[[Rejection], None]
    report: TaskReport

    def checked(self, batches: Iterator[Batch | None]) -> Iterator[Batch | None]:
        """The batches with ids looked up and people who are not on the list left out, where that is needed."""
        template = self.plan.template
        if template.sends_profile_ids:
            batches = self._each(batches, self._with_profile_ids)
        if template.consent is not None and template.consent.withdraws:
            batches = self._each(batches, self._only_list_members)
        return batches

    def _each(
        self, batches: Iterator[Batch | None], check: Callable[[Reader, Batch], Batch | NoDocument | None]
    ) -> Iterator[Batch | None]:
        """The batches as `check` leaves them; None: nothing is left to send.

        A look-up that would fail for every row (a refused key, say) stops sending; the batch then passes as it is, and
        is counted as unsent.
        """
        reader, stop = Reader(self.plan.policy, self.context), self.context.stop
        for batch in batches:
            checked = batch if batch is None or stop.is_set() else check(reader, batch)
            if isinstance(checked, NoDocument):
                stop.set(checked.code, checked.detail)
                checked = batch
            if batch is None or checked is not None:
                yield checked

    # --- profile ids --------------------------------------------------------------------------

    def _with_profile_ids(self, reader: Reader, batch: Batch) -> Batch | NoDocument | None:
        """The batch with profile ids in place of identifiers; rows without a profile are rejected as not_found.

        With `plan.missing_counts_as_deleted` they count as delivered: a profile that does not exist is on no list.
        """
        ids, failed = self._ids_of(reader, batch)
        if failed is not None and failed.code.affects_every_request:
            return failed
        positions: dict[str, int] = {}
        for position, (profile_id, rejection) in enumerate(zip(ids, _rejections(batch), strict=True)):
            if profile_id in positions:
                self.report.skip(1, SAME_PROFILE)
            elif profile_id is not None:
                positions[profile_id] = position
            elif failed is not None:
                self.reject(replace(rejection, code=RejectCode.UNAVAILABLE, detail=failed.detail))
            elif self.plan.missing_counts_as_deleted:
                self.report.delivered += 1
                self.report.warn(NOBODY_TO_REMOVE)
            else:
                self.reject(rejection)
        return _with_ids(self.plan, batch, positions) if positions else None

    def _ids_of(self, reader: Reader, batch: Batch) -> tuple[list[str | None], NoDocument | None]:
        """Each row's profile id, by its first identifier that Klaviyo knows; and why a look-up failed, if one did."""
        records = _parsed(batch)
        given = self._values(records, "id")
        ids = [given.get(row) or None for row in range(batch.rows)]
        for name in IDENTIFIERS:
            values = {row: value for row, value in self._values(records, name).items() if value and ids[row] is None}
            found = find_profiles(reader, PROFILES, name, values.values())
            if isinstance(found, NoDocument):
                return ids, found
            for row, value in values.items():
                ids[row] = found.get(wanted_form(name, value))
        return ids, None

    def _values(self, records: list[Json], name: str) -> dict[int, str]:
        """The texts in a field, by the row's position."""
        path = next(known.json_path for known in self.plan.template.fields if known.name == name)
        found = ((row, get(record, path)) for row, record in enumerate(records))
        return {row: value for row, value in found if isinstance(value, str)}

    # --- members of a list --------------------------------------------------------------------

    def _only_list_members(self, reader: Reader, batch: Batch) -> Batch | NoDocument | None:
        """The batch without people who are not on the request's list, who are rejected as not_on_list.

        Klaviyo would unsubscribe them from everything. A row with both identifiers passes only if both are on it.
        """
        list_id = get(json_object(batch.envelope.head + batch.envelope.tail), LIST_ID)
        if not isinstance(list_id, str):
            return batch
        members = ReadTarget.of("/api/lists/{id}/profiles", L, id=list_id)
        records, barred = _parsed(batch), dict[int, tuple[RejectCode, str]]()
        for name in IDENTIFIERS[:2]:
            values = self._values(records, name)
            found = find_profiles(reader, members, name, values.values())
            if isinstance(found, NoDocument) and found.code.affects_every_request:
                return replace(found, detail=NEEDS.format(found.detail))
            if isinstance(found, NoDocument):
                barred |= dict.fromkeys(values, (RejectCode.UNAVAILABLE, UNREAD.format(found.detail)))
            else:
                absent = [row for row, value in values.items() if wanted_form(name, value) not in found]
                barred |= dict.fromkeys(absent, (RejectCode.NOT_ON_LIST, RejectCode.NOT_ON_LIST.text))
        for position, rejection in enumerate(_rejections(batch)):
            if position in barred:
                code, detail = barred[position]
                self.reject(replace(rejection, code=code, detail=detail))
        if not barred:
            return batch
        return batch.without(set(barred)) if len(barred) < batch.rows else None


def _parsed(batch: Batch) -> list[Json]:
    return [exact_json.loads(record) for record in batch.records()]


def _rejections(batch: Batch) -> Iterator[Rejection]:
    """Each row as rejected because Klaviyo knows nobody by it."""
    code = RejectCode.NOT_FOUND
    for row, record in zip(batch.numbers(), batch.records(), strict=True):
        yield Rejection(int(row), record.decode("utf-8", "replace"), code, code.text)


def _with_ids(plan: WritePlan, batch: Batch, positions: dict[str, int]) -> Batch:
    """A batch of records that hold a profile id; rejections keep the records that were given."""
    separator, constants = batch.envelope.separator, dict(plan.template.record)
    texts = [exact_json.dumps({**constants, "id": profile_id}) + separator for profile_id in positions]  # type: ignore[dict-item]
    chosen = np.array(list(positions.values()), dtype=np.int64)
    fingerprints = batch.fingerprints()
    encoded_rows = EncodedRows(
        memoryview(b"".join(texts)),
        np.cumsum([0, *map(len, texts)], dtype=np.int64),
        batch.numbers()[chosen],
        pa.nulls(len(chosen), pa.string()),
        fingerprints[chosen] if fingerprints is not None else None,
        np.array(list(batch.records()), dtype=np.object_)[chosen],
    )
    return replace(batch, spans=(Span(encoded_rows, 0, len(encoded_rows)),))


# --- reads ----------------------------------------------------------------------------------------


def wanted_form(identifier: str, value: str) -> str:
    """An identifier as it is asked for and compared.

    External ids stay as they are: another spelling may be another profile.
    """
    return value if identifier == "external_id" else normalise_identifier(identifier, value)


def find_profiles(
    reader: Reader, target: ReadTarget, identifier: str, values: Iterable[str]
) -> dict[str, str] | NoDocument:
    """The ids of the profiles that have these values of an identifier, by `wanted_form`."""
    wanted = list(filter(None, dict.fromkeys(wanted_form(identifier, value) for value in values)))
    parts = [wanted[start : start + MOST_VALUES] for start in range(0, len(wanted), MOST_VALUES)]
    found: dict[str, str] = {}
    for page in chain.from_iterable(reader.pages(_asking_for(target, identifier, part), MOST_PAGES) for part in parts):
        if isinstance(page, NoDocument):
            return page
        for profile in page.resources:
            value, profile_id = attributes_of(profile).get(identifier), profile.get("id")
            if isinstance(value, str) and isinstance(profile_id, str):
                found.setdefault(wanted_form(identifier, value), profile_id)
    return found


def _asking_for(target: ReadTarget, identifier: str, values: list[str]) -> ReadTarget:
    condition = f"any({identifier},{json.dumps(values, ensure_ascii=False, separators=(',', ':'))})"
    return target.with_query((("fields[profile]", identifier), ("filter", condition), ("page[size]", "100")))
