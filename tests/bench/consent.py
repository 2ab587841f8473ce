"""What it costs to read who has opted out: people subscribed with and without the reads, by requests, time and CPU.

Spark and the simulator are processes of their own; CPU is that of Spark with its workers.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from tests.bench.processes import cpu_seconds


def main(given: Sequence[str]) -> int:
    """Print a line for each way; 0 where no more reads were made than one for 100 people."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench consent", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    rows = parser.parse_args(given).rows
    serve = [sys.executable, "-m", "spark_klaviyo", "simulate"]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            found = subscribe(server.stdout.readline().strip(), rows, server.pid)
        finally:
            server.terminate()
    for name, one in found.items():
        print(f"{name}: {json.dumps(one)}")
    return int(found["with reads"]["consent_reads"] > -(-rows // 100) + 10)  # each task may end with a part


def subscribe(url: str, rows: int, server: int) -> dict[str, dict[str, float]]:
    """Subscribe so many people in four partitions, first without reads."""
    from pyspark.sql import SparkSession

    from spark_klaviyo import write_klaviyo

    spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    found = {}

    def cpu() -> float:
        return cpu_seconds(os.getpid()) - cpu_seconds(server)

    for number, (name, again) in enumerate((("warm-up", "true"), ("without reads", "true"), ("with reads", "false"))):
        people = spark.range(0, rows, 1, 4).selectExpr(f"concat('p', id, '.{number}@example.com') AS email")
        before = cpu()
        report = write_klaviyo(
            people,
            template="bulk_subscribe_profiles",
            channels="email",
            list_id="Y6nRLr",
            resubscribe=again,
            base_url=url,
            api_key="pk_bench",
            rate_limit="none",
            progress="false",
        )
        shown = ("rows", "accepted", "requests", "consent_reads", "seconds", "consent_seconds")
        counts: dict[str, Any] = report.to_dict()
        found[name] = {**{one: float(counts[one]) for one in shown}, "cpu": round(cpu() - before, 1)}
    spark.stop()
    return found
