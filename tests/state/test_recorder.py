"""What tasks record while they send, and what later attempts of them read."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_klaviyo.arrow.encoded import FINGERPRINT, ROW_STATUS
from spark_klaviyo.core.clock import Stop
from spark_klaviyo.datasets.storage import Folder
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.simulator import Fault, KlaviyoSimulator
from spark_klaviyo.state.format import Fingerprints, RowStatus, StateOutcome, fingerprints_of
from spark_klaviyo.state.lock import LOCK
from spark_klaviyo.state.recorder import READ_SCHEMA, EarlierAttempts, Recorder
from spark_klaviyo.task.resume import RESUMED
from spark_klaviyo.task.run import SendContextFactory, run_task
from tests.state.recorded import RUN, compared, locked, plan_with_state, recorded, state_at
from tests.task.running import Ran, Row, people

NAMES = ("email", "first_name")


def run_attempt(plan: WritePlan, rows: list[Row], attempt: int = 0) -> Ran:
    ran = Ran()
    with SendContextFactory().open(plan, 0, attempt) as context:
        for event in run_task(plan, compared(plan, rows, encoded_rows=20), context):
            ran.add(event)
    return ran


def some_fingerprints(count: int, first: int = 0) -> Fingerprints:
    texts = [hashlib.sha256(str(n).encode()).digest() for n in range(first, first + count)]
    return np.frombuffer(b"".join(texts), dtype=np.uint8).reshape(-1, 32)


def sent_emails(klaviyo: KlaviyoSimulator) -> Counter[str]:
    """How often each email arrived in a request that was carried out."""
    bodies = [request.json()["data"]["attributes"] for request in klaviyo.requests if request.method == "POST"]
    return Counter(row["attributes"]["email"] for body in bodies for row in body["profiles"]["data"])


def test_rows_are_on_disk_with_their_outcome_before_the_next_request_leaves(tmp_path: Path) -> None:
    with KlaviyoSimulator() as klaviyo, locked(state_at(tmp_path)):
        plan = replace(plan_with_state(klaviyo, state_at(tmp_path), NAMES, max_rows=5), workers=1)
        with SendContextFactory().open(plan, 0, 0) as context:
            for event in run_task(plan, compared(plan, people(40)), context):
                if not isinstance(event, TaskReport):
                    assert len(recorded(tmp_path)) == 5 * len(klaviyo.jobs)
    assert {row["outcome"] for row in recorded(tmp_path)} == {"pending"}
    assert {row["job_id"] for row in recorded(tmp_path)} == set(klaviyo.jobs)


def test_an_attempt_continues_where_an_earlier_one_of_its_task_ended(tmp_path: Path) -> None:
    with KlaviyoSimulator() as klaviyo, locked(state_at(tmp_path)):
        plan = plan_with_state(klaviyo, state_at(tmp_path), NAMES, max_rows=10)
        run_attempt(plan, people(30), attempt=0)
        again = run_attempt(plan, people(50), attempt=1)
    assert set(sent_emails(klaviyo).values()) == {1}
    assert len(klaviyo.profiles) == 50
    report = again.report
    assert (report.rows, report.accepted, report.warnings) == (50, 50, {RESUMED: 30})
    assert {job.job_id for job in again.jobs} == set(klaviyo.jobs)  # those of the first attempt are followed, too


def test_two_attempts_side_by_side_deliver_every_row_once(tmp_path: Path) -> None:
    rows = people(120)
    with KlaviyoSimulator(latency=0.01) as klaviyo, locked(state_at(tmp_path)):
        plan = plan_with_state(klaviyo, state_at(tmp_path), NAMES, max_rows=3)
        found: dict[int, Ran] = {}
        threads = [threading.Thread(target=lambda n=n: found.update({n: run_attempt(plan, rows, n)})) for n in range(2)]
        threads[0].start()
        time.sleep(0.1)
        threads[1].start()
        for thread in threads:
            thread.join()
    assert sent_emails(klaviyo) == Counter(row["email"] for row in rows)
    assert [found[n].report.accepted for n in range(2)] == [120, 120]


def test_rows_that_an_earlier_attempt_could_not_deliver_are_sent_again(tmp_path: Path) -> None:
    fault = Fault("status", path="/api/profile-bulk-import-jobs*", status=503)
    with KlaviyoSimulator() as klaviyo, locked(state_at(tmp_path)):
        klaviyo.inject(fault)
        plan = plan_with_state(klaviyo, state_at(tmp_path), NAMES, attempts=1)
        assert run_attempt(plan, people(3)).codes == ["unavailable"] * 3
        assert recorded(tmp_path) == []
        klaviyo.clear_faults()
        assert run_attempt(plan, people(3), 1).report.accepted == 3


def test_rows_that_need_no_sending_are_counted(tmp_path: Path) -> None:
    with KlaviyoSimulator() as klaviyo, locked(state_at(tmp_path)):
        plan = plan_with_state(klaviyo, state_at(tmp_path), NAMES)
        batch = next(compared(plan, people(4)))
        status = [RowStatus.TO_SEND, RowStatus.DELIVERED, RowStatus.REPLACED, RowStatus.DELIVERED]
        from_spark = batch.set_column(batch.num_columns - 1, ROW_STATUS, pa.array(status, pa.int32()))
        with SendContextFactory().open(plan, 0, 0) as context:
            *_, report = run_task(plan, iter([from_spark]), context)
    assert isinstance(report, TaskReport)
    assert report.adds_up()
    assert (report.rows, report.accepted, report.skipped) == (4, 1, 3)
    assert sorted(report.skipped_because.values()) == [1, 2]


def test_a_task_that_finds_the_state_held_by_another_run_sends_nothing(tmp_path: Path) -> None:
    with KlaviyoSimulator() as klaviyo, locked(state_at(tmp_path, run_id="another")):
        ran = run_attempt(plan_with_state(klaviyo, state_at(tmp_path), NAMES), people(3))
    assert (ran.report.unsent, klaviyo.requests) == (3, [])
    assert ran.report.stopped is not None
    assert ran.report.stopped[0] == "state_lost"


def test_a_task_stops_when_another_run_takes_the_state_over(tmp_path: Path) -> None:
    folder = Folder.at(str(tmp_path))
    folder.write_json(LOCK, {"owner": RUN})
    with KlaviyoSimulator(latency=0.05) as klaviyo:
        plan = plan_with_state(klaviyo, state_at(tmp_path), NAMES, max_rows=1, workers=1)
        taken = threading.Timer(0.3, folder.write_json, [LOCK, {"owner": "another"}])
        taken.start()
        ran = run_attempt(plan, people(200))
        taken.join()
    assert ran.report.stopped is not None
    assert ran.report.stopped[0] == "state_lost"
    assert 0 < len(klaviyo.jobs) < 200
    assert ran.report.accepted == len(recorded(tmp_path)) == len(klaviyo.jobs)


def test_few_rows_at_a_time_do_not_make_a_file_each(tmp_path: Path) -> None:
    with locked(state_at(tmp_path)):
        recorder = Recorder(state_at(tmp_path, stale_seconds=30.0), 0, 0, lambda *_: None)
        recorder.open(Stop().wait)
        for number in range(2_000):
            recorder.record(some_fingerprints(1, number), StateOutcome.SENT)
        recorder.close()
    assert len(recorded(tmp_path)) == 2_000
    assert len(list(tmp_path.glob("part-*"))) < 400


def test_a_state_that_can_no_longer_be_written_is_reported_with_the_rows_that_it_lacks(tmp_path: Path) -> None:
    codes: list[str] = []
    state = tmp_path / "state"
    with locked(state_at(state, stale_seconds=30.0)):
        recorder = Recorder(state_at(state, stale_seconds=30.0), 0, 0, lambda code, _: codes.append(code))
        recorder.open(Stop().wait)
        state.rename(tmp_path / "away")
        state.write_text("no directory")
        recorder.record(some_fingerprints(7), StateOutcome.SENT)
        assert (codes, recorder.unrecorded) == (["state_unwritable"], 7)
        state.unlink()
        (tmp_path / "away").rename(state)
        recorder.close()


@settings(deadline=None)
@given(st.sets(st.integers(0, 60)), st.lists(st.integers(0, 60)))
def test_rows_are_found_among_the_earlier_ones_exactly(before: set[int], now: list[int]) -> None:
    def table(numbers: list[int]) -> pa.Table:
        rows = [
            {"key": one[:16], "fingerprint": one[16:], "job_id": f"job {number}", "outcome": "sent", "at": None}
            for number, one in zip(numbers, map(bytes, fingerprints(numbers)), strict=True)
        ]
        return pa.Table.from_pylist(rows, READ_SCHEMA)

    def fingerprints(numbers: list[int]) -> Fingerprints:
        return np.concatenate([some_fingerprints(0), *(some_fingerprints(1, number) for number in numbers)])

    ordered = sorted(before)
    earlier = EarlierAttempts([table(ordered[:3]), table(ordered[3:])])
    sent, jobs = earlier.sent(fingerprints(now))
    assert sent.tolist() == [number in before for number in now]
    assert jobs == Counter(f"job {number}" for number in now if number in before)


def cut_off(plan: WritePlan, rows: list[Row]) -> None:
    """As if a task had recorded what it was about to send, and then been killed."""
    assert plan.state is not None
    recorder = Recorder(plan.state, 0, 0, lambda *_: None)
    recorder.open(Stop().wait)
    for batch in compared(plan, rows):
        recorder.record(fingerprints_of(batch[FINGERPRINT]), StateOutcome.INTENT, at_once=True)
    recorder.close()


def test_where_a_resend_could_do_harm_rows_in_flight_when_a_task_was_killed_are_in_doubt(
    tmp_path: Path,
) -> None:
    with KlaviyoSimulator() as klaviyo, locked(state_at(tmp_path)):
        plan = plan_with_state(klaviyo, state_at(tmp_path), NAMES, template="create_profile")
        cut_off(plan, people(2))
        ran = run_attempt(plan, people(5), 1)
        assert ran.codes == ["in_doubt", "in_doubt"]
        assert [row.email for row in ran.rejected] == ["p0@example.com", "p1@example.com"]
        assert ran.report.adds_up()
        assert len(klaviyo.profiles) == ran.report.delivered == 3
        always = plan_with_state(klaviyo, state_at(tmp_path), NAMES, template="create_profile", resend="always")
        assert run_attempt(always, people(5), 2).report.delivered == 5
        assert len(klaviyo.profiles) == 5


def test_an_attempt_whose_clock_is_behind_still_counts_as_the_later_one(tmp_path: Path) -> None:
    with locked(state_at(tmp_path)):
        for attempt, outcome in enumerate((StateOutcome.RESOLVED, StateOutcome.INTENT)):
            recorder = Recorder(state_at(tmp_path), 0, attempt, lambda *_: None)
            recorder.open(Stop().wait)
            recorder.record(some_fingerprints(1), outcome, at_once=True)
            recorder.close()
            for file in (
                tmp_path.glob("part-*") if outcome == StateOutcome.RESOLVED else ()
            ):  # as if that machine were ahead by a day
                table = pq.read_table(file)
                ahead = pc.add(table["at"], pa.scalar(86_400_000_000, pa.duration("us")))
                pq.write_table(table.set_column(table.schema.get_field_index("at"), "at", ahead), file)
        assert EarlierAttempts.read(Folder.at(str(tmp_path)), RUN, 0).in_doubt == {bytes(some_fingerprints(1)[0])}


def test_a_file_whose_writer_was_killed_in_an_object_store_does_not_stop_the_next_attempt(tmp_path: Path) -> None:
    with KlaviyoSimulator() as klaviyo, locked(state_at(tmp_path)):
        (tmp_path / f"part-{RUN}-00000-0-killed-00000.parquet").write_bytes(b"")
        ran = run_attempt(plan_with_state(klaviyo, state_at(tmp_path), NAMES), people(3), 1)
        assert (ran.report.rows, len(sent_emails(klaviyo))) == (3, 3)


def test_rows_are_recorded_before_they_are_sent_only_where_a_resend_could_do_harm(tmp_path: Path) -> None:
    for template, outcomes in (("create_profile", {"begun", "sent"}), ("create_or_update_profile", {"sent"})):
        state = tmp_path / template
        with KlaviyoSimulator() as klaviyo, locked(state_at(state)):
            run_attempt(plan_with_state(klaviyo, state_at(state), NAMES, template=template), people(3))
        assert {row["outcome"] for row in recorded(state)} == outcomes


def test_rejected_and_unsent_rows_are_not_in_doubt(tmp_path: Path) -> None:
    with KlaviyoSimulator() as klaviyo, locked(state_at(tmp_path)):
        klaviyo.add_profiles([{"email": "p1@example.com"}])
        klaviyo.inject(Fault("status", path="/api/profiles*", status=403, after=3))
        plan = replace(plan_with_state(klaviyo, state_at(tmp_path), NAMES, template="create_profile"), workers=1)
        first = run_attempt(plan, people(6))
        assert (first.codes, first.report.delivered, first.report.unsent) == (["duplicate_profile"], 2, 3)
        klaviyo.clear_faults()
        again = run_attempt(plan, people(6), 1)
        assert (again.codes, again.report.delivered) == (["duplicate_profile"], 5)
