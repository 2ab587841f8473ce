"""Rejects people who are not on the list of an unsubscribe: Klaviyo would unsubscribe them from everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from spark_klaviyo.core import exact_json
from spark_klaviyo.core.codes import RejectCode
from spark_klaviyo.core.identifiers import normalise_identifier
from spark_klaviyo.core.json_paths import get
from spark_klaviyo.core.models import Batch, Rejection
from spark_klaviyo.deliver.delivery import SendContext
from spark_klaviyo.deliver.lookups import list_id_of, list_members
from spark_klaviyo.deliver.reads import NoDocument, Reader
from spark_klaviyo.plan.model import WritePlan

IDENTIFIERS = ("email", "phone_number")
UNREAD = "it could not be read whether the profile is on the list: {}"
NEEDS = "{} (list members are read before any is unsubscribed from the list: that needs lists:read and profiles:read)"


def only_list_members(
    plan: WritePlan, batches: Iterator[Batch | None], context: SendContext, reject: Callable[[Rejection], None]
) -> Iterator[Batch | None]:
    """The batches without people who are not on the request's list, who are rejected as not_on_list.

    A row with both identifiers passes only if both are on the list. Where the list cannot be read at all,
    `context.stop` is set; the batch then passes, and is counted as unsent.
    """
    reader = Reader(plan.policy, context)
    for batch in batches:
        list_id = None if batch is None or context.stop.is_set() else list_id_of(batch.envelope)
        if batch is None or list_id is None:
            yield batch
            continue
        barred = _barred(plan, reader, batch, list_id)
        if isinstance(barred, NoDocument):
            context.stop.set(barred.code, NEEDS.format(barred.detail))
            yield batch
            continue
        for position, (row, record) in enumerate(zip(batch.numbers(), batch.records(), strict=True)):
            if position in barred:
                reject(Rejection(int(row), record.decode("utf-8", "replace"), *barred[position]))
        if len(barred) < batch.rows:
            yield batch.without(set(barred)) if barred else batch


def _barred(
    plan: WritePlan, reader: Reader, batch: Batch, list_id: str
) -> Mapping[int, tuple[RejectCode, str]] | NoDocument:
    """Rows (by position) that must not be sent, with code and detail."""
    paths = {known.name: known.json_path for known in plan.template.fields}
    records = [exact_json.loads(record) for record in batch.records()]
    barred: dict[int, tuple[RejectCode, str]] = {}
    for name in IDENTIFIERS:
        given = {row: get(record, paths[name]) for row, record in enumerate(records)}
        values = {row: value for row, value in given.items() if isinstance(value, str)}
        found = list_members(reader, list_id, name, values.values()) if values else frozenset()
        if isinstance(found, NoDocument) and found.code.affects_every_request:
            return found
        if isinstance(found, NoDocument):
            barred |= dict.fromkeys(values, (RejectCode.UNAVAILABLE, UNREAD.format(found.detail)))
        else:
            absent = [row for row, value in values.items() if normalise_identifier(name, value) not in found]
            barred |= dict.fromkeys(absent, (RejectCode.NOT_ON_LIST, RejectCode.NOT_ON_LIST.text))
    return barred
