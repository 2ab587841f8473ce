"""writeStream.format("klaviyo"): the same pipeline for each micro-batch, and no key where Spark writes options down."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from spark_klaviyo import register
from spark_klaviyo.core.secrets import Secret
from spark_klaviyo.simulator import KlaviyoSimulator
from tests.streams.flowing import KEY, order, ordered, posted, put_batches, run, stream_of, wait_until

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.types import StructType

pytest.importorskip("pyspark.sql.datasource")

ORDERED = {
    "template": "bulk_create_events",
    "metric": "Placed Order",
    "event_time": "now",
    "unique_id_columns": "order_id",
}


def writing(spark: SparkSession, folder: Path, klaviyo: KlaviyoSimulator, **options: str) -> Any:
    given = {**ORDERED, "base_url": klaviyo.url, **options}
    return stream_of(spark, folder).writeStream.format("klaviyo").options(**given)


def test_rows_arrive_and_each_micro_batch_is_a_run(
    spark: SparkSession, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    put_batches(tmp_path / "orders", [[order(1), order(2)], [order(3), order(4, email="nobody")]])
    register(spark, api_key=KEY)
    places = {name: str(tmp_path / name) for name in ("runs_path", "rejects_path", "receipts_path")}
    writer = writing(spark, tmp_path / "orders", klaviyo, **places)
    run(writer, tmp_path / "checkpoint")

    assert ordered(klaviyo) == ["o-1", "o-2", "o-3"]
    runs = spark.read.parquet(places["runs_path"]).orderBy("run_id").collect()
    assert [(run["rows"], run["rejected"]) for run in runs] == [(2, 0), (2, 1)]
    assert [run["run_id"].split("_")[1] for run in runs] == ["0", "1"]
    rejects = spark.read.parquet(places["rejects_path"]).collect()
    assert [(row["run_id"], row["code"], row["email"]) for row in rejects] == [
        (runs[1]["run_id"], "bad_email", "nobody")
    ]
    receipts = spark.read.parquet(places["receipts_path"]).collect()
    assert {row["run_id"] for row in receipts} == {run["run_id"] for run in runs}


def test_a_query_killed_while_it_sends_sends_again_and_makes_no_second_event(
    spark: SparkSession, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    put_batches(tmp_path / "orders", [[order(1)], [order(number) for number in range(2, 12)]])
    register(spark, api_key=KEY)
    klaviyo.latency = 0.4
    slowly = {"max_rows": "1", "workers": "1"}
    checkpoint = str(tmp_path / "checkpoint")
    query = writing(spark, tmp_path / "orders", klaviyo, **slowly).option("checkpointLocation", checkpoint).start()
    wait_until(lambda: posted(klaviyo) >= 4)
    query.stop()
    assert not query.isActive

    klaviyo.latency = 0.0
    run(writing(spark, tmp_path / "orders", klaviyo), tmp_path / "checkpoint")
    assert ordered(klaviyo) == sorted(f"o-{number}" for number in range(1, 12))
    sent = [row for request in klaviyo.requests if request.method == "POST" for row in rows_of(request.json())]
    assert sent.count("o-1") == 1, "a micro-batch that Spark noted as done is not repeated"
    assert sent.count("o-2") == 2, "the one that was cut off is"


def rows_of(body: Any) -> list[str]:
    grouped = body["data"]["attributes"]["events-bulk-create"]["data"]
    events = [event for one in grouped for event in one["attributes"]["events"]["data"]]
    return [event["attributes"]["properties"]["order_id"] for event in events]


def test_a_literal_key_is_refused_since_spark_writes_it_down(
    spark: SparkSession, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    put_batches(tmp_path / "orders", [[order(1)]])
    register(spark)
    with pytest.raises(Exception, match=r"OptionError: .*bind the key with register\(spark, api_key=") as caught:
        run(writing(spark, tmp_path / "orders", klaviyo, api_key=KEY), tmp_path / "checkpoint")
    assert KEY not in str(caught.value)
    assert klaviyo.requests == []


def test_a_reference_is_taken(spark: SparkSession, klaviyo: KlaviyoSimulator, tmp_path: Path) -> None:
    put_batches(tmp_path / "orders", [[order(1)]])
    (tmp_path / "key").write_text(KEY + "\n")
    register(spark)
    run(writing(spark, tmp_path / "orders", klaviyo, api_key=f"file:{tmp_path / 'key'}"), tmp_path / "checkpoint")
    assert ordered(klaviyo) == ["o-1"]


def test_complete_mode_is_refused_with_what_to_use_instead(
    spark: SparkSession, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    put_batches(tmp_path / "orders", [[order(1)]])
    register(spark, api_key=KEY)
    counts = stream_of(spark, tmp_path / "orders").groupBy("email").count()
    writer = counts.writeStream.format("klaviyo").outputMode("complete")
    with pytest.raises(Exception, match=r'outputMode\("update"\) with foreachBatch'):
        run(writer.options(template="bulk_import_profiles", base_url=klaviyo.url), tmp_path / "checkpoint")
    assert klaviyo.requests == []


def test_a_refused_key_ends_the_query(spark: SparkSession, tmp_path: Path) -> None:
    put_batches(tmp_path / "orders", [[order(1)]])
    register(spark, api_key=KEY)
    with KlaviyoSimulator(api_keys=["pk_another_one"]) as klaviyo:
        with pytest.raises(Exception, match="WriteStopped") as caught:
            run(writing(spark, tmp_path / "orders", klaviyo), tmp_path / "checkpoint")
        assert posted(klaviyo) == 1
    assert KEY not in str(caught.value)


def test_the_writer_for_a_spark_that_hands_over_rows_sends_the_same(
    spark: SparkSession, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    from spark_klaviyo.entrypoints.datasource import ArrowStreamWriter, KlaviyoDataSource, RowStreamWriter

    class ByRows(KlaviyoDataSource):
        bound: ClassVar[Mapping[str, object]] = {"api_key": Secret(KEY)}

        @classmethod
        def name(cls) -> str:
            return "klaviyo_by_rows"

        def streamWriter(self, schema: StructType, overwrite: bool) -> RowStreamWriter:  # noqa: N802
            made: ArrowStreamWriter = super().streamWriter(schema, overwrite)
            return RowStreamWriter(made.plan, made.options)

    put_batches(tmp_path / "orders", [[order(1), order(2)]])
    spark.dataSource.register(ByRows)
    register(spark, api_key=KEY)
    bodies = []
    for form in ("klaviyo_by_rows", "klaviyo"):
        klaviyo.reset()
        run(writing(spark, tmp_path / "orders", klaviyo).format(form), tmp_path / form)
        bodies.append([request.json() for request in klaviyo.requests if request.method == "POST"])
    assert bodies[0] == bodies[1] != []
