"""What the shape of the data does: memory of a worker by rows in one partition, CPU by rows and by columns."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.bench.profiles import write_profiles
from tests.bench.speed import Measured, measure
from tests.bench.stored import store

ROWS = (100_000, 1_000_000, 4_000_000)
COLUMNS = (10, 50, 200)
OF_COLUMNS = 200_000  # rows, where columns are varied
WAYS = ("write_klaviyo", "df.write")


def wide(folder: Path, columns: int) -> None:
    """People with an email and so many more columns, one third each of texts, numbers and true or false."""
    folder.mkdir()
    rng = np.random.default_rng(7)
    number = np.arange(OF_COLUMNS)
    made = {"email": pa.array([f"person{n}@mail.example.com" for n in number])}
    for place in range(columns - 1):
        values = rng.integers(0, 10_000, OF_COLUMNS)
        kinds = (pa.array(values).cast(pa.string()), pa.array(values / 8), pa.array(values % 2 == 0))
        made[f"column_{place}"] = kinds[place % 3]
    pq.write_table(pa.table(made), folder / "wide.parquet")


def line(shape: str, way: str, one: Measured, values: int) -> str:
    """A row of the table; `values` are the values of a row."""
    return f"| {shape} | `{way}` | {one.cpu:.1f} | {one.cpu / values:.2f} | {one.worker:.0f} |"


def main(arguments: Sequence[str]) -> int:
    """`python -m tests.bench shapes [--rows N ...] [--store]`."""
    parser = argparse.ArgumentParser(prog="tests.bench shapes", description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=list(ROWS))
    parser.add_argument("--store", action="store_true", help="keep the table for the README")
    given = parser.parse_args(arguments)
    lines = [
        "All rows in one partition; CPU of the whole process tree, memory of the largest Python worker.",
        "",
        "| rows and columns | way | CPU-s per million rows | per million values | worker MB |",
        "|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as place:
        for rows in given.rows:
            folder = Path(place) / f"rows-{rows}"
            write_profiles(folder, rows, files=4)
            for way in WAYS:
                one = measure(way, folder, rows, partitions=1)
                lines.append(line(f"{rows:,} profiles of 18 columns", way, one, 18))
                print(lines[-1], flush=True)
        for columns in COLUMNS:
            folder = Path(place) / f"columns-{columns}"
            wide(folder, columns)
            for way in WAYS:
                one = measure(way, folder, OF_COLUMNS, partitions=1)
                lines.append(line(f"{OF_COLUMNS:,} rows of {columns} columns", way, one, columns))
                print(lines[-1], flush=True)
    print("\n" + "\n".join(lines))
    if given.store:
        store("shapes", "\n".join(lines))
    return 0
