"""A state works the same from every entry point with a session, and is refused at those without one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from spark_klaviyo import OptionError, klaviyo_batch_writer, klaviyo_partition_writer, write_klaviyo
from spark_klaviyo.cli.main import main
from spark_klaviyo.simulator import KlaviyoSimulator

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_entry_points_share_one_state(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_key_of_entry_points")
    people = tmp_path / "people"
    spark.range(3).selectExpr("concat('p', id, '@x.com') email").coalesce(1).write.parquet(str(people))
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        options = {
            "template": "create_or_update_profile",
            "base_url": klaviyo.url,
            "state_path": str(tmp_path / "state"),
            "rate_limit": "none",
        }
        writer = klaviyo_batch_writer(**options)
        for _ in range(2):  # a micro-batch that Spark repeats
            writer(spark.read.parquet(str(people)), 7)
        assert writer.report is not None
        assert (writer.report.delivered, writer.report.skipped) == (0, 3)
        assert write_klaviyo(spark.read.parquet(str(people)), **options).skipped == 3
        pairs = [word for name, value in options.items() for word in ("--option", f"{name}={value}")]
        assert main(["write", "--input", str(people), "--json", *pairs]) == 0
        assert json.loads(capsys.readouterr().out)["skipped"] == 3
        assert len([request for request in klaviyo.requests if request.method == "POST"]) == 3


def test_an_entry_point_without_a_session_names_those_that_take_a_state() -> None:
    with pytest.raises(OptionError, match="write_klaviyo"):
        klaviyo_partition_writer(template="bulk_import_profiles", api_key="pk_x", state_path="/somewhere/state")
