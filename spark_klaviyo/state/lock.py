"""Opens a state for one run alone: its format, its lock, and the number of the run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pyarrow.compute as pc

from spark_klaviyo.core.models import StateLocation
from spark_klaviyo.datasets.storage import Folder
from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.addresses import shown_place
from spark_klaviyo.state.format import FORMAT, FORMAT_FILE
from spark_klaviyo.state.lease import Lease, active_leases
from spark_klaviyo.state.recorder import LOCK, TASK_LEASE

WAITS_FOR_TASKS = 4  # times `stale_seconds`
SETTLE_SECONDS = 0.05  # after which two runs that wrote the lock at once see the same one

Refusal = Callable[[str], Exception]  # makes the error from its message


@contextmanager
def locked_state(state: StateLocation, in_use: Refusal) -> Iterator[Folder]:
    """The folder of a state, which is made where it does not exist, locked while the block runs.

    Raises the error of `in_use` while another run holds it, `OptionError` where it cannot be written to or is of
    another format.
    """
    folder = Folder.at(state.path)
    shown = shown_place(state.path)
    with ExitStack() as held:
        try:
            folder.make()
            runs_of(folder, shown)
            if active_leases(folder, [LOCK], state.stale_seconds):
                holder = folder.read_json(LOCK) or {}
                raise in_use(_in_use(shown, str(holder.get("owner")), holder.get("at")))
            lock = Lease(folder, LOCK, state.run_id, state.stale_seconds)
            lock.acquire()
            held.callback(_release, lock)
            time.sleep(SETTLE_SECONDS)
            if not lock.is_ours():
                raise in_use(_in_use(shown, "that began at the same time"))
            if not _tasks_have_ended(folder, state.stale_seconds):
                raise in_use(_in_use(shown, "whose tasks still send"))
        except OSError as error:
            raise OptionError(f"state_path: {shown} cannot be written to: {error.strerror or error}") from error
        yield folder


def begin_run(folder: Folder) -> int:
    """Count this run in; a state that was copied without its format file is asked for its highest number."""
    number = (runs_of(folder, folder.path) or _highest_run(folder)) + 1
    folder.write_json(FORMAT_FILE, {"format": FORMAT, "runs": number})
    return number


def runs_of(folder: Folder, shown: str) -> int:
    """How many runs a state has seen; 0 for a new one. Raises `OptionError` for a format that is not ours."""
    found = folder.read_json(FORMAT_FILE)
    if found is None:
        return 0
    if found.get("format", FORMAT) != FORMAT:
        raise OptionError(
            f"state_path: {shown}: its format is {found['format']!r} and this version reads {FORMAT}: use the version "
            "of spark_klaviyo that wrote it, or another folder"
        )
    runs = found.get("runs")
    if "format" not in found or not isinstance(runs, int):
        raise OptionError(f"state_path: {shown}: its {FORMAT_FILE} cannot be read: is this a state_path?")
    return runs


def _highest_run(folder: Folder) -> int:
    numbers = (pc.max(folder.read(name, ["run_number"]).column(0)).as_py() for name in folder.names())
    return max((number for number in numbers if number is not None), default=0)


def _tasks_have_ended(folder: Folder, stale_seconds: float) -> bool:
    """Wait for tasks of a run that was killed: they end by themselves once they see that the lock is not theirs."""
    until = time.monotonic() + WAITS_FOR_TASKS * stale_seconds
    while active_leases(folder, folder.names_with(TASK_LEASE), stale_seconds):
        if time.monotonic() > until:
            return False
    for name in folder.names_with(TASK_LEASE):
        folder.delete(name)
    return True


def _in_use(shown: str, owner: str, at: object = None) -> str:
    seen = f", seen {max(time.time() - at, 0):,.0f} s ago" if isinstance(at, int | float) else ""
    return (
        f"state_path: another run ({owner}{seen}) is writing with the state at {shown}: wait for it, or use another "
        f"state; if no run is at work there, remove {LOCK} in it"
    )


def _release(lock: Lease) -> None:
    try:
        lock.release()
    except OSError:  # it grows stale by itself
        return
