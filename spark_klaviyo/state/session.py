"""A run with a state: takes it for itself, settles what earlier runs left open, and gives it back."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow.compute as pc

from spark_klaviyo.account.account import account_of, stopped
from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.datasets.storage import Folder
from spark_klaviyo.deliver.jobs.follow import OpenJob, follow
from spark_klaviyo.errors import KlaviyoError, OptionError
from spark_klaviyo.options.addresses import shown_place
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.state.compact import compact_held, compact_if_many
from spark_klaviyo.state.compare import encoded_in_tasks, live, standing, stored
from spark_klaviyo.state.format import FORMAT, FORMAT_FILE, JOBS, PENDING, StateError, StatePlace, read_format, scope_of
from spark_klaviyo.state.lease import Lease, living
from spark_klaviyo.state.notes import notes, parsed, read_note, write_note
from spark_klaviyo.state.recorder import LEASE, LOCK
from spark_klaviyo.task.context import SendContextFactory
from spark_klaviyo.task.resume import record_job_outcome

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Refusal: TypeAlias = Callable[[StopCode, str], Exception]  # of a code and a message
ASK_SECONDS = 5.0  # for the jobs that earlier runs left open, where the caller does not wait for jobs
WAITS_FOR_OTHERS = 4  # times `stale_seconds`


@contextmanager
def resuming(spark: Any, plan: WritePlan, options: Options, contexts: SendContextFactory) -> Iterator[WritePlan]:
    """The plan with the place of its state, held for this run alone; the plan as it is without `state_path`.

    Before that: the state is opened or created, and the jobs that earlier runs left open are asked. Raises
    `OptionError` where the state cannot be used, `WriteStopped` where another run uses it, or Klaviyo cannot be asked.
    """
    if options.state_path is None:
        yield plan
        return
    account, warning = account_of(plan, options)
    if warning:
        plan = replace(plan, warnings=(*plan.warnings, warning))
    place = StatePlace(options.state_path, scope_of(account, endpoint_of(plan)), plan.run_id)
    folder = Folder.at(place.path)
    try:
        lock = _held(folder, place, partial(stopped, plan))
    except OSError as error:
        raise OptionError(
            f"state_path: {shown_place(place.path)} cannot be written to: {error.strerror or error}"
        ) from error
    try:
        place = replace(place, run_number=_begin(folder))
        plan = replace(plan, state=place)
        compact_if_many(spark, folder, place)
        settle_pending(spark, plan, folder, contexts)
        yield plan
    finally:
        _given_back(lock)


def compact_state(spark: Any, state_path: str) -> int:
    """Make few files of many, keeping all that a next run needs; how many files there were.

    A run does that by itself once there are more than 2,000. Raises `KlaviyoError` while a run uses the state.
    """
    place = StatePlace(state_path, b"", f"compact_{uuid.uuid4().hex}")
    folder = Folder.at(state_path)
    lock = _held(folder, place, lambda _, message: KlaviyoError(message))
    try:
        return compact_held(spark, folder, state_path)
    finally:
        _given_back(lock)


def remembered(frame: DataFrame, plan: WritePlan, *, encoded: bool) -> DataFrame:
    """The encoded rows, each with its fingerprint and whether it has to be sent; `encoded`: the frame holds them."""
    if plan.state is None:
        raise AssertionError("the plan has no state")
    rows = frame if encoded else encoded_in_tasks(frame, plan)
    return standing(rows, plan, plan.state, jobs=_tells_of_jobs(Folder.at(plan.state.path)))


def endpoint_of(plan: WritePlan) -> Mapping[str, object]:
    """What makes a delivery another one: the template and its settings; in manual mode the address."""
    several = {setting.name for setting in plan.template.settings if setting.takes_several}
    settings = {
        name: sorted(part.strip() for part in value.split(",")) if name in several else value
        for name, value in plan.settings.items()
    }
    manual = plan.template.is_manual
    address = [plan.base_url, [list(pair) for pair in plan.query], plan.body_text, str(plan.content_format)]
    return {
        "template": plan.template.name,
        "legacy": str(plan.template.api) if plan.template.is_retired else "",
        "method": plan.template.method,
        "path": plan.template.path,
        "settings": settings,
        "address": address if manual else [],
    }


# --- the lock -------------------------------------------------------------------------------------


def _held(folder: Folder, place: StatePlace, refusal: Refusal) -> Lease:
    """The state's lock. Raises the refusal while another run holds it, `OptionError` for a foreign format."""
    folder.make()
    _runs_so_far(folder, place.path)
    if living(folder, [LOCK], place.stale_seconds):
        other = parsed(read_note(folder, LOCK))
        raise refusal(StopCode.STATE_IN_USE, _in_use(place, str(other.get("owner")), other.get("at")))
    lock = Lease(folder, LOCK, place.run_id, place.stale_seconds, lambda _: None)
    lock.take()
    time.sleep(0.05)
    if not lock.is_ours():
        lock.release()
        raise refusal(StopCode.STATE_IN_USE, _in_use(place, "that began at the same moment", None))
    _others_gone(folder, place, refusal, lock)
    return lock


def _others_gone(folder: Folder, place: StatePlace, refusal: Refusal, lock: Lease) -> None:
    """Wait for tasks of a run that was cut off: they end by themselves once they see that the lock is ours."""
    until = time.monotonic() + WAITS_FOR_OTHERS * place.stale_seconds
    while living(folder, notes(folder, LEASE), place.stale_seconds):
        if time.monotonic() > until:
            lock.release()
            raise refusal(StopCode.STATE_IN_USE, _in_use(place, "whose tasks still send", None))
    for name in notes(folder, LEASE):
        folder.delete(name)


def _in_use(place: StatePlace, owner: str, at: object) -> str:
    seen = f", seen {max(time.time() - at, 0):,.0f} s ago" if isinstance(at, int | float) else ""
    return (
        f"state_path: another run ({owner}{seen}) is writing with the state at {shown_place(place.path)}: "
        f"wait for it, or use another state; if no run is at work there, remove {LOCK} in it"
    )


def _given_back(lock: Lease) -> None:
    try:
        lock.release()
    except OSError:  # it grows stale by itself
        return


def _runs_so_far(folder: Folder, path: str) -> int:
    try:
        return read_format(read_note(folder, FORMAT_FILE))
    except StateError as error:
        raise OptionError(f"state_path: {shown_place(path)}: {error}") from error


def _begin(folder: Folder) -> int:
    """Count this run in; a state that came here without its note of the runs is asked itself how many there were."""
    number = (_runs_so_far(folder, folder.path) or _highest(folder)) + 1
    write_note(folder, FORMAT_FILE, {"format": FORMAT, "runs": number})
    return number


def _highest(folder: Folder) -> int:
    """The highest number of a run that any row of a state tells."""
    highest = (pc.max(folder.read(name, ["run_number"]).column(0)).as_py() for name in folder.names())
    return max((number for number in highest if number is not None), default=0)


def _tells_of_jobs(folder: Folder) -> bool:
    return any(name.startswith(JOBS) for name in folder.names())


# --- jobs of earlier runs -------------------------------------------------------------------------


def settle_pending(spark: Any, plan: WritePlan, folder: Folder, contexts: SendContextFactory) -> None:
    """Ask the jobs that earlier runs left open, and write down what they say."""
    if plan.state is None or plan.template.job is None or not folder.names():
        return
    jobs = _pending(spark, plan.state, folder)
    if not jobs:
        return
    seconds = plan.job_timeout_seconds if plan.wait_for_jobs else ASK_SECONDS
    with contexts.open(plan, -1, 0) as context:
        for piece in follow(jobs, plan, context, seconds):
            if context.recorder is not None:
                record_job_outcome(plan, piece, context.recorder)
        if context.stop.reason is not None:
            raise stopped(plan, *context.stop.reason)


def _pending(spark: Any, place: StatePlace, folder: Folder) -> list[OpenJob]:
    """The jobs of the scope that no run has seen the end of; a job is a request, so they are few."""
    scope = f"scope = X'{place.scope.hex()}'"
    rows = live(spark, place.path, f"{scope} AND job_id IS NOT NULL", jobs=_tells_of_jobs(folder))
    counted = rows.where(f"outcome = '{PENDING}'").groupBy("job_id").count()
    ended = _ended(spark, place.path, scope) if _tells_of_jobs(folder) else None
    open_jobs = counted if ended is None else counted.join(ended, ["job_id"], "left_anti")
    return [OpenJob(row["job_id"], row["count"], -1) for row in open_jobs.collect()]


def _ended(spark: Any, path: str, scope: str) -> DataFrame:
    return stored(spark, path).where(f"{scope} AND key IS NULL").select("job_id").distinct()
