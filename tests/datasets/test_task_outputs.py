"""Entry points without a session: what a task writes while it sends, and what it leaves when it is killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spark_klaviyo.datasets import storage
from spark_klaviyo.encode.encoder import encode_batches
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.runs.tasks import OPEN_RECEIPTS, TaskWriter
from spark_klaviyo.simulator import KlaviyoSimulator
from spark_klaviyo.simulator.faults import Fault
from spark_klaviyo.task.run import SendContextFactory, TaskEvent, run_task
from tests.core.scaled_clock import ScaledClock
from tests.task.running import people, plan_for


def send(klaviyo: KlaviyoSimulator, folder: Path | str, *, cut: bool = False, **options: object) -> TaskReport:
    """Send a hundred people, ten a request; `cut`: the task dies when its first job has ended."""
    plan = plan_for(klaviyo, ["email", "first_name"], max_rows=10, **options)
    paths = f"{folder}/rejects", f"{folder}/receipts"
    rows = pa.Table.from_pylist(people(100)).to_batches(max_chunksize=30)
    with SendContextFactory(ScaledClock(60.0)).open(plan, 7, 2) as context:
        happened = run_task(plan, encode_batches(rows, plan), context, follows=True)
        return TaskWriter(*paths, plan.run_id, context).write_all(cut_off(happened) if cut else happened)


def cut_off(happened: Iterator[TaskEvent]) -> Iterator[TaskEvent]:
    for event in happened:
        if type(event).__name__ == "JobEnded":
            raise KeyboardInterrupt
        yield event


def test_every_request_has_one_receipt_with_its_final_outcome(klaviyo: KlaviyoSimulator, tmp_path: Path) -> None:
    klaviyo.inject(Fault("job_cancelled", times=1))
    report = send(klaviyo, tmp_path)
    receipts = pq.read_table(tmp_path / "receipts").to_pylist()
    assert len(receipts) == report.requests == 10
    assert sorted(row["outcome"] for row in receipts) == ["cancelled"] + ["delivered"] * 9
    assert {row["job_id"] for row in receipts} == set(klaviyo.jobs)
    assert list((tmp_path / "receipts" / OPEN_RECEIPTS).iterdir()) == []
    assert pq.read_table(tmp_path / "rejects").num_rows == 0


def test_tasks_write_to_dbfs_where_it_is_mounted(
    klaviyo: KlaviyoSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "DBFS", str(tmp_path))
    report = send(klaviyo, "dbfs:/crm")
    assert pq.read_table(tmp_path / "crm" / "receipts").num_rows == report.requests


def test_files_name_the_run_the_partition_and_the_attempt(klaviyo: KlaviyoSimulator, tmp_path: Path) -> None:
    send(klaviyo, tmp_path)
    assert all(file.name.startswith("part-run-00007-2-") for file in (tmp_path / "receipts").glob("*.parquet"))


def test_a_task_that_is_killed_leaves_its_receipts(klaviyo: KlaviyoSimulator, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        send(klaviyo, tmp_path, cut=True)
    left = pq.read_table(tmp_path / "receipts" / OPEN_RECEIPTS).to_pylist()
    assert {row["job_id"] for row in left} == set(klaviyo.jobs)
    assert {row["outcome"] for row in left} == {"accepted"}


def test_receipts_of_jobs_that_stay_open_are_accepted(klaviyo: KlaviyoSimulator, tmp_path: Path) -> None:
    send(klaviyo, tmp_path, wait_for_jobs=False)
    assert {row["outcome"] for row in pq.read_table(tmp_path / "receipts").to_pylist()} == {"accepted"}


def test_no_value_of_a_row_is_in_a_receipt(klaviyo: KlaviyoSimulator, tmp_path: Path) -> None:
    klaviyo.inject(Fault("status", status=400, method="POST", detail="Invalid email address 'p3@example.com'"))
    report = send(klaviyo, tmp_path, rate_limit="none")
    assert report.rejected == 100
    assert "example.com" not in str(pq.read_table(tmp_path / "receipts").to_pylist())


def test_a_path_that_cannot_be_written_fails_before_anything_is_sent(klaviyo: KlaviyoSimulator, tmp_path: Path) -> None:
    (tmp_path / "rejects").write_text("no folder")
    with pytest.raises(OSError, match="rejects"):
        send(klaviyo, tmp_path)
    assert klaviyo.requests == []


def test_a_path_that_fails_later_stops_the_write_with_the_reason(klaviyo: KlaviyoSimulator, tmp_path: Path) -> None:
    plan = plan_for(klaviyo, ["email", "first_name"], max_rows=1, workers=1)
    rows = pa.Table.from_pylist(people(200)).to_batches()
    with SendContextFactory(ScaledClock(600.0)).open(plan, 0, 0) as context:
        writing = TaskWriter(None, str(tmp_path / "receipts"), plan.run_id, context)
        (tmp_path / "receipts").rmdir()
        (tmp_path / "receipts").write_text("now a file")
        report = writing.write_all(run_task(plan, encode_batches(rows, plan), context, follows=True))
    assert report.stopped is not None
    assert report.stopped[0] == "not_written"
    assert report.adds_up()
    assert report.unsent > 0
