"""Rejects, receipts and runs written through Spark; the DataFrame is evaluated exactly once."""

from __future__ import annotations

import json
import stat
import time
import tracemalloc
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from spark_klaviyo import (
    OptionError,
    RowsRejected,
    WriteReport,
    WriteStopped,
    klaviyo_partition_writer,
    register,
    write_klaviyo,
)
from spark_klaviyo.datasets.schemas import RECEIPTS, REJECTS, RUNS
from spark_klaviyo.datasets.storage import MOST_ROWS
from spark_klaviyo.runs import session_outputs
from spark_klaviyo.runs.tasks import OPEN_RECEIPTS
from spark_klaviyo.simulator import KlaviyoSimulator
from spark_klaviyo.simulator.faults import Fault

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

KEY = "pk_test_key_of_the_simulator"
BAD = {n for n in range(100) if n % 20 == 3}


def people(spark: SparkSession, count: int = 100) -> DataFrame:
    rows = [("bad" if n in BAD else f"p{n}@example.com", f"N{n}", f"tier {n % 3}") for n in range(count)]
    return spark.createDataFrame(rows, "email string, first_name string, tier string").repartition(3)


def write(df: DataFrame, klaviyo: KlaviyoSimulator, **options: object) -> WriteReport:
    given: dict[str, Any] = {
        "template": "bulk_import_profiles",
        "api_key": KEY,
        "base_url": klaviyo.url,
        "on_reject": "keep",
    }
    return write_klaviyo(df, **{**given, "max_rows": 20, **options})


def dataset_paths(folder: Path) -> dict[str, Any]:
    return {f"{name}_path": str(folder / name) for name in ("rejects", "receipts", "runs")}


def as_frame(found: object) -> Any:
    return found


def test_every_row_and_every_request_is_in_the_datasets(
    spark: SparkSession, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    klaviyo.inject(Fault("job_row_errors", identifiers=("p7@example.com",), detail="No such place"))
    report = write(people(spark), klaviyo, **dataset_paths(tmp_path))
    assert (report.delivered, report.rejected) == (94, 6)

    rejects = spark.read.parquet(str(tmp_path / "rejects"))
    assert rejects.columns == [column.name for column in REJECTS]
    assert rejects.dtypes[0] == ("run_id", "string")
    found = {row["email"]: row for row in rejects.collect()}
    assert found["p7@example.com"]["detail"] == "No such place"
    assert json.loads(found["p7@example.com"]["record"])["attributes"]["first_name"] == "N7"
    assert rejects.where("code = 'bad_email'").count() == 5

    receipts = spark.read.parquet(str(tmp_path / "receipts"))
    assert receipts.columns == [column.name for column in RECEIPTS]
    assert dict(receipts.dtypes)["started_at"] == "timestamp"
    assert receipts.count() == report.requests
    assert {row["job_id"] for row in receipts.collect()} == set(klaviyo.jobs)
    assert {row["outcome"] for row in receipts.collect()} == {"delivered"}

    runs = spark.read.parquet(str(tmp_path / "runs"))
    assert runs.columns == [column.name for column in RUNS]
    line = runs.collect()[0]
    assert (line["run_id"], line["delivered"], line["rejected"]) == (report.run_id, 94, 6)
    assert line["options"]["template"] == "bulk_import_profiles"
    assert KEY not in str(line)
    assert not (tmp_path / "receipts" / "_staging").exists()
    assert list((tmp_path / "receipts" / OPEN_RECEIPTS).iterdir()) == []
    assert {stat.S_IMODE(place.stat().st_mode) for place in tmp_path.iterdir()} == {0o700}


def test_runs_are_appended_and_a_report_shows_its_own(
    spark: SparkSession, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    paths = dataset_paths(tmp_path)
    del paths["runs_path"]
    first = write(people(spark), klaviyo, **paths)
    second = write(people(spark, 50), klaviyo, **paths)
    assert (as_frame(first.rejects).count(), as_frame(second.rejects).count()) == (5, 3)
    assert as_frame(second.receipts).count() == second.requests
    assert spark.read.parquet(str(tmp_path / "rejects")).count() == 8


def test_datasets_without_a_row_can_be_read(spark: SparkSession, klaviyo: KlaviyoSimulator, tmp_path: Path) -> None:
    write(people(spark, 3), klaviyo, rejects_path=str(tmp_path / "rejects"))
    assert spark.read.parquet(str(tmp_path / "rejects")).count() == 0


@pytest.mark.parametrize("paths", [("rejects", "receipts"), ()])
def test_the_frame_is_evaluated_exactly_once(
    spark: SparkSession, klaviyo: KlaviyoSimulator, tmp_path: Path, paths: tuple[str, ...]
) -> None:
    from pyspark.sql.functions import udf

    seen = spark.sparkContext.accumulator(0)

    frame = people(spark).withColumn("email", udf(lambda email: (seen.add(1), email)[1], "string")("email"))
    write(frame, klaviyo, **{f"{name}_path": str(tmp_path / name) for name in paths})
    assert seen.value == 100


def test_repaired_rejects_are_written_again(spark: SparkSession, klaviyo: KlaviyoSimulator, tmp_path: Path) -> None:
    from pyspark.sql.functions import regexp_replace

    klaviyo.inject(Fault("job_row_errors", identifiers=("p7@example.com",)))
    first = write(people(spark), klaviyo, rejects_path=str(tmp_path / "rejects"))
    klaviyo.clear_faults()
    bad = as_frame(first.rejects)
    repaired = bad.withColumn("record", regexp_replace("record", '"bad"', '"repaired@example.com"')).select("record")
    second = write(repaired, klaviyo, record_column="record", max_rows=1)
    assert (second.rows, second.delivered) == (6, 6)
    held = {profile["email"]: profile for profile in klaviyo.profiles}
    assert held["p7@example.com"]["first_name"] == "N7"
    assert held["p7@example.com"]["properties"] == {"tier": "tier 1"}
    assert held["repaired@example.com"]["properties"]["tier"].startswith("tier")


def test_a_write_with_datasets_is_one_job_of_sparks_and_its_seconds_are_the_callers(
    spark: SparkSession, tmp_path: Path
) -> None:
    scheduler: Any = spark.sparkContext._jsc.sc().dagScheduler()
    frame = spark.range(100).selectExpr("if(id = 3, 'bad', concat('p', id, '@example.com')) AS email")
    with KlaviyoSimulator(latency=0.3) as klaviyo:
        for _ in range(2):
            jobs, start = scheduler.numTotalJobs(), time.monotonic()
            options = {**dataset_paths(tmp_path), "list_id": "name:Newsletter", "wait_for_jobs": False}
            report = write(frame, klaviyo, **options)
            waited = time.monotonic() - start
            assert scheduler.numTotalJobs() == jobs + 1
            assert waited - 0.2 < report.seconds < waited + 0.1


def test_files_that_spark_writes_hold_the_same_as_those_of_this_process(
    spark: SparkSession, klaviyo: KlaviyoSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = {name: path for name, path in dataset_paths(tmp_path).items() if name != "runs_path"}
    found = []
    for most in (0, 100_000):
        monkeypatch.setattr(session_outputs, "MOST_ROWS_HERE", most)
        klaviyo.inject(Fault("job_cancelled", times=1))
        report: Any = write(people(spark, 20).coalesce(1), klaviyo, max_rows=10, workers=1, **paths)
        rejects = report.rejects.drop("run_id").collect()
        receipts = report.receipts.drop("run_id", "started_at", "seconds", "job_id").collect()
        assert report.receipts.where("started_at > current_timestamp() - INTERVAL 1 HOUR").count() == 2
        found.append((rejects, sorted(receipts)))
    assert found[0] == found[1]
    assert {row["outcome"] for row in found[0][1]} == {"cancelled", "delivered"}


def test_tables_of_the_catalog_are_written(spark: SparkSession, klaviyo: KlaviyoSimulator) -> None:
    names = {"rejects_path": "klaviyo_rejects", "receipts_path": "klaviyo_receipts", "runs_path": "klaviyo_runs"}
    tables: dict[str, object] = {option: f"table:default.{name}" for option, name in names.items()}
    try:
        for _ in range(2):
            report = write(people(spark), klaviyo, **tables)
        assert spark.table("klaviyo_rejects").count() == 10
        assert as_frame(report.rejects).count() == 5
        assert as_frame(report.receipts).count() == report.requests
        assert spark.table("klaviyo_runs").count() == 2
        assert {table.name for table in spark.catalog.listTables("default")} == set(names.values())
    finally:
        for name in names.values():
            spark.sql(f"DROP TABLE IF EXISTS {name}")


def test_two_runs_write_to_the_same_location_at_the_same_time(
    spark: SparkSession, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    def one(number: int) -> None:
        frame = people(spark, 40)
        reports[number] = write(frame, klaviyo, rejects_path=str(tmp_path / "rejects"))

    reports: dict[int, WriteReport] = {}
    threads = [Thread(target=one, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [reports[number].stopped for number in range(2)] == [None] * 2
    assert spark.read.parquet(str(tmp_path / "rejects")).groupBy("run_id").count().count() == 2
    assert spark.read.parquet(str(tmp_path / "rejects")).count() == 4
    assert not (tmp_path / "rejects" / "_temporary").exists()


@pytest.mark.parametrize("option", ["rejects_path", "receipts_path", "runs_path"])
def test_a_location_that_cannot_be_written_is_refused_before_anything_is_sent(
    spark: SparkSession, klaviyo: KlaviyoSimulator, tmp_path: Path, option: str
) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OptionError, match=f"{option}: .* cannot be written"):
        write(people(spark), klaviyo, **{option: str(tmp_path / "file" / "inside")})
    spark.range(1).write.parquet(str(tmp_path / "other"))
    with pytest.raises(OptionError, match=f"{option}: .* holds something else"):
        write(people(spark), klaviyo, **{option: str(tmp_path / "other")})
    assert klaviyo.requests == []


def test_more_rows_refused_by_jobs_than_one_chunk_holds(
    spark: SparkSession, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    klaviyo.inject(Fault("job_row_errors"))
    rows = MOST_ROWS + 1_000
    frame = spark.range(rows).selectExpr("concat('p', id, '@example.com') AS email")
    report = write(frame, klaviyo, max_rows=10_000, rejects_path=str(tmp_path / "rejects"))
    assert report.rejected == rows
    assert spark.read.parquet(str(tmp_path / "rejects")).select("email").distinct().count() == rows


def test_errors_carry_the_report_and_the_datasets_are_written(
    spark: SparkSession, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    with pytest.raises(RowsRejected) as refused:
        write(people(spark), klaviyo, on_reject="fail", **dataset_paths(tmp_path))
    assert refused.value.report is not None
    assert as_frame(refused.value.report.rejects).count() == 5
    with pytest.raises(WriteStopped, match="max_rejects") as stopped:
        write(people(spark), klaviyo, max_rejects="4%", **dataset_paths(tmp_path))
    assert stopped.value.report is not None
    assert (stopped.value.report.rows, stopped.value.report.rejected) == (100, 5)
    lines = {row["run_id"]: row["stopped"] for row in spark.read.parquet(str(tmp_path / "runs")).collect()}
    assert lines[refused.value.report.run_id] is None
    assert lines[stopped.value.report.run_id].startswith("too_many_rejects")


def test_a_refused_key_leaves_a_report_and_its_receipt(
    spark: SparkSession, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    klaviyo.inject(Fault("status", status=401, method="POST", after=1))
    with pytest.raises(WriteStopped) as stopped:
        write(people(spark).coalesce(1), klaviyo, workers=1, receipts_path=str(tmp_path / "receipts"))
    report = stopped.value.report
    assert report is not None
    assert report.accepted == 20
    assert report.unsent > 0
    assert report.job_states == {"open": 1}
    assert as_frame(report.receipts).where("outcome = 'accepted' AND job_id IS NOT NULL").count() == 1


def test_other_entry_points_append_to_the_same_datasets(
    spark: SparkSession, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    options = {**dataset_paths(tmp_path), "template": "bulk_import_profiles", "base_url": klaviyo.url, "max_rows": 20}
    write(people(spark), klaviyo, **dataset_paths(tmp_path))
    writer = klaviyo_partition_writer(schema=people(spark).schema, api_key=KEY, **options)
    people(spark).foreachPartition(writer)
    writes = 2
    if hasattr(spark, "dataSource"):
        register(spark, api_key=KEY, on_reject="keep")
        people(spark).write.format("klaviyo").mode("append").options(**options).save()
        writes = 3
    rejects = spark.read.parquet(str(tmp_path / "rejects"))
    assert [row["count"] for row in rejects.groupBy("run_id").count().collect()] == [5] * writes
    receipts = spark.read.parquet(str(tmp_path / "receipts"))
    assert {row["outcome"] for row in receipts.collect()} == {"delivered"}
    rows = spark.read.parquet(str(tmp_path / "runs")).groupBy("run_id").agg({"rows": "sum"}).collect()
    assert [row[1] for row in rows] == [100] * writes
    assert writer.report is not None
    assert (writer.report.delivered, writer.report.rejected) == (95, 5)


def test_ten_times_the_rejects_take_no_more_memory_in_the_driver(
    spark: SparkSession, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    bad = "concat('nobody', id) AS email"
    write(spark.range(10).selectExpr(bad), klaviyo, rejects_path=str(tmp_path / "first"))  # what is imported once
    most = {}
    tracemalloc.start()
    try:
        for rows in (4_000, 40_000):
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            report = write(spark.range(rows).selectExpr(bad), klaviyo, rejects_path=str(tmp_path / str(rows)))
            most[rows] = tracemalloc.get_traced_memory()[1] - before
            assert report.reasons == {"bad_email": rows}
            assert spark.read.parquet(str(tmp_path / str(rows))).count() == rows
    finally:
        tracemalloc.stop()
    assert most[40_000] < most[4_000] + 1_000_000
