"""Datasets that an older version began, without some columns of today: they are appended to, and read with nulls."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spark_klaviyo import OptionError, WriteReport, follow_klaviyo, write_klaviyo
from spark_klaviyo.datasets.schemas import RECEIPTS, REJECTS, RUNS, Column, arrow_schema, ddl
from spark_klaviyo.encode.encoder import encode_batches
from spark_klaviyo.runs.tasks import TaskWriter
from spark_klaviyo.simulator import KlaviyoSimulator
from spark_klaviyo.task.run import SendContextFactory, run_task
from tests.task.running import KEY, people, plan_for

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

DATASETS = {"rejects": REJECTS, "receipts": RECEIPTS, "runs": RUNS}
NEWER = {"rejects": ["id", "pointer"], "receipts": ["attempts", "detail"], "runs": ["removed", "stopped"]}


def older(name: str) -> tuple[Column, ...]:
    """The columns of a dataset before the newer ones were added."""
    return tuple(column for column in DATASETS[name] if column.name not in NEWER[name])


def begin(folder: Path) -> None:
    """One row of each dataset, as an older version wrote it."""
    for name in DATASETS:
        row = {"run_id": "old", "code": "invalid", "template": "manual", "outcome": "delivered"}
        (folder / name).mkdir()
        table = pa.Table.from_pylist([row], arrow_schema(older(name)))
        pq.write_table(table, folder / name / "part-old.parquet")


def send_task(klaviyo: KlaviyoSimulator, receipts: Path, **options: object) -> None:
    """Twenty people in two jobs, by a task that writes its own receipts."""
    plan = plan_for(klaviyo, ["email", "first_name"], max_rows=10, **options)
    with SendContextFactory().open(plan, 0, 0) as context:
        encoded = encode_batches(pa.Table.from_pylist(people(20)).to_batches(), plan)
        events = run_task(plan, encoded, context, follows=True)
        TaskWriter(None, str(receipts), plan.run_id, context).write_all(events)


def write(spark: SparkSession, klaviyo: KlaviyoSimulator, **locations: str) -> WriteReport:
    df = spark.createDataFrame([("ann@example.com",), ("bad",)], "email string")
    given = {"template": "create_profile", "api_key": KEY, "base_url": klaviyo.url, "on_reject": "keep"}
    return write_klaviyo(df, **given, **locations)


def test_receipts_of_tasks_are_appended_to_older_ones_which_read_as_null(
    klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    begin(tmp_path)
    send_task(klaviyo, tmp_path / "receipts")
    rows = pq.read_table(tmp_path / "receipts", schema=arrow_schema(RECEIPTS)).to_pylist()
    assert sorted((row["run_id"], row["attempts"]) for row in rows if row["run_id"] == "run") == [("run", 1)] * 2
    assert [row["attempts"] for row in rows if row["run_id"] == "old"] == [None]


def test_jobs_of_older_receipts_are_followed(klaviyo: KlaviyoSimulator, tmp_path: Path) -> None:
    send_task(klaviyo, tmp_path, wait_for_jobs=False)
    for file in tmp_path.glob("*.parquet"):
        pq.write_table(pq.read_table(file).drop_columns(NEWER["receipts"]), file)
    assert follow_klaviyo(str(tmp_path), api_key=KEY, base_url=klaviyo.url).delivered == 20
    rows = pq.read_table(tmp_path, schema=arrow_schema(RECEIPTS)).to_pylist()
    assert sorted(row["outcome"] for row in rows) == ["accepted"] * 2 + ["delivered"] * 2
    assert {row["attempts"] for row in rows} == {None}


def test_a_folder_without_the_key_columns_holds_something_else(klaviyo: KlaviyoSimulator, tmp_path: Path) -> None:
    pq.write_table(pa.table({"run_id": ["r"], "job_id": ["j"]}), tmp_path / "part-0.parquet")
    with pytest.raises(OptionError, match="holds something else: it has no column partition_id, sequence"):
        follow_klaviyo(str(tmp_path), api_key=KEY, base_url=klaviyo.url)


def rows_of(frame: DataFrame, *names: str) -> list[tuple[Any, ...]]:
    return sorted((tuple(row[name] for name in names) for row in frame.collect()), key=str)


@pytest.mark.oldest
def test_a_run_is_appended_to_older_files_and_its_report_has_all_columns(
    spark: SparkSession, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    begin(tmp_path)
    report = write(spark, klaviyo, **{f"{name}_path": str(tmp_path / name) for name in DATASETS})
    rejects: Any = report.rejects
    receipts: Any = report.receipts
    assert rows_of(rejects, "code", "pointer") == [("bad_email", "/attributes/email")]
    assert rows_of(receipts, "outcome", "attempts") == [("delivered", 1)]
    runs = spark.read.schema(ddl(RUNS)).parquet(str(tmp_path / "runs"))
    assert rows_of(runs, "run_id", "removed") == sorted([(report.run_id, 0), ("old", None)], key=str)


def test_a_table_of_an_older_version_gets_the_newer_columns(spark: SparkSession, klaviyo: KlaviyoSimulator) -> None:
    tables = {name: f"older_{name}" for name in DATASETS}
    try:
        for name, table in tables.items():
            spark.createDataFrame([], ddl(older(name))).write.saveAsTable(table)
        report = write(spark, klaviyo, **{f"{name}_path": f"table:{table}" for name, table in tables.items()})
        receipts: Any = report.receipts
        assert rows_of(receipts, "outcome", "attempts") == [("delivered", 1)]
        assert rows_of(spark.table("older_rejects"), "code", "pointer") == [("bad_email", "/attributes/email")]
        assert rows_of(spark.table("older_runs"), "run_id", "removed") == [(report.run_id, 0)]
    finally:
        for table in tables.values():
            spark.sql(f"DROP TABLE IF EXISTS {table}")
