"""What a mirror would do: read who is on the list, and compare with the rows; nobody is added or removed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from spark_klaviyo.ask import sampled
from spark_klaviyo.ask.identities import KINDS, Hashes, Known, Seen
from spark_klaviyo.ask.members import Page, list_facts, members
from spark_klaviyo.ask.mirrored import ceiling, removals
from spark_klaviyo.ask.reading import asking
from spark_klaviyo.encode import jvm
from spark_klaviyo.encode.rows import row_encoder
from spark_klaviyo.options.model import Options
from spark_klaviyo.pipeline.who import who
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.report.preview import MirrorSets

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

CHUNK = 5_000
EXAMPLES = 5


def mirror_sets(df: DataFrame, plan: WritePlan, options: Options, sample: sampled.Sample) -> MirrorSets:
    """Who would come and who would go. Raises `ReadFailed` where the list cannot be read.

    The rows pass through this process a chunk at a time; of each its identifiers' hashes are held.
    """
    with asking(options) as ask:
        facts = list_facts(ask, plan.settings["list_id"])
        rows = _together([Seen(plan).people(batch) for batch in _encoded(df, plan)])
        there: list[Hashes] = []
        most = ceiling(options.max_removals, facts.members)
        found = removals(_kept(members(ask, facts), there), Known(rows), max(most, EXAMPLES))
    known = Known(_together(there))
    coming = tuple(islice(_coming(plan, sample, known), EXAMPLES))
    adds = int(np.count_nonzero(~known.has(rows)))
    return MirrorSets(found.members, adds, found.count, most, coming, found.ids[:EXAMPLES])


def _together(people: list[Hashes]) -> Hashes:
    return np.concatenate(people) if people else np.empty((0, len(KINDS)), dtype=np.int64)


def _kept(pages: Iterator[Page], there: list[Hashes]) -> Iterator[Page]:
    for page in pages:
        there.append(page.people)
        yield page


def _encoded(df: DataFrame, plan: WritePlan) -> Iterator[pa.RecordBatch]:
    if not jvm.encodable(plan):
        yield from row_encoder(plan)(df.toLocalIterator())
        return
    rows = iter(jvm.encoded(df, plan).toLocalIterator())
    while chunk := [tuple(row) for row in islice(rows, CHUNK)]:
        yield sampled.batch_of(chunk, asides=bool(plan.asides))


def _coming(plan: WritePlan, sample: sampled.Sample, known: Known) -> Iterator[str]:
    """Identifiers of the first rows that are about nobody on the list."""
    for batch in sample.encoded:
        new = np.flatnonzero(~known.has(Seen(plan).people(batch)))
        for text in batch.column(0).take(pa.array(new)).to_pylist():
            names = who(plan.template, text.rstrip(","))
            shown = next((name for name in (names[kind] for kind in KINDS[1:] + KINDS[:1]) if name), "")
            yield from [shown] if shown else []
