"""Sending from the calling process: the same requests, counts and datasets as from tasks; and interrupting either."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_klaviyo import WriteReport, WriteStopped, write_klaviyo
from spark_klaviyo.http.reachable import can_connect
from spark_klaviyo.runs.send_from_driver import BLOCK_BYTES, as_blocks
from spark_klaviyo.simulator import KlaviyoSimulator

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

KEY = "pk_test_0123456789abcdef"
pytestmark = pytest.mark.oldest
WAYS = pytest.mark.parametrize("way", ["driver", "executors"])


def people(spark: SparkSession, rows: int) -> DataFrame:
    """People in two partitions; every tenth cannot be sent."""
    email = "CASE WHEN id % 10 = 3 THEN 'nobody' ELSE concat('p', id, '@example.com') END AS email"
    return spark.range(0, rows, 1, 2).selectExpr(email, "id AS tier", "array(id, NULL) AS scores", "NULL AS nothing")


def write(df: DataFrame, klaviyo: KlaviyoSimulator, way: str, **options: object) -> WriteReport:
    goal = {"template": "add_profiles_to_list", "list_id": "Y6nRLr", "api_key": KEY, "base_url": klaviyo.url}
    return write_klaviyo(df, send_from=way, on_reject="keep", **{**goal, **options})


def profiles(klaviyo: KlaviyoSimulator) -> list[str]:
    posted = [request.json() for request in klaviyo.requests if request.method == "POST"]
    return sorted(str(row) for body in posted for row in body["data"]["attributes"]["profiles"]["data"])


@pytest.mark.parametrize("nulls", ["omit", "send"])
def test_driver_and_executors_make_the_same_records_counts_and_datasets(
    spark: SparkSession, klaviyo: KlaviyoSimulator, tmp_path: Path, nulls: str
) -> None:
    """With `nulls=send` the JVM cannot make the records, so they are made where they are sent."""
    found = {}
    for way in ("executors", "driver"):
        klaviyo.reset()
        places = {name: tmp_path / way / name for name in ("rejects_path", "receipts_path")}
        report = write(people(spark, 60), klaviyo, way, max_rows=10, nulls=nulls, **places)
        rejects = spark.read.parquet(str(places["rejects_path"])).select("record", "email", "code").collect()
        receipts = spark.read.parquet(str(places["receipts_path"])).collect()
        counts = (report.rows, report.delivered, report.rejected, report.unsent, dict(report.reasons))
        found[way] = (counts, profiles(klaviyo), sorted(map(str, rejects)), sum(row["rows"] for row in receipts))
    assert found["driver"] == found["executors"]
    assert found["driver"][0] == (60, 54, 6, 0, {"bad_email": 6})


def test_the_calling_process_evaluates_each_row_once(spark: SparkSession, klaviyo: KlaviyoSimulator) -> None:
    seen = spark.sparkContext.accumulator(0)

    def counted(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            seen.add(batch.num_rows)
            yield batch

    df = people(spark, 200).select("email", "tier").mapInArrow(counted, "email string, tier bigint")
    assert write(df, klaviyo, "driver").rows == 200
    assert seen.value == 200


@WAYS
def test_an_interrupted_write_stops_sending_and_raises_with_its_report(
    spark: SparkSession, klaviyo: KlaviyoSimulator, way: str
) -> None:
    klaviyo.latency = 0.2
    interrupted_at: list[float] = []

    def interrupt() -> None:
        while len(klaviyo.requests) < 5:
            time.sleep(0.02)
        interrupted_at.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(WriteStopped, match="the write was interrupted") as caught:
        write(people(spark, 5000), klaviyo, way, max_rows=1, tasks=2, workers=1)
    assert time.monotonic() - interrupted_at[0] < 15
    sent = len(klaviyo.requests)
    report: Any = caught.value.report
    assert report is not None
    assert report.stopped[0] == "interrupted"
    assert report.rows == report.delivered + report.accepted + report.rejected + report.skipped + report.unsent
    assert report.unsent > 0
    time.sleep(1.0)
    assert len(klaviyo.requests) == sent


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(0, 12), max_size=4), st.integers(1, 3))
def test_blocks_hold_every_row_once_and_are_small(sizes: list[int], megabytes: int) -> None:
    text = "x" * (megabytes * 400_000)
    batches = [pa.RecordBatch.from_pydict({"at": list(range(size)), "text": [text] * size}) for size in sizes]
    back = []
    for rows in as_blocks(iter(batches)):
        for block in rows.column(0).to_pylist():
            assert len(block) <= BLOCK_BYTES + len(text) + 10_000
            back += pa.ipc.open_stream(block).read_all().column("at").to_pylist()
    assert back == [at for size in sizes for at in range(size)]


def test_a_connection_opens_where_a_server_listens(klaviyo: KlaviyoSimulator) -> None:
    closed = KlaviyoSimulator()
    url = closed.url
    closed.stop()
    assert can_connect(klaviyo.url)
    assert can_connect(url, klaviyo.url), "a proxy on the way is enough"
    assert not can_connect(url, "not an address")
