"""Wide tables: what writes cost above Spark handing the same Arrow batches to Python, and the worker's memory."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.bench.speed import COSTS, PART, Measured, measure, median_of
from tests.bench.stored import store
from tests.bench.ways import ARROW_FLOOR

COLUMNS = (50, 200, 500, 2_000)
VALUES = 20_000_000  # of a table, whatever its width
WAYS = (ARROW_FLOOR, "write_klaviyo", "df.write")


def write_wide(folder: Path, columns: int, rows: int) -> None:
    """People with an email and so many more columns, one third each of texts, numbers and true or false."""
    folder.mkdir()
    rng = np.random.default_rng(7)
    for file in range(PART):
        number = np.arange(file, rows, PART)
        made = {"email": pa.array([f"person{n}@mail.example.com" for n in number])}
        for place in range(columns - 1):
            values = rng.integers(0, 10_000, len(number))
            kinds = (pa.array(values).cast(pa.string()), pa.array(values / 8), pa.array(values % 2 == 0))
            made[f"column_{place}"] = kinds[place % 3]
        pq.write_table(pa.table(made), folder / f"wide-{file}.parquet")


def line(columns: int, rows: int, way: str, one: Measured, floor: Measured) -> str:
    """A row of the table."""
    above = one.cpu / floor.cpu
    return f"| {columns:,} columns, {rows:,} rows | {way} | {one.costs} | {above:.2f} | {one.worker:.0f} |"


def main(arguments: Sequence[str]) -> int:
    """`python -m tests.bench wide [--columns N ...] [--values N] [--rounds N] [--store]`."""
    parser = argparse.ArgumentParser(prog="tests.bench wide", description=__doc__)
    parser.add_argument("--columns", type=int, nargs="*", default=list(COLUMNS))
    parser.add_argument("--values", type=int, default=VALUES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--store", action="store_true", help="store the table for README.md")
    given = parser.parse_args(arguments)
    about = (
        f"Wide tables of {given.values:,} values, warmed up and measured as above; medians of {given.rounds} rounds."
    )
    lines = [
        about,
        "",
        f"| table | way | {COSTS} | × the CPU of no work | worker MB |",
        "|---|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as place:
        for columns in given.columns:
            rows = given.values // columns
            folder = Path(place) / str(columns)
            write_wide(folder, columns, rows)
            rounds = [{way: measure(way, folder, rows) for way in WAYS} for _ in range(given.rounds)]
            middle = {way: median_of([one[way] for one in rounds]) for way in WAYS}
            lines += [line(columns, rows, way, one, middle[ARROW_FLOOR]) for way, one in middle.items()]
            print("\n".join(lines[-len(WAYS) :]), flush=True)
    print("\n" + "\n".join(lines))
    if given.store:
        store("wide", "\n".join(lines))
    return 0
