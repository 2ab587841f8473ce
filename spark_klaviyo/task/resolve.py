"""Rows that name people by email, phone or their own id become rows of Klaviyo's ids, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from spark_klaviyo.core import exact_json
from spark_klaviyo.core.codes import RejectCode
from spark_klaviyo.core.json_paths import get
from spark_klaviyo.core.models import Batch, EncodedRows, Rejection, Span
from spark_klaviyo.deliver.delivery import SendContext
from spark_klaviyo.deliver.lookups import KINDS, folded, profile_ids
from spark_klaviyo.deliver.reads import Reader, Unread
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.report.task_report import TaskReport

GONE = "deletes of people whom Klaviyo does not know counted as delivered: there was nothing to remove"
SAME = "another row of the same request means the same profile"


def resolved(
    plan: WritePlan,
    batches: Iterator[Batch | None],
    context: SendContext,
    reject: Callable[[Rejection], None],
    report: TaskReport,
) -> Iterator[Batch | None]:
    """The batches with ids in place of identifiers; rows that nobody is known for go to `reject` as not_found.

    With `plan.missing_counts_as_deleted` they are delivered: who is unknown is on no list.

    A look-up that no row would survive (a refused key, say) sets `line.stop`; the batch then goes on as it is, and is
    handed back as unsent.
    """
    people = _People(plan, Reader(plan.policy, context))
    for batch in batches:
        if batch is None or context.stop.is_set():
            yield batch
            continue
        failed = people.find(batch)
        if isinstance(failed, Unread) and failed.code.affects_every_request:
            context.stop.set(failed.code, failed.detail)
            yield batch
            continue
        sent = people.sendable(batch, failed, reject, report)
        if sent is not None:
            yield sent


class _People:
    """Looks up the rows of one batch after the other."""

    def __init__(self, plan: WritePlan, reader: Reader) -> None:
        self._places = {known.name: known.json_path for known in plan.template.fields}
        self._constants = dict(plan.template.record)
        self._reader = reader
        self._gone_is_done = plan.missing_counts_as_deleted
        self._ids: list[str | None] = []

    def find(self, batch: Batch) -> Unread | None:
        """Find the id of every row: by its first identifier that Klaviyo knows."""
        loaded = [exact_json.loads(record) for record in batch.records()]
        self._ids = [_text(get(record, self._places["id"])) for record in loaded]
        for kind in KINDS:
            values = {
                row: value
                for row, record in enumerate(loaded)
                if self._ids[row] is None and (value := _text(get(record, self._places[kind])))
            }
            found = profile_ids(self._reader, kind, values.values()) if values else {}
            if isinstance(found, Unread):
                return found
            for row, value in values.items():
                self._ids[row] = found.get(folded(kind, value))
        return None

    def sendable(
        self,
        batch: Batch,
        failed: Unread | None,
        reject: Callable[[Rejection], None],
        report: TaskReport,
    ) -> Batch | None:
        """The batch of ids, each once; None where nobody is left."""
        code, detail = (RejectCode.NOT_FOUND, RejectCode.NOT_FOUND.text)
        if failed is not None:
            code, detail = RejectCode.UNAVAILABLE, failed.detail
        places: dict[str, int] = {}
        for position, (row, record) in enumerate(zip(batch.numbers(), batch.records(), strict=True)):
            profile_id = self._ids[position]
            if profile_id is None and code is RejectCode.NOT_FOUND and self._gone_is_done:
                report.delivered += 1
                report.warn(GONE)
            elif profile_id is None:
                reject(Rejection(int(row), record.decode("utf-8", "replace"), code, detail))
            elif profile_id in places:
                report.skip(1, SAME)
            else:
                places[profile_id] = position
        return self._made(batch, places) if places else None

    def _made(self, batch: Batch, places: dict[str, int]) -> Batch:
        separator = batch.envelope.separator
        texts = [exact_json.dumps({**self._constants, "id": profile_id}) + separator for profile_id in places]  # type: ignore[dict-item]
        offsets = np.concatenate([[0], np.cumsum([len(text) for text in texts])]).astype(np.int64)
        chosen = np.array(list(places.values()), dtype=np.int64)
        rows, fingerprints = batch.numbers()[chosen], batch.fingerprints()
        encoded_rows = EncodedRows(
            memoryview(b"".join(texts)),
            offsets,
            rows,
            np.zeros(len(rows), np.int64),
            fingerprints[chosen] if fingerprints is not None else None,
            np.array(list(batch.records()), dtype=np.object_)[chosen],  # a refused row is told by its own identifiers
        )
        return replace(batch, spans=(Span(encoded_rows, 0, len(encoded_rows)),))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
