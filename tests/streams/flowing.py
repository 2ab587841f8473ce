"""A stream that brings the same rows again after a failure: JSON files, one for each micro-batch."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from spark_klaviyo.simulator import KlaviyoSimulator

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming import DataStreamWriter

KEY = "pk_test_0123456789abcdef"
ORDERS = "email string, order_id string, total double"
LATEST = 90.0  # seconds, for a query on a busy machine


def order(number: int, email: str = "") -> dict[str, object]:
    return {"email": email or f"buyer{number}@example.com", "order_id": f"o-{number}", "total": number / 4}


def put_batches(folder: Path, batches: Sequence[Sequence[dict[str, object]]]) -> None:
    """A file for each micro-batch; Spark takes the oldest first."""
    folder.mkdir(exist_ok=True)
    for number, rows in enumerate(batches):
        path = folder / f"batch-{number}.json"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        moment = 1_700_000_000 + number
        os.utime(path, (moment, moment))


def stream_of(spark: SparkSession, folder: Path, schema: str = ORDERS) -> DataFrame:
    return spark.readStream.schema(schema).option("maxFilesPerTrigger", 1).json(str(folder))


def run(writer: DataStreamWriter, checkpoint: Path) -> None:
    """Run a query until the stream has no more rows; raises what ended it."""
    query = writer.option("checkpointLocation", str(checkpoint)).trigger(availableNow=True).start()
    if not query.awaitTermination(int(LATEST)):
        query.stop()
        raise AssertionError("the query did not end")


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + LATEST
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)


def posted(klaviyo: KlaviyoSimulator) -> int:
    return sum(request.method == "POST" for request in klaviyo.requests)


def ordered(klaviyo: KlaviyoSimulator) -> list[str]:
    """The orders that Klaviyo has, an entry an event."""
    return sorted(str(event["properties"]["order_id"]) for event in klaviyo.events)
