"""What a mirror would do: reads who is on the list and compares them with the rows; nobody is added or removed."""

from __future__ import annotations

from collections.abc import Mapping
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
    on_list = IdentitySet(page.hashes for page in pages)
    identified = list[Identified]()
    added = [np.empty(0, np.int64)]  # a hash of each person who would be added
    examples = list[str]()  # some of these
    for batch in encode_batches(arrow_batches(frame), plan):
        rows = identify(batch, plan)
        identified.append(rows)
        new = _rows_to_add(batch, plan, rows, on_list)
        people = rows.people[new, (rows.people[new] != MISSING).argmax(axis=1)]
        added.append(people)
        if len(examples) < EXAMPLES:
            _, once = np.unique(people, return_index=True)
            texts = record_texts(batch.take(pa.array(new[np.sort(once)])))
            shown = filter(None, (_shown(identifiers_of(plan.template, text)) for text in texts))
            examples = list(dict.fromkeys([*examples, *islice(shown, EXAMPLES)]))[:EXAMPLES]
    most = ceiling(options.max_removals, facts.members)
    found = find_removals(pages, RowPeople.of(identified), max(most, EXAMPLES))
    removed = tuple(_shown(person) for person in found.people.slice(0, EXAMPLES).to_pylist())
    additions = len(np.unique(np.concatenate(added)))
    return MirrorSets(found.members, additions, found.count, most, tuple(examples), removed, found.unplaced)


def _rows_to_add(
    batch: pa.RecordBatch, plan: WritePlan, rows: Identified, on_list: IdentitySet
) -> npt.NDArray[np.int64]:
    """The positions of rows that would be sent, and whose people are not on the list."""
    is_sent = np.zeros(len(rows.people), dtype=bool)
    for _, sent in screen(batch, plan, TaskReport(), []):
        is_sent[sent.rows] = True
    return np.flatnonzero(is_sent & ~on_list.contains(rows.people))


def _shown(person: Mapping[str, object]) -> str:
    return next((str(person[kind]) for kind in SHOWN if person.get(kind)), "")
