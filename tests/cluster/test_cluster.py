"""A standalone cluster of two workers whose Python has nothing installed: packages are shipped, machines fail."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from spark_klaviyo.simulator import KlaviyoSimulator
from tests.cluster.shipping import free_port, linked, python_with, required_modules, zipped
from tests.connect.apart import environment

pytestmark = pytest.mark.cluster
REPOSITORY = Path(__file__).resolve().parents[2]
WORKERS = ("127.0.0.1", "127.0.0.2")  # Spark runs no speculative copy of a task on the host of the first
ROWS = 4_000
OURS = ("spark_klaviyo", "pyspark_klaviyo.py")


@dataclass(frozen=True)
class Cluster:
    """A master with two workers of one core each, and the Python that they start.

    `installed` holds what the package needs there, but not the package. `workers` are their processes, by address.
    """

    master: str
    python: Path
    folder: Path
    installed: Path
    workers: Mapping[str, subprocess.Popen[bytes]]

    def start(self, klaviyo: KlaviyoSimulator, options: dict[str, Any], conf: dict[str, str]) -> subprocess.Popen[str]:
        """The job under way, from a driver that has everything."""
        settings = {"spark.executor.memory": "600m", "spark.cores.max": "2", "spark.executor.cores": "1", **conf}
        arguments = [self.master, klaviyo.url, str(ROWS), json.dumps(options), json.dumps(settings)]
        command = [sys.executable, "-m", "tests.cluster.job", *arguments]
        given = environment(REPOSITORY, PYSPARK_PYTHON=str(self.python))
        pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, cwd=REPOSITORY, env=given, text=True, **pipes)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    home = Path(str(find_spec("pyspark").origin)).parent  # type: ignore[union-attr]
    port = free_port()
    master = f"spark://127.0.0.1:{port}"
    deploy = "org.apache.spark.deploy"
    commands = [[f"{deploy}.master.Master", "--host", "127.0.0.1", "--port", str(port), "--webui-port", "0"]]
    for host in WORKERS:
        place = ["--work-dir", str(folder / host), "--host", host, "--webui-port", "0"]
        commands.append([f"{deploy}.worker.Worker", *place, "--cores", "1", "--memory", "1g", master])
    given = {**environment(), "SPARK_HOME": str(home), "SPARK_DAEMON_MEMORY": "256m", "SPARK_LOG_DIR": str(folder)}
    given["SPARK_DAEMON_JAVA_OPTS"] = "-XX:TieredStopAtLevel=1"
    running = list[subprocess.Popen[bytes]]()
    for command in commands:
        log = (folder / f"{len(running)}.log").open("w")
        running.append(
            subprocess.Popen([str(home / "bin" / "spark-class"), *command], env=given, stdout=log, stderr=log)
        )
        log.close()
    workers = dict(zip(WORKERS, running[1:], strict=True))
    yield Cluster(master, python_with(folder / "bare"), folder, linked(folder / "installed"), workers)
    for process in running:
        process.terminate()
    for process in running:
        process.wait(30)
    shutil.rmtree(folder, ignore_errors=True)


def result(job: subprocess.Popen[str]) -> tuple[dict[str, Any], list[str]]:
    """The report, and where the workers had package and compiled parts from."""
    out, err = job.communicate(timeout=200)
    reports = [line.removeprefix("REPORT ") for line in out.splitlines() if line.startswith("REPORT ")]
    assert reports, err[-5000:]
    places = [line.removeprefix("PLACES ") for line in out.splitlines() if line.startswith("PLACES ")]
    return json.loads(reports[0]), [place for line in places for place in json.loads(line)]


def kill_executor(host: str) -> None:
    """Kill the executor of the worker that has this address."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            text = (process / "cmdline").read_bytes()
            if b"CoarseGrainedExecutorBackend" in text and f"spark://Worker@{host}:".encode() in text:
                os.kill(int(process.name), signal.SIGKILL)


def arrivals(klaviyo: KlaviyoSimulator) -> Counter[str]:
    """How often each person arrived."""
    bodies = [request.json() for request in klaviyo.requests if request.method == "POST"]
    return Counter(
        row["attributes"]["email"] for body in bodies for row in body["data"]["attributes"]["profiles"]["data"]
    )


def wait_for(job: subprocess.Popen[str], holds: Callable[[], bool]) -> None:
    """Wait, while the job runs."""
    until = time.monotonic() + 150
    while not holds():
        assert job.poll() is None, job.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)


def assert_all_arrived(arrived: Counter[str], report: dict[str, Any]) -> None:
    """Every row is there and in one count, and what came twice counts as `resent`."""
    assert set(arrived) == {f"p{number}@example.com" for number in range(ROWS)}
    twice = sum(times > 1 for times in arrived.values())
    assert 0 < twice <= report["resent"] <= ROWS
    outcomes = ("delivered", "accepted", "rejected", "skipped", "unsent")
    assert report["rows"] == sum(report[name] for name in outcomes) == ROWS


def test_an_archive_with_the_package_and_what_it_needs_runs_two_hundred_partitions(cluster: Cluster) -> None:
    """`spark.archives`: everything is in it, compiled parts included; two tasks send, whatever the partitions.

    Executors are allocated as they are needed.
    """
    sources = [*required_modules(), *(REPOSITORY / OURS[0],)]
    archive = zipped(cluster.folder / "packed.zip", *sources)
    dynamic = {"enabled": "true", "shuffleTracking.enabled": "true", "minExecutors": "1", "maxExecutors": "2"}
    conf = {f"spark.dynamicAllocation.{name}": value for name, value in dynamic.items()}
    conf |= {"spark.archives": f"{archive}#packed", "spark.executorEnv.PYTHONPATH": "packed"}
    with KlaviyoSimulator() as klaviyo:
        report, places = result(cluster.start(klaviyo, {"partitions": 200, "tasks": 2, "max_rows": 200}, conf))
        assert set(arrivals(klaviyo)) == {f"p{number}@example.com" for number in range(ROWS)}
    assert report["delivered"] == ROWS
    assert report["requests"] <= 2 * (ROWS // 200 // 2 + 1)
    assert all("/packed/" in place for place in places), places


def written_while(cluster: Cluster, conf: dict[str, str], strike: Callable[[], None]) -> list[str]:
    """Where the workers had the package from, in a write during which something strikes; all rows arrive and count."""
    with KlaviyoSimulator(latency=0.4) as klaviyo:
        job = cluster.start(klaviyo, {"partitions": 2, "tasks": 2, "workers": 2, "max_rows": 100}, conf)
        wait_for(job, lambda: sum(request.method == "POST" for request in klaviyo.requests) >= 8)
        strike()
        report, places = result(job)
        assert_all_arrived(arrivals(klaviyo), report)
    return places


def test_a_wheel_as_py_file_needs_its_compiled_parts_on_the_workers_and_survives_a_killed_executor(
    cluster: Cluster,
) -> None:
    """`--py-files`: a wheel is a zip, and Spark takes it under that name. What was in flight counts as `resent`."""
    wheel = zipped(cluster.folder / "spark_klaviyo.zip", REPOSITORY / OURS[0])
    conf = {"spark.submit.pyFiles": str(wheel), "spark.executorEnv.PYTHONPATH": str(cluster.installed)}
    places = written_while(cluster, conf, lambda: kill_executor(WORKERS[1]))
    assert any("spark_klaviyo.zip" in place for place in places), places


def installed_with_the_package(cluster: Cluster) -> dict[str, str]:
    """Settings of Spark's where every machine has all that is needed."""
    return {"spark.executorEnv.PYTHONPATH": os.pathsep.join([str(cluster.installed), str(REPOSITORY)])}


def test_a_speculative_copy_of_a_slow_task_sends_its_rows_again_and_they_count_once(cluster: Cluster) -> None:
    """The first attempt of a task rests; Spark kills it once the second one, on the other worker, has ended."""
    speculation = {"": "true", ".interval": "100ms", ".multiplier": "1.1", ".quantile": "0.5"}
    conf = {f"spark.speculation{name}": value for name, value in speculation.items()}
    conf |= {**installed_with_the_package(cluster), "spark.sql.execution.arrow.maxRecordsPerBatch": "500"}
    with KlaviyoSimulator() as klaviyo:
        options = {"partitions": 2, "tasks": 2, "max_rows": 100, "rest": 100}
        report, _ = result(cluster.start(klaviyo, options, conf))
        assert_all_arrived(arrivals(klaviyo), report)
    assert report["seconds"] < 90


def test_a_killed_worker_costs_no_row(cluster: Cluster) -> None:
    """The daemon and its executor at once, as when a machine is lost. The last test: one worker remains."""

    def lose_a_machine() -> None:
        cluster.workers[WORKERS[1]].kill()
        kill_executor(WORKERS[1])

    written_while(cluster, installed_with_the_package(cluster), lose_a_machine)
