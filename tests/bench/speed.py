"""Compares ways to write by CPU of the whole process tree, rows per second, and memory of a Python worker.

Every round runs all ways one after the other, so that other load on the machine affects all alike. Figures are medians;
compare only ratios within one run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path

from tests.bench.processes import Peak, cpu_seconds
from tests.bench.profiles import write_profiles
from tests.bench.stored import store
from tests.bench.ways import ARROW_FLOOR, FLOORS, ROW_FLOOR, WAYS

COSTS = "CPU-s per million rows | fixed CPU-s | CPU-s per million further rows"
PART = 4  # of the rows, a quarter is measured by itself


@dataclass(frozen=True)
class Measured:
    """One run of one way; with a run over a quarter of the rows, its cost is a fixed one and one of each row."""

    cpu: float  # CPU seconds per million rows
    rate: float  # rows a second
    worker: float  # peak memory of the largest Python worker, MB
    requests: int
    fixed: float  # CPU seconds of a write, whatever its rows
    each: float  # CPU seconds per million further rows

    @property
    def costs(self) -> str:
        """The cells of a table under `COSTS`."""
        return f"{self.cpu:.1f} | {self.fixed:.1f} | {self.each:.1f}"


@contextmanager
def sink() -> Iterator[str]:
    """The URL of a sink in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.sink"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.wait()


def measure(way: str, path: Path, rows: int, partitions: int = 0, conf: Mapping[str, str] | None = None) -> Measured:
    """Run one way over a quarter of the dataset's files, then over all of them; `conf` are more settings of Spark."""
    files = len(list(path.glob("*.parquet")))
    sizes = (files // PART, files)
    with sink() as url:
        asked = {"way": way, "path": str(path), "sizes": sizes, "url": url, "partitions": partitions}
        asked_text = json.dumps({**asked, "conf": {**(conf or {})}})
        command = [sys.executable, "-W", "ignore", "-m", "tests.bench.run_way", asked_text]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert process.stdin is not None
        _reached(process)
        spent, seconds, peak = list[float](), 0.0, Peak(process.pid)
        peak.start()
        for _ in sizes:
            before, cpu = _count(url), cpu_seconds(process.pid)
            start = _go(process)
            seconds = _reached(process) - start
            spent.append(cpu_seconds(process.pid) - cpu)
        worker, requests = peak.stop(), _count(url) - before
        process.communicate("go\n")
    part, whole = spent
    each = (whole - part) / (rows * (1 - 1 / PART))
    return Measured(whole / rows * 1e6, rows / seconds, worker / 1e6, requests, whole - each * rows, each * 1e6)


def _go(process: subprocess.Popen[str]) -> float:
    import time

    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    return time.perf_counter()


def _reached(process: subprocess.Popen[str]) -> float:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith('{"reached"'):
            return float(json.loads(line)["at"])
    message = "the measured process ended early"
    raise RuntimeError(message)


def _count(url: str) -> int:
    with urllib.request.urlopen(url + "/count", timeout=10) as reply:  # noqa: S310  a loopback address
        return int(json.load(reply)["requests"])


def table(found: Mapping[str, Sequence[Measured]]) -> str:
    """A Markdown table of medians, with ratios to the json.dumps loop and to a way's floor."""
    middle = {way: median_of(runs) for way, runs in found.items()}
    loop = middle.get("json.dumps loop")
    ratios = "× less CPU than the loop | × its rows/s | × the CPU of its floor | worker MB"
    lines = [f"| way | {COSTS} | {ratios} |", "|---|---|---|---|---|---|---|---|"]
    for way, one in middle.items():
        floor = middle.get(FLOORS.get(way, ""))
        less = f"{loop.cpu / one.cpu:.1f}" if loop else "–"
        more = f"{one.rate / loop.rate:.1f}" if loop else "–"
        above = f"{one.cpu / floor.cpu:.2f}" if floor else "–"
        lines.append(f"| {way} | {one.costs} | {less} | {more} | {above} | {one.worker:.0f} |")
    return "\n".join(lines)


def median_of(runs: Sequence[Measured]) -> Measured:
    """The median of each figure."""
    cpu, rate, worker, requests, fixed, each = (
        statistics.median(figures) for figures in zip(*map(astuple, runs), strict=True)
    )
    return Measured(cpu, rate, worker, int(requests), fixed, each)


def main(arguments: Sequence[str]) -> int:
    """`python -m tests.bench speed [--rows N] [--rounds N] [--ways "orjson loop" "df.write" ...] [--partitions N]`."""
    parser = argparse.ArgumentParser(prog="tests.bench speed", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--partitions", type=int, default=0, help="coalesce to so many (memory of one large partition)")
    parser.add_argument("--ways", nargs="*", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--store", action="store_true", help="store the table for README.md")
    given = parser.parse_args(arguments)
    ways = list(given.ways)
    found: dict[str, list[Measured]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "profiles"
        write_profiles(path, given.rows)
        for number in range(given.rounds):
            for way in ways:
                one = measure(way, path, given.rows, given.partitions)
                found[way].append(one)
                print(f"round {number + 1} {way}: {one.costs} CPU-s, {one.rate:,.0f} rows/s, "
                      f"{one.requests} requests, worker {one.worker:.0f} MB", flush=True)  # fmt: skip
    print("\n" + table(found))
    if given.store:
        store("speed", f"{about(given.rows, given.rounds)}\n\n{table(found)}")
    return 0


def about(rows: int, rounds: int) -> str:
    """What the table was measured with."""
    import pyspark

    return (
        f"{rows:,} profiles of 18 columns, about 600 bytes of JSON each, as Parquet to a sink on the same machine; "
        f"`local[2]`, pyspark {pyspark.__version__}, each way warmed up twice over half of the files. CPU of the "
        f"whole process tree, medians of {rounds} rounds in which the ways alternate. Fixed: what a write costs "
        f"whatever its rows, from a run over a quarter of them. The floor of a way is {ARROW_FLOOR!r} or "
        f"{ROW_FLOOR!r}: Spark reads the files and hands batches, or rows, to Python, which only counts them."
    )
