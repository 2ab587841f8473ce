"""What a state costs: a full write without one, the first with one, then with nothing and with 1 % of the rows changed.

One session runs all of them, after a warm-up over half of the files. CPU and memory are those of the whole process
tree. `--keys` adds keys that no row of the table has.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from spark_klaviyo import write_klaviyo
from spark_klaviyo.datasets.storage import Folder
from spark_klaviyo.state.format import COMPACT, SCHEMA, StateOutcome, binary_of
from spark_klaviyo.state.rows import row_files
from tests.bench.processes import Peak, cpu_seconds
from tests.bench.profiles import write_profiles
from tests.bench.speed import sink
from tests.bench.stored import store
from tests.bench.ways import sink_options

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

KEYS_OF_A_FILE = 2_000_000
ABOUT = "{:,} profiles of 18 columns, one session; a write with a state against a full write without one."
HEAD = "| write | rows sent | CPU-s per million rows | × the full write | seconds | MB | files of the state |"


def add_keys(state: Path, keys: int) -> None:
    """Add random keys to the scope of a state."""
    folder = Folder.at(str(state))
    scope = folder.read(row_files(folder)[0], ["scope"])["scope"][0]
    rng = np.random.default_rng(7)
    for start in range(0, keys, KEYS_OF_A_FILE):
        rows = min(KEYS_OF_A_FILE, keys - start)
        hashes = [binary_of(rng.integers(0, 256, (rows, 16), np.uint8)) for _ in range(2)]
        same = [StateOutcome.SENT, None, "bench", 0, 1, 0]
        rest = [pa.repeat(pa.scalar(one, field.type), rows) for one, field in zip(same, list(SCHEMA)[3:], strict=True)]
        table = pa.Table.from_arrays([pa.repeat(scope, rows), *hashes, *rest], schema=SCHEMA)
        folder.write(f"{COMPACT}{uuid.uuid4().hex[:12]}-{rows}.parquet", table)


def changed(df: DataFrame) -> DataFrame:
    """The rows, 1 % of them with another title."""
    from pyspark.sql import functions as f

    is_changed = f.pmod(f.hash("external_id"), f.lit(100)) == 0
    return df.withColumn("title", f.when(is_changed, f.lit("Changed")).otherwise(f.col("title")))


def main(arguments: Sequence[str]) -> int:
    """`python -m tests.bench state [--rows N] [--keys N] [--rounds N] [--store]`."""
    parser = argparse.ArgumentParser(prog="tests.bench state", description=__doc__)
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--keys", type=int, default=7_000_000, help="further keys in the state; 0 for none")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--store", action="store_true", help="store the table for README.md")
    given = parser.parse_args(arguments)
    lines = [ABOUT.format(given.rows), "", HEAD, f"{'|---' * 7}|"]
    os.environ["PYSPARK_PYTHON"] = sys.executable
    from spark_klaviyo.cli.local_spark import local_session

    conf = {"spark.ui.enabled": "false", "spark.driver.memory": "1g", "spark.sql.session.timeZone": "UTC"}
    spark = local_session("bench", "local[2]", **conf)
    spark.sparkContext.setLogLevel("ERROR")
    print("\n".join(lines), flush=True)
    with sink() as url, tempfile.TemporaryDirectory() as place:
        write_profiles(Path(place, "profiles"), given.rows)
        df, full = spark.read.parquet(f"{place}/profiles"), 0.0

        def run(name: str, rows: DataFrame, *, shown: bool = True, **options: str) -> None:
            nonlocal full
            start, cpu, peak = time.perf_counter(), cpu_seconds(os.getpid()), Peak(os.getpid())
            peak.start()
            report = write_klaviyo(rows, **sink_options(url), **options)
            seconds, spent = time.perf_counter() - start, (cpu_seconds(os.getpid()) - cpu) / given.rows * 1e6
            peak.stop()
            full = full or (spent if shown else 0.0)
            files = len(list(Path(options.get("state_path", place)).glob("*.parquet")))
            if shown:
                sent = report.delivered + report.accepted
                figures = (
                    f"{sent:,}",
                    f"{spent:.1f}",
                    f"{spent / full:.2f}",
                    f"{seconds:.1f}",
                    f"{peak.tree / 1e6:,.0f}",
                )
                lines.append(f"| {name} | {' | '.join(figures)} | {files} |")
                print(lines[-1], flush=True)

        half = df.where("pmod(hash(external_id), 2) = 0")
        for _ in range(2):
            run("", half, shown=False, state_path=f"{place}/warm")
        run("", half, shown=False)
        for number in range(given.rounds):
            full, state = 0.0, f"{place}/state-{number}"
            run("full write", df)
            run("first with a state", df, state_path=state)
            run("nothing changed", df, state_path=state)
            run("1 % changed", changed(df), state_path=state)
            if given.keys:
                add_keys(Path(state), given.keys)
                held = f", {given.rows + given.keys:,} keys in the state"
                run(f"nothing changed{held}", changed(df), state_path=state)
                run(f"1 % changed{held}", df, state_path=state)
    spark.stop()
    if given.store:
        store("state", "\n".join(lines))
    return 0
