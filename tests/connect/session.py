"""Entry points under Spark Connect, run as a program: a local Connect server, every one once, results as JSON.

A process of its own, because a process has one kind of Spark. `session.py RESULTS PLACE`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"

from pyspark.errors import PySparkNotImplementedError
from pyspark.sql import SparkSession
from pyspark.sql import functions as f

from spark_klaviyo import (
    OptionError,
    WriteReport,
    WriteStopped,
    klaviyo_batch_writer,
    klaviyo_partition_writer,
    preview_klaviyo,
    register,
    write_klaviyo,
)
from spark_klaviyo.simulator import KlaviyoSimulator
from tests.faults.losing import lost_while_sending
from tests.streams.flowing import ORDERS, order, ordered, posted, put_batches, run, stream_of, wait_until

KEY = "pk_connect_0123456789abcdef"
LITERAL = "pk_literal_0123456789abcdef"  # what users should not do
GOAL = {"template": "add_profiles_to_list", "list_id": "Y6nRLr"}
ORDERED = {
    "template": "bulk_create_events",
    "metric": "Placed Order",
    "event_time": "now",
    "unique_id_columns": "order_id",
}
Check = Callable[["Stage"], object]


class Stage:
    """What every check uses: the session, a fresh Klaviyo, and a place for files."""

    def __init__(self, spark: Any, klaviyo: KlaviyoSimulator, place: Path) -> None:
        self.spark, self.klaviyo, self.place = spark, klaviyo, place

    @property
    def people(self) -> Any:
        """Forty people of whom two cannot be sent, in two partitions."""
        number = f.col("id").cast("string")
        email = f.when(f.col("id") % 20 == 7, "nobody").otherwise(f.concat(f.lit("p"), number, f.lit("@example.com")))
        return self.spark.range(0, 40, 1, 2).select(email.alias("email"), f.col("id").alias("tier"))

    def goal(self, **more: object) -> dict[str, Any]:
        return {**GOAL, "base_url": self.klaviyo.url, **more}

    def counts(self, report: WriteReport | None) -> dict[str, object]:
        counts = {} if report is None else report.to_dict()
        kept = {name: counts.get(name) for name in ("rows", "delivered", "rejected", "reasons", "unsent", "stopped")}
        return {**kept, "profiles": len(self.klaviyo.profiles), "requests": posted(self.klaviyo)}


def function(stage: Stage) -> object:
    return stage.counts(write_klaviyo(stage.people, api_key=KEY, on_reject="keep", **stage.goal()))


def driver(stage: Stage) -> object:
    places = {name: str(stage.place / name) for name in ("rejects_path", "receipts_path")}
    report = write_klaviyo(
        stage.people, api_key=KEY, on_reject="keep", send_from="driver", **stage.goal(max_rows=10, **places)
    )
    rejects: Any = report.rejects
    receipts: Any = report.receipts
    found = {
        "codes": [row["code"] for row in rejects.select("code").collect()],
        "sent": sum(row["rows"] for row in receipts.collect()),
    }
    return {**stage.counts(report), **found}


@contextmanager
def holding_rows(stage: Stage, holds: bool) -> Iterator[None]:
    """A server that holds rows, or, as Spark 3.5 and serverless compute, none."""
    frame = type(stage.spark.range(1))
    error = PySparkNotImplementedError("localCheckpoint() is not implemented.")
    with mock.patch.object(frame, "localCheckpoint", frame.localCheckpoint if holds else mock.Mock(side_effect=error)):
        yield


def tables(stage: Stage) -> object:
    found = {}
    for name, holds in (("held", True), ("streamed", False)):
        places = {f"{one}_path": f"table:{name}_{one}" for one in ("rejects", "receipts")}
        with holding_rows(stage, holds):
            given = stage.goal(max_rows=10, **places)
            report: Any = write_klaviyo(stage.people, api_key=KEY, on_reject="keep", **given)
        sent = sum(row["rows"] for row in report.receipts.collect())
        left = [table.name for table in stage.spark.catalog.listTables() if "staging" in table.name]
        found[name] = [report.delivered, [row["code"] for row in report.rejects.collect()], sent, left]
    return found


def lost_tables(stage: Stage) -> object:
    """Spark cannot write what the tasks have sent."""
    found = {}
    for name, holds in (("held", True), ("streamed", False)):
        stage.klaviyo.reset()
        folder = stage.place / name
        stage.spark.sql(f"CREATE SCHEMA {name} LOCATION '{folder}'")
        coupons = stage.spark.range(0, 20, 1, 1).selectExpr("concat('C', id) external_id", "'ten' description")
        options = {"template": "create_coupon", "rate_limit": "none", "workers": "1", "base_url": stage.klaviyo.url}
        with holding_rows(stage, holds), lost_while_sending(stage.klaviyo, partial(list, (folder,))):
            try:
                write_klaviyo(coupons, api_key=KEY, receipts_path=f"table:{name}.receipts", **options)
            except WriteStopped as stopped:
                report: Any = stopped.report
                found[name] = [posted(stage.klaviyo), report.rows, report.delivered, str(stopped).partition(" (run")[0]]
    return found


def driver_with_nulls(stage: Stage) -> object:
    report = write_klaviyo(
        stage.people, api_key=KEY, on_reject="keep", send_from="driver", nulls="send", **stage.goal()
    )
    return stage.counts(report)


def unreachable(stage: Stage) -> object:
    """`auto`: no server listens, so tasks cannot connect; the calling process then tries itself."""
    closed = KlaviyoSimulator()
    url = closed.url
    closed.stop()
    try:
        write_klaviyo(stage.people, api_key=KEY, attempts=2, **stage.goal(base_url=url))
    except WriteStopped as stopped:
        report: Any = stopped.report
        found = {"stopped": report.stopped[0], "unsent": report.unsent, "rejected": report.rejected}
        return {**found, "warned": any("send_from=auto" in warning for warning in report.warnings)}
    return {}


def interrupt_soon(stage: Stage) -> None:
    """Interrupt this process once three requests were made."""

    def interrupt() -> None:
        wait_until(lambda: posted(stage.klaviyo) >= 3)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()


def interrupted(stage: Stage) -> object:
    stage.klaviyo.latency = 0.3
    interrupt_soon(stage)
    many = stage.spark.range(0, 4000, 1, 2).select(f.concat(f.lit("q"), "id", f.lit("@example.com")).alias("email"))
    try:
        write_klaviyo(many, api_key=KEY, send_from="driver", tasks=1, workers=1, **stage.goal(max_rows=1))
    except WriteStopped as stopped:
        report: Any = stopped.report
        return {"stopped": report.stopped[0], "unsent": report.unsent > 0, "few": posted(stage.klaviyo) < 30}
    finally:
        stage.klaviyo.latency = 0.0
    return {}


def interrupted_tasks(stage: Stage) -> object:
    """Nothing reaches the tasks, which Spark kills."""
    stage.klaviyo.latency = 0.3
    interrupt_soon(stage)
    many = stage.spark.range(0, 400, 1, 2).select(f.concat(f.lit("t"), "id", f.lit("@example.com")).alias("email"))
    try:
        write_klaviyo(many, api_key=KEY, tasks=2, workers=1, **stage.goal(max_rows=1))
    except WriteStopped as stopped:
        return {"error": str(stopped), "report": stopped.report is not None, "few": posted(stage.klaviyo) < 100}
    finally:
        stage.klaviyo.latency = 0.0
    return {}


def failed(stage: Stage) -> object:
    def failing(batches: Any) -> Any:
        for _ in batches:
            raise RuntimeError("a function of the user's")
        yield from ()

    try:
        write_klaviyo(stage.people.mapInArrow(failing, "email string"), api_key=KEY, **stage.goal())
    except WriteStopped as stopped:
        return {"error": str(stopped), "cause": "a function of the user's" in str(stopped.__cause__)}
    return {}


def changes(stage: Stage) -> object:
    """Orders in text, phones in two spellings, and a delete that covers two emails."""
    rows = [
        (1, "insert", "9", "a@example.com", None),
        (1, "update", "10", "b@example.com", None),
        (1, "delete", "11", "b@example.com", None),
        (2, "delete", "10", None, "617-555-1234"),
        (3, "delete", "9", "c@example.com", None),
        (4, "insert", "9", "C@example.com", None),
        (2, "insert", "11", None, "+16175551234"),
    ]
    frame = stage.spark.createDataFrame(rows, "pk int, op string, at string, email string, phone_number string")
    stage.klaviyo.add_profiles([{"email": f"{name}@example.com"} for name in "abc"])
    given = stage.goal(change_column="op", change_order="at", change_key="pk", on_delete="delete", default_country="US")
    report = write_klaviyo(frame, api_key=KEY, on_reject="keep", confirm_deletion=1, **given)
    deleted = sorted(person["email"] for person in stage.klaviyo.deleted)
    return {"deleted": deleted, "reasons": report.reasons, "rows": report.rows, "skipped": report.skipped}


def preview(stage: Stage) -> object:
    shown = preview_klaviyo(stage.people, rows=9, api_key=KEY, **stage.goal())
    return {"rows": [request.rows for request in shown.requests], "sent": posted(stage.klaviyo)}


def partition(stage: Stage) -> object:
    writer = klaviyo_partition_writer(api_key=KEY, **stage.goal())
    stage.people.foreachPartition(writer)
    return {**stage.counts(writer.report), "report": writer.report is not None}


def source(stage: Stage) -> object:
    register(stage.spark, api_key=KEY)
    stage.people.write.format("klaviyo").mode("append").options(on_reject="keep", **stage.goal()).save()
    return stage.counts(None)


def literal_key(stage: Stage) -> object:
    register(stage.spark)
    try:
        stage.people.write.format("klaviyo").mode("append").options(api_key=LITERAL, **stage.goal()).save()
    except Exception as error:
        return {"error": str(error).partition("JVM stacktrace")[0], "requests": len(stage.klaviyo.requests)}
    return {}


def reference(stage: Stage) -> object:
    (stage.place / "key").write_text(KEY)
    register(stage.spark)
    options = stage.goal(api_key=f"file:{stage.place / 'key'}", on_reject="keep")
    stage.people.write.format("klaviyo").mode("append").options(**options).save()
    return stage.counts(None)


def for_each_batch(stage: Stage) -> object:
    put_batches(stage.place / "orders", [[order(1)], [order(2), order(3, email="nobody")]])
    runs = str(stage.place / "runs")
    writer = klaviyo_batch_writer(api_key=KEY, runs_path=runs, base_url=stage.klaviyo.url, **ORDERED)
    run(stream_of(stage.spark, stage.place / "orders").writeStream.foreachBatch(writer), stage.place / "checkpoint")
    batches = [(row["rows"], row["rejected"]) for row in stage.spark.read.parquet(runs).orderBy("started_at").collect()]
    return {"orders": ordered(stage.klaviyo), "batches": batches, "report": writer.report is not None}


def stream(stage: Stage) -> object:
    put_batches(stage.place / "orders", [[order(1)], [order(2), order(3, email="nobody")]])
    register(stage.spark, api_key=KEY)
    options = {**ORDERED, "base_url": stage.klaviyo.url}
    run(
        stream_of(stage.spark, stage.place / "orders", ORDERS).writeStream.format("klaviyo").options(**options),
        stage.place / "checkpoint",
    )
    return {"orders": ordered(stage.klaviyo)}


def read_once(spark: Any, folder: Path) -> Any:
    """Three people, from a source that leaves a file in the folder when it is read and is empty the second time."""
    folder.mkdir()

    def rows(batches: Any) -> Any:
        import uuid

        import pyarrow as pa

        for batch in batches:
            first = not list(folder.iterdir())
            (folder / uuid.uuid4().hex).touch()
            if first and batch.num_rows:
                yield pa.RecordBatch.from_pydict({"email": [f"p{number}@example.com" for number in range(3)]})

    return spark.range(0, 1, 1, 1).mapInArrow(rows, "email string")


def mirror(stage: Stage) -> object:
    found: dict[str, object] = {}
    for name, given in (("staged", {"receipts_path": str(stage.place / "receipts")}), ("checkpointed", {})):
        stage.klaviyo.add_profiles([{"email": f"{name}@example.com"}], "Y6nRLr")
        source, reads = read_once(stage.spark, stage.place / name), stage.place / name
        report = write_klaviyo(source, api_key=KEY, list_mode="mirror", max_removals=1, **given, **stage.goal())
        emails = sorted(member["email"] for member in stage.klaviyo.lists["Y6nRLr"])
        found[name] = [report.delivered, report.removed, emails, len(list(reads.iterdir())), dict(report.warnings)]
    found["left"] = (stage.place / "receipts" / "_staging").exists()
    found["removed"] = stage.spark.read.parquet(str(stage.place / "receipts_removed")).count()
    return found


def partition_writer_refuses_driver(stage: Stage) -> object:
    try:
        klaviyo_partition_writer(api_key=KEY, send_from="driver", **stage.goal())
    except OptionError as error:
        return {"error": str(error)}
    return {}


CHECKS: tuple[Check, ...] = (
    function,
    driver,
    tables,
    lost_tables,
    driver_with_nulls,
    unreachable,
    interrupted,
    interrupted_tasks,
    failed,
    changes,
    preview,
    partition,
    source,
    literal_key,
    reference,
    for_each_batch,
    stream,
    mirror,
    partition_writer_refuses_driver,
)


def main(results: Path, place: Path) -> None:
    builder = SparkSession.builder.remote("local[2]")
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.warehouse.dir": (place / "warehouse").as_uri(),
        "spark.eventLog.enabled": "true",
        "spark.eventLog.compress": "false",
        "spark.eventLog.dir": (place / "events").as_uri(),
    }
    for name, value in settings.items():
        builder = builder.config(name, value)
    (place / "events").mkdir()
    spark = builder.getOrCreate()
    found: dict[str, object] = {}
    try:
        for check in CHECKS:
            with KlaviyoSimulator(job_polls=0) as klaviyo:
                (place / check.__name__).mkdir()
                found[check.__name__] = check(Stage(spark, klaviyo, place / check.__name__))
    finally:
        results.write_text(json.dumps(found))
        spark.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
