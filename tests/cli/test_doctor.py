"""`spark-klaviyo doctor`, and what a write says of workers that lack a package, or have another Python."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyspark
import pytest

from spark_klaviyo.cli.main import main
from spark_klaviyo.runs.session import PACKAGES, worker_fault
from spark_klaviyo.simulator import KlaviyoSimulator
from tests.connect.apart import environment

REPOSITORY = Path(__file__).parents[2]
EVERYWHERE = ["python", "pyspark", "packages", "spark", "workers", "address from tasks", 'format("klaviyo")', "proxy"]


@pytest.fixture
def klaviyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[KlaviyoSimulator]:
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_test")
    with KlaviyoSimulator(account="Test Shop") as running:
        yield running


def doctor(capsys: pytest.CaptureFixture[str], **options: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit status, and the lines by name."""
    status = main(["doctor", "--json", *(f"--option={name}={value}" for name, value in options.items())])
    return status, {line["name"]: line for line in json.loads(capsys.readouterr().out)["lines"]}


@pytest.mark.usefixtures("spark")
def test_all_is_well_here(klaviyo: KlaviyoSimulator, capsys: pytest.CaptureFixture[str]) -> None:
    status, lines = doctor(capsys, base_url=klaviyo.url, template="add_profiles_to_list", list_id="Y6nRLr")
    assert status == 0, lines
    assert {*EVERYWHERE, "clock", "key", "account"} <= lines.keys()
    assert lines["account"]["detail"].startswith("Test Shop")
    assert not [name for name, line in lines.items() if line["ok"] is False]
    assert {request.method for request in klaviyo.requests} <= {"GET", "HEAD"}


@pytest.mark.usefixtures("spark")
def test_what_fails_says_what_to_do_and_hides_nothing_else(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KLAVIYO_API_KEY", raising=False)
    closed = KlaviyoSimulator()
    closed.stop()
    status, lines = doctor(capsys, base_url=closed.url)
    assert status == 2
    assert {*EVERYWHERE, "clock"} <= lines.keys()
    assert "KLAVIYO_API_KEY" in lines["options"]["detail"]
    assert lines["address from tasks"]["ok"] is False
    assert "send_from=driver" in lines["address from tasks"]["advice"]
    assert lines["clock"]["ok"] is None


def test_workers_that_lack_the_package_are_said_in_one_sentence(tmp_path: Path) -> None:
    """A worker's Python with nothing installed, as on a cluster whose driver alone was set up."""
    venv.create(tmp_path / "bare", with_pip=False)
    bare = tmp_path / "bare" / "bin" / "python"
    script = f"""
import sys
sys.path.insert(0, {str(REPOSITORY)!r})
from spark_klaviyo import KlaviyoError, klaviyo_partition_writer, write_klaviyo
from spark_klaviyo.cli.local_spark import local_session
from spark_klaviyo.cli.main import main
from spark_klaviyo.simulator import KlaviyoSimulator
spark = local_session("test", "local[1]")
people = spark.createDataFrame([("ann@example.com",)], "email string")
with KlaviyoSimulator(job_polls=0) as klaviyo:
    goal = dict(template="bulk_import_profiles", api_key="pk_test", base_url=klaviyo.url)
    for way in ("executors", "driver"):
        try:
            write_klaviyo(people, send_from=way, **goal)
        except KlaviyoError as error:
            print("FAULT", error, error.__suppress_context__)
    try:
        people.foreachPartition(klaviyo_partition_writer(**goal))
    except Exception as error:
        print("FAULT", *[line for line in str(error).splitlines() if "has no module" in line][-1:], True)
    main(["doctor", "--option=base_url=" + klaviyo.url])
"""
    given = {**environment(PYSPARK_PYTHON=str(bare)), "KLAVIYO_API_KEY": "pk_test"}
    given.pop("PYTHONPATH")
    done = subprocess.run([sys.executable, "-c", script], env=given, capture_output=True, text=True, timeout=250)
    faults = [line for line in done.stdout.splitlines() if line.startswith("FAULT")]
    assert len(faults) == 3, done.stdout + done.stderr
    for line in faults:
        assert "has no module '" in line
        assert "install spark-klaviyo, in the driver's version, on every worker" in line
        assert line.endswith("True")
    assert f"({bare}) lacks spark-klaviyo" in done.stdout


def test_workers_run_this_python_also_where_it_is_not_on_the_path(tmp_path: Path) -> None:
    """A script in an environment that nobody activated: `python3` of the PATH has nothing installed.

    Once as it is, once in a session whose `spark.pyspark.python` names the Python.
    """
    venv.create(tmp_path / "bare", with_pip=False)
    script = """
import sys
from pyspark.sql import SparkSession
from spark_klaviyo import klaviyo_partition_writer, register
from spark_klaviyo.simulator import KlaviyoSimulator
for more in ({}, {"spark.pyspark.python": sys.executable}):
    builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    spark = builder.config(map=more).getOrCreate()
    people = spark.range(3).selectExpr("concat('p', id, '@example.com') AS email")
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        goal = dict(template="bulk_import_profiles", base_url=klaviyo.url)
        people.foreachPartition(klaviyo_partition_writer(api_key="pk_test", **goal))
        print("ARRIVED", len(klaviyo.profiles))
        klaviyo.reset()
        if hasattr(spark, "dataSource"):
            register(spark, api_key="pk_test")
            people.write.format("klaviyo").mode("append").options(**goal).save()
            print("ARRIVED", len(klaviyo.profiles))
    spark.stop()
"""
    path = os.pathsep.join([str(tmp_path / "bare" / "bin"), os.environ["PATH"]])
    given = environment(REPOSITORY, PATH=path)
    given.pop("PYSPARK_PYTHON")
    done = subprocess.run([sys.executable, "-c", script], env=given, capture_output=True, text=True, timeout=250)
    assert done.stdout.count("ARRIVED 3") == 2 + 2 * (not pyspark.__version__.startswith("3.")), done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "Lost task 0.3 in stage 1 (TID 7) (10.0.0.5 executor 2): ...\nModuleNotFoundError: No module named 'arro3'",
            "the Python of 10.0.0.5 has no module 'arro3'",
        ),
        ("ModuleNotFoundError: No module named 'spark_klaviyo.runs'", "the workers has no module 'spark_klaviyo.runs'"),
        (
            "[PYTHON_VERSION_MISMATCH] Python in worker has different version: 3.12 than that in driver: 3.11, PySpark",
            "Python 3.12 runs on the workers, and 3.11 in this process: set PYSPARK_PYTHON",
        ),
        ('java.io.IOException: Cannot run program "python9": error=2', "python9 cannot be started on the workers"),
        ("ModuleNotFoundError: No module named 'users_own'", ""),
        ("No space left on device", ""),
    ],
)
def test_errors_of_spark_that_are_about_the_workers_python(text: str, said: str) -> None:
    assert said in worker_fault(text)
    assert bool(worker_fault(text)) == bool(said)


def test_every_package_that_tasks_import_is_known() -> None:
    required = (REPOSITORY / "pyproject.toml").read_text().partition("dependencies = [")[2].partition("]")[0]
    for line in required.splitlines():
        name = line.strip().strip('"').partition(">")[0].partition("-")[0].lower()
        assert not name or name in PACKAGES.split("|")
