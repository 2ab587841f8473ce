"""Receipts of accepted jobs, written by the tasks at once, for a run that is killed before it writes its datasets.

Spark hands the tasks' results over only when all tasks have ended, so the job ids of a killed run would be lost. These
receipts are in the hidden folder that entry points without a session use too, where `follow_klaviyo` finds them; a run
that ends deletes its own. That takes a location that pyarrow or fsspec can open: no catalog table, and no path without
a scheme where Spark's default file system is not this machine's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pyarrow as pa

from spark_klaviyo.core.models import Receipt
from spark_klaviyo.datasets.schemas import RECEIPTS
from spark_klaviyo.datasets.storage import Folder, PartWriter
from spark_klaviyo.deliver.delivery import SendContext
from spark_klaviyo.errors import OptionError
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.task.run import TaskEvent

OPEN_RECEIPTS = "_open"  # a folder inside the receipts; hidden from Spark's readers, like all names that begin so
UNWRITTEN = "job ids could not be written to receipts_path at once: a run that was killed could not be followed"
_ERRORS = (OSError, pa.ArrowException, OptionError)


def part_stem(run_id: str, context: SendContext) -> str:
    """How the names of the files of one attempt of a task begin."""
    return f"part-{run_id}-{context.partition_id:05d}-{context.attempt}"


@dataclass(frozen=True)
class CrashReceipts:
    """Where the tasks of one run write them; picklable. `location`: the receipts' folder, None for nowhere."""

    run_id: str = ""
    location: str | None = None

    def if_usable(self) -> CrashReceipts:
        """The same, or nowhere if this process cannot open the location: it could not delete them at the end."""
        try:
            self._names()
        except _ERRORS:
            return replace(self, location=None)
        return self

    def record(self, events: Iterator[TaskEvent], context: SendContext) -> Iterator[TaskEvent]:
        """The events of a task, passed on; the receipt of a job is on disk before."""
        writer: PartWriter | None = None
        failed = self.location is None
        for event in events:
            if isinstance(event, Receipt) and event.job_id is not None and not failed:
                try:
                    writer = writer or PartWriter(self._folder(), RECEIPTS, part_stem(self.run_id, context))
                    writer.add(asdict(event), 0.0)
                    writer.flush()
                except _ERRORS:  # sending goes on: a run that ends has its receipts all the same
                    failed = True
            elif isinstance(event, TaskReport) and failed and self.location is not None:
                event.warn(UNWRITTEN)
            yield event

    def remove(self) -> None:
        """Delete them: the run has written its receipts. Raises OSError."""
        for name in self._names():
            self._folder().delete(name)

    def _names(self) -> list[str]:
        if self.location is None:
            return []
        return [name for name in self._folder().names() if name.startswith(f"part-{self.run_id}-")]

    def _folder(self) -> Folder:
        """The hidden folder. OSError where Spark, which has made the location by now, uses another file system."""
        folder = Folder.at(self.location or "")
        if folder.is_local and not Path(folder.path).is_dir():
            raise FileNotFoundError(folder.path)
        return folder.child(OPEN_RECEIPTS)
