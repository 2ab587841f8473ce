"""What a mirror would do: reads who is on the list and compares them with the rows; nobody is added or removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from spark_klaviyo.account.members import IDENTIFIERS, list_facts, members
from spark_klaviyo.account.reads import AccountReader, ReadFailed, open_reader
from spark_klaviyo.arrow.encoded import record_texts
from spark_klaviyo.batching.screening import screen
from spark_klaviyo.deliver.reads import ReadTarget, attributes_of
from spark_klaviyo.encode.encoder import encode_batches
from spark_klaviyo.modes.mirror import identities
from spark_klaviyo.modes.mirror.execute import ceiling, find_removals, hash_pages
from spark_klaviyo.modes.mirror.identities import Hashes, IdentitySet
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.report.pages.preview import MirrorSets
from spark_klaviyo.runs.send_from_driver import arrow_batches
from spark_klaviyo.runs.tasks import sent_columns
from spark_klaviyo.task.run import identifiers_of
from spark_klaviyo.templates.limits import L

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

EXAMPLES = 5
SHOWN = ("email", "phone_number", "external_id", "id")  # by which a person is shown, in order of preference


def preview_mirror(df: DataFrame, plan: WritePlan, options: Options) -> MirrorSets:
    """Who would be added and who removed. Raises `ReadFailed` where the list cannot be read.

    The rows pass through this process a batch at a time; of each the hashes of its identifiers are held, and of
    members their ids.
    """
    with open_reader(options) as reader:
        facts = list_facts(reader, plan.settings["list_id"])
        pages = list(hash_pages(members(reader, facts)))
        frame, plan = sent_columns(df, plan)
        rows = _Rows(plan, IdentitySet(hashes for _, hashes in pages))
        for batch in encode_batches(arrow_batches(frame), plan):
            rows.add(batch)
        most = ceiling(options.max_removals, facts.members)
        found = find_removals(pages, IdentitySet(rows.hashes), max(most, EXAMPLES))
        removed = tuple(_name_of(reader, profile_id) for profile_id in found.ids[:EXAMPLES])
    added = rows.count_added()
    return MirrorSets(found.members, added, found.count, most, tuple(rows.examples), removed, rows.unidentified)


@dataclass
class _Rows:
    """The rows as they pass: who they are, and who of them is not on the list."""

    plan: WritePlan
    on_list: IdentitySet
    hashes: list[Hashes] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)  # of people who would be added
    unidentified: int = 0
    _added: list[Hashes] = field(default_factory=list)

    def add(self, batch: pa.RecordBatch) -> None:
        """Compare some rows with the list."""
        hashes = identities.hash_rows(batch, self.plan)
        self.hashes.append(hashes)
        self.unidentified += identities.count_unidentified(hashes)
        is_sent = np.zeros(len(hashes), dtype=bool)
        for _, rows in screen(batch, self.plan, TaskReport(), []):
            is_sent[rows.rows] = True
        first = identities.first_identifiers(hashes)
        added = np.flatnonzero(is_sent & ~self.on_list.contains(hashes) & (first != identities.UNIDENTIFIED))
        self._added.append(first[added])
        if len(self.examples) < EXAMPLES:
            _, once = np.unique(first[added], return_index=True)
            texts = record_texts(batch.take(pa.array(added[np.sort(once)])))
            shown = filter(None, (_shown(identifiers_of(self.plan.template, text)) for text in texts))
            self.examples = list(dict.fromkeys([*self.examples, *islice(shown, EXAMPLES)]))[:EXAMPLES]

    def count_added(self) -> int:
        """How many people would be added, each once."""
        return len(np.unique(np.concatenate(self._added))) if self._added else 0


def _name_of(reader: AccountReader, profile_id: str) -> str:
    """The identifier that people know a member by; the profile's id where that cannot be read."""
    try:
        document = reader.read(ReadTarget.of("/api/profiles/{id}", L, [IDENTIFIERS], id=profile_id))
    except ReadFailed:
        return profile_id
    return next((_shown(attributes_of(resource)) for resource in document.resources), "") or profile_id


def _shown(person: Mapping[str, object]) -> str:
    return next((str(person[kind]) for kind in SHOWN if person.get(kind)), "")
