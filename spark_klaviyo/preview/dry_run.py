"""The first rows of a DataFrame, encoded and batched by the stages of a write, and what all of them would take.

Nothing is sent; requests, bytes and minutes are estimated from the sample and the number of rows.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

import pyarrow as pa

from spark_klaviyo.arrow.encoded import ENCODED, VERDICT, record_texts
from spark_klaviyo.batching.assembler import BatchAssembler, Batcher, key_length
from spark_klaviyo.core import exact_json
from spark_klaviyo.core.clock import Stop
from spark_klaviyo.core.exact_json import get
from spark_klaviyo.core.models import Batch, Rejection
from spark_klaviyo.core.policy import Quota
from spark_klaviyo.deliver.reads import MOST_VALUES
from spark_klaviyo.encode.encoder import encode_batches
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.runs.send_from_driver import arrow_batches
from spark_klaviyo.runs.session import choose_worker_python, context_of
from spark_klaviyo.runs.tasks import sent_columns
from spark_klaviyo.screen.evaluate import card_notes
from spark_klaviyo.screen.merges import faulty_merges
from spark_klaviyo.task.denied import Denials
from spark_klaviyo.task.lookups import with_needed_identifiers
from spark_klaviyo.task.profiles import parsed
from spark_klaviyo.templates.limits import L as LOOKUPS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SAMPLE_ROWS = 200  # rows from which rejections and sizes are estimated


@dataclass(frozen=True)
class DryRun:
    """What rows become: batches to send, rejections, and warnings about single rows; `cards` are the columns of card
    numbers, which are not sent."""

    batches: tuple[Batch, ...]
    rejections: tuple[Rejection, ...]
    skipped: int
    warnings: tuple[str, ...]
    cards: frozenset[str] = frozenset()

    @property
    def rows(self) -> int:
        """Rows that would be sent."""
        return sum(batch.rows for batch in self.batches)

    @property
    def record_bytes(self) -> int:
        """Bytes of the records that would be sent, separators included."""
        return sum(span.size for batch in self.batches for span in batch.spans)

    @property
    def destinations(self) -> int:
        """To how many different lists, paths and the like the rows go; they never share a request."""
        return len({(batch.envelope.path, batch.envelope.head, batch.envelope.tail) for batch in self.batches})


def collect_sample(df: DataFrame, plan: WritePlan, rows: int) -> tuple[pa.Table, WritePlan]:
    """Collect and encode the first `rows` rows; Spark reads no more of the DataFrame than that takes.

    The plan that comes back is that of the columns that are sent, by which the rows were encoded.
    """
    choose_worker_python(context_of(df))
    frame, plan = sent_columns(df, plan)
    return pa.Table.from_batches(encode_batches(arrow_batches(frame.limit(rows)), plan), ENCODED), plan


def dry_run(plan: WritePlan, encoded: pa.Table, sample: pa.Table | None = None) -> DryRun:
    """The batches and rejections that these rows become; those of the `sample` may say no for their people."""
    report, faulty = TaskReport(), list[Rejection]()
    if plan.template.merges:
        records = [text for batch in encoded.to_batches() for text in record_texts(batch)]
        faults = faulty_merges(plan.template, records)
        faulty = [Rejection(row, records[row], code, code.text) for row, code in faults.items()]
        encoded = encoded.filter(pa.array([row not in faults for row in range(len(records))], pa.bool_()))
    denials = Denials(plan)
    for batch in (encoded if sample is None else sample).to_batches():
        denials.note(batch)
    assembler = BatchAssembler(plan, report, Stop())
    allowed = denials.without_denied(assembler.batches(iter(encoded.to_batches())), assembler.rejections.append)
    made = (batch for batch in allowed if batch is not None)
    sent = (with_needed_identifiers(plan, batch, dict(enumerate(parsed(batch)))) for batch in made)
    batches = tuple(filter(None, sent if plan.template.consent is not None else made))
    rejections = (*faulty, *assembler.taken_rejections())
    return DryRun(batches, rejections, report.skipped, tuple(report.warnings), _cards(plan, encoded))


def _cards(plan: WritePlan, encoded: pa.Table) -> frozenset[str]:
    notes = reduce(or_, encoded.column(VERDICT).to_pylist(), 0)
    return frozenset(".".join(source) for source, note in card_notes(plan).items() if notes & note)


@dataclass(frozen=True)
class Estimate:
    """Rows that would be sent, their requests and bytes, and the least seconds that the quota allows."""

    rows: int
    requests: int
    bytes: int
    seconds: float


def estimate(plan: WritePlan, sample: DryRun, sampled_rows: int, rows: int) -> Estimate:
    """Estimate a write of `rows` rows from a dry run of the first ones; exact where these are all."""
    if not sample.rows or not sampled_rows:
        return Estimate(0, 0, 0, 0.0)
    sent = round(rows * sample.rows / sampled_rows)
    row_bytes = sample.record_bytes / sample.rows
    batcher = Batcher(sample.batches[0].envelope, plan.limits, int, key_length(plan))
    rows_per_request = max(1, min(plan.limits.max_rows, int(batcher.room // row_bytes)))
    is_exact = sampled_rows == rows
    requests = len(sample.batches) if is_exact else max(-(-sent // rows_per_request), sample.destinations)
    size = round(sent * row_bytes) + requests * (plan.limits.max_bytes - batcher.room)
    reads = sum(-(-count * sent // (sample.rows * MOST_VALUES)) for count in looked_up(plan, sample).values())
    seconds = max(quota_seconds(plan.quota, requests), quota_seconds(LOOKUPS, reads))  # side by side
    return Estimate(sent, requests + (reads if plan.template.consent is not None else 0), size, seconds)


def looked_up(plan: WritePlan, sample: DryRun) -> Counter[str]:
    """How many identifiers of each kind are read before the sampled rows are sent."""
    template = plan.template
    if not (template.looked_up_as or template.subscribes):
        return Counter()
    kinds = set(template.identifiers) - set(template.sent_directly)
    paths = {known.name: known.json_path for known in template.fields if known.name in kinds}
    records = (one for batch in sample.batches if not batch.envelope.resubscribes for one in batch.records())
    asked = map(exact_json.loads, records)
    return Counter(kind for record in asked for kind, path in paths.items() if get(record, path) is not None)


def quota_seconds(quota: Quota, requests: int) -> float:
    """The least seconds for so many requests: each window lets its number pass, then the next one opens."""
    waits = [(requests - 1) // allowed * seconds for allowed, seconds in quota.windows if requests and allowed]
    return max(waits, default=0.0)
