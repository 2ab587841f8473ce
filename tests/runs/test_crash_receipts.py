"""The receipt of a job is on disk as soon as its request is answered, where pyarrow can write to the location."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from spark_klaviyo.core.models import Receipt
from spark_klaviyo.encode.encoder import encode_batches
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.runs.tasks import OPEN_RECEIPTS, UNWRITTEN, CrashReceipts
from spark_klaviyo.simulator import KlaviyoSimulator
from spark_klaviyo.task.run import SendContextFactory, TaskEvent, run_task
from tests.core.scaled_clock import ScaledClock
from tests.task.running import batches_of, people, plan_for


def sent(klaviyo: KlaviyoSimulator, receipts: CrashReceipts) -> Iterator[TaskEvent]:
    """A hundred people, ten a request."""
    plan = plan_for(klaviyo, ["email", "first_name"], max_rows=10)
    with SendContextFactory(ScaledClock(60.0)).open(plan, 0, 0) as context:
        encoded = encode_batches(batches_of(people(100), 50), plan)
        yield from receipts.record(run_task(plan, encoded, context), context)


def test_the_receipt_of_a_job_is_on_disk_before_its_event_is_passed_on(
    klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    receipts = CrashReceipts("run", str(tmp_path))
    seen = []
    for event in sent(klaviyo, receipts):
        if isinstance(event, Receipt):
            seen.append(event.job_id)
            assert sorted(pq.read_table(tmp_path / OPEN_RECEIPTS)["job_id"].to_pylist()) == sorted(map(str, seen))
    assert set(seen) == set(klaviyo.jobs)
    CrashReceipts("another", str(tmp_path)).remove()
    assert len(list((tmp_path / OPEN_RECEIPTS).iterdir())) == 10
    receipts.remove()
    assert list((tmp_path / OPEN_RECEIPTS).iterdir()) == []


def test_a_location_that_fails_does_not_stop_the_sending(klaviyo: KlaviyoSimulator, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    receipts = CrashReceipts("run", str(tmp_path / "file" / "receipts"))
    *events, report = sent(klaviyo, receipts)
    assert isinstance(report, TaskReport)
    assert (report.accepted, report.stopped, report.warnings) == (100, None, {UNWRITTEN: 1})
    assert sum(isinstance(event, Receipt) for event in events) == 10


@pytest.mark.parametrize("place", [None, "nosuchscheme://somewhere/receipts", "/no/such/folder/on/this/machine"])
def test_nothing_is_written_at_once_where_only_spark_can_write(klaviyo: KlaviyoSimulator, place: str | None) -> None:
    receipts = CrashReceipts("run", place).if_usable()
    assert receipts.location is None
    *_, report = sent(klaviyo, receipts)
    assert isinstance(report, TaskReport)
    assert report.warnings == {}
    receipts.remove()
