"""What a mirror would do: reads who is on the list and compares them with the rows; nobody is added or removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spark_klaviyo.account.members import list_facts, members
from spark_klaviyo.account.reads import open_reader
from spark_klaviyo.arrow.encoded import record_texts
from spark_klaviyo.batching.screening import screen
from spark_klaviyo.encode.encoder import encode_batches
from spark_klaviyo.modes.mirror.identities import MISSING, IdentitySet
from spark_klaviyo.modes.mirror.removals import ceiling, find_removals, read_pages
from spark_klaviyo.modes.mirror.rows import Identified, RowPeople, identify, mirrored_columns
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.report.pages.preview import MirrorSets
from spark_klaviyo.runs.send_from_driver import arrow_batches
from spark_klaviyo.task.run import identifiers_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

EXAMPLES = 5
SHOWN = ("email", "phone_number", "external_id", "id")  # by which a person is shown, in order of preference


def preview_mirror(df: DataFrame, plan: WritePlan, options: Options) -> MirrorSets:
    """Who would be added and who removed. Raises `ReadFailed` where the list cannot be read.

    The rows pass through this process a batch at a time; of each the hashes of its identifiers are held, and of
    members their identifiers.
    """
    with open_reader(options) as reader:
        facts = list_facts(reader, plan.settings["list_id"])
        pages = list(read_pages(members(reader, facts), facts))
    frame, plan = mirrored_columns(df, plan)
    rows = _Rows(plan, IdentitySet(page.hashes for page in pages))
    for batch in encode_batches(arrow_batches(frame), plan):
        rows.add(batch)
    most = ceiling(options.max_removals, facts.members)
    found = find_removals(pages, RowPeople.of(rows.identified), max(most, EXAMPLES))
    removed = tuple(_shown(person) for person in found.people.slice(0, EXAMPLES).to_pylist())
    added = rows.count_added()
    return MirrorSets(found.members, added, found.count, most, tuple(rows.examples), removed, found.unplaced)


@dataclass
class _Rows:
    """The rows as they pass: who they are, and who of them is not on the list."""

    plan: WritePlan
    on_list: IdentitySet
    identified: list[Identified] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)  # of people who would be added
    _added: list[npt.NDArray[np.int64]] = field(default_factory=list)

    def add(self, batch: pa.RecordBatch) -> None:
        """Compare some rows with the list."""
        rows = identify(batch, self.plan)
        self.identified.append(rows)
        is_sent = np.zeros(len(rows.people), dtype=bool)
        for _, sent in screen(batch, self.plan, TaskReport(), []):
            is_sent[sent.rows] = True
        first = rows.people[np.arange(len(rows.people)), (rows.people != MISSING).argmax(axis=1)]
        added = np.flatnonzero(is_sent & ~self.on_list.contains(rows.people))
        self._added.append(first[added])
        if len(self.examples) < EXAMPLES:
            _, once = np.unique(first[added], return_index=True)
            texts = record_texts(batch.take(pa.array(added[np.sort(once)])))
            shown = filter(None, (_shown(identifiers_of(self.plan.template, text)) for text in texts))
            self.examples = list(dict.fromkeys([*self.examples, *islice(shown, EXAMPLES)]))[:EXAMPLES]

    def count_added(self) -> int:
        """How many people would be added, each once."""
        return len(np.unique(np.concatenate(self._added))) if self._added else 0


def _shown(person: Mapping[str, object]) -> str:
    return next((str(person[kind]) for kind in SHOWN if person.get(kind)), "")
