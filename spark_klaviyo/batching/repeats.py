"""Rows of one request that mean the same person, event or item, or that may: replaced by a later one, or sent apart.

A later row with the same identifier, or the same external id, replaces an earlier one. Rows that add to a profile
replace nothing, and neither do people who share a phone alone: they go out in different requests, in their order.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_klaviyo.arrow.arrays import Mask, from_numpy, to_integers, to_mask
from spark_klaviyo.core.exact_json import Json, get, get_object, try_loads
from spark_klaviyo.core.models import Batch
from spark_klaviyo.plan.model import Checks, identifiers_of

MOST_APART = 10  # more requests for people who share a phone; a number that more of them share is no personal one


@dataclass(frozen=True)
class Repeats:
    """Positions in a batch of rows that a later one replaces; of rows that are sent in a later request, with its number
    after this one; and how many rows share a phone."""

    superseded: set[int] = field(default_factory=set)
    apart: dict[int, int] = field(default_factory=dict)
    sharing: int = 0


def repeats_in(checks: Checks, batch: Batch, *, each_key_is_known: bool = False) -> Repeats:
    """The repeats of a batch.

    Equal keys, external ids and phones are candidates, found in whole columns; only those are compared by their
    identifiers. With `each_key_is_known` a state holds what was delivered for each key: rows of different keys with the
    same external id are sent apart, as the state would send again what a later row replaces.
    """
    spans = [(span.encoded_rows, slice(span.start, span.stop)) for span in batch.spans]
    keys = _repeated(pa.concat_arrays([rows.keys[where] for rows, where in spans]))
    ids = _repeated(pa.concat_arrays([_texts(rows.external_ids, where) for rows, where in spans]))
    phones = pa.concat_arrays([_texts(rows.phones, where) for rows, where in spans])
    named, sharing = keys | ids, _repeated(phones)
    candidates = np.flatnonzero(named | sharing)
    if not len(candidates):
        return Repeats()
    records = dict(zip(candidates.tolist(), map(try_loads, batch.pick(candidates).records()), strict=True))
    names = {at: found for at, record in records.items() if named[at] and (found := _names(checks, record))}
    adds = {at for at in names if any(get(records[at], path) is not None for path in checks.adds)}
    adding = {name for at in adds for name in names[at]}
    if each_key_is_known:
        adding |= {name for found in names.values() if len(found) > 1 for name in found}
    gone, last = set[int](), dict[tuple[str, ...], int]()
    for at, found in names.items():
        if adding.isdisjoint(found):
            gone |= {last[name] for name in found if name in last}
            last |= dict.fromkeys(found, at)
    shared = {at: phones[at].as_py() for at in records if sharing[at] and at not in gone}
    counts = Counter(shared.values())
    shared = {at: phone for at, phone in shared.items() if counts[phone] > 1}
    apart = {at: found for at, found in names.items() if not adding.isdisjoint(found)}
    return Repeats(gone, _apart(apart, shared), len(shared))


def _apart(names: dict[int, list[tuple[str, ...]]], phones: dict[int, str]) -> dict[int, int]:
    """In which request after the first one each row goes, so that no two of a name, or of a phone, share one."""
    apart, taken = dict[int, int](), Counter[object]()
    for at in sorted({*names, *phones}):
        number = max((taken[name] for name in names.get(at, ())), default=0)
        number = max(number, min(taken[phones[at]], MOST_APART) if at in phones else 0)
        for token in (*names.get(at, ()), *([phones[at]] if at in phones else [])):
            taken[token] = number + 1
        if number:
            apart[at] = number
    return apart


def _repeated(texts: pa.Array) -> Mask:
    """Which texts occur more than once."""
    counted = texts.value_counts()
    several = counted.field(0).filter(from_numpy(to_integers(counted.field(1)) > 1)).drop_null()
    return to_mask(pc.is_in(texts, value_set=several)) if len(several) else np.zeros(len(texts), np.bool_)


def _texts(column: pa.Array | None, where: slice) -> pa.Array:
    return pa.nulls(where.stop - where.start, pa.string()) if column is None else column[where]


def _names(checks: Checks, record: Json) -> list[tuple[str, ...]]:
    """A record's identifiers; consent to another channel replaces nothing."""
    names = identifiers_of(checks, record)
    if not names or not checks.channels_path:
        return names
    media = sorted(get_object(record, checks.channels_path))
    uses = ((medium, use) for medium in media for use in sorted(get_object(record, (*checks.channels_path, medium))))
    channels = [f"{medium}.{use}" for medium, use in uses]
    return [(*name, *channels) for name in names]
