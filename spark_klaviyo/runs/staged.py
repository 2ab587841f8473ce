"""Rejected rows and receipts that the tasks of a run write themselves, and keep until the run fills its datasets.

What Spark cannot write fails the task, which Spark then runs, and sends, again. What a task cannot write itself stops
its sending, and its report comes back all the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import TypeAlias

from spark_klaviyo.core.clock import Stop
from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.core.models import Receipt, RejectedRow
from spark_klaviyo.datasets.schemas import Column
from spark_klaviyo.datasets.storage import Folder, PartWriter
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.runs.results import RESULT_KINDS, ResultKind, StagedFile
from spark_klaviyo.task.run import TaskEvent

RESULTS = (Column("kind", "string", "a `ResultKind`"), Column("body", "string", "the row as JSON"))
NOT_WRITTEN = "{} could not be written ({}): what was to come after is missing there"
# A text that no file can hold is a ValueError, as are the errors of pyarrow that are none of the file system.
WRITE_ERRORS = (OSError, ValueError)

Kept: TypeAlias = "TaskEvent | StagedFile"


@dataclass(frozen=True)
class TaskStaging:
    """Where the tasks of a run keep their rejected rows and receipts; picklable.

    `location` is a folder of a file system that all tasks and the driver see as a directory of theirs; None: Spark
    keeps these rows with the other results. `shown` names the option and its path in messages.
    """

    location: str | None = None
    shown: str = ""

    def keep(self, events: Iterator[TaskEvent], kinds: frozenset[ResultKind], stop: Stop, stem: str) -> Iterator[Kept]:
        """The events of a task without rejected rows and receipts, and the names of the files that hold these.

        Once a file cannot be written, `stop` is set; the task's report, which comes last, says so.
        """
        if self.location is None:
            yield from events
            return
        writer, failure = PartWriter(Folder.at(self.location), RESULTS, stem), ""
        for event in events:
            if isinstance(event, RejectedRow | Receipt):
                if RESULT_KINDS[type(event)] in kinds and not failure:
                    failure = self._attempt(partial(_add, writer, event), stop)
                continue
            if isinstance(event, TaskReport):
                failure = failure or self._attempt(writer.flush, stop)
                if failure and event.stopped is None:
                    event.stopped = (StopCode.NOT_WRITTEN, failure)
                yield from map(StagedFile, writer.names)
            yield event

    def _attempt(self, write: Callable[[], None], stop: Stop) -> str:
        """Why it could not be written; empty where it was."""
        try:
            write()
        except WRITE_ERRORS as error:
            failure = not_written(self.shown, error)
            stop.set(StopCode.NOT_WRITTEN, failure)
            return failure
        return ""


def not_written(shown: str, error: Exception) -> str:
    """What to say of a file that could not be written; of the error only what holds no path and no value of a row."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
    return NOT_WRITTEN.format(shown, reason.partition("\n")[0][:200])


def _add(writer: PartWriter, event: RejectedRow | Receipt) -> None:
    body = json.dumps(asdict(event), ensure_ascii=False)
    writer.add({"kind": RESULT_KINDS[type(event)], "body": body}, 0.0)
