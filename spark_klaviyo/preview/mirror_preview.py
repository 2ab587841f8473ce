"""What a mirror would do: read who is on the list, and compare with the rows; nobody is added or removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from spark_klaviyo.account.members import list_facts, members
from spark_klaviyo.account.reads import AccountReader, ReadFailed, open_reader
from spark_klaviyo.arrow.encoded import record_texts
from spark_klaviyo.batching.screening import screen
from spark_klaviyo.deliver.reads import ReadTarget
from spark_klaviyo.encode.encoder import encode_batches
from spark_klaviyo.modes.mirror.identities import KINDS, LOST, NOBODY, Hashes, IdentitySet, Seen, lost, member_pages
from spark_klaviyo.modes.mirror.removals import ceiling, removals
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.report.pages.preview import MirrorSets
from spark_klaviyo.runs.columns import sent_columns
from spark_klaviyo.runs.send_from_driver import arrow_batches
from spark_klaviyo.task.identifiers import identifiers_of
from spark_klaviyo.templates.model import L

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

EXAMPLES = 5
SHOWN = ("email", "phone_number", "external_id", "id")  # by which a person is shown, in order of preference


def mirror_sets(df: DataFrame, plan: WritePlan, options: Options) -> MirrorSets:
    """Who would come and who would go. Raises `ReadFailed` where the list cannot be read.

    Members first, then the rows, which pass through this process a chunk at a time; of each its identifiers' hashes
    are held, and of members their ids.
    """
    with open_reader(options) as reader:
        facts = list_facts(reader, plan.settings["list_id"])
        pages = list(member_pages(members(reader, facts)))
        rows = _Rows(plan, IdentitySet(_together([page.people for page in pages])))
        frame, plan = sent_columns(df, plan)
        for batch in encode_batches(arrow_batches(frame), plan):
            rows.take(batch)
        most = ceiling(options.max_removals, facts.members)
        found = removals(pages, IdentitySet(_together(rows.people)), max(most, EXAMPLES))
        going = tuple(_named(reader, one) for one in found.ids[:EXAMPLES])
    return MirrorSets(found.members, rows.adds, found.count, most, tuple(rows.coming), going, rows.lost)


@dataclass
class _Rows:
    """The rows as they pass: whom they are about, and who of them is not on the list."""

    plan: WritePlan
    on_list: IdentitySet
    people: list[Hashes] = field(default_factory=list)
    coming: list[str] = field(default_factory=list)
    lost: int = 0
    _new: list[Hashes] = field(default_factory=list)

    def take(self, batch: pa.RecordBatch) -> None:
        """Look at some rows."""
        people = Seen(self.plan).people(batch)
        self.people.append(people)
        self.lost += lost(people)
        refused = screen(batch, self.plan, 0).rejections
        fine = np.ones(len(people), dtype=bool)
        fine[[rejection.row for rejection in refused]] = False
        first = _first(people)
        new = np.flatnonzero(fine & ~self.on_list.has(people) & (first != LOST))
        _, once = np.unique(first[new], return_index=True)
        self._new.append(first[new])
        if len(self.coming) < EXAMPLES:
            texts = record_texts(batch.take(pa.array(new[np.sort(once)])))
            shown = (_shown(identifiers_of(self.plan.template, text)) for text in texts)
            self.coming = list(dict.fromkeys([*self.coming, *islice(filter(None, shown), EXAMPLES)]))[:EXAMPLES]

    @property
    def adds(self) -> int:
        """How many people would be sent who are not on the list, each once."""
        return len(np.unique(np.concatenate(self._new))) if self._new else 0


def _first(people: Hashes) -> Hashes:
    """The hash of each row's first identifier."""
    first: Hashes = people[np.arange(len(people)), (people != NOBODY).argmax(axis=1)]
    return first


def _together(people: list[Hashes]) -> Hashes:
    return np.concatenate(people) if people else np.empty((0, len(KINDS)), dtype=np.int64)


def _named(reader: AccountReader, profile_id: str) -> str:
    """How a member is called by people; the id where that cannot be read."""
    asked = [("fields[profile]", "email,phone_number,external_id")]
    try:
        document = reader.read(ReadTarget.of("/api/profiles/{id}", L, asked, id=profile_id))
    except ReadFailed:
        return profile_id
    held = next((resource.get("attributes") for resource in document.resources), None)
    return (_shown(held) if isinstance(held, Mapping) else "") or profile_id


def _shown(person: Mapping[str, object]) -> str:
    return next((str(person[kind]) for kind in SHOWN if person.get(kind)), "")
