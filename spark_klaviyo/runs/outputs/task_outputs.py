"""Rejects and receipts of a task door: each task writes its own as it goes, through pyarrow, as nobody comes after it.

Receipts of requests with an open job stand in a hidden folder until the job has ended, so that every request has one
row, and a task that is cut off leaves them for `follow_klaviyo`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from itertools import chain

from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.core.models import Receipt
from spark_klaviyo.datasets.parts import PartWriter
from spark_klaviyo.datasets.schemas import RECEIPTS, REJECTS, RUNS, Column
from spark_klaviyo.datasets.storage import Folder
from spark_klaviyo.deliver.delivery import SendContext
from spark_klaviyo.deliver.jobs.follow import JobEnded
from spark_klaviyo.options.model import Options
from spark_klaviyo.report.report import WriteReport
from spark_klaviyo.report.task_report import TaskReport
from spark_klaviyo.runs.outputs.results import reject_body
from spark_klaviyo.runs.outputs.run_row import run_row
from spark_klaviyo.task.jobs import RejectedRow
from spark_klaviyo.task.run import TaskEvent

OPEN = "_open"  # hidden from Spark's readers, like all names that begin so


@dataclass(frozen=True)
class TaskOutputs:
    """Where the tasks of a run write; picklable. Paths and URIs only: a catalog's table needs a session."""

    run_id: str
    rejects_path: str | None = None
    receipts_path: str | None = None
    runs_path: str | None = None

    @staticmethod
    def of(options: Options, run_id: str) -> TaskOutputs:
        """What the options ask for. Raises `OptionError` where nothing here can open a path."""
        made = TaskOutputs(run_id, options.rejects_path, options.receipts_path, options.runs_path)
        for place in filter(None, (made.rejects_path, made.receipts_path, made.runs_path)):
            Folder.at(place)
        return made

    def open(self, context: SendContext) -> Writing:
        """What a task tells everything to. Raises OSError, before anything is sent, where a folder cannot be made."""
        stem = f"part-{self.run_id}-{context.partition_id:05d}-{context.attempt}"
        rejects = _parts(self.rejects_path, REJECTS, stem)
        # a receipt that says that a job has ended hides it from who follows later, so what it refused comes first
        receipts = _parts(self.receipts_path, RECEIPTS, stem, before=rejects)
        opened = _parts(self.receipts_path, RECEIPTS, stem, OPEN)
        return Writing(self.run_id, context, rejects, receipts, opened)

    def keep_run(self, report: WriteReport, options: Options) -> None:
        """Append a line to the runs: one for a run where somebody sees its end, else one for each task."""
        runs = _parts(self.runs_path, RUNS, f"part-{self.run_id}")
        if runs is not None:
            runs.add(run_row(report, options), 0.0)
            runs.flush()


class Writing:
    """The writers of one task. What cannot be written stops the task's sending, and its report says so."""

    def __init__(
        self,
        run_id: str,
        context: SendContext,
        rejects: PartWriter | None,
        receipts: PartWriter | None,
        opened: PartWriter | None,
    ) -> None:
        self._run_id, self._context = run_id, context
        self._rejects, self._receipts, self._opened = rejects, receipts, opened
        self._held: dict[str, list[Receipt]] = {}  # by job
        self._trouble = ""

    def all_of(self, happened: Iterable[TaskEvent]) -> TaskReport:
        """Write down all that happens in a task; its report, at the end."""
        report = TaskReport()
        try:
            for event in happened:
                if isinstance(event, TaskReport):
                    report = event
                else:
                    self._attempt(self._tell, event)
            self._attempt(self._finish)
        finally:
            self._attempt(self._flush)  # also where the task fails: what was sent is on record
        if self._trouble and report.stopped is None:
            report.stopped = (StopCode.NOT_WRITTEN, self._trouble)
        return report

    def _attempt(self, write: Callable[..., None], *given: TaskEvent) -> None:
        try:
            write(*given)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            self._trouble = f"rejected rows and receipts could not be written ({reason}); all later ones are missing"
            self._context.stop.set(StopCode.NOT_WRITTEN, self._trouble)

    def _tell(self, event: TaskEvent) -> None:
        """Write down a rejected row, a receipt, the end of a job."""
        now = self._context.clock.now()
        if isinstance(event, RejectedRow) and self._rejects is not None:
            self._rejects.add(reject_body(self._run_id, event.partition_id, event), now)
        elif isinstance(event, Receipt) and self._receipts is not None:
            self._receipt(event, now)
        elif isinstance(event, JobEnded) and event.job.job_id in self._held:
            for held in self._held.pop(event.job.job_id):
                self._keep(replace(held, outcome=event.outcome, detail=event.reason), now)

    def _finish(self) -> None:
        """All is told: receipts whose jobs stay open are written as they are, and no hidden ones are left."""
        for held in chain.from_iterable(self._held.values()):
            self._keep(held, self._context.clock.now())
        self._held = {}
        for writer in filter(None, (self._rejects, self._receipts)):
            writer.write_schema()
        if self._opened is not None:
            self._opened.undo()

    def _flush(self) -> None:
        for writer in (self._rejects, self._receipts, self._opened):
            if writer is not None:
                writer.flush()

    def _receipt(self, receipt: Receipt, now: float) -> None:
        if receipt.job_id is None or self._opened is None:
            self._keep(receipt, now)
            return
        self._held.setdefault(receipt.job_id, []).append(receipt)
        self._opened.add(asdict(receipt), now)
        self._opened.flush()  # at once: a task that is killed runs no code, and a job's id is lost with it

    def _keep(self, receipt: Receipt, now: float) -> None:
        if self._receipts is not None:
            self._receipts.add(asdict(receipt), now)


def _parts(
    place: str | None, columns: tuple[Column, ...], stem: str, inside: str = "", before: PartWriter | None = None
) -> PartWriter | None:
    if place is None:
        return None
    folder = Folder.at(place)
    folder.make()
    return PartWriter(folder.child(inside) if inside else folder, columns, stem, before)
