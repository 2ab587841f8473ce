"""Rejected rows and receipts, kept by the tasks of a run until everything is sent and the run fills its datasets.

What Spark cannot write fails the task, which Spark then runs, and sends, again. So tasks write these rows themselves
where they can, and elsewhere hand them to Spark after their last request, when the driver has their counts. What a task
cannot write itself stops its sending, and its report comes back all the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import IO, Any, TypeAlias

import pyarrow as pa

from spark_klaviyo.core.clock import Stop
from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.core.models import Receipt, RejectedRow
from spark_klaviyo.datasets.schemas import Column
from spark_klaviyo.datasets.storage import Folder, PartWriter, record_batch
from spark_klaviyo.ratelimit.server import ResultRow
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.runs.results import MOST_ROWS, RESULT_KINDS, RESULT_SCHEMA, STAGED_KINDS, ResultKind, result_row
from spark_klaviyo.task.denied import MOST_HELD_BYTES
from spark_klaviyo.task.run import TaskEvent

RESULTS = (Column("kind", "string", "a `ResultKind`"), Column("body", "string", "the row as JSON"))
NOT_WRITTEN = "{} could not be written ({}): what was to come after is missing there"
NOT_TAKEN = "{} could not be written by Spark: rows of a task that had sent everything are missing there"
# A text that no file can hold is a ValueError, as are the errors of pyarrow that are none of the file system.
WRITE_ERRORS = (OSError, ValueError, pa.ArrowException)

HandOver: TypeAlias = Callable[[list[ResultRow]], None]


@dataclass(frozen=True)
class TaskStaging:
    """Where the tasks of a run keep their rejected rows and receipts, those of `kinds`; picklable.

    `location` is a folder of a file system that all tasks and the driver see as a directory of theirs; None: Spark
    writes these rows with the other results. `shown` names the option and its path in messages; empty where no dataset
    was asked for.
    """

    location: str | None = None
    shown: str = ""
    kinds: frozenset[ResultKind] = STAGED_KINDS

    def keep(
        self, events: Iterator[TaskEvent], stop: Stop, stem: str, hand_over: HandOver = lambda _: None
    ) -> Iterator[ResultRow]:
        """The result rows of a task, all of them after its last event: rejected rows and receipts, or their files.

        Until then nothing that Spark does can fail the task. `hand_over` gets what is no value of a row before Spark
        does. Once a row cannot be kept, `stop` is set; the task's report, which comes last, says so.
        """
        with SpooledTemporaryFile(MOST_HELD_BYTES) as file:
            store = _Held(file) if self.location is None else PartWriter(Folder.at(self.location), RESULTS, stem)
            rows: list[ResultRow] = []
            failure, report = "", TaskReport()
            for event in events:
                if isinstance(event, TaskReport):
                    failure, report = failure or attempt(store.flush, self.shown, stop), event
                elif not isinstance(event, RejectedRow | Receipt):
                    rows.append(result_row(event))
                elif RESULT_KINDS[type(event)] in self.kinds and not failure:
                    row = dict(zip(RESULT_SCHEMA.names, result_row(event), strict=True))
                    failure = attempt(partial(store.add, row, 0.0), self.shown, stop)
            report.stopped = report.stopped or ((StopCode.NOT_WRITTEN, failure) if failure else None)
            rows += [(ResultKind.STAGED, name) for name in store.names]
            hand_over([*rows, result_row(report.without_rows())])
            yield from rows
            if isinstance(store, _Held):
                yield from store.rows()
            yield result_row(report)

    def again(self, rows: list[ResultRow], stop: Stop) -> list[ResultRow]:
        """What a task yields that had sent everything, and handed over these rows, before Spark ran it again."""
        if self.location is not None or not self.shown:
            return rows
        lacks = NOT_TAKEN.format(self.shown)
        stop.set(StopCode.NOT_WRITTEN, lacks)  # the other tasks, too: what they keep would be lost as well
        return [*rows, result_row(TaskReport(stopped=(StopCode.NOT_WRITTEN, lacks)))]


class _Held:
    """Keeps rejected rows and receipts for Spark as `PartWriter` does for a folder: in order, a line each."""

    names: tuple[str, ...] = ()

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.flush = file, file.flush

    def add(self, row: Mapping[str, object], _now: float) -> None:
        self._file.write(f"{row['kind']} {row['body']}\n".encode("utf-8", "surrogatepass"))

    def rows(self) -> Iterator[ResultRow]:
        with suppress(OSError):  # of a full disk, which the report names
            self._file.seek(0)
            for line in self._file:
                if line.endswith(b"\n"):
                    kind, _, body = line[:-1].decode("utf-8", "surrogatepass").partition(" ")
                    yield kind, body


Ends: TypeAlias = "Mapping[str, Mapping[str, str]]"  # what the end of a job replaces in its receipts, by job id


def staged_rows(
    kind: ResultKind, columns: tuple[Column, ...], ends: Ends, batches: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Batches of result rows as rows of the dataset of one kind; Spark's tasks can run it, too.

    Of the receipts those of requests without a job, or with `ends` those with one, each with its job's end.
    """
    for batch in batches:
        wanted = (row for row in rows_of(kind, batch) if bool(row.get("job_id")) == bool(ends))
        yield record_batch(({**row, **ends.get(str(row.get("job_id")), {})} for row in wanted), columns)


def rows_of(kind: ResultKind, batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    """The rows of one kind among result rows."""
    kinds, bodies = (column.to_pylist() for column in batch.columns)
    yield from (json.loads(body) for one, body in zip(kinds, bodies, strict=True) if one == kind)


def read_staged(folder: Folder, names: Iterable[str]) -> Iterator[pa.RecordBatch]:
    """The result rows in files of a staging location, a few at a time."""
    for name in names:
        yield from folder.read_batches(name, RESULT_SCHEMA.names, MOST_ROWS)


def attempt(write: Callable[[], None], shown: str, stop: Stop) -> str:
    """Why something could not be written, for which `stop` is set; empty where it was.

    Of the error only what holds no path and no value of a row.
    """
    try:
        write()
    except WRITE_ERRORS as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        failure = NOT_WRITTEN.format(shown, reason.partition("\n")[0][:200])
        stop.set(StopCode.NOT_WRITTEN, failure)
        return failure
    return ""
