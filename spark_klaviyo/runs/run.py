"""One run of an entry point with a session: what it sends with and writes to, and the one action that sends.

Its rate-limit server grants send permits to all tasks, collects their progress, and stops them. It listens in the
driver, where tasks can connect to it (classic Spark); elsewhere each task keeps to a share of the account's quota.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame

from spark_klaviyo.account.reads import account_of, stopped_before_sending
from spark_klaviyo.account.target import named_target
from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.core.models import StateLocation
from spark_klaviyo.core.policy import Quota
from spark_klaviyo.datasets.spark_storage import spark_errors
from spark_klaviyo.datasets.storage import Folder
from spark_klaviyo.deliver.jobs import OpenJob, job_events
from spark_klaviyo.options.addresses import shown_place
from spark_klaviyo.options.choices import SendFrom
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.consent_columns import has_consent_columns
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.ratelimit.limiter import LocalRateLimiter
from spark_klaviyo.ratelimit.server import RateLimitServer, ResultRow
from spark_klaviyo.report.counts.summary import Counters
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.report.progress import ProgressDisplay, open_progress
from spark_klaviyo.report.report import WriteStopped
from spark_klaviyo.runs import session
from spark_klaviyo.runs.interrupt import run_interruptibly
from spark_klaviyo.runs.results import RESULT_DDL, ResultKind, Results, result_row
from spark_klaviyo.runs.send_from_driver import MOST_IN_FLIGHT, Task, run_in_driver, sends_from_driver
from spark_klaviyo.runs.session_outputs import SessionOutputs
from spark_klaviyo.runs.tasks import SendTask
from spark_klaviyo.state import lock
from spark_klaviyo.state.fingerprints import endpoint_of
from spark_klaviyo.state.format import scope_of
from spark_klaviyo.state.known import KNOWN, adds_people, remove_known, write_known
from spark_klaviyo.state.rows import count_open, merge_small_files
from spark_klaviyo.task.resume import record_job_outcome
from spark_klaviyo.task.run import SendContextFactory

POLL_SECONDS = 5.0  # for the jobs that earlier runs left open, where the caller does not wait for jobs
GRACE_SECONDS = 4.0  # for senders that were stopped to hand back what they did, heartbeat and abandoning included
SHARING_TASKS, SMALL_QUOTA = 2, 10  # tasks without a rate-limit server; requests a second that so few tasks can make
INTERRUPTED = (StopCode.INTERRUPTED, StopCode.INTERRUPTED.text)
SENT_FROM_DRIVER = "Spark's tasks cannot reach the endpoint, so the calling process sent the rows (send_from=auto)"
UNKNOWN = "tasks report to Spark alone here, so it is unknown what became of the rows"
LOST_TASKS = "tasks were ended by Spark before they could report: what they sent is in no count"
UPDATE_SECONDS = 1.0
OPEN_JOBS = "open_jobs"  # among the counts that are shown: jobs that are followed
HEARTBEAT_GRACE_SECONDS = 1.5
MINUTE = 60.0
PORT = "spark.klaviyo.rateLimitServer.port"  # a fixed port, for firewalls that pass declared ports only


@dataclass(frozen=True)
class Run:
    """A run under way. `tasks`: how many send at once; `server` stops them, None where they cannot reach it.

    `began`: when the caller called, in epoch seconds.
    """

    df: DataFrame
    plan: WritePlan
    options: Options
    outputs: SessionOutputs
    contexts: SendContextFactory
    tasks: int
    from_driver: bool
    server: RateLimitServer | None
    began: float

    def send_task(self) -> SendTask:
        """The task that sends rows of the plan's columns."""
        return SendTask(self.plan, self.contexts, self.outputs.crash_receipts, self.outputs.task_staging)

    def run_tasks(self, frame: DataFrame, task: Task) -> Results:
        """What the task hands back over all rows of the frame, which is evaluated exactly once.

        An interruption ends it with what was done until then.
        """
        stopped = threading.Event()
        if not self.from_driver:
            frame = session.coalesce(frame, self.tasks)

        def work() -> list[ResultRow]:
            if self.from_driver:
                return list(self.outputs.stage_rows(run_in_driver(frame, task, stopped)))
            try:
                return list(self.outputs.results(frame.mapInArrow(task, RESULT_DDL)))
            except spark_errors() as error:
                return self._handed_over(error)

        def stop() -> None:
            stopped.set()
            if self.server is not None:
                self.server.stop.set(*INTERRUPTED)

        grace_seconds = 0.0 if self.server is None else GRACE_SECONDS
        results = Results()
        try:
            for kind, body in run_interruptibly(frame, self.plan.run_id, work, stop, grace_seconds):
                results.add(kind, body)
        finally:
            session.remove_large_functions(frame, self.plan.run_id)
        if stopped.is_set() and all(report.stopped is None for report in results.reports):
            # for every task the rows simply ended: what follows must not take them for all rows there are
            results.reports.append(TaskReport(stopped=INTERRUPTED))
        if self.from_driver and self.options.send_from is SendFrom.AUTO and results.reports:
            results.reports[0].warn(SENT_FROM_DRIVER)
        return results

    def _handed_over(self, error: Exception) -> list[ResultRow]:
        """The result rows of the tasks that had come to their end when Spark's job failed, and one that says so.

        Raises the error itself where they sent nothing, `WriteStopped` under Connect, where that is not known.
        """
        shown = self.outputs.task_staging.shown
        missing = f"; rows may be missing in {shown}" if shown else ""
        message = f"Spark's job failed ({type(error).__name__}){missing}"
        if self.server is None:
            raise WriteStopped(f"{message}; {UNKNOWN} (run {self.plan.run_id})") from error
        self.server.stop.set(StopCode.JOB_FAILED, message)
        rows, lost = self.server.results(GRACE_SECONDS)
        if not any(TaskReport.from_json(body).requests for kind, body in rows if kind == ResultKind.REPORT):
            raise error
        failed = TaskReport(stopped=(StopCode.JOB_FAILED, message))
        if lost:
            failed.warn(LOST_TASKS, lost)
        return [result_row(failed), *rows]


@contextmanager
def open_run(df: DataFrame, plan: WritePlan, options: Options, began: float) -> Iterator[Run]:
    """Open a run. Raises `OptionError` where its datasets or its state cannot be used, before anything is sent."""
    session.choose_worker_python(session.context_of(df))
    outputs = SessionOutputs(df.sparkSession, options, plan.run_id)
    from_driver = sends_from_driver(df, plan, options)
    # a row that says no to being subscribed speaks for all rows of its person, so one task sends them all
    is_one = from_driver or has_consent_columns(plan.params)
    tasks = 1 if is_one else _sending_tasks(df, plan, options)
    plan = named_target(plan, options)
    session.warn_caller(plan.warnings)
    if is_one:  # as many requests in flight as all tasks would have
        plan = replace(plan, workers=min(options.workers * options.tasks, MOST_IN_FLIGHT))
    with (
        rate_limit_session(df, plan, options, tasks, from_driver=from_driver) as (contexts, server),
        open_state(plan, options, contexts) as plan,
    ):
        yield Run(df, plan, options, outputs, contexts, tasks, from_driver, server, began)


def _sending_tasks(df: DataFrame, plan: WritePlan, options: Options) -> int:
    """How many tasks send at once: fewer where they share a small quota without a rate-limit server.

    Two tasks fill the quota of a bulk endpoint, and two halves of it waste less than eight eighths when rows are
    distributed unevenly (`python -m tests.bench quota`).
    """
    second = min((count for count, seconds in plan.quota.windows if seconds == 1), default=None)
    is_small = second is not None and second <= SMALL_QUOTA
    return min(options.tasks, SHARING_TASKS) if session.context_of(df) is None and is_small else options.tasks


# --- the state ------------------------------------------------------------------------------------


@contextmanager
def open_state(plan: WritePlan, options: Options, contexts: SendContextFactory) -> Iterator[WritePlan]:
    """The plan with its state, locked for this run; the plan as it is without `state_path`.

    Raises `OptionError` where the state cannot be used, `WriteStopped` where another run uses it or Klaviyo cannot be
    asked.
    """
    if options.state_path is None:
        yield plan
        return
    account, warning = account_of(plan, options)
    if warning:
        plan = replace(plan, warnings=(*plan.warnings, warning))
    removals = scope_of(account, {"removals": True})
    state = StateLocation(options.state_path, scope_of(account, endpoint_of(plan)), plan.run_id, removals=removals)
    in_use, began = partial(stopped_before_sending, plan, StopCode.STATE_IN_USE), time.monotonic()
    with lock.locked_state(state, in_use) as folder:
        with lock.naming_damaged_files(folder, shown_place(options.state_path)):
            state = _prepared(folder, plan, state, contexts)
        try:
            yield replace(plan, state=state)
        finally:
            remove_known(folder, filter(None, (state.known, state.removed)))
        with suppress(OSError, pa.ArrowException):  # the next run does it
            if lock.owner_of(folder, lock.LOCK) == state.run_id:
                merge_small_files(folder, time.monotonic() - began)


def _prepared(folder: Folder, plan: WritePlan, state: StateLocation, contexts: SendContextFactory) -> StateLocation:
    """A state that this run has locked, as its tasks need it, once jobs that earlier runs left open were asked."""
    cut_off, has_removals = lock.notes_of(folder)
    state = replace(state, run_number=lock.begin_run(folder), continues=cut_off)
    if plan.template.takes_away:
        lock.note(folder, removals=True)
    elif not (has_removals and adds_people(plan)):
        state = replace(state, removals=b"")
    remove_known(folder, folder.names_with(KNOWN))  # of runs that were killed
    if plan.template.job is not None:
        poll_open_jobs(folder, replace(plan, state=state), state, contexts)
    return write_known(folder, state, plan)


def poll_open_jobs(folder: Folder, plan: WritePlan, state: StateLocation, contexts: SendContextFactory) -> None:
    """Ask the jobs that earlier runs left open, and record what they say."""
    jobs = [OpenJob(job_id, rows, -1) for job_id, rows in count_open(folder, state).items()]
    if not jobs:
        return
    seconds = plan.job_timeout_seconds if plan.wait_for_jobs else POLL_SECONDS
    with contexts.open(plan, -1, 0) as context:
        for piece in job_events(jobs, plan, context, seconds):
            record_job_outcome(plan, piece, context.recorder)
        if context.stop.reason is not None:
            raise stopped_before_sending(plan, *context.stop.reason)


# --- rate limits and progress ---------------------------------------------------------------------


@contextmanager
def rate_limit_session(
    df: DataFrame, plan: WritePlan, options: Options, tasks: int, *, from_driver: bool
) -> Iterator[tuple[SendContextFactory, RateLimitServer | None]]:
    """What the tasks of a run send through, and their server; None where they cannot reach one.

    Meanwhile a progress bar shows their progress, where one is wanted.
    """
    share = 1.0 / max(tasks, 1)
    server = _start_server(df, plan, from_driver=from_driver)
    if server is None:
        yield SendContextFactory(share=share), None
        return
    display = open_progress(options.progress, lambda: session.known_row_count(df), str(plan.target))
    ended, is_whole = threading.Event(), False
    if display is not None:
        showing = (server, display, plan.quota, ended)
        progress = threading.Thread(target=_show_progress, args=showing, name="klaviyo-progress", daemon=True)
        progress.start()
    try:
        address = server.address
        if not from_driver:
            host = df.sparkSession.conf.get("spark.driver.host", address.host)
            address = replace(address, host=str(host))
        yield SendContextFactory(rate_limit_server=address, share=share), server
        is_whole = True
    finally:
        if not is_whole:
            server.stop.set(*INTERRUPTED)
            if server.connections:  # every task sees it with its next heartbeat, before the server is gone
                time.sleep(HEARTBEAT_GRACE_SECONDS)
        ended.set()
        if display is not None:
            progress.join()
        server.close()


def _start_server(df: DataFrame, plan: WritePlan, *, from_driver: bool) -> RateLimitServer | None:
    """A server on the loopback or, for tasks, on the driver's own interface; None where tasks cannot connect to it."""
    longest = plan.policy.longest_wait_seconds
    serve = partial(RateLimitServer, LocalRateLimiter(learns=plan.learns_quota, longest_wait_seconds=longest))
    if from_driver:
        return serve()
    if session.context_of(df) is None:
        return None
    conf: Any = df.sparkSession.conf
    host = conf.get("spark.driver.bindAddress", None) or conf.get("spark.driver.host", None) or "127.0.0.1"
    try:
        return serve(host=host, port=int(conf.get(PORT, "0")))
    except OSError:  # the interface is not this machine's: tasks keep to their shares
        return None


def _show_progress(server: RateLimitServer, display: ProgressDisplay, quota: Quota, ended: threading.Event) -> None:
    """Show once a second what the tasks have reported to the server, and a last time once it has ended."""
    minute_limit = next((count for count, seconds in quota.windows if seconds == MINUTE), None)
    sent = deque[tuple[float, int]]()
    is_last = False
    while not is_last:
        is_last = ended.wait(UPDATE_SECONDS)
        counts = server.counts()
        open_jobs = counts.pop(OPEN_JOBS, 0)
        counters = Counters(**counts)
        now = time.monotonic()
        sent.append((now, counters.requests))
        while len(sent) > 1 and sent[0][0] < now - MINUTE:
            sent.popleft()
        sent_in_minute = counters.requests - sent[0][1]
        display.update(counters, sent_in_minute / minute_limit if minute_limit else None, open_jobs)
    display.close()
