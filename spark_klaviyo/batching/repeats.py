"""Rows of one request that mean the same person, event or item, or that may: replaced by a later one, or sent apart.

A later row with the same identifier replaces an earlier one. Rows that add to a profile replace nothing, and neither do
people who share a phone alone: they go out in different requests, in their order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from spark_klaviyo.arrow.arrays import Mask
from spark_klaviyo.core import exact_json
from spark_klaviyo.core.exact_json import Json, get
from spark_klaviyo.core.models import Batch
from spark_klaviyo.plan.model import Checks, identifier_of

MOST_APART = 10  # more requests for people who share a phone; a number that more of them share is no personal one


@dataclass(frozen=True)
class Repeats:
    """Positions in a batch of rows that a later one replaces; of rows that are sent in a later request, with its number
    after this one; and how many rows share a phone."""

    superseded: set[int] = field(default_factory=set)
    apart: dict[int, int] = field(default_factory=dict)
    sharing: int = 0


def repeats_in(checks: Checks, batch: Batch) -> Repeats:
    """The repeats of a batch.

    Equal keys and phones are candidates, found in whole columns; only those are compared by their identifiers.
    """
    spans = [(span.encoded_rows, slice(span.start, span.stop)) for span in batch.spans]
    keys = _repeated(pa.concat_arrays([rows.keys[where] for rows, where in spans]))
    phones = pa.concat_arrays([_phones(rows.phones, where) for rows, where in spans])
    sharing = _repeated(phones)
    candidates = np.flatnonzero(keys | sharing)
    if not len(candidates):
        return Repeats()
    records = dict(zip(candidates.tolist(), map(_loaded, batch.pick(candidates).records()), strict=True))
    names = {at: name for at, record in records.items() if keys[at] and (name := _name(checks, record)) is not None}
    adding = {names[at] for at in names if any(get(records[at], path) is not None for path in checks.adds)}
    gone, last = set[int](), dict[tuple[str, ...], int]()
    for at, name in names.items():
        if name not in adding:
            gone |= {last[name]} if name in last else set()
            last[name] = at
    shared = {at: phones[at].as_py() for at in records if sharing[at] and at not in gone}
    counts = Counter(shared.values())
    shared = {at: phone for at, phone in shared.items() if counts[phone] > 1}
    return Repeats(gone, _apart({at: name for at, name in names.items() if name in adding}, shared), len(shared))


def _apart(names: dict[int, tuple[str, ...]], phones: dict[int, str]) -> dict[int, int]:
    """In which request after the first one each row goes, so that no two of a name, or of a phone, share one."""
    apart, taken = dict[int, int](), Counter[object]()
    for at in sorted({*names, *phones}):
        number = max(taken[names[at]] if at in names else 0, min(taken[phones[at]], MOST_APART) if at in phones else 0)
        for token in (held[at] for held in (names, phones) if at in held):
            taken[token] = number + 1
        if number:
            apart[at] = number
    return apart


def _repeated(texts: pa.Array) -> Mask:
    """Which texts occur more than once."""
    encoded = texts.dictionary_encode()
    if len(encoded.dictionary) + texts.null_count == len(texts):  # nearly always
        return np.zeros(len(texts), np.bool_)
    number = encoded.indices.fill_null(-1).to_numpy() + 1  # 0: none
    counts = np.bincount(number, minlength=1)
    counts[0] = 0
    repeated: Mask = counts[number] > 1
    return repeated


def _phones(phones: pa.Array | None, where: slice) -> pa.Array:
    return pa.nulls(where.stop - where.start, pa.string()) if phones is None else phones[where]


def _loaded(text: bytes) -> Json:
    try:
        return exact_json.loads(text)
    except (ValueError, RecursionError):
        return None


def _name(checks: Checks, record: Json) -> tuple[str, ...] | None:
    """A record's identifier; consent to another channel replaces nothing."""
    name = identifier_of(checks, record)
    if name is None or not checks.channels_path:
        return name
    channels = _items(get(record, checks.channels_path))
    return (*name, *(f"{medium}.{use}" for medium, uses in channels for use, _ in _items(uses)))


def _items(value: Json) -> Iterator[tuple[str, Json]]:
    yield from sorted(value.items()) if isinstance(value, dict) else ()
