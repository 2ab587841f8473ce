"""A declarative pipeline with a sink of format `klaviyo`, run by Spark's own command and found without registering."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from spark_klaviyo.simulator import KlaviyoSimulator
from tests.connect.apart import environment
from tests.streams.flowing import KEY, order, ordered, put_batches

pytest.importorskip("grpc", reason="Spark Connect's client needs it")
pytest.importorskip("yaml", reason="spark-pipelines needs it")
pytest.importorskip("pyspark.pipelines")

REPOSITORY = Path(__file__).resolve().parent.parent.parent
MINUTES = 5
SPEC = """
name: orders
storage: {storage}
libraries:
  - glob:
      include: orders.py
"""
PIPELINE = """
from pyspark import pipelines as dp
from pyspark.sql import SparkSession

spark = SparkSession.active()
options = {{
    "template": "bulk_create_events",
    "metric": "Placed Order",
    "event_time": "now",
    "unique_id_columns": "order_id",
    "base_url": "{url}",
    "api_key": "file:{key}",
}}
dp.create_sink("klaviyo_events", "klaviyo", options)


@dp.append_flow(target="klaviyo_events")
def orders():
    return spark.readStream.schema("email string, order_id string, total double").json("{folder}")
"""


@pytest.mark.timeout(60 * MINUTES)
def test_a_pipelines_sink_writes_to_klaviyo(tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    installed.mkdir()
    shutil.copy(REPOSITORY / "spark_klaviyo" / "entrypoints" / "discovery.py", installed / "pyspark_klaviyo.py")
    (tmp_path / "key").write_text(KEY)
    put_batches(tmp_path / "orders", [[order(1), order(2)], [order(3, email="nobody")]])
    with KlaviyoSimulator() as klaviyo:
        definition = PIPELINE.format(url=klaviyo.url, key=tmp_path / "key", folder=tmp_path / "orders")
        (tmp_path / "orders.py").write_text(definition)
        (tmp_path / "pipeline.yaml").write_text(SPEC.format(storage=(tmp_path / "storage").as_uri()))
        run_pipeline(tmp_path, installed)
        assert ordered(klaviyo) == ["o-1", "o-2"]


def run_pipeline(place: Path, installed: Path) -> None:
    command = [sys.executable, "-m", "pyspark.pipelines.cli", "run", "--spec", str(place / "pipeline.yaml")]
    mine = environment(REPOSITORY, installed, SPARK_REMOTE="local[2]")
    ran = subprocess.run(command, env=mine, cwd=place, capture_output=True, text=True, timeout=60 * MINUTES)
    assert ran.returncode == 0, (ran.stdout + ran.stderr)[-3000:]
