"""Encoded Arrow batches in, slabs and rejections out: rows that need a look are decided here, all others untouched.

A clean batch passes as it came: its buffer is the slab, and no row becomes an object.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spark_klaviyo.batching import columns
from spark_klaviyo.batching.dedupe import key_of
from spark_klaviyo.core import exact_json
from spark_klaviyo.core.models import EncodedRows, Rejection
from spark_klaviyo.encode.formats import as_json, written
from spark_klaviyo.plan.model import INFORMING_PARAMS, WritePlan
from spark_klaviyo.plan.shape import value_at
from spark_klaviyo.screen.validate_row import validate_row
from spark_klaviyo.templates.model import Setting

FINE, LOOK = 0, 1


@dataclass
class Screened:
    """What one Arrow batch gave: rows to send by the values of their per-row settings, and rows refused."""

    encoded_groups: list[tuple[str, EncodedRows]] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    superseded: int = 0


def screen(plan: WritePlan, batch: pa.RecordBatch, separator: bytes, first_row: int) -> Screened:
    """Turn one encoded batch into slabs, one for each value of the per-row settings that steer a request."""
    taken = Screened()
    whole = columns.encoded_rows_of(batch, first_row)
    flags = columns.flags_of(batch)
    if flags.any():
        whole = _look(plan, batch, whole, flags, separator, taken)
    if not as_json(plan.content_format):
        whole = _written(plan, whole, separator)
    for route, encoded_rows in _by_route(batch, whole, first_row):
        empty = [setting for setting in _required(plan) if setting.name not in route_values(route)]
        if empty:
            taken.rejections += _without_setting(encoded_rows, separator, empty[0])
        else:
            taken.encoded_groups += _by_record(plan, route, encoded_rows, separator)
    return taken


def route_values(route: str) -> dict[str, str]:
    """The values of the per-row settings that a route (their JSON text) stands for."""
    values: dict[str, str] = json.loads(route) if route else {}
    return values


def _written(plan: WritePlan, whole: EncodedRows, separator: bytes) -> EncodedRows:
    """The rows in the plan's content format; their JSON stays at hand, for rejections."""
    records = [columns.text_of(whole, position, separator) for position in range(len(whole))]
    texts = written(records, plan)
    lengths = np.fromiter(map(len, texts), np.int64, len(texts)) + len(separator)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    body = memoryview(separator.join([*texts, b""]))
    return replace(whole, body=body, offsets=offsets, records=np.array(records, dtype=np.object_))


# --- rows that need a look ------------------------------------------------------------------------


def _look(
    plan: WritePlan,
    batch: pa.RecordBatch,
    whole: EncodedRows,
    flags: npt.NDArray[np.int32],
    separator: bytes,
    taken: Screened,
) -> EncodedRows:
    """Decide every flagged row; the slab of what is left, rebuilt only where a row changed or went."""
    params = columns.params_of(batch)
    replaced: dict[int, bytes | None] = {}
    named: dict[int, str] = {}
    for position in map(int, np.flatnonzero(flags)):
        text = columns.text_of(whole, position, separator)
        aside = route_values(params[position]) if params is not None else {}
        sent = _decide(plan, text, aside, int(flags[position]), int(whole.rows[position]), taken)
        if sent is not text:
            replaced[position] = sent
        if sent is not None and (sent is not text or whole.keys[position] == 0):
            named[position] = key_of(plan, sent)
    if named:
        keys = whole.keys.copy()
        keys[list(named)] = columns.hashed(pa.array(list(named.values()), pa.string()))
        whole = replace(whole, keys=keys)
    return columns.rebuilt(whole, replaced, separator) if replaced else whole


def _decide(
    plan: WritePlan, text: bytes, aside: Mapping[str, str], flag: int, row: int, taken: Screened
) -> bytes | None:
    if flag > LOOK:
        name = plan.columns[flag - 2].name if flag - 2 < len(plan.columns) else "a column"
        detail = f"column {name!r} holds NaN or an infinity, which JSON cannot"
        taken.rejections.append(Rejection(row, text.decode("utf-8", "replace"), "not_finite", detail))
        return None
    judged = validate_row(plan, text, aside)
    if judged.problem is None:
        return judged.text
    if judged.text is None:
        record = text.decode("utf-8", "replace")
        problem = judged.problem
        taken.rejections.append(Rejection(row, record, problem.code, problem.detail, judged.pointer))
    else:
        taken.warnings.append(f"{judged.problem.code}: {judged.problem.detail}")
    return judged.text


# --- per-row settings -----------------------------------------------------------------------------


def _by_route(batch: pa.RecordBatch, whole: EncodedRows, first_row: int) -> list[tuple[str, EncodedRows]]:
    if not len(whole):
        return []
    routes = columns.routes_of(batch, INFORMING_PARAMS)
    if routes is None:
        return [("", whole)]
    values, codes = routes
    mine = codes[whole.rows - first_row]
    if len(values) == 1:
        return [(values[0], whole)]
    order = np.argsort(mine, kind="stable")
    starts = np.flatnonzero(np.diff(mine[order], prepend=-1))
    groups = np.split(order, starts[1:])
    return [(values[int(mine[group[0]])], columns.gathered(whole, group)) for group in groups]


def _required(plan: WritePlan) -> list[Setting]:
    """Per-row settings without which there is no request, or one that does more than was asked for."""
    params = {aside.name for aside in plan.params}
    return [one for one in plan.template.settings if (one.required or one.no_gaps) and one.name in params]


def _without_setting(encoded_rows: EncodedRows, separator: bytes, setting: Setting) -> Iterator[Rejection]:
    why = f"; {setting.no_gaps}" if setting.no_gaps else ""
    for position in range(len(encoded_rows)):
        record = columns.text_of(encoded_rows, position, separator).decode("utf-8", "replace")
        detail = f"{setting.name}: the column that gives it is empty in this row{why}"
        yield Rejection(int(encoded_rows.rows[position]), record, "missing_field", detail)


def _by_record(
    plan: WritePlan, route: str, encoded_rows: EncodedRows, separator: bytes
) -> Iterator[tuple[str, EncodedRows]]:
    """Ready-made records bring the id of their path with them."""
    if plan.record_column is None or not plan.template.item_paths:
        yield route, encoded_rows
        return
    for position in range(len(encoded_rows)):
        record = exact_json.loads(columns.text_of(encoded_rows, position, separator))
        values = {name: str(value_at(record, (name,)) or "") for name in plan.template.item_paths}
        alone = columns.gathered(encoded_rows, np.array([position], dtype=np.int64))
        yield json.dumps({**route_values(route), **values}, ensure_ascii=False), alone


def rejected_as_too_large(
    encoded_rows: EncodedRows, positions: npt.NDArray[np.int64], separator: bytes, most: int
) -> Iterator[Rejection]:
    """Rejections of rows that no request could hold; `most` is what one row may have."""
    fits = f"at most {most:,} fit" if most > 0 else "what stands around it fills max_bytes already"
    for position in map(int, positions):
        text = columns.text_of(encoded_rows, position, separator)
        detail = f"the record has {len(text):,} bytes; {fits}"
        yield Rejection(int(encoded_rows.rows[position]), text.decode("utf-8", "replace"), "too_large", detail)
