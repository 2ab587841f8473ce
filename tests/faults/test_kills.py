"""Processes that are killed in the middle, on real Spark: nothing is lost, and twice comes only what was under way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from spark_klaviyo import follow_klaviyo
from spark_klaviyo.runs.tasks import OPEN_RECEIPTS
from spark_klaviyo.simulator import KlaviyoSimulator
from spark_klaviyo.state.format import PART
from spark_klaviyo.task.resume import RESUMED
from tests.faults.job import send

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROWS, MAX_ROWS = 2_000, 20
REPOSITORY = Path(__file__).resolve().parents[2]
UNDER_WAY = 2 * 4  # tasks times workers: most requests at a time


@pytest.fixture
def klaviyo() -> Iterator[KlaviyoSimulator]:
    with KlaviyoSimulator(latency=0.1, job_polls=0) as klaviyo:
        yield klaviyo


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(klaviyo: KlaviyoSimulator, tmp_path: Path) -> Iterator[Start]:
    """Starts the job on a master, with a state or other places; whatever still runs of it at the end is ended."""
    jobs: list[subprocess.Popen[str]] = []

    def started(master: str, *places: str) -> subprocess.Popen[str]:
        options = {f"{name}_path": str(tmp_path / name) for name in places or ["state"]}
        arguments = [master, klaviyo.url, json.dumps(options), str(ROWS), str(MAX_ROWS)]
        command = [sys.executable, "-m", "tests.faults.job", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        jobs.append(subprocess.Popen(command, cwd=REPOSITORY, text=True, start_new_session=True, **pipes))  # type: ignore[call-overload]
        return jobs[-1]

    yield started
    for job in jobs:
        with suppress(ProcessLookupError):
            os.killpg(job.pid, signal.SIGKILL)
        job.communicate()


def report_of(job: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = job.communicate(timeout=240)
    reports = [line.removeprefix("REPORT ") for line in out.splitlines() if line.startswith("REPORT ")]
    assert reports, err[-3000:]
    report: dict[str, Any] = json.loads(reports[0])
    return report


def wait_for(klaviyo: KlaviyoSimulator, requests: int, job: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 180
    while len(klaviyo.jobs) < requests:
        assert job.poll() is None, job.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)


def a_sending_worker(state: Path, job: subprocess.Popen[str]) -> int:
    """The process of a task at work that has delivered some rows already, as its lease names it."""
    while job.poll() is None:
        for lease in sorted(state.glob("_lease-*-0000[01].json")):
            task = lease.stem.removeprefix("_lease-")
            if len(list(state.glob(f"{PART}{task}-*"))) >= 3:
                with suppress(OSError, ValueError):  # its holder renews it, or gives it back, just now
                    return int(json.loads(lease.read_text())["process"])
        time.sleep(0.02)
    raise AssertionError("no task was at work")


def arrivals(klaviyo: KlaviyoSimulator) -> Counter[str]:
    """How often each person arrived."""
    found: Counter[str] = Counter()
    for request in klaviyo.requests:
        if request.method == "POST":
            rows = request.json()["data"]["attributes"]["profiles"]["data"]
            found.update(row["attributes"]["email"] for row in rows)
    return found


def assert_all_there_and_few_twice(klaviyo: KlaviyoSimulator, kills: int = 1) -> None:
    arrived = arrivals(klaviyo)
    assert len(arrived) == len(klaviyo.profiles) == ROWS
    twice = sum(count - 1 for count in arrived.values())
    assert twice <= kills * UNDER_WAY * MAX_ROWS


@pytest.mark.parametrize("master", ["local[2,4]", "local-cluster[2,1,1024]"])
def test_a_task_whose_worker_was_killed_is_run_again_and_sends_only_the_rest(
    klaviyo: KlaviyoSimulator, start: Start, tmp_path: Path, master: str
) -> None:
    job = start(master)
    wait_for(klaviyo, 30, job)
    os.kill(a_sending_worker(tmp_path / "state", job), signal.SIGKILL)
    report = report_of(job)
    assert_all_there_and_few_twice(klaviyo)
    assert (report["rows"], report["delivered"], report["rejected"], report["skipped"]) == (ROWS, ROWS, 0, 0)
    assert report["warnings"][RESUMED] > 0


def test_a_run_whose_driver_was_killed_is_finished_by_the_next_one(
    spark: SparkSession, klaviyo: KlaviyoSimulator, start: Start, tmp_path: Path
) -> None:
    job = start("local[2]")
    wait_for(klaviyo, 30, job)
    os.kill(job.pid, signal.SIGKILL)
    done = 30 * MAX_ROWS
    report = send(spark, klaviyo.url, {"state_path": str(tmp_path / "state")}, ROWS, MAX_ROWS)
    assert_all_there_and_few_twice(klaviyo)
    assert (report.rows, report.rejected, report.unsent) == (ROWS, 0, 0)
    assert report.delivered + report.skipped == ROWS
    assert report.skipped >= done - UNDER_WAY * MAX_ROWS


def test_the_jobs_of_a_run_whose_driver_was_killed_while_it_sent_are_followed_later(
    klaviyo: KlaviyoSimulator, start: Start, tmp_path: Path
) -> None:
    job = start("local[2]", "receipts", "rejects")
    wait_for(klaviyo, 30, job)
    os.kill(job.pid, signal.SIGKILL)
    job.wait()
    with suppress(ProcessLookupError):
        os.killpg(job.pid, signal.SIGKILL)
    known = set[str]()
    while known != set(klaviyo.jobs):  # workers of a killed driver go on until they report to it
        known = set(klaviyo.jobs)
        time.sleep(3.0)
    report = follow_klaviyo(str(tmp_path / "receipts"), api_key="pk_key_of_the_killed", base_url=klaviyo.url)
    assert report.delivered == report.rows >= (len(known) - UNDER_WAY) * MAX_ROWS
    receipts = pq.read_table(tmp_path / "receipts").to_pylist()
    assert {row["outcome"] for row in receipts} == {"delivered"}
    assert {row["job_id"] for row in receipts} <= set(klaviyo.jobs)
    assert sum(row["rows"] for row in receipts) == report.rows
    assert list((tmp_path / "receipts" / OPEN_RECEIPTS).glob("*.parquet")) == []
