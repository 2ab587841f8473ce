"""Encoded batches in; rows to send, by group, and rejections out.

Rows that passed the rules for columns go on untouched: their buffer is the body of requests, and no row becomes an
object. Only the others are decided one by one, by `screen.validate_row`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_klaviyo.arrow.arrays import Ints, from_numpy, to_integers
from spark_klaviyo.arrow.encoded import (
    LINE_ITEM,
    OLD,
    PARAMS,
    REPLACED,
    SECRETS,
    VALUE_INSIDE,
    VERDICT,
    Verdict,
    verdict_of,
)
from spark_klaviyo.batching import encoded_rows
from spark_klaviyo.core import exact_json
from spark_klaviyo.core.codes import RejectCode
from spark_klaviyo.core.exact_json import get, remove
from spark_klaviyo.core.models import EncodedRows, Rejection
from spark_klaviyo.encode.keys import beside_key
from spark_klaviyo.options.erasure import is_erasing_call
from spark_klaviyo.plan.envelopes import manual_path
from spark_klaviyo.plan.manual.formats import FORMATS, JSON_FORMATS, written
from spark_klaviyo.plan.model import WritePlan, key_of
from spark_klaviyo.plan.names import entry_of
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.screen.evaluate import card_notes, nan_notes
from spark_klaviyo.screen.unsent_parts import HAS_SECRETS
from spark_klaviyo.screen.validate_row import ValidatedRow, validate_row
from spark_klaviyo.screen.values import REPLACEMENT_MEANING, Problem


def screen(
    batch: pa.RecordBatch, plan: WritePlan, report: TaskReport, rejections: list[Rejection]
) -> Iterator[tuple[str, EncodedRows]]:
    """Count and decide every row of an encoded batch; the rows to send, by group key.

    Others are added to `rejections`, warnings and the number of rows to the report.
    """
    first_row = report.rows
    report.rows += batch.num_rows
    rows = encoded_rows.encoded_rows_of(batch, first_row)
    rows = _decided(plan, batch, rows, report, rejections)
    if plan.content_format not in JSON_FORMATS:
        records = [encoded_rows.text_of(rows, position) for position in range(len(rows))]
        # a ready-made record has columns of its own
        names = [] if plan.record_column is not None else [column.name for column in plan.columns]
        texts = written(records, plan.content_format, names)
        rows = encoded_rows.rewritten(rows, records, texts, FORMATS[plan.content_format].separator)
    for key, group in encoded_rows.groups(batch, rows, first_row):
        given = encoded_rows.params_of(key)
        why_not = _empty_setting(plan, given)
        if why_not is not None:
            rejections += _rejected(group, RejectCode.MISSING_FIELD, why_not)
        elif plan.template.is_manual and _would_erase(plan, given):
            rejections += _rejected(group, RejectCode.ERASES_PEOPLE, RejectCode.ERASES_PEOPLE.text)
        else:
            yield from _by_path(plan, key, group)


# --- rows that failed a rule ----------------------------------------------------------------------


def _decided(
    plan: WritePlan, batch: pa.RecordBatch, rows: EncodedRows, report: TaskReport, rejections: list[Rejection]
) -> EncodedRows:
    """Decide the rows that failed a rule; the rows that are left, rebuilt only where one changed or went."""
    verdicts = to_integers(batch.column(VERDICT))
    params = batch.column(PARAMS)
    replaced: dict[int, bytes | None] = {}
    named: dict[int, tuple[str | None, str | None, str | None]] = {}
    notes = verdicts
    verdicts = verdicts & (REPLACED - 1)
    for position in map(int, np.flatnonzero(verdicts)):
        text = encoded_rows.text_of(rows, position)
        verdict, index = verdict_of(int(verdicts[position]))
        if verdict in _OF_COLUMN:
            code, detail = _OF_COLUMN[verdict]
            row = ValidatedRow(None, Problem(code, f"column {plan.columns[index].name!r} {detail}"))
        else:
            row = validate_row(plan, text, encoded_rows.params_of(params[position].as_py()))
        sent, problem = row.text, row.problem
        if problem is not None and sent is None:
            record = without_consent(plan, text) if problem.code is RejectCode.NO_CONSENT else text
            rejections.append(_rejection(rows, position, record, problem.code, problem.detail, row.pointer))
        elif problem is not None:
            report.warn(f"{problem.code}: {problem.detail}")
        for warning in row.left_out if sent is not None else ():
            report.warn(warning)
        if sent is not text:
            replaced[position] = sent
        if sent is not None and (sent is not text or not rows.keys[position].is_valid):
            named[position] = (key_of(plan.checks, sent), *beside_key(plan, sent))
    if notes.max(initial=0) >= REPLACED:
        rejected = [position for position, sent in replaced.items() if sent is None]
        _warn(plan, np.delete(notes, rejected), report)
    if named:
        changed = from_numpy(np.isin(np.arange(len(rows)), list(named)))
        texts = (pa.array(column, pa.string()) for column in zip(*named.values(), strict=True))
        held = zip((rows.keys, rows.phones, rows.external_ids), texts, strict=True)
        keys, phones, ids = (pc.replace_with_mask(column, changed, made) for column, made in held)
        rows = replace(rows, keys=keys, phones=phones, external_ids=ids)
    return encoded_rows.rebuilt(rows, replaced) if replaced else rows


VALUE_IS_INSIDE = (
    "events hold an entry 'value' inside their properties and no value of their own, so no revenue is counted; make it "
    'a column and name it: fields={"value":"COLUMN"}'
)
_OF_COLUMN = {
    Verdict.NO_OBJECT: (RejectCode.BAD_VALUE, "holds text that is no JSON object"),
    Verdict.NOT_FINITE: (RejectCode.NOT_FINITE, "holds an infinity, which JSON cannot"),
    Verdict.BAD_YEAR: (RejectCode.BAD_TIME, "holds a time outside the years 1 to 9999 (in UTC), which RFC 3339 cannot"),
}
_NOTES = {
    REPLACED: f"rows hold {REPLACEMENT_MEANING}; they are sent as they are",
    VALUE_INSIDE: VALUE_IS_INSIDE,
    SECRETS: HAS_SECRETS,
    OLD: "events are older than a week, and start flows as if they had just happened; backfill=true keeps them from it",
    LINE_ITEM: (
        "rows repeat the order of another row with the same person and metric, and each is an event of its own; where "
        "they are line items, make one event of each order: df.groupBy(ORDER, PERSON, TIME)"
        '.agg(collect_list(struct(ITEM, QUANTITY)).alias("items"))'
    ),
}


def _warn(plan: WritePlan, verdicts: Ints, report: TaskReport) -> None:
    """Count the rows that are sent and whose notes ask for a warning."""
    texts = {note: f"column {name!r}: NaN was sent as null" for name, note in nan_notes(plan).items()}
    texts |= {note: _card_warning(plan, source) for source, note in card_notes(plan).items()}
    for note, text in {**_NOTES, **texts}.items():
        rows = int(np.count_nonzero(verdicts & note))
        if rows:
            report.warn(text, rows)


def _card_warning(plan: WritePlan, source: tuple[str, ...]) -> str:
    name, loose = ".".join(source), ".".join(plan.template.properties_path[-1:])
    entry = entry_of(f"{loose}.{source[-1]}", name)
    return f"column {name!r} holds card numbers and is not sent; only {entry} sends it"


def plan_warnings(plan: WritePlan, of_rows: Collection[str]) -> list[str]:
    """The plan's warnings, without those about columns that hold card numbers, as the warnings `of_rows` say."""
    cards = {".".join(source) for source in card_notes(plan) if _card_warning(plan, source) in of_rows}
    gone = {note.warning for note in plan.notes if note.column in cards}
    return [warning for warning in plan.warnings if warning not in gone]


def without_consent(plan: WritePlan, text: bytes) -> bytes:
    """The record without the consent that its person did not give: written again as it is, it subscribes nobody."""
    record = exact_json.loads(text)
    if isinstance(record, dict):
        remove(record, plan.checks.channels_path)
    return exact_json.dumps(record)


def _rejected(rows: EncodedRows, code: str, detail: str) -> Iterator[Rejection]:
    """A rejection of every row."""
    for position in range(len(rows)):
        yield _rejection(rows, position, encoded_rows.text_of(rows, position), code, detail)


def _rejection(rows: EncodedRows, position: int, text: bytes, code: str, detail: str, pointer: str = "") -> Rejection:
    return Rejection(int(rows.rows[position]), text.decode("utf-8", "replace"), code, detail, pointer)


# --- per-row settings -----------------------------------------------------------------------------


def _empty_setting(plan: WritePlan, params: Mapping[str, str]) -> str | None:
    """Why rows with these parameters make no request, or one that does more than was asked for; None where they do."""
    given, harms = {param.name for param in plan.params}, plan.settings.get("everywhere") != "true"
    for one in plan.template.settings:
        blanks = ", " if one.takes_several else None  # "," names none of several lists
        is_needed = one.name in given and (one.required or (one.harm_if_empty and harms))
        if is_needed and not params.get(one.name, "").strip(blanks):
            why = f"; {one.harm_if_empty}" if one.harm_if_empty else ""
            return f"{one.name}: the column that gives it is empty in this row{why}"
    return None


def _would_erase(plan: WritePlan, params: Mapping[str, str]) -> bool:
    """Whether the row fills the url of manual mode so that it erases or merges people, which nobody confirmed."""
    fills_path = "{" in plan.template.path and not plan.template.deletes
    return fills_path and is_erasing_call(manual_path(plan.template, params))


def _by_path(plan: WritePlan, key: str, rows: EncodedRows) -> Iterator[tuple[str, EncodedRows]]:
    """Ready-made records bring the id that stands in their path."""
    if plan.record_column is None or not plan.template.path_fields:
        yield key, rows
        return
    for position in range(len(rows)):
        record = exact_json.loads(encoded_rows.text_of(rows, position))
        values = {name: str(get(record, (name,)) or "") for name in plan.template.path_fields}
        alone = encoded_rows.gathered(rows, np.array([position], dtype=np.int64))
        yield json.dumps({**encoded_rows.params_of(key), **values}, ensure_ascii=False), alone


def rejected_as_too_large(rows: EncodedRows, positions: Ints, max_bytes: int) -> Iterator[Rejection]:
    """Rejections of rows that no request could hold; `max_bytes` is what one row may have."""
    fits = f"at most {max_bytes:,} fit" if max_bytes > 0 else "the rest of the request fills max_bytes already"
    for position in map(int, positions):
        text = encoded_rows.text_of(rows, position)
        yield _rejection(rows, position, text, "too_large", f"the record has {len(text):,} bytes; {fits}")
