"""Before a list-scoped unsubscribe, who is not on the list is refused: Klaviyo would unsubscribe them everywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from spark_klaviyo.core import exact_json
from spark_klaviyo.core.codes import RejectCode
from spark_klaviyo.core.json_paths import get
from spark_klaviyo.core.models import Batch, Rejection
from spark_klaviyo.deliver.delivery import SendContext
from spark_klaviyo.deliver.list_members import list_of, members
from spark_klaviyo.deliver.lookups import folded
from spark_klaviyo.deliver.reads import Reader, Unread
from spark_klaviyo.plan.model import WritePlan

KINDS = ("email", "phone_number")
UNREAD = "nobody could say whether the profile is on the list: {}"
NEEDS = "{} (who is on a list is read before anybody is unsubscribed from it: that needs lists:read and profiles:read)"


def guarded(
    plan: WritePlan, batches: Iterator[Batch | None], context: SendContext, reject: Callable[[Rejection], None]
) -> Iterator[Batch | None]:
    """The batches without rows of people who are not on the request's list; these go to `reject` as not_on_list.

    A row with both identifiers passes only if both are on the list. Where the list cannot be read at all, `line.stop`
    is set; the batch then goes on, and is handed back as unsent.
    """
    reader = Reader(plan.policy, context)
    for batch in batches:
        list_id = None if batch is None or context.stop.is_set() else list_of(batch.envelope)
        if batch is None or list_id is None:
            yield batch
            continue
        strangers = _strangers(plan, reader, batch, list_id)
        if isinstance(strangers, Unread):
            context.stop.set(strangers.code, NEEDS.format(strangers.detail))
            yield batch
            continue
        for position, (row, record) in enumerate(zip(batch.numbers(), batch.records(), strict=True)):
            if position in strangers:
                code, detail = strangers[position]
                reject(Rejection(int(row), record.decode("utf-8", "replace"), code, detail))
        if len(strangers) < batch.rows:
            yield batch.without(set(strangers)) if strangers else batch


def _strangers(plan: WritePlan, reader: Reader, batch: Batch, list_id: str) -> Mapping[int, tuple[str, str]] | Unread:
    """Rows (by position) that may not be sent, with code and detail."""
    places = {known.name: known.json_path for known in plan.template.fields}
    records = [exact_json.loads(record) for record in batch.records()]
    strangers: dict[int, tuple[str, str]] = {}
    for kind in KINDS:
        named = {row: get(record, places[kind]) for row, record in enumerate(records)}
        values = {row: value for row, value in named.items() if isinstance(value, str)}
        found = members(reader, list_id, kind, values.values()) if values else frozenset()
        if isinstance(found, Unread) and found.code.affects_every_request:
            return found
        if isinstance(found, Unread):
            strangers |= dict.fromkeys(values, (RejectCode.UNAVAILABLE, UNREAD.format(found.detail)))
        else:
            gone = [row for row, value in values.items() if folded(kind, value) not in found]
            strangers |= dict.fromkeys(gone, (RejectCode.NOT_ON_LIST, RejectCode.NOT_ON_LIST.text))
    return strangers
