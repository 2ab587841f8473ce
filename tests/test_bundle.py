"""The Asset Bundle under `notebooks`: its files exist, its options are right, and its job runs."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from spark_klaviyo.cli.main import parser
from spark_klaviyo.simulator import KlaviyoSimulator

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


def tasks(**given: str) -> dict[str, Any]:
    """The tasks of the nightly job by name, with variables filled in."""
    yaml = pytest.importorskip("yaml")
    text = (NOTEBOOKS / "databricks.yml").read_text(encoding="utf-8")
    for name, variable in yaml.safe_load(text)["variables"].items():
        text = text.replace(f"${{var.{name}}}", given.get(name, variable["default"]))
    assert "${" not in text
    return {task["task_key"]: task for task in yaml.safe_load(text)["resources"]["jobs"]["klaviyo_nightly"]["tasks"]}


def test_the_first_task_is_a_command_of_the_command_line() -> None:
    task = tasks()["doctor"]["python_wheel_task"]
    assert task["entry_point"] == "spark-klaviyo"
    given = parser().parse_args(task["parameters"])
    assert given.command == "doctor"


def test_the_nightly_job_writes_a_table_once(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spark.range(6).selectExpr("concat('p', id, '@example.com') AS email").createOrReplaceTempView("customers")
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_test")
    task = tasks(table="customers", folder=str(tmp_path), api_key="env:KLAVIYO_API_KEY")["write"]["spark_python_task"]
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        for _ in range(2):
            monkeypatch.setattr(sys, "argv", ["nightly_job.py", *task["parameters"], f"base_url={klaviyo.url}"])
            runpy.run_path(str(NOTEBOOKS / task["python_file"]), run_name="__main__")
    printed = capsys.readouterr().out
    assert "6 rows: 6 delivered" in printed
    assert "6 skipped" in printed
