"""The key of each row: what makes it the same profile, event or item as another, as one text.

It is `plan.model.key_of` the row's record. Columns give it without a Python object per row; only where a part is no
column of texts or whole numbers are the records read.
"""

from __future__ import annotations

import json
from itertools import takewhile

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_klaviyo.arrow import arrays
from spark_klaviyo.arrow.arrays import bytes_and_offsets, from_numpy, text_scalar, to_integers, to_mask
from spark_klaviyo.arrow.columns import Columns
from spark_klaviyo.arrow.encoded import KEY, PARAMS, REPLACED, VERDICT, Verdict, record_texts
from spark_klaviyo.core import exact_json
from spark_klaviyo.core.exact_json import Path, get
from spark_klaviyo.core.identifiers import BLANKS, PHONE_CHARACTERS, SEPARATOR, normalise_identifier
from spark_klaviyo.encode.json_values import leaf_values
from spark_klaviyo.plan.model import Checks, WritePlan, identifier_of, key_of
from spark_klaviyo.plan.shape import Fixed, Leaf, Node, Record, leaf_at, node_at
from spark_klaviyo.screen.validate_row import repaired

ASCII = 0x80  # bytes below are
PHONE, EXTERNAL_ID = "phone_number", "external_id"
BLANK = text_scalar("")
_OF_PHONES = np.zeros(256, np.bool_)
_OF_PHONES[[ord(character) for character in PHONE_CHARACTERS]] = True


class _NoColumnError(Exception):
    """A part of the key can be read in the records alone."""


def keys(columns: Columns, plan: WritePlan, records: pa.Array) -> pa.Array:
    """The key of each row; null where a row has no identifier. `records` are the rows' finished records."""
    checks = plan.checks
    if not checks.key:
        return pa.nulls(columns.rows, pa.string())
    if plan.record is not None:
        try:
            return _in_columns(columns, checks, plan.record)
        except _NoColumnError:
            pass
    return pa.array([key_of(checks, text[:-1]) for text in records.to_pylist()], pa.string())


def _in_columns(columns: Columns, checks: Checks, record: Record) -> pa.Array:
    named = list[pa.Array]()
    for path in checks.key:
        text = _values(columns, record, path)
        if text is not BLANK:
            named.append(pc.binary_join_element_wise(text_scalar(path[-1]), text, text_scalar(SEPARATOR)))
            if not text.null_count:  # decides every row
                break
    if not named:
        return pa.nulls(columns.rows, pa.string())
    beside = (_values(columns, record, path) for path in checks.key_with)
    filled = [text if text is BLANK else text.fill_null(BLANK) for text in beside]
    return pc.binary_join_element_wise(pc.coalesce(*named), *filled, text_scalar(SEPARATOR))


def _values(columns: Columns, record: Record, path: Path) -> pa.Array:
    """The normalised values at a place of the records, null for none; `BLANK` where no record has one there."""
    node = _node_at(record, path)
    if node is None:
        return BLANK
    if isinstance(node, Fixed):
        text = normalise_identifier(path[-1], node.value)
        return pa.repeat(text_scalar(text), columns.rows) if text else BLANK
    if not isinstance(node, Leaf):
        raise _NoColumnError
    values = leaf_values(node, columns.column(node))
    if pa.types.is_null(values.type):
        return BLANK
    if not (arrays.is_text(values.type) or arrays.is_whole(values.type)):
        raise _NoColumnError
    texts = _normalised(path[-1], values.cast(pa.string()))
    empty = np.diff(bytes_and_offsets(texts)[1]) == 0
    return pc.if_else(from_numpy(empty), arrays.null_scalar(pa.string()), texts) if empty.any() else texts


def _node_at(record: Record, path: Path) -> Node | None:
    """What stands at a place of every record; `_NoColumnError` where a condition decides."""
    node: Node | None = record
    for part in path:
        if not isinstance(node, Record):
            raise _NoColumnError
        node = dict(node.fields).get(part)
        if node is None:
            return None
    return node


def _normalised(field: str, texts: pa.Array) -> pa.Array:
    """`normalise_identifier` of each text."""
    content, _ = bytes_and_offsets(texts)
    if content.max(initial=0) >= ASCII:
        return pa.array([text and normalise_identifier(field, text) for text in texts.to_pylist()], pa.string())
    texts = pc.utf8_trim(texts, BLANKS)
    if field == "email":
        return pc.ascii_lower(texts)
    if field == "phone_number" and not _OF_PHONES[content].all():
        return pc.replace_substring_regex(texts, f"[^{PHONE_CHARACTERS}]+", "")
    return texts


def with_phones_as_sent(encoded: pa.RecordBatch, plan: WritePlan) -> pa.RecordBatch:
    """The encoded rows; a key that is a phone is that of the phone as it is sent, whatever its notation.

    As it is written, a national number of two countries would be one person, and a job names none of its rows by it.
    """
    held, verdicts = encoded.column(KEY), to_integers(encoded.column(VERDICT)) & (REPLACED - 1)
    written = to_mask(pc.starts_with(held, f"{PHONE}{SEPARATOR}").fill_null(False)) & (verdicts == Verdict.CHECK)
    if not written.any():
        return encoded
    some = encoded.filter(from_numpy(written))
    rows = zip(record_texts(some), some.column(PARAMS).to_pylist(), some.column(KEY).to_pylist(), strict=True)
    sent = []
    for text, params, key in rows:
        record = repaired(plan, text.encode("utf-8", "surrogatepass"), json.loads(params) if params else {})
        sent.append(SEPARATOR.join(identifier_of(plan.checks, record) or [key]))
    columns = dict(zip(encoded.schema.names, encoded.columns, strict=True))
    columns[KEY] = pc.replace_with_mask(held, from_numpy(written), pa.array(sent, held.type))
    return pa.RecordBatch.from_arrays(list(columns.values()), schema=encoded.schema)


# --- identifiers beside the key -------------------------------------------------------------------


def phones(columns: Columns, plan: WritePlan) -> pa.Array:
    """The phone number of each row where two people may share one; null elsewhere."""
    leaf = next((leaf_at(plan.record, at) for at in _places(plan, PHONE)), None) if plan.record is not None else None
    if leaf is None:
        return pa.nulls(columns.rows, pa.string())
    return columns.column(leaf).cast(pa.string())


def external_ids(columns: Columns, plan: WritePlan, records: pa.Array) -> pa.Array:
    """The external id of each row where rows with other keys may have the same one; null elsewhere."""
    places = _places(plan, EXTERNAL_ID)
    before = takewhile(lambda at: at not in places, plan.checks.key)
    if plan.record is None or not places or not any(node_at(plan.record, at) is not None for at in before):
        return pa.nulls(columns.rows, pa.string())
    try:
        found = _values(columns, plan.record, places[0])
    except _NoColumnError:
        return pa.array([external_id_of(plan, text[:-1]) for text in records.to_pylist()], pa.string())
    return pa.nulls(columns.rows, pa.string()) if found is BLANK else found


def beside_key(plan: WritePlan, record: bytes) -> tuple[str | None, str | None]:
    """A record's phone and external id as they stand in the columns `phone` and `external_id`."""
    value = next((get(exact_json.loads(record), at) for at in _places(plan, PHONE)), None)
    return value if isinstance(value, str) else None, external_id_of(plan, record)


def external_id_of(plan: WritePlan, record: str | bytes) -> str | None:
    """A record's external id as it stands in the column `external_id`."""
    found = (get(exact_json.loads(record), at) for at in _places(plan, EXTERNAL_ID))
    return normalise_identifier(EXTERNAL_ID, next(found, None)) or None


def _places(plan: WritePlan, name: str) -> tuple[Path, ...]:
    """Where an identifier stands by which rows of a request with different keys may mean one person; empty for none."""
    several = plan.limits.max_rows > 1 and plan.template.key and not plan.template.takes_away
    return tuple(at for at in plan.checks.key[1:] if at[-1] == name) if several else ()
