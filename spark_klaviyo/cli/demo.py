"""The main job on the embedded simulator: Parquet, real Spark, real HTTP, and a report in the end."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from spark_klaviyo.cli.demo_people import write_people
from spark_klaviyo.cli.local_spark import session
from spark_klaviyo.entrypoints.function import write_klaviyo
from spark_klaviyo.errors import OptionError
from spark_klaviyo.report.report import WriteReport
from spark_klaviyo.simulator import KlaviyoSimulator

LIST_ID = "Y6nRLr"
SHOWN = 8


def demo(rows: int = 100_000, *, as_json: bool = False) -> int:
    """Send made-up people through local Spark to a local Klaviyo and show what became of them; the exit status.

    `as_json`: the report alone. Raises `OptionError` for less than one row.
    """
    if rows < 1:
        raise OptionError(f"--rows: expected at least 1, not {rows}")
    with tempfile.TemporaryDirectory() as folder, KlaviyoSimulator(keep_bodies=False) as klaviyo:
        path = Path(folder) / "people"
        write_people(path, rows)
        if not as_json:
            _say(f"{rows:,} made-up people as Parquet; a local Klaviyo listens at {klaviyo.url}")
        with session("spark-klaviyo demo") as spark:
            people = spark.read.parquet(str(path))
            if not as_json:
                people.printSchema()
                _say(f'write_klaviyo(people, template="add_profiles_to_list", list_id="{LIST_ID}")\n')
            report = write_klaviyo(
                people,
                template="add_profiles_to_list",
                list_id=LIST_ID,
                api_key="pk_demo_key_of_the_simulator",
                base_url=klaviyo.url,
                on_reject="keep",
            )
        if as_json:
            _say(json.dumps(report.to_dict(), indent=2))
        else:
            show(report, len(klaviyo.lists[LIST_ID]))
    return 0


def show(report: WriteReport, members: int) -> None:
    """The report, some rejects without their data, and the list as Klaviyo now has it."""
    _say(f"{report}\n")
    _say("rejected rows (partition, row, code, detail):")
    for row in list(report.rejects_sample)[:SHOWN]:
        _say(f"  {row.partition_id:>3} {row.row:>7}  {row.code:<14} {row.detail}")
    if report.rejected > SHOWN:
        _say(f"  ... and {report.rejected - SHOWN} more")
    _say(f"\nthe list {LIST_ID} now holds {members:,} profiles")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
