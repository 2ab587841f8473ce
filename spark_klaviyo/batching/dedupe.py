"""Which rows mean the same person, event or item: the last one of a batch is sent, earlier ones are superseded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from spark_klaviyo.core import exact_json
from spark_klaviyo.core.models import Batch
from spark_klaviyo.plan.identity import identifier_of
from spark_klaviyo.plan.model import Checks, WritePlan
from spark_klaviyo.screen.rules import KEY_PARTS, key_places


def identifier_in(checks: Checks, text: bytes) -> tuple[str, ...] | None:
    """The first identifier that the JSON text of a record has (`plan.identity.identifier_of`)."""
    try:
        return identifier_of(checks, exact_json.loads(text))
    except (ValueError, RecursionError):
        return None


def key_of(plan: WritePlan, text: bytes) -> str:
    """A record's identifier as the encoders write it into the column `key`; empty where it has none."""
    found = identifier_in(replace(plan.checks, key_with=key_places(plan)), text)
    return KEY_PARTS.join(found[1:]) if found is not None else ""


def superseded(checks: Checks, batch: Batch) -> set[int]:
    """Positions of the rows of a batch that a later row with the same identifier replaces.

    The hashes find candidates in whole columns; only those are compared by their identifiers.
    """
    keys = np.concatenate([span.encoded_rows.keys[span.start : span.stop] for span in batch.spans])
    candidates = _repeated(keys)
    if not len(candidates):
        return set()
    records = list(batch.pick(candidates).records())
    last: dict[tuple[str, ...], int] = {}
    gone: set[int] = set()
    for position, text in zip(candidates.tolist(), records, strict=True):
        name = identifier_in(checks, text)
        if name is not None and name in last:
            gone.add(last[name])
        if name is not None:
            last[name] = position
    return gone


def _repeated(keys: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Positions, ascending, of the keys that occur more than once."""
    inorder = np.sort(keys)
    repeated = inorder[1:][(inorder[1:] == inorder[:-1]) & (inorder[1:] != 0)]
    return np.flatnonzero(np.isin(keys, repeated)) if len(repeated) else np.empty(0, np.int64)
