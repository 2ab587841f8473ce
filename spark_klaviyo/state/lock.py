"""Opens a state for one run alone, by leases: small files that their holders renew every few seconds.

Clocks of different machines are not compared: an observer watches whether the file changes. Where holder and observer
share a machine, a holder whose process has ended is dead at once.

Object stores have neither locks nor a rename, so nothing here needs them: it takes a store that shows a whole object
once it is written (S3, Azure and Google Cloud Storage do). Of two runs that write the lock at once the later one holds
it: each reads it again after a while that is longer than a write takes, and whoever does not find itself there sends
nothing. Should a write take longer still, the tasks of the earlier run see, when they renew their own leases, that the
lock names another run, and stop. What is committed never depends on the lock: a file of the state is written once,
under a name that no other writer uses, after its rows were delivered, and is never changed.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from spark_klaviyo.core.models import StateLocation
from spark_klaviyo.datasets.storage import Folder
from spark_klaviyo.errors import KlaviyoError, OptionError
from spark_klaviyo.options.addresses import shown_place
from spark_klaviyo.state.format import FORMAT, FORMAT_FILE

LOCK = "_lock.json"
TASK_LEASE = "_lease-"
WAITS_FOR_TASKS = 4  # times `stale_seconds`
SETTLE_SECONDS = 0.05  # after which two runs that wrote the lock at once see the same one
STORE_SETTLE_SECONDS = 1.0  # in object stores and volumes, where a write takes a while
READ_ATTEMPTS, READ_SECONDS = 5, 0.1  # while a lease is being written
TAKEN_OVER = "another run has taken it over"
DAMAGED = (
    "state_path: {}: its file {} is damaged; nothing was sent, and nothing at Klaviyo is lost. Put it "
    "back from a backup, or delete it: the next run then sends again the rows that were recorded there alone"
)


@contextmanager
def locked_state(state: StateLocation, in_use: Callable[[str], Exception]) -> Iterator[Folder]:
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
            held.callback(lock.release)
            time.sleep(STORE_SETTLE_SECONDS if folder.is_object_store else SETTLE_SECONDS)
            if not lock.is_ours():
                raise in_use(_in_use(shown, "that began at the same time"))
            if not _tasks_have_ended(folder, state.stale_seconds):
                raise in_use(_in_use(shown, "whose tasks still send"))
        except OSError as error:
            raise OptionError(f"state_path: {shown} cannot be written to: {error.strerror or error}") from error
        yield folder


@contextmanager
def naming_damaged_files(folder: Folder, shown: str) -> Iterator[None]:
    """Where the block fails and a file of the state cannot be read, `OptionError` that names it and says what to do.

    A state is read before rows are sent, so nothing was sent where a file of an earlier run cannot be read.
    """
    names = folder.names()
    try:
        yield
    except KlaviyoError:
        raise
    except (OSError, ValueError) as error:  # those of pyarrow are among them
        name = next((name for name in names if name in folder.names() and not folder.is_readable(name)), None)
        if name is not None:
            raise OptionError(DAMAGED.format(shown, name)) from error
        if not isinstance(error, OSError):
            raise
        raise OptionError(f"state_path: {shown} cannot be used: {error.strerror or error}") from error


def begin_run(folder: Folder) -> int:
    """Count this run in; a state that was copied without its format file is asked for its highest number."""
    number = (runs_of(folder, folder.path) or _highest_run(folder)) + 1
    note(folder, runs=number, open=number)
    return number


def notes_of(folder: Folder) -> tuple[int, bool]:
    """The number of the last run, where it was cut off (else 0), and whether there may be removals."""
    found = folder.read_json(FORMAT_FILE) or {}
    return int(found.get("open") or 0), bool(found.get("removals"))


def note(folder: Folder, **notes: object) -> None:
    """Note of a state: `open`, the number of a run that no end is known of, 0 once it has sent all of its rows; so no
    later one continues it. `removals`: whether a run may have recorded some.
    """
    folder.write_json(FORMAT_FILE, {**(folder.read_json(FORMAT_FILE) or {}), "format": FORMAT, **notes})


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
        raise OptionError(
            f"state_path: {shown}: its {FORMAT_FILE} cannot be read: give the folder of a state, or a new one"
        )
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
    folder.delete(*folder.names_with(TASK_LEASE))
    return True


def _in_use(shown: str, owner: str, at: object = None) -> str:
    seen = f", seen {max(time.time() - at, 0):,.0f} s ago" if isinstance(at, int | float) else ""
    return (
        f"state_path: another run ({owner}{seen}) is using the state at {shown}: wait until it ends, or use another "
        f"state; if no run is using it, remove the file {LOCK} there"
    )


# --- leases ---------------------------------------------------------------------------------------


@dataclass
class Lease:
    """A lease held for as long as this process works.

    `on_loss` is called, once, from a thread, when another holder has taken the lease, or when it could not be renewed
    for `stale_seconds`; `on_renewal` with every renewal.
    """

    folder: Folder
    name: str
    owner: str
    stale_seconds: float
    on_loss: Callable[[str], None] = lambda _: None
    on_renewal: Callable[[], None] = lambda: None
    _released: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _renewals: int = 0

    def acquire(self) -> None:
        """Write the lease and begin to renew it. Raises OSError where it cannot be written."""
        self._write()
        self._thread = threading.Thread(target=self._renew, name="klaviyo-lease", daemon=True)
        self._thread.start()

    def release(self) -> None:
        """Stop renewing, and delete the lease if it is still ours; where that fails it grows stale by itself."""
        self._released.set()
        if self._thread is not None:
            self._thread.join()
        with suppress(OSError):
            if self.is_ours():
                self.folder.delete(self.name)

    def is_ours(self) -> bool:
        """Whether the lease names us."""
        return owner_of(self.folder, self.name) == self.owner

    def _write(self) -> None:
        self._renewals += 1
        holder = {"owner": self.owner, **this_process(), "beat": self._renewals, "at": time.time()}
        self.folder.write_json(self.name, holder)

    def _renew(self) -> None:
        renewed = time.monotonic()
        while not self._released.wait(self.stale_seconds / 5):
            try:
                if not self.is_ours():
                    self.on_loss(TAKEN_OVER)
                    return
                self._write()
                renewed = time.monotonic()
            except OSError as error:
                if time.monotonic() - renewed > self.stale_seconds:
                    self.on_loss(unwritable(error))
                    return
            self.on_renewal()


def owner_of(folder: Folder, name: str) -> str:
    """The owner that a lease names; empty where there is none, or it stays half written.

    Some object stores and HDFS show a file that is written anew as missing or empty for an instant.
    """
    for _ in range(READ_ATTEMPTS):
        holder = folder.read_json(name)
        if holder or folder.is_local:
            return str((holder or {}).get("owner") or "")
        time.sleep(READ_SECONDS)
    return ""


def active_leases(
    folder: Folder, names: Iterable[str], seconds: float, wait: Callable[[float], object] = time.sleep
) -> list[str]:
    """The first of these leases that are seen to be renewed; none once all are dead, or `seconds` have passed."""
    watched = _held(folder, names)
    active: list[str] = []
    until = time.monotonic() + seconds
    while watched and not active and time.monotonic() < until:
        wait(min(0.2, seconds / 10))
        now = _held(folder, watched)
        active = [name for name, holder in now.items() if holder != watched[name]]
        watched = {name: watched[name] for name in now}
    return active


def _held(folder: Folder, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The holders of those leases that are there and whose process is not known to have ended."""
    found = {name: folder.read_json(name) for name in names}
    return {name: holder for name, holder in found.items() if holder is not None and not _has_ended(holder)}


def unwritable(error: OSError) -> str:
    """Why a state cannot be used any more, from the error of its file system."""
    return f"it could not be written to ({error.strerror or type(error).__name__})"


def this_process() -> dict[str, object]:
    """What names this process: the machine as far as process numbers are its own, the number, and its start."""
    return {"machine": _machine(), "process": os.getpid(), "began": _start_of(os.getpid())}


def _machine() -> str:
    parts = [socket.gethostname()]
    try:
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    except OSError:
        return ""  # its process numbers cannot be kept apart from another machine's
    return "/".join(parts)


def _start_of(process: int) -> str:
    """When a process began, in its system's ticks; empty where none runs of this number, or there is no /proc."""
    try:
        state, *others = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return "" if state == "Z" else others[18]  # a process that has ended stays until its parent asks for it
    except (OSError, IndexError, ValueError):
        return ""


def _has_ended(holder: dict[str, Any]) -> bool:
    """Whether the holder was a process of this machine that no longer exists."""
    if not holder.get("machine") or holder.get("machine") != _machine():
        return False
    return bool(_start_of(int(holder.get("process") or 0)) != holder.get("began"))
