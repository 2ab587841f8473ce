"""Compares encoded rows with what a state knows, in tasks, whatever the sizes.

Every encoded row comes with its hashes (`state.fingerprints`) and gets a `RowStatus`. Of several rows with one key the
last one counts, and a row that is known by its content alone is numbered among its equals; both need all rows of a key
in one task. So Spark shuffles the rows by their keys once (`pack`, `unpack`): of each row its key and its position, and
only those that may have to be sent as they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, pairwise
from operator import itemgetter

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spark_klaviyo.arrow.arrays import Ints, Mask, to_mask
from spark_klaviyo.arrow.encoded import (
    CONTENT,
    ENCODED,
    FINGERPRINT,
    KEY,
    PARAMS,
    ROW_KEY,
    ROW_STATUS,
    SPARK_ENCODED,
    record_texts,
)
from spark_klaviyo.core.arrow_types import ddl_of
from spark_klaviyo.core.exact_json import get
from spark_klaviyo.core.identifiers import SEPARATOR, normalise_identifier
from spark_klaviyo.core.models import StateLocation
from spark_klaviyo.plan.consent_columns import has_consent_columns
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.state.fingerprints import depends_on_params
from spark_klaviyo.state.format import HASH_BYTES, Fingerprints, RowStatus, binary_of, digest, fingerprints_of, salted
from spark_klaviyo.state.known import IN_DOUBT, WAS_DELIVERED, KnownRows, KnownTable
from spark_klaviyo.state.rows import Hashes, bytes_of, halves

GROUP, PLACE, KEYS, POSITION, SENT_AGAIN = "group_number", "place", "keys", "position", "sent_again"
# What Spark shuffles: rows that may have to be sent, and rows that hold the keys of many (`KEYS`) and nothing else.
SHUFFLED = pa.schema(
    [
        (GROUP, pa.int32()),  # rows of one group must come to one task
        (PLACE, pa.int32()),  # sorted by it: twice the group of keys, one more of rows
        (KEYS, pa.binary()),
        *SPARK_ENCODED,
        (POSITION, pa.int64()),
        (ROW_STATUS, pa.int32()),
        (SENT_AGAIN, pa.bool_()),
    ]
)
SHUFFLED_DDL = ddl_of(SHUFFLED)
GROUPS = 64  # into which keys are divided; the keys of one are held at once
PARTITION_SHIFT = 33  # a row's position is its partition's number, shifted, and its number in the partition
KEY_ROW = np.dtype([("key", "<u8", 2), ("position", "<i8"), ("ends_here", "?")])  # no row with a record follows it
FEWEST_ROWS, FEWEST_BYTES = 10_000, 16_000_000  # either of which a batch has that is passed on, but for the last one
NOT_SORTED = "rows came in another order than the comparison with the state needs"

KeyRows = npt.NDArray[np.void]  # of `KEY_ROW`
Group = tuple[KeyRows, Ints, Mask]  # see `_numbered_keys`


class Comparison:
    """What the tasks of a run compare their rows with: the state of the plan, by its files.

    `cache`: a folder of this machine for what comes from a store.
    """

    def __init__(self, plan: WritePlan, cache: str) -> None:
        self.plan, state = plan, plan.state or StateLocation("", b"", "")
        self.known, self.removed = (KnownTable(state, name, cache) for name in (state.known, state.removed))

    def status(self, keys: Hashes, encoded: pa.RecordBatch, sent_again: Mask | None = None) -> npt.NDArray[np.int32]:
        """The status of each encoded row with its key; `sent_again`: rows to be sent even if they were delivered."""
        found, rows = self.known.find(keys)
        contents = halves(fingerprints_of(encoded.column(CONTENT), HASH_BYTES))
        delivered = found & ((rows["flags"] & WAS_DELIVERED) > 0) & (rows["content"] == contents).all(axis=1)
        if sent_again is not None:
            delivered &= ~sent_again
        if len(self.removed.starts) and delivered.any():
            delivered[delivered] = ~self._removed_since(encoded.filter(pa.array(delivered)), rows[delivered])
        status = np.where(delivered, np.int32(RowStatus.DELIVERED), np.int32(RowStatus.TO_SEND))
        if not self.plan.resend.allows_every_request:
            status[found & ((rows["flags"] & IN_DOUBT) > 0)] = RowStatus.IN_DOUBT
        return status

    def _removed_since(self, encoded: pa.RecordBatch, known: KnownRows) -> Mask:
        """Which rows' people were removed after the state saw them delivered.

        A removal counts for the list of the row, an erasure for every row; people are known by any identifier of the
        row.
        """
        keys, params = (encoded.column(name).to_pylist() for name in (KEY, PARAMS))
        removals = list(map(self._removals, record_texts(encoded), params, keys))
        of_row = np.repeat(np.arange(len(removals)), [len(one) for one in removals])
        hashes = np.frombuffer(b"".join(map(b"".join, removals)), np.uint8).reshape(-1, HASH_BYTES)
        found, rows = self.removed.find(halves(hashes))
        seen = known[of_row]
        later = (rows["run_number"] > seen["run_number"]) | (
            (rows["run_number"] == seen["run_number"]) & (rows["at"] > seen["at"])
        )
        removed = np.zeros(len(known), np.bool_)
        removed[of_row[found & later]] = True
        return removed

    def _removals(self, record: str, params: str | None, key: str) -> list[bytes]:
        """The identities of the removals that would take back a row (`state.rows.identities`)."""
        state, plan = self.plan.state, self.plan
        given = json.loads(params).get("list_id") if params and depends_on_params(plan) else None
        lists = (given if isinstance(given, str) else plan.settings.get("list_id", "")).split(",")
        of_lists = [digest(one) for one in dict.fromkeys([*(one.strip() for one in lists), ""])]
        values = json.loads(record)
        named = ((path[-1], normalise_identifier(path[-1], get(values, path))) for path in plan.checks.key)
        names = dict.fromkeys([*(SEPARATOR.join(pair) for pair in named if pair[1]), key])  # a phone as it is sent
        people = [salted(state.removals, name) for name in names if name and state is not None]
        return [bytes(map(int.__xor__, person, one)) for person in people for one in of_lists]


# --- before the shuffle ---------------------------------------------------------------------------


def pack(encoded: Iterator[pa.RecordBatch], compared: Comparison, partition: int) -> Iterator[pa.RecordBatch]:
    """The rows of `SHUFFLED` of the encoded rows of a partition.

    A row that was delivered leaves behind its key alone, unless it may still say no for its person.
    """
    position = partition << PARTITION_SHIFT
    all_travel = has_consent_columns(compared.plan.params)
    for batch in encoded:
        keys, contents = (halves(fingerprints_of(batch.column(name), HASH_BYTES)) for name in (ROW_KEY, CONTENT))
        again = to_mask(batch.column(SENT_AGAIN)) if SENT_AGAIN in batch.schema.names else np.zeros(len(keys), np.bool_)
        status = compared.status(keys, batch, again)
        travels = (status != RowStatus.DELIVERED) | (keys == contents).all(axis=1) | all_travel
        rows = np.empty(batch.num_rows, KEY_ROW)
        rows["key"], rows["ends_here"] = keys, ~travels
        rows["position"] = np.arange(position, position + batch.num_rows)
        position += batch.num_rows
        groups = (keys[:, 0] % np.uint64(GROUPS)).astype(np.int32)
        yield _packed_keys(rows, groups)
        if travels.any():
            chosen = pa.array(travels)
            of_groups = groups[travels]
            columns = [pa.array(of_groups), pa.array(of_groups * 2 + 1), pa.nulls(len(of_groups), pa.binary())]
            columns += [batch.column(name).filter(chosen) for name in SPARK_ENCODED.names]
            columns += [pa.array(one[travels]) for one in (rows["position"], status, again)]
            yield pa.RecordBatch.from_arrays(columns, schema=SHUFFLED)


def _packed_keys(rows: KeyRows, groups: npt.NDArray[np.int32]) -> pa.RecordBatch:
    """A row for each group, which holds the `KEY_ROW`s of the rows in it."""
    order = np.argsort(groups, kind="stable")
    found, starts = np.unique(groups[order], return_index=True)
    held = [one.tobytes() for one in np.split(rows[order], starts[1:])] if len(found) else []
    rest = [pa.nulls(len(found), field.type) for field in list(SHUFFLED)[3:]]
    columns = [pa.array(found), pa.array(found * 2), pa.array(held, pa.binary()), *rest]
    return pa.RecordBatch.from_arrays(columns, schema=SHUFFLED)


# --- behind the shuffle ---------------------------------------------------------------------------


def _numbered_keys(held: Iterable[bytes]) -> Group:
    """The keys of all rows of one group, by which each row is compared with the others of its key.

    They are sorted by their positions. Then the number of each row among those with its key, from 1, and whether it is
    the last one of its key. `held`: the values of `KEYS`.
    """
    rows = np.frombuffer(b"".join(held), KEY_ROW)
    rows = rows[np.argsort(rows["position"])]
    order = np.lexsort((rows["key"][:, 1], rows["key"][:, 0]))  # keeps the order of equal ones
    keys, places = rows["key"][order], np.arange(len(rows))
    is_first = np.append(True, (keys[1:] != keys[:-1]).any(axis=1))
    number, is_last = np.empty(len(rows), np.int64), np.empty(len(rows), np.bool_)
    number[order] = places + 1 - np.maximum.accumulate(np.where(is_first, places, 0))
    is_last[order] = np.append(is_first[1:], True)
    return rows, number, is_last


def unpack(shuffled: Iterator[pa.RecordBatch], compared: Comparison) -> Iterator[pa.RecordBatch]:
    """The encoded rows with fingerprint and status, of rows of `SHUFFLED` that come sorted by their place."""
    yield from _joined(_with_status(shuffled, compared))


def _with_status(shuffled: Iterator[pa.RecordBatch], compared: Comparison) -> Iterator[pa.RecordBatch]:
    seen, last, group = set[int](), -1, _numbered_keys(())
    for place, pieces in groupby(_by_place(shuffled), itemgetter(0)):
        if place in seen or (place % 2 and place != last + 1):
            raise AssertionError(NOT_SORTED)
        seen.add(place)
        last = place
        if place % 2:
            yield from (_compared(rows, group, compared) for _, rows in pieces)
        else:
            held = [rows for _, rows in pieces]
            group = _numbered_keys(keys for rows in held for keys in rows.column(KEYS).to_pylist())
            yield _ended(group, held[0].schema)


def _by_place(shuffled: Iterator[pa.RecordBatch]) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Neighbours with one place together."""
    for batch in shuffled:
        places = batch.column(PLACE).to_numpy(zero_copy_only=False)
        bounds = [*np.flatnonzero(np.diff(places, prepend=-1)).tolist(), len(places)]
        for start, stop in pairwise(bounds):
            yield int(places[start]), batch.slice(start, stop - start)


def _ended(group: Group, schema: pa.Schema) -> pa.RecordBatch:
    """The rows that did not travel, with nothing but their status."""
    rows, _, is_last = group
    status = np.where(is_last[rows["ends_here"]], np.int32(RowStatus.DELIVERED), np.int32(RowStatus.REPLACED))
    nulls = [pa.nulls(len(status), schema.field(name).type) for name in ENCODED.names]
    return _batch(nulls, pa.nulls(len(status), pa.binary()), status)


def _compared(travelled: pa.RecordBatch, group: Group, compared: Comparison) -> pa.RecordBatch:
    """Rows that travelled, with fingerprint and status."""
    rows, number, is_last = group
    places = rows["position"].searchsorted(travelled.column(POSITION).to_numpy())
    keys = rows["key"][places]
    contents = fingerprints_of(travelled.column(CONTENT), HASH_BYTES)
    status = travelled.column(ROW_STATUS).to_numpy().copy()
    by_content = (keys == halves(contents)).all(axis=1)
    if by_content.any():
        numbers = number[places[by_content]].tolist()
        keys[by_content] = _numbered(contents[by_content], numbers, compared.plan.state)
        chosen = travelled.filter(pa.array(by_content))
        status[by_content] = compared.status(keys[by_content], chosen, to_mask(chosen.column(SENT_AGAIN)))
    status[~by_content & ~is_last[places]] = RowStatus.REPLACED
    fingerprints = np.concatenate([bytes_of(keys), contents], axis=1)
    return _batch([travelled.column(name) for name in ENCODED.names], binary_of(fingerprints), status)


def _numbered(contents: Fingerprints, numbers: Sequence[int], state: StateLocation | None) -> Hashes:
    """The keys of rows that are known by their content: of it, and how many equal rows there are up to this one."""
    scope = state.scope if state is not None else b""
    pairs = zip(contents, numbers, strict=True)
    texts = (f"{bytes(content).hex().upper()}{SEPARATOR}{number}" for content, number in pairs)
    return halves(np.frombuffer(b"".join(salted(scope, text) for text in texts), np.uint8).reshape(-1, HASH_BYTES))


def _batch(encoded: Sequence[pa.Array], fingerprints: pa.Array, status: npt.NDArray[np.int32]) -> pa.RecordBatch:
    names = [*ENCODED.names, FINGERPRINT, ROW_STATUS]
    return pa.RecordBatch.from_arrays([*encoded, fingerprints, pa.array(status)], names=names)


def _joined(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows in batches that are not small."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        if sum(one.num_rows for one in held) >= FEWEST_ROWS or sum(one.nbytes for one in held) >= FEWEST_BYTES:
            yield from pa.Table.from_batches(held).combine_chunks().to_batches()
            held = []
    if held:
        yield from pa.Table.from_batches(held).combine_chunks().to_batches()
