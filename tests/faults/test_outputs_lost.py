"""Datasets that cannot be written while rows are sent: nobody is sent twice, and the whole report comes back."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from spark_klaviyo import OptionError, WriteReport, WriteStopped, klaviyo_partition_writer, register, write_klaviyo
from spark_klaviyo.core.clock import Stop
from spark_klaviyo.encode.encoder import encode_batches
from spark_klaviyo.ratelimit.server import RateLimitServer
from spark_klaviyo.report.counts.task_report import merge
from spark_klaviyo.runs.results import ResultKind, Results
from spark_klaviyo.runs.run import LOST_TASKS
from spark_klaviyo.runs.staged import TaskStaging, _Held
from spark_klaviyo.runs.tasks import CrashReceipts, SendTask
from spark_klaviyo.simulator import KlaviyoSimulator
from spark_klaviyo.task.run import SendContextFactory, run_task
from tests.core.scaled_clock import ScaledClock
from tests.faults.losing import lost_while_sending
from tests.task.running import Ran, Row, batches_of, people, plan_for

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

KEY = "pk_test_key_of_the_simulator"
COUPONS = {"template": "create_coupon", "rate_limit": "none", "api_key": KEY, "workers": "1"}


def coupons(spark: SparkSession, count: int = 80) -> DataFrame:
    return spark.range(count).selectExpr("concat('C', id) external_id", "'ten' description").coalesce(1)


def assert_told(report: WriteReport | None, klaviyo: KlaviyoSimulator, place: str, rejected: int = 0) -> None:
    assert report is not None
    assert report.stopped is not None
    assert report.stopped[0] == "not_written"
    assert place in report.stopped[1]
    assert report.adds_up()
    created = [request for request in klaviyo.requests if request.method == "POST" and request.status == 201]
    assert report.delivered == len(created)
    assert report.rejected == rejected


def test_a_staging_file_that_cannot_be_written_stops_the_task_and_loses_no_count(tmp_path: Path) -> None:
    results, stop = Results(), Stop()
    (tmp_path / "file").write_text("no folder")
    staging = TaskStaging(str(tmp_path / "file" / "staging"), "rejects_path (there)")
    with KlaviyoSimulator(latency=0.01) as klaviyo:
        plan = plan_for(klaviyo, ["email", "first_name"], max_rows=1, workers=1)
        with SendContextFactory(ScaledClock(60.0)).open(plan, 0, 0, stop) as context:
            bad: Row = {"email": "bad", "first_name": "x"}
            encoded = encode_batches(batches_of([bad] * 5_000 + people(300), 6_000), plan)
            events = run_task(plan, encoded, context)
            for row in staging.keep(events, stop, "part"):
                results.add(*row)
        (report,) = results.reports
        assert report.accepted == len(klaviyo.profiles) < 300
    assert results.staged == []
    assert report.adds_up()
    assert report.stopped is not None
    assert "rejects_path (there)" in report.stopped[1]
    assert report.rejects_sample[0].code == "bad_email"


def test_rejected_rows_and_receipts_are_kept_in_the_files_that_are_named(tmp_path: Path) -> None:
    staging, results = TaskStaging(str(tmp_path), "receipts_path", frozenset({ResultKind.RECEIPT})), Results()
    with KlaviyoSimulator() as klaviyo:
        plan = plan_for(klaviyo, ["email", "first_name"])
        with SendContextFactory(ScaledClock(60.0)).open(plan, 0, 0) as context:
            events = run_task(plan, encode_batches(batches_of(people(3), 10), plan), context)
            for row in staging.keep(events, context.stop, "part-run"):
                results.add(*row)
    assert len(results.reports) == 1
    rows = pa.parquet.read_table(tmp_path / results.staged[0]).to_pylist()
    assert [row["kind"] for row in rows] == ["receipt"]


def test_a_row_that_a_full_disk_has_cut_is_not_handed_to_spark() -> None:
    cut = 'reject {"email": "ü"}\nreject {"email": "ü'.encode()[:-1]
    assert list(_Held(io.BytesIO(cut)).rows()) == [("reject", '{"email": "ü"}')]


@pytest.mark.parametrize("send_from", ["executors", "driver"])
def test_write_klaviyo_raises_with_the_whole_report(spark: SparkSession, tmp_path: Path, send_from: str) -> None:
    place = tmp_path / "receipts"
    with KlaviyoSimulator(latency=0.02) as klaviyo, lost_while_sending(klaviyo, lambda: [place / "_staging"]):
        options = {**COUPONS, "base_url": klaviyo.url, "receipts_path": str(place), "send_from": send_from}
        with pytest.raises(WriteStopped) as caught:
            write_klaviyo(coupons(spark), **options)
        assert_told(caught.value.report, klaviyo, str(place))


def test_a_dataset_that_cannot_be_written_at_the_end_is_named_in_the_whole_report(
    spark: SparkSession, tmp_path: Path
) -> None:
    place = tmp_path / "rejects"
    bad = spark.createDataFrame([(None, "ten")], "external_id string, description string")
    df = coupons(spark).union(bad).coalesce(1)
    with KlaviyoSimulator(latency=0.02) as klaviyo, lost_while_sending(klaviyo, lambda: [place]):
        paths = {"rejects_path": str(place), "receipts_path": str(tmp_path / "receipts")}
        with pytest.raises(WriteStopped, match="after sending") as caught:
            write_klaviyo(df, **COUPONS, base_url=klaviyo.url, **paths)
        assert_told(caught.value.report, klaviyo, str(place), rejected=1)
    assert spark.read.parquet(paths["receipts_path"]).count() == 80
    assert len(list((tmp_path / "receipts" / "_staging").iterdir())) == 1


def test_df_write_raises_with_the_counts_and_the_path(spark: SparkSession, tmp_path: Path) -> None:
    place = tmp_path / "receipts"
    register(spark, api_key=KEY)
    with KlaviyoSimulator(latency=0.02) as klaviyo, lost_while_sending(klaviyo, lambda: [place]):
        options = {**COUPONS, "base_url": klaviyo.url, "receipts_path": str(place)}
        del options["api_key"]
        with pytest.raises(Exception, match="receipts_path") as caught:
            coupons(spark).write.format("klaviyo").mode("append").options(**options).save()
        assert "80 rows: 80 delivered" in str(caught.value)
        assert sum(request.method == "POST" for request in klaviyo.requests) == 80


@pytest.mark.parametrize("resend", ["auto", "always"])
def test_foreach_partition_raises_only_where_sending_again_is_harmless(
    spark: SparkSession, tmp_path: Path, resend: str
) -> None:
    place = tmp_path / "receipts"
    with KlaviyoSimulator(latency=0.02) as klaviyo, lost_while_sending(klaviyo, lambda: [place]):
        options = {**COUPONS, "base_url": klaviyo.url, "receipts_path": str(place), "resend": resend}
        writer = klaviyo_partition_writer(**options)
        if resend == "always":
            with pytest.raises(Exception, match="receipts_path"):
                coupons(spark).foreachPartition(writer)
            return
        coupons(spark).foreachPartition(writer)
        assert_told(writer.report, klaviyo, str(place))


@pytest.mark.parametrize("send_from", ["executors", "driver"])
def test_what_spark_cannot_write_loses_no_count_and_sends_nobody_twice(
    spark: SparkSession, tmp_path: Path, send_from: str
) -> None:
    place, table = tmp_path / "schema", f"table:lost_{send_from}.receipts"
    spark.sql(f"CREATE SCHEMA lost_{send_from} LOCATION '{place}'")
    with KlaviyoSimulator(latency=0.02) as klaviyo, lost_while_sending(klaviyo, lambda: [place]):
        options = {**COUPONS, "base_url": klaviyo.url, "receipts_path": table, "send_from": send_from}
        with pytest.raises(WriteStopped, match=table) as caught:
            write_klaviyo(coupons(spark), **options)
        sent = [request for request in klaviyo.requests if request.method == "POST"]
        report = caught.value.report
    assert report is not None
    assert (report.rows, report.delivered, len(sent)) == (80, 80, 80)


@pytest.mark.parametrize(
    ("place", "why"), [("nowhere://bucket/rejects", "nowhere"), ("table:no_catalog.no_schema.rejects", "no_catalog")]
)
def test_a_place_that_spark_cannot_write_is_refused_before_anything_is_sent(
    spark: SparkSession, place: str, why: str
) -> None:
    with KlaviyoSimulator() as klaviyo:
        with pytest.raises(OptionError, match="rejects_path") as caught:
            write_klaviyo(coupons(spark), **COUPONS, base_url=klaviyo.url, rejects_path=place)
        assert why in str(caught.value)
        assert not [request for request in klaviyo.requests if request.method == "POST"]


def test_a_task_that_runs_again_after_it_had_sent_everything_sends_nothing() -> None:
    rows: list[Row] = [{"email": "bad", "first_name": "x"}, *people(5)]
    with KlaviyoSimulator(job_polls=0) as klaviyo, closing(RateLimitServer()) as server:
        plan = plan_for(klaviyo, ["email", "first_name"], max_rows=2)
        contexts = SendContextFactory(rate_limit_server=server.address)
        staging = TaskStaging(None, "rejects_path (there)")
        task = SendTask(plan, contexts, CrashReceipts(), staging)
        first, again = Results(), Results()
        for results in (first, again):
            for batch in task.send(plan, encode_batches(batches_of(rows, 10), plan)):
                for row in batch.to_pylist():
                    results.add(row["kind"], row["body"])
        assert sum(request.method == "POST" for request in klaviyo.requests) == len(first.jobs) == 3
        assert again.jobs == first.jobs
        handed, lost = server.results(0.0)
    assert "bad" not in str(handed).replace("bad_email", "")
    assert lost == 0
    assert merge(again.reports).stopped == (
        "not_written",
        "rejects_path (there) could not be written by Spark: rows of a task that had sent everything are missing there",
    )
    assert (again.reports[0].accepted, again.reports[0].rejected) == (first.reports[0].accepted, 1) == (5, 1)


def test_a_job_that_fails_elsewhere_keeps_the_report_of_the_tasks_that_have_ended(spark: SparkSession) -> None:
    def failing(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if batch.column(0)[0].as_py() != "C0":
                time.sleep(3)
                raise RuntimeError("a function of the user's")
            yield batch

    df = spark.range(0, 20, 1, 2).selectExpr("concat('C', id) external_id", "'ten' description")
    df = df.mapInArrow(failing, df.schema)
    with KlaviyoSimulator() as klaviyo:
        with pytest.raises(WriteStopped) as caught:
            write_klaviyo(df, **COUPONS, base_url=klaviyo.url)
        report = caught.value.report
        assert report is not None
        assert report.stopped is not None
        assert (report.stopped[0], report.rows, report.delivered) == ("job_failed", 10, 10)
        assert report.warnings == {LOST_TASKS: 1}
        assert sum(request.method == "POST" for request in klaviyo.requests) == 10


def test_a_dataframe_that_fails_midway_stops_what_was_begun() -> None:
    def failing() -> Iterator[pa.RecordBatch]:
        yield from batches_of(people(50), 10)
        raise RuntimeError("a function of the user's: p3@example.com")

    ran = Ran()
    with KlaviyoSimulator() as klaviyo:
        plan = plan_for(klaviyo, ["email", "first_name"], max_rows=5, rate_limit="none")
        with SendContextFactory(ScaledClock(60.0)).open(plan, 0, 0) as context:
            for event in run_task(plan, encode_batches(failing(), plan), context):
                ran.add(event)
        assert ran.report.accepted == len(klaviyo.profiles) == 50 - ran.report.unsent
    assert ran.report.stopped == (
        "input_failed",
        "the rows could not be read to their end (RuntimeError); how many are left is unknown",
    )


def test_a_dataframe_that_fails_before_anything_is_sent_fails_the_task() -> None:
    def failing() -> Iterator[pa.RecordBatch]:
        yield from batches_of(people(3), 10)
        raise RuntimeError("at once")

    with KlaviyoSimulator() as klaviyo:
        plan = plan_for(klaviyo, ["email", "first_name"])
        with (
            SendContextFactory(ScaledClock(60.0)).open(plan, 0, 0) as context,
            pytest.raises(RuntimeError, match="at once"),
        ):
            list(run_task(plan, encode_batches(failing(), plan), context))
        assert klaviyo.requests == []
