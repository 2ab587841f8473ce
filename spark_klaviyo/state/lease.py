"""Who works here: a note that its holder renews every few seconds, and how others tell whether the holder lives.

No clock is compared with another: an observer watches whether the note changes. Where holder and observer share a
machine, a holder whose process has ended is dead at once.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from spark_klaviyo.datasets.storage import Folder
from spark_klaviyo.state.notes import parsed, read_note, settled_note, write_note

Sleep = Callable[[float], object]


class Lease:
    """A note held for as long as this process works.

    `lost` is called, once, from a thread, when somebody else holds it, or when it could not be renewed for
    `stale_seconds`; `each_beat` with every renewal.
    """

    def __init__(
        self,
        folder: Folder,
        name: str,
        owner: str,
        stale_seconds: float,
        lost: Callable[[str], None],
        each_beat: Callable[[], None] = lambda: None,
    ) -> None:
        self._folder, self.name, self._owner = folder, name, owner
        self._beat_seconds = stale_seconds / 5
        self._stale_seconds = stale_seconds
        self._lost, self._each_beat = lost, each_beat
        self._ended = threading.Event()
        self._beats = 0
        self._thread = threading.Thread(target=self._run, name="klaviyo-lease", daemon=True)

    def take(self) -> None:
        """Write the note and begin to renew it. Raises OSError where it cannot be written."""
        self._write()
        self._thread.start()

    def release(self) -> None:
        """Stop renewing, and take the note away where it is still ours."""
        self._ended.set()
        self._thread.join()
        if self.is_ours():
            self._folder.delete(self.name)

    def is_ours(self) -> bool:
        """Whether the note names us."""
        return bool(settled_note(self._folder, self.name).get("owner") == self._owner)

    def _write(self) -> None:
        self._beats += 1
        write_note(self._folder, self.name, {"owner": self._owner, **here(), "beat": self._beats, "at": time.time()})

    def _run(self) -> None:
        renewed = time.monotonic()
        while not self._ended.wait(self._beat_seconds):
            try:
                if not self.is_ours():
                    self._lost("another run has taken it over")
                    return
                self._write()
                renewed = time.monotonic()
            except OSError as error:
                if time.monotonic() - renewed > self._stale_seconds:
                    self._lost(f"it could not be written to ({error.strerror or type(error).__name__})")
                    return
            self._each_beat()


def owner_of(folder: Folder, name: str) -> str:
    """Whom a note names; empty where there is none."""
    return str(settled_note(folder, name).get("owner") or "")


def living(folder: Folder, names: Iterable[str], seconds: float, sleep: Sleep = time.sleep) -> list[str]:
    """Which of these notes somebody still renews: watched until each has changed, gone, or `seconds` have passed."""
    first = {name: read_note(folder, name) for name in names}
    doubtful = [name for name, content in first.items() if content is not None and not _has_ended(parsed(content))]
    alive: list[str] = []
    until = time.monotonic() + seconds
    while doubtful and not alive and time.monotonic() < until:
        sleep(min(0.2, seconds / 10))
        now = {name: read_note(folder, name) for name in doubtful}
        alive = [name for name, content in now.items() if content is not None and content != first[name]]
        doubtful = [name for name, content in now.items() if content is not None and name not in alive]
    return alive


def here() -> dict[str, object]:
    """Which process this is: the machine as far as process numbers are its own, and the number."""
    return {"machine": _machine(), "process": os.getpid(), "began": _began(os.getpid())}


def _machine() -> str:
    parts = [socket.gethostname()]
    try:
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    except OSError:
        return ""  # process numbers cannot be told apart from another machine's
    return "/".join(parts)


def _began(process: int) -> str:
    """When a process began, as its system counts; empty where there is no such process, or it cannot be told."""
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _has_ended(holder: dict[str, Any]) -> bool:
    """Whether the holder was a process of this machine that is no more."""
    if not holder.get("machine") or holder.get("machine") != _machine():
        return False
    return bool(_began(int(holder.get("process") or 0)) != holder.get("began"))
