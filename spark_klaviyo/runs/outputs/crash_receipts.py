"""Receipts of accepted jobs that the tasks of a session door write at once, for a run that does not live to its end.

Spark shows what tasks hand back only when all of them have ended, so the ids of the jobs of a run that is killed while
it sends would be lost. They stand in the hidden folder that task doors use, where `follow_klaviyo` looks, and go when
the run has written its receipts. That takes a place that pyarrow or fsspec can open: a catalog's table is none, nor is
a path without a scheme where Spark's own file system is not this machine's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pyarrow as pa

from spark_klaviyo.core.models import Receipt
from spark_klaviyo.datasets.parts import PartWriter
from spark_klaviyo.datasets.schemas import RECEIPTS
from spark_klaviyo.datasets.storage import Folder
from spark_klaviyo.deliver.delivery import SendContext
from spark_klaviyo.errors import OptionError
from spark_klaviyo.report.task_report import TaskReport
from spark_klaviyo.runs.outputs.task_outputs import OPEN
from spark_klaviyo.task.run import TaskEvent

UNWRITTEN = "job ids could not be written to receipts_path as they came: a run that was cut off could not be followed"
_TROUBLES = (OSError, pa.ArrowException, OptionError)


@dataclass(frozen=True)
class EarlyReceipts:
    """Where the tasks of one run write them; picklable. `place` None: nowhere."""

    run_id: str = ""
    place: str | None = None

    def checked(self) -> EarlyReceipts:
        """The same, or nowhere if this process cannot open the place: then nobody could take them away again."""
        try:
            self._names()
        except _TROUBLES:
            return replace(self, place=None)
        return self

    def told(self, happened: Iterator[TaskEvent], context: SendContext) -> Iterator[TaskEvent]:
        """All that happens in a task, handed on; the receipt of a job is on disk before."""
        writer: PartWriter | None = None
        trouble = self.place is None
        for event in happened:
            if isinstance(event, Receipt) and event.job_id is not None and not trouble:
                try:
                    writer = writer or self._writer(context)
                    writer.add(asdict(event), 0.0)
                    writer.flush()
                except _TROUBLES:  # sending goes on: a run that ends has its receipts all the same
                    trouble = True
            elif isinstance(event, TaskReport) and trouble and self.place is not None:
                event.warn(UNWRITTEN)
            yield event

    def remove(self) -> None:
        """Take them away: the run has written its receipts. Raises OSError."""
        for name in self._names():
            self._folder().delete(name)

    def _names(self) -> list[str]:
        if self.place is None:
            return []
        return [name for name in self._folder().names() if name.startswith(f"part-{self.run_id}-")]

    def _folder(self) -> Folder:
        """The hidden folder. OSError where Spark, which has made the place by now, means another file system's."""
        place = Folder.at(self.place or "")
        if place.is_local and not Path(place.path).is_dir():
            raise FileNotFoundError(place.path)
        return place.child(OPEN)

    def _writer(self, context: SendContext) -> PartWriter:
        return PartWriter(self._folder(), RECEIPTS, f"part-{self.run_id}-{context.partition_id:05d}-{context.attempt}")
