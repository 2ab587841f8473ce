"""Turns rows that name people by email, phone or their own id into rows of Klaviyo's profile ids, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa

from spark_klaviyo.core import exact_json
from spark_klaviyo.core.codes import RejectCode
from spark_klaviyo.core.json_paths import get
from spark_klaviyo.core.models import Batch, EncodedRows, Rejection, Span
from spark_klaviyo.deliver.delivery import SendContext
from spark_klaviyo.deliver.lookups import IDENTIFIERS, profile_ids, wanted_form
from spark_klaviyo.deliver.reads import NoDocument, Reader
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.report.counts.task_report import TaskReport

NOBODY_TO_REMOVE = "deletes of people whom Klaviyo does not know counted as delivered: there was nothing to remove"
SAME_PROFILE = "another row of the same request means the same profile"


def resolve_ids(
    plan: WritePlan,
    batches: Iterator[Batch | None],
    context: SendContext,
    reject: Callable[[Rejection], None],
    report: TaskReport,
) -> Iterator[Batch | None]:
    """The batches with profile ids in place of identifiers; rows without a profile are rejected as not_found.

    With `plan.missing_counts_as_deleted` they count as delivered: a profile that does not exist is on no list. A
    look-up that would fail for every row (a refused key, say) sets `context.stop`; the batch then passes as it is, and
    is counted as unsent.
    """
    reader = Reader(plan.policy, context)
    for batch in batches:
        if batch is None or context.stop.is_set():
            yield batch
            continue
        ids, failed = _ids_of(plan, reader, batch)
        if failed is not None and failed.code.affects_every_request:
            context.stop.set(failed.code, failed.detail)
            yield batch
            continue
        positions = _sendable(plan, batch, ids, failed, reject, report)
        if positions:
            yield _with_ids(plan, batch, positions)


def _ids_of(plan: WritePlan, reader: Reader, batch: Batch) -> tuple[list[str | None], NoDocument | None]:
    """Each row's profile id, by its first identifier that Klaviyo knows; and why a look-up failed, if one did."""
    paths = {known.name: known.json_path for known in plan.template.fields}
    records = [exact_json.loads(record) for record in batch.records()]
    ids = [_text(get(record, paths["id"])) for record in records]
    for name in IDENTIFIERS:
        named = ((row, _text(get(record, paths[name]))) for row, record in enumerate(records) if ids[row] is None)
        values = {row: value for row, value in named if value}
        found = profile_ids(reader, name, values.values()) if values else {}
        if isinstance(found, NoDocument):
            return ids, found
        for row, value in values.items():
            ids[row] = found.get(wanted_form(name, value))
    return ids, None


def _sendable(
    plan: WritePlan,
    batch: Batch,
    ids: list[str | None],
    failed: NoDocument | None,
    reject: Callable[[Rejection], None],
    report: TaskReport,
) -> dict[str, int]:
    """The position of one row for each profile id; all other rows are counted."""
    positions: dict[str, int] = {}
    for position, (row, record) in enumerate(zip(batch.numbers(), batch.records(), strict=True)):
        profile_id = ids[position]
        if profile_id in positions:
            report.skip(1, SAME_PROFILE)
        elif profile_id is not None:
            positions[profile_id] = position
        elif failed is None and plan.missing_counts_as_deleted:
            report.delivered += 1
            report.warn(NOBODY_TO_REMOVE)
        else:
            code = RejectCode.NOT_FOUND if failed is None else RejectCode.UNAVAILABLE
            detail = code.text if failed is None else failed.detail
            reject(Rejection(int(row), record.decode("utf-8", "replace"), code, detail))
    return positions


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


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
