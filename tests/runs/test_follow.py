"""follow_klaviyo follows the jobs of receipts without Spark, and appends their outcomes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spark_klaviyo import OptionError, RowsRejected, follow_klaviyo
from spark_klaviyo.cli.main import main
from spark_klaviyo.core.clock import Stop
from spark_klaviyo.core.models import Receipt
from spark_klaviyo.datasets.spark_storage import STAGING
from spark_klaviyo.encode.encoder import encode_batches
from spark_klaviyo.entrypoints.read import options_at
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.report.report import WriteReport
from spark_klaviyo.runs.follow_receipts import WAITING, follow_receipts
from spark_klaviyo.runs.results import ResultKind, result_batches, result_row
from spark_klaviyo.runs.tasks import OPEN_RECEIPTS, TaskWriter
from spark_klaviyo.simulator import KlaviyoSimulator
from spark_klaviyo.simulator.faults import Fault
from spark_klaviyo.task.run import SendContextFactory, TaskEvent, run_task
from tests.core.scaled_clock import ScaledClock
from tests.task.running import KEY, people, plan_for

FAST = SendContextFactory(ScaledClock(60.0))


def leave_open(klaviyo: KlaviyoSimulator, place: Path, *, cut: bool = False) -> None:
    """Send a hundred people in ten jobs that are not followed; `cut`: by a task that is killed."""
    plan = plan_for(klaviyo, ["email", "first_name"], max_rows=10, wait_for_jobs=cut)
    rows = pa.Table.from_pylist(people(100)).to_batches()
    with FAST.open(plan, 0, 0) as context:
        happened = run_task(plan, encode_batches(rows, plan), context, follows=True)
        try:
            TaskWriter(None, str(place), plan.run_id, context).write_all(dying(happened) if cut else happened)
        except KeyboardInterrupt:
            assert cut


def dying(happened: Iterator[TaskEvent]) -> Iterator[TaskEvent]:
    for event in happened:
        if type(event).__name__ == "JobEnded":
            raise KeyboardInterrupt
        yield event


def follow(klaviyo: KlaviyoSimulator, place: Path, **options: object) -> WriteReport:
    given = {"api_key": KEY, "base_url": klaviyo.url, **options}
    return follow_receipts(str(place), options_at(EntryPoint.FOLLOW, given), FAST)


def settled(place: Path) -> list[str]:
    rows = pq.read_table(place).to_pylist()
    return sorted(row["outcome"] for row in rows if row["outcome"] != "accepted")


def test_open_jobs_are_followed_and_their_receipts_get_a_further_row(klaviyo: KlaviyoSimulator, tmp_path: Path) -> None:
    leave_open(klaviyo, tmp_path / "receipts")
    report = follow(klaviyo, tmp_path / "receipts")
    assert (report.rows, report.delivered, report.template) == (100, 100, "bulk_import_profiles")
    assert settled(tmp_path / "receipts") == ["delivered"] * 10
    rows = pq.read_table(tmp_path / "receipts").to_pylist()
    assert {row["run_id"] for row in rows} == {"run"}


def test_a_job_that_has_ended_is_not_followed_again(klaviyo: KlaviyoSimulator, tmp_path: Path) -> None:
    leave_open(klaviyo, tmp_path)
    follow(klaviyo, tmp_path)
    before = len(klaviyo.requests)
    assert follow(klaviyo, tmp_path).rows == 0
    assert len(klaviyo.requests) == before


def test_a_killed_run_is_followed_and_has_one_row_a_request_afterwards(
    klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    leave_open(klaviyo, tmp_path, cut=True)
    assert follow(klaviyo, tmp_path).delivered == 100
    assert len(pq.read_table(tmp_path)) == 10
    assert settled(tmp_path) == ["delivered"] * 10
    assert list((tmp_path / OPEN_RECEIPTS).iterdir()) == []


def test_a_run_killed_while_it_followed_its_jobs_is_found_in_its_staging_location(
    klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    plan = plan_for(klaviyo, ["email", "first_name"], max_rows=10)
    rows = pa.Table.from_pylist(people(100)).to_batches()
    with FAST.open(plan, 0, 0) as context:
        happened = run_task(plan, encode_batches(rows, plan), context)
        made = map(result_row, happened)
        results = list(result_batches(row for row in made if row[0] != ResultKind.REJECT))
    (tmp_path / STAGING / "run").mkdir(parents=True)
    pq.write_table(pa.Table.from_batches(results), tmp_path / STAGING / "run" / "part-0.parquet")
    assert follow(klaviyo, tmp_path).delivered == 100
    assert settled(tmp_path) == ["delivered"] * 10
    assert follow(klaviyo, tmp_path).rows == 0


def test_rejected_rows_of_a_killed_run_are_recovered_from_its_staging_location_once(
    klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    receipts, rejects = tmp_path / "receipts", tmp_path / "rejects"
    plan = plan_for(klaviyo, ["email", "first_name"], max_rows=10)
    rows = pa.Table.from_pylist([*people(20), {"email": "bad", "first_name": "B"}]).to_batches()
    with FAST.open(plan, 0, 0) as context:
        happened = run_task(plan, encode_batches(rows, plan), context)
        results = list(result_batches(map(result_row, happened)))
    (receipts / STAGING / "run").mkdir(parents=True)
    pq.write_table(pa.Table.from_batches(results), receipts / STAGING / "run" / "part-0.parquet")

    report = follow(klaviyo, receipts)
    assert (report.rows, report.delivered, report.warnings) == (20, 20, {WAITING: 1})
    for _ in range(2):
        report = follow(klaviyo, receipts, rejects_path=str(rejects))
    assert report.warnings == {}
    found = pq.read_table(rejects).to_pylist()
    assert [(row["run_id"], row["code"], row["record"]) for row in found] == [
        ("run", "bad_email", '{"type":"profile","attributes":{"email":"bad","first_name":"B"}}')
    ]


def test_rows_that_jobs_refused_are_rejected_under_their_own_run(klaviyo: KlaviyoSimulator, tmp_path: Path) -> None:
    klaviyo.inject(Fault("job_row_errors", identifiers=("p5@example.com",)))
    leave_open(klaviyo, tmp_path / "receipts")
    with pytest.raises(RowsRejected) as raised:
        follow(klaviyo, tmp_path / "receipts", rejects_path=str(tmp_path / "rejects"), runs_path=str(tmp_path / "runs"))
    assert raised.value.report is not None
    assert (raised.value.report.delivered, raised.value.report.rejected) == (99, 1)
    rejects = pq.read_table(tmp_path / "rejects").to_pylist()
    assert [(row["run_id"], row["email"]) for row in rejects] == [("run", "p5@example.com")]
    assert pq.read_table(tmp_path / "runs").to_pylist()[0]["rejected"] == 1


class Dying(ScaledClock):
    """A clock on which the process is killed once a folder holds so many files."""

    def __init__(self, place: Path, files: int) -> None:
        super().__init__(60.0)
        self._place, self._files = place, files

    def wait(self, seconds: float, stop: Stop) -> bool:
        if len(list(self._place.glob("*.parquet"))) >= self._files:
            raise KeyboardInterrupt
        return super().wait(seconds, stop)


def test_rejected_rows_are_on_disk_before_a_receipt_says_that_their_job_has_ended(tmp_path: Path) -> None:
    receipts, rejects = tmp_path / "receipts", tmp_path / "rejects"
    slow = Fault("job_slow", seconds=30, after=1)
    with KlaviyoSimulator(speed=60.0, faults=[Fault("job_row_errors"), slow, Fault("job_never_ends", after=5)]) as one:
        leave_open(one, receipts)
        given = options_at(EntryPoint.FOLLOW, {"api_key": KEY, "base_url": one.url, "rejects_path": str(rejects)})
        with pytest.raises(KeyboardInterrupt):
            follow_receipts(str(receipts), given, SendContextFactory(Dying(receipts, files=2)))
    ended = [row for row in pq.read_table(receipts).to_pylist() if row["outcome"] == "rejected"]
    assert ended
    assert len(pq.read_table(rejects)) >= sum(row["rows"] for row in ended)


def test_all_requests_that_were_answered_with_one_job_are_settled(klaviyo: KlaviyoSimulator, tmp_path: Path) -> None:
    leave_open(klaviyo, tmp_path)
    [file] = tmp_path.glob("*.parquet")
    table = pq.read_table(file)
    same = pa.array([table["job_id"][0].as_py()] * len(table))
    pq.write_table(table.set_column(table.column_names.index("job_id"), "job_id", same), file)
    report = follow(klaviyo, tmp_path)
    assert (report.rows, report.accepted) == (100, 100)  # that job says that it had ten rows
    assert settled(tmp_path) == ["unnamed"] * 10
    assert follow(klaviyo, tmp_path).rows == 0


def test_a_job_that_is_still_open_stays_open(klaviyo: KlaviyoSimulator, tmp_path: Path) -> None:
    klaviyo.inject(Fault("job_never_ends", times=1))
    leave_open(klaviyo, tmp_path)
    report = follow(klaviyo, tmp_path, job_timeout_seconds=60)
    assert (report.delivered, report.accepted) == (90, 10)
    assert follow(klaviyo, tmp_path, job_timeout_seconds=60).rows == 10


def test_a_job_that_klaviyo_no_longer_knows_is_settled_as_gone(klaviyo: KlaviyoSimulator, tmp_path: Path) -> None:
    leave_open(klaviyo, tmp_path)
    klaviyo.inject(Fault("job_gone"))
    klaviyo.account.jobs.by_id.clear()
    assert follow(klaviyo, tmp_path).accepted == 100
    assert settled(tmp_path) == ["gone"] * 10


def test_the_receipts_of_a_report_can_be_followed(klaviyo: KlaviyoSimulator, tmp_path: Path) -> None:
    leave_open(klaviyo, tmp_path)
    receipts = pq.read_table(tmp_path).to_pylist()
    held = tuple(Receipt(**{**row, "started_at": str(row["started_at"])}) for row in receipts)
    assert follow_klaviyo(held, api_key=KEY, base_url=klaviyo.url).delivered == 100


def test_a_key_is_sent_only_to_the_address_that_the_caller_gives(klaviyo: KlaviyoSimulator, tmp_path: Path) -> None:
    leave_open(klaviyo, tmp_path)
    with pytest.raises(OptionError, match="these receipts were written at http://127"):
        follow_klaviyo(str(tmp_path), api_key=KEY)


@pytest.mark.parametrize(
    ("receipts", "options", "said"),
    [
        ("nowhere", {}, "none were found at"),
        ("table:main.crm.receipts", {}, "give the DataFrame"),
        (7, {}, "must be the path"),
        ("here", {"receipts_path": "elsewhere"}, "leave it out"),
        ("here", {"rejects_path": "table:a.b"}, "give a path"),
    ],
)
def test_what_cannot_be_followed_is_refused(
    tmp_path: Path, receipts: object, options: dict[str, Any], said: str
) -> None:
    place = str(tmp_path / str(receipts)) if receipts in ("nowhere", "here") else receipts
    with pytest.raises(OptionError, match=said):
        follow_klaviyo(place, api_key=KEY, **options)


def test_a_folder_of_other_files_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "x.parquet")
    with pytest.raises(OptionError, match="holds something else: it has no column run_id"):
        follow_klaviyo(str(tmp_path), api_key=KEY)
    (tmp_path / "x.parquet").write_text("no Parquet")
    with pytest.raises(OptionError, match="cannot be read as receipts"):
        follow_klaviyo(str(tmp_path), api_key=KEY)


def test_the_command_line_follows(
    klaviyo: KlaviyoSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    leave_open(klaviyo, tmp_path)
    monkeypatch.setenv("KLAVIYO_API_KEY", KEY)
    assert main(["follow", "--receipts", str(tmp_path), "--option", f"base_url={klaviyo.url}"]) == 0
    assert capsys.readouterr().out.startswith("100 rows: 100 delivered")


def test_following_needs_no_spark() -> None:
    blocked = "import sys; sys.modules['pyspark'] = None; import spark_klaviyo.entrypoints.function"
    subprocess.run([sys.executable, "-c", blocked], check=True, timeout=60)
