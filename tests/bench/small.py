"""What a write of a few rows costs above a bare count: the first one of a session, the next ones, and its Spark jobs.

Notebooks and scheduled jobs are mostly first writes, micro-batches are later ones. Each way has a session of its own in
every round, and each of its writes other rows, a few of which are rejected.
"""

from __future__ import annotations

import argparse
import compileall
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tests.bench.profiles import write_profiles
from tests.bench.run_small import BARE, SMALL_WAYS
from tests.bench.speed import sink
from tests.bench.stored import store

PACKAGE = Path(__file__).parents[2] / "spark_klaviyo"
LATER = 5  # writes after the first one
REJECTED = 10  # of the rows of a write


@dataclass(frozen=True)
class Session:
    """The writes of one session: seconds of the first and of a later one (median), and the most Spark jobs of one."""

    first: float
    later: float
    jobs: int


def write_files(folder: Path, rows: int) -> list[str]:
    """A file for each write, in which a few emails are none."""
    write_profiles(folder, rows * (1 + LATER), files=1 + LATER)
    files = sorted(folder.glob("*.parquet"))
    for file in files:
        table = pq.read_table(file)
        number = pa.array(range(table.num_rows))
        emails = pc.if_else(pc.less(number, REJECTED), "nobody", table["email"])
        pq.write_table(table.set_column(table.schema.get_field_index("email"), "email", emails), file)
    return [str(file) for file in files]


def measure(way: str, files: Sequence[str]) -> Session:
    """Run the writes of one session."""
    with sink() as url, tempfile.TemporaryDirectory() as folder:
        asked = json.dumps({"way": way, "files": files, "url": url, "folder": folder})
        command = [sys.executable, "-W", "ignore", "-m", "tests.bench.run_small", asked]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = [json.loads(line) for line in output.splitlines() if line.startswith('{"seconds"')]
    seconds = [one["seconds"] for one in found]
    return Session(seconds[0], statistics.median(seconds[1:]), max(one["jobs"] for one in found))


def table(found: dict[str, list[Session]]) -> str:
    """A Markdown table of medians, above the bare count of the same rounds."""
    lines = ["| write | first of a session, s | later, s | Spark jobs |", "|---|---|---|---|"]
    bare = found[BARE]
    for way, runs in found.items():
        if way == BARE:
            first, later = (statistics.median(getattr(one, name) for one in runs) for name in ("first", "later"))
            lines.append(f"| {way} | {first:.2f} | {later:.2f} | {runs[0].jobs} |")
            continue
        first = statistics.median(one.first - least.first for one, least in zip(runs, bare, strict=True))
        later = statistics.median(one.later - least.later for one, least in zip(runs, bare, strict=True))
        lines.append(f"| {way} | + {first:.2f} | + {later:.2f} | {max(one.jobs for one in runs)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """`python -m tests.bench small [--rows N] [--rounds N] [--ways plain ...] [--store]`."""
    parser = argparse.ArgumentParser(prog="tests.bench small", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ways", nargs="*", choices=list(SMALL_WAYS), default=list(SMALL_WAYS))
    parser.add_argument("--store", action="store_true", help="store the table for README.md")
    given = parser.parse_args(arguments)
    compileall.compile_dir(PACKAGE, quiet=1)  # as pip does: without it each process would compile it anew
    found: dict[str, list[Session]] = {way: [] for way in dict.fromkeys([BARE, *given.ways])}
    with tempfile.TemporaryDirectory() as folder:
        files = write_files(Path(folder) / "profiles", given.rows)
        for number in range(given.rounds):
            for way, runs in found.items():
                one = measure(way, files)
                runs.append(one)
                print(f"round {number + 1} {way}: first {one.first:.2f} s, later {one.later:.2f} s, "
                      f"{one.jobs} jobs", flush=True)  # fmt: skip
    about = (
        f"Writes of {given.rows:,} profiles, {REJECTED} of them rejected, one in each Spark task's partition at most; "
        f"seconds above Spark handing the same rows to Python, which counts them ({BARE}). Medians of {given.rounds} "
        f"sessions, later writes those of {LATER}."
    )
    print("\n" + table(found))
    if given.store:
        store("small", f"{about}\n\n{table(found)}")
    return 0
