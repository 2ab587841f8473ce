"""foreachBatch: each micro-batch is a run of its own, and one that Spark repeats sends no event twice."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from spark_klaviyo import OptionError, klaviyo_batch_writer
from spark_klaviyo.simulator import KlaviyoSimulator
from tests.streams.flowing import KEY, order, ordered, posted, put_batches, run, stream_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.oldest
ORDERED = {
    "template": "bulk_create_events",
    "metric": "Placed Order",
    "event_time": "now",
    "unique_id_columns": "order_id",
    "api_key": KEY,
}


def test_options_are_checked_where_the_writer_is_made() -> None:
    with pytest.raises(OptionError, match=r"metrc: no such option \(did you mean metric\?\)"):
        klaviyo_batch_writer(template="bulk_create_events", metrc="Placed Order", api_key=KEY)


def test_every_micro_batch_arrives_and_a_bad_row_does_not_end_the_query(
    spark: SparkSession, klaviyo: KlaviyoSimulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put_batches(tmp_path / "orders", [[order(1), order(2)], [order(3), order(4, email="nobody")]])
    writer = klaviyo_batch_writer(**ORDERED, base_url=klaviyo.url, runs_path=tmp_path / "runs")
    with caplog.at_level(logging.INFO, "spark_klaviyo"):
        run(stream_of(spark, tmp_path / "orders").writeStream.foreachBatch(writer), tmp_path / "checkpoint")

    assert ordered(klaviyo) == ["o-1", "o-2", "o-3"]
    assert writer.report is not None
    assert (writer.report.rows, writer.report.rejected, writer.report.reasons) == (2, 1, {"bad_email": 1})
    runs = spark.read.parquet(str(tmp_path / "runs")).orderBy("started_at").collect()
    assert [(run["rows"], run["rejected"]) for run in runs] == [(2, 0), (2, 1)]
    queries = {run["run_id"].split("_")[0] for run in runs}
    assert [run["run_id"].split("_")[1] for run in runs] == ["0", "1"]
    assert len(queries) == 1, "the runs of a query are named after it"
    logged = [record for record in caplog.records if record.name == "spark_klaviyo"]
    assert [record.levelno for record in logged] == [logging.INFO, logging.WARNING]
    assert "1 rejected (1 bad_email)" in logged[1].getMessage()
    assert not any("nobody" in record.getMessage() or KEY in record.getMessage() for record in logged)


def test_a_micro_batch_that_spark_repeats_makes_no_second_event(
    spark: SparkSession, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    put_batches(tmp_path / "orders", [[order(1)], [order(2), order(3)], [order(4)]])
    writer = klaviyo_batch_writer(**ORDERED, base_url=klaviyo.url)

    def killed_in_the_second(df: DataFrame, batch_id: int) -> None:
        writer(df, batch_id)
        if batch_id == 1:
            raise ConnectionAbortedError("the machine goes down before Spark notes the micro-batch as done")

    with pytest.raises(Exception, match="the machine goes down"):
        run(
            stream_of(spark, tmp_path / "orders").writeStream.foreachBatch(killed_in_the_second),
            tmp_path / "checkpoint",
        )
    assert (ordered(klaviyo), posted(klaviyo)) == (["o-1", "o-2", "o-3"], 2)

    run(stream_of(spark, tmp_path / "orders").writeStream.foreachBatch(writer), tmp_path / "checkpoint")
    assert (ordered(klaviyo), posted(klaviyo)) == (["o-1", "o-2", "o-3", "o-4"], 4)


def test_with_a_state_a_repeated_micro_batch_sends_nothing(
    spark: SparkSession, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    rows = spark.createDataFrame([("a@example.com", "o-1", 1.0), ("b@example.com", "o-2", 2.0)], "email string, "
                                 "order_id string, total double")  # fmt: skip
    writer = klaviyo_batch_writer(**ORDERED, base_url=klaviyo.url, state_path=tmp_path / "state")
    writer(rows, 7)
    before = posted(klaviyo)
    writer(rows, 7)
    assert posted(klaviyo) == before == 1
    assert writer.report is not None
    assert (writer.report.rows, writer.report.skipped) == (2, 2)


def test_a_query_ends_at_a_rejected_row_where_it_was_asked_to(
    spark: SparkSession, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    put_batches(tmp_path / "orders", [[order(1, email="nobody"), order(2)]])
    writer = klaviyo_batch_writer(**ORDERED, base_url=klaviyo.url, on_reject="fail")
    with pytest.raises(Exception, match=r"RowsRejected: 2 rows.*1 rejected \(1 bad_email\)"):
        run(stream_of(spark, tmp_path / "orders").writeStream.foreachBatch(writer), tmp_path / "checkpoint")
    assert ordered(klaviyo) == ["o-2"], "everything sendable was sent"
    assert writer.report is not None
    assert writer.report.rejected == 1
