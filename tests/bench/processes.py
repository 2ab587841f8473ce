"""CPU and memory of a process and all it started, read from /proc: JVM and Python workers included (Linux)."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Process:
    """One live process: times in seconds, `gone` those of its ended children, memory in bytes."""

    pid: int
    parent: int
    name: str
    own: float
    gone: float
    memory: int


def processes() -> dict[int, Process]:
    """Every process of the machine."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                text = (entry / "stat").read_text()
            except OSError:
                continue
            name, rest = text[text.index("(") + 1 : text.rindex(")")], text[text.rindex(")") + 2 :].split()
            own, gone = (sum(map(int, rest[i : i + 2])) / TICK for i in (11, 13))
            found[int(entry.name)] = Process(int(entry.name), int(rest[1]), name, own, gone, int(rest[21]) * PAGE)
    return found


def tree(root: int) -> list[Process]:
    """A process and all below it."""
    every = processes()
    wanted, found = [root], []
    while wanted:
        pid = wanted.pop()
        if pid in every:
            found.append(every[pid])
            wanted += [process.pid for process in every.values() if process.parent == pid]
    return found


def cpu_seconds(root: int) -> float:
    """User and system time of a tree, ended children included.

    The JVM does not count its ended children: the daemon of the Python workers counts theirs.
    """
    return sum(p.own + (0.0 if p.name.startswith("java") else p.gone) for p in tree(root))


def of_files(process: Process) -> int:
    """Bytes of a process's memory that are pages of files, which it may share with others; 0 once it has ended."""
    try:
        return int(Path(f"/proc/{process.pid}/statm").read_text().split()[2]) * PAGE
    except (OSError, IndexError):
        return 0


class Peak(threading.Thread):
    """Watches the memory of a tree until stopped: the peaks of its largest Python worker and of all of it, in bytes.

    Of all of it the pages of files count once, as many as the process with most of them has.
    """

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self.root, self.worker, self.tree, self._over = root, 0, 0, threading.Event()

    def run(self) -> None:
        """Read the memory ten times a second."""
        while not self._over.wait(0.1):
            found = tree(self.root)
            workers = [p.memory for p in found if p.pid != self.root and not p.name.startswith("java")]
            files = [of_files(p) for p in found]
            self.tree = max(self.tree, sum(p.memory for p in found) - sum(files) + max(files, default=0))
            self.worker = max([self.worker, *workers])

    def stop(self) -> int:
        """End the watch; the peak of the largest worker."""
        self._over.set()
        self.join()
        return self.worker
