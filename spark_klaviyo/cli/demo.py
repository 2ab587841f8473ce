"""The demo: made-up people in Parquet, sent by a local Spark to a local Klaviyo over HTTP."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from spark_klaviyo.cli.demo_people import write_people
from spark_klaviyo.cli.local_spark import session
from spark_klaviyo.entrypoints.function import write_klaviyo
from spark_klaviyo.report.report import WriteReport
from spark_klaviyo.simulator import KlaviyoSimulator

LIST_ID = "Y6nRLr"
MAX_REJECTS = 8


def demo(rows: int = 100_000, *, quiet: bool = False) -> WriteReport:
    """Add made-up people to a list.

    Args:
        rows: How many people.
        quiet: Print nothing; without it each step, the report and the first rejected rows are printed.
    """
    with tempfile.TemporaryDirectory() as folder, KlaviyoSimulator(keep_bodies=False) as klaviyo:
        path = Path(folder) / "people"
        write_people(path, rows)
        if not quiet:
            _print(f"{rows:,} made-up people are in Parquet files, and a local Klaviyo listens at {klaviyo.url}.\n")
        with session("spark-klaviyo demo") as spark:
            people = spark.read.parquet(str(path))
            if not quiet:
                people.printSchema()
                _print(f'write_klaviyo(people, template="add_profiles_to_list", list_id="{LIST_ID}")\n')
            report = write_klaviyo(
                people,
                template="add_profiles_to_list",
                list_id=LIST_ID,
                api_key="pk_demo_key_of_the_simulator",
                base_url=klaviyo.url,
                on_reject="keep",
                progress="false" if quiet else "auto",
            )
        if not quiet:
            _print_report(report, members=len(klaviyo.lists[LIST_ID]))
    return report


def _print_report(report: WriteReport, members: int) -> None:
    _print(f"{report}\n")
    _print("The first rejected rows:")
    _print(f"  {'partition':>9}  {'row':>7}  {'code':<14}  detail")
    for row in report.rejects_sample[:MAX_REJECTS]:
        _print(f"  {row.partition_id:>9}  {row.row:>7,}  {row.code:<14}  {row.detail}")
    if report.rejected > MAX_REJECTS:
        _print(f"  ... and {report.rejected - MAX_REJECTS:,} more")
    _print(f"\nThe list {LIST_ID} now has {members:,} profiles.")


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()  # before the progress bar, which is on standard error
