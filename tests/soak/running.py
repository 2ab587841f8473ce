"""Runs, kills and measures the Spark job of the soak."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spark_klaviyo.simulator import KlaviyoSimulator

REPOSITORY = Path(__file__).resolve().parents[2]
WATCH_SECONDS = 0.5


@dataclass
class Memory:
    """Megabytes that the job's processes held, over time."""

    samples: list[tuple[float, float, float]] = field(default_factory=list)  # seconds, JVM, largest Python

    def sample(self, group: int) -> None:
        found = list(_processes(group))
        jvm = max((size for name, size, *_ in found if name.startswith("java")), default=0.0)
        python = max((size for name, size, *_ in found if name.startswith("python")), default=0.0)
        self.samples.append((time.monotonic(), jvm, python))

    def python_peaks(self) -> tuple[float, float]:
        """The largest Python process in the first half of the sending, and in the second."""
        middle = len(self.samples) // 2
        halves = self.samples[:middle], self.samples[middle:]
        return tuple(max((python for _, _, python in half), default=0.0) for half in halves)  # type: ignore[return-value]


def _processes(group: int) -> Iterator[tuple[str, float, int, int]]:
    """Names, resident megabytes, numbers and parents of the processes of a session."""
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            name, _, rest = (path / "stat").read_text().partition(")")
            if int(rest.split()[3]) == group:
                pages = int((path / "statm").read_text().split()[1])
                megabytes = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
                yield name.partition("(")[2], megabytes, int(path.name), int(rest.split()[1])


def _workers(group: int) -> list[tuple[float, int]]:
    """Megabytes and numbers of a session's Python workers, the children of Spark's daemon, which the JVM started."""
    found = list(_processes(group))
    parents = {number: parent for _, _, number, parent in found}
    java = {number for name, _, number, _ in found if name.startswith("java")}
    return [(size, number) for _, size, number, parent in found if parents.get(parent) in java]


@dataclass
class Job:
    """One run of the job, as a process group of its own."""

    given: dict[str, Any]
    memory: Memory = field(default_factory=Memory)
    process: subprocess.Popen[str] | None = None
    error: str = ""  # the last line that it wrote to its standard error

    def run(self, each: Callable[[Job], None]) -> dict[str, Any] | None:
        """Run to the end, watched twice a second; the report, or None where it was killed."""
        command = [sys.executable, "-m", "tests.soak.job", json.dumps(self.given)]
        with (
            tempfile.TemporaryFile("w+") as errors,
            subprocess.Popen(
                command,
                cwd=REPOSITORY,
                text=True,
                start_new_session=True,
                stdout=subprocess.PIPE,
                stderr=errors,
            ) as self.process,
        ):
            while self.process.poll() is None:
                self.memory.sample(self.process.pid)
                each(self)
                time.sleep(WATCH_SECONDS)
            out = self.process.stdout.read() if self.process.stdout else ""
            errors.seek(0)
            self.error = errors.read().strip().rpartition("\n")[2][:500]
        reports = [line.removeprefix("REPORT ") for line in out.splitlines() if line.startswith("REPORT ")]
        return json.loads(reports[0]) if reports else None

    def kill_driver(self) -> bool:
        """SIGKILL the calling process; its JVM sees that and ends."""
        if self.process is not None:
            self.process.kill()
        return self.process is not None

    def kill_worker(self) -> bool:
        """SIGKILL the Python worker of a task that is sending: the one that holds the most memory."""
        workers = _workers(self.process.pid) if self.process is not None else []
        for _, process in sorted(workers, reverse=True):
            with suppress(OSError):
                os.kill(process, signal.SIGKILL)
                return True
        return False

    def lose_receipts(self) -> bool:
        """Put a file in the place of the folder that the tasks write receipts to."""
        place = Path(self.given["write"]["receipts_path"]) / "_staging"
        shutil.rmtree(place, ignore_errors=True)
        place.write_text("a file")
        return True


def arrivals(klaviyo: KlaviyoSimulator, template: str) -> int:
    """How many rows were carried out, those that came twice counted twice."""
    return len(klaviyo.events) if "events" in template else klaviyo.job_rows.total()


def distinct(klaviyo: KlaviyoSimulator, template: str) -> int:
    """How many different rows are there."""
    if "events" in template:
        return len({event["unique_id"] for event in klaviyo.events})
    return len(klaviyo.account.profiles.by_id)
