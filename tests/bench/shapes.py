"""How a worker's memory and CPU depend on the data: rows in one partition, size of Arrow batches."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.profiles import write_profiles
from tests.bench.speed import Measured, measure
from tests.bench.stored import store

ROWS = (100_000, 1_000_000, 4_000_000)
BATCHES = (1_000, 100_000)  # rows of an Arrow batch of Spark's, whose default is 10,000
OF_BATCHES = 1_000_000
WAYS = ("write_klaviyo", "df.write")


@dataclass(frozen=True)
class Shape:
    """What is measured: so many rows of so many values each, and more settings of Spark."""

    name: str
    folder: Path
    rows: int
    values: int
    conf: Mapping[str, str] = field(default_factory=dict)

    def line(self, way: str, one: Measured) -> str:
        """A row of the table."""
        return f"| {self.name} | `{way}` | {one.cpu:.1f} | {one.cpu / self.values:.2f} | {one.worker:.0f} |"


def shapes(place: Path, sizes: Sequence[int]) -> Iterator[Shape]:
    """Every shape; its data is written when the iterator reaches it."""
    for rows in sizes:
        folder = place / f"rows-{rows}"
        write_profiles(folder, rows, files=4)
        yield Shape(f"{rows:,} profiles of 18 columns", folder, rows, 18)
    folder = place / "batches"
    write_profiles(folder, OF_BATCHES, files=4)
    for batch in BATCHES:
        conf = {"spark.sql.execution.arrow.maxRecordsPerBatch": str(batch)}
        yield Shape(f"{OF_BATCHES:,} profiles, {batch:,} in an Arrow batch of Spark's", folder, OF_BATCHES, 18, conf)


def main(arguments: Sequence[str]) -> int:
    """`python -m tests.bench shapes [--rows N ...] [--store]`."""
    parser = argparse.ArgumentParser(prog="tests.bench shapes", description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=list(ROWS))
    parser.add_argument("--store", action="store_true", help="store the table for README.md")
    given = parser.parse_args(arguments)
    lines = [
        "All rows in one partition; CPU of the whole process tree, memory of the largest Python worker.",
        "",
        "| rows and columns | way | CPU-s per million rows | per million values | worker MB |",
        "|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as place:
        for shape in shapes(Path(place), given.rows):
            for way in WAYS:
                lines.append(shape.line(way, measure(way, shape.folder, shape.rows, 1, shape.conf)))
                print(lines[-1], flush=True)
    print("\n" + "\n".join(lines))
    if given.store:
        store("shapes", "\n".join(lines))
    return 0
