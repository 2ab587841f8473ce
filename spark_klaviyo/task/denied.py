"""A row that says no to being subscribed says it for its person: no other row of the partition subscribes them.

So where columns say who consents, a partition is read to its end before its first row is sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from tempfile import SpooledTemporaryFile

import pyarrow as pa

from spark_klaviyo.arrow.encoded import PARAMS, record_texts
from spark_klaviyo.batching.encoded_rows import params_of
from spark_klaviyo.batching.screening import without_consent
from spark_klaviyo.core.clock import Stop
from spark_klaviyo.core.codes import RejectCode
from spark_klaviyo.core.exact_json import Json, get
from spark_klaviyo.core.models import Batches, RejectRow
from spark_klaviyo.plan.consent_columns import denials, has_consent_columns, medium_of
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.screen.validate_row import repaired
from spark_klaviyo.task.consent import identifiers_of
from spark_klaviyo.task.profiles import barred_rows, parsed, without

OTHER_ROW = "another row of the person says that they do not consent"
MOST_HELD_BYTES = 16_000_000  # in memory; more is held in a file without a name


@dataclass(frozen=True)
class Denial:
    """What a person has said no to: every channel of a medium (empty: of all).

    `has_left`: signing up again since takes it back. `by_first`: it is known by the first identifier of that row.
    """

    medium: str
    has_left: bool
    by_first: bool


@dataclass(repr=False)
class Denials:
    """Who says no in some row, as hashes of identifiers; empty where no column says who consents."""

    plan: WritePlan
    _said: dict[Denial, set[int]] = field(default_factory=dict)

    def read_first(self, encoded: Iterator[pa.RecordBatch], stop: Stop) -> Iterator[pa.RecordBatch]:
        """The encoded batches, after all of them were read for rows that say no."""
        first = next(encoded, None) if has_consent_columns(self.plan.params) else None
        if first is None:
            yield from encoded
            return
        with SpooledTemporaryFile(MOST_HELD_BYTES) as file:
            with pa.ipc.new_stream(file, first.schema) as held:
                while first is not None and not stop.is_set():
                    self.note(first)
                    held.write_batch(first)
                    first = next(encoded, None)
            file.seek(0)
            yield from pa.ipc.open_stream(file)

    def note(self, batch: pa.RecordBatch) -> None:
        """Note who says no in these encoded rows."""
        params = batch.column(PARAMS).to_pylist()
        for text, held in zip(record_texts(batch), map(params_of, params), strict=True):
            said = list(denials(self.plan, held))
            record = repaired(self.plan, text.encode("utf-8", "surrogatepass"), held) if said else None
            for number, name in enumerate(identifiers_of(record, self.plan.template).values()):
                for column in said:
                    denial = Denial(column.medium, column.means_left, number == 0)
                    self._said.setdefault(denial, set()).add(hash(name))

    def without_denied(self, batches: Batches, reject: RejectRow) -> Batches:
        """The batches without the rows of people for whom another row says no, which are rejected without consent."""
        for batch in batches:
            left = batch
            if batch is not None and self._said:
                again = batch.envelope.resubscribes
                gone = {at for at, record in enumerate(parsed(batch)) if self._is_denied(record, again=again)}
                for one in barred_rows(batch, dict.fromkeys(gone, (RejectCode.NO_CONSENT, OTHER_ROW))):
                    text = without_consent(self.plan, one.record.encode("utf-8", "surrogatepass"))
                    reject(replace(one, record=text.decode("utf-8", "replace")))
                left = without(batch, gone)
            if batch is None or left is not None:
                yield left

    def _is_denied(self, record: Json, *, again: bool) -> bool:
        """Whether another row of this person says no to a channel of the record.

        Rows that share a phone are of one person only where it is the first identifier of one of them, or what a
        channel needs that was said no to.
        """
        consent = self.plan.template.consent
        names = list(identifiers_of(record, self.plan.template).values())
        channels = consent.channels if consent is not None else ()
        given = [(medium_of(one.json_path[-2]), one.identifier) for one in channels if get(record, one.json_path)]
        for denial, people in self._said.items():
            needed = {identifier for medium, identifier in given if denial.medium in ("", medium)}
            if not needed or (denial.has_left and again):
                continue
            compared = (name for number, name in enumerate(names) if denial.by_first or not number or name[0] in needed)
            if any(hash(name) in people for name in compared):
                return True
        return False
