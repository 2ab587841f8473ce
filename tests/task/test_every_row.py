"""Random rows and random faults: the report, the datasets and what Klaviyo holds agree about every row."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from spark_klaviyo.encode.encoder import encode_batches
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.runs.tasks import TaskWriter
from spark_klaviyo.simulator import KlaviyoSimulator
from spark_klaviyo.simulator.faults import Fault
from spark_klaviyo.task.run import SendContextFactory, run_task
from tests.core.scaled_clock import ScaledClock
from tests.task.running import Row, plan_for, run

MAY_HAVE_ARRIVED = {"in_doubt", "unavailable"}
JOBS = "/api/profile-bulk-import-jobs"


@dataclass
class Outputs:
    """What a run puts out: its report, and the rows of its datasets."""

    report: TaskReport
    rejects: list[dict[str, object]]
    receipts: list[dict[str, object]]

    def rejected(self) -> dict[str, str]:
        """Code by the row's tag."""
        return {tag(str(row["record"])): str(row["code"]) for row in self.rejects}


def tag(record: str) -> str:
    held: str = json.loads(record)["attributes"]["first_name"]
    return held


def send(plan: WritePlan, rows: list[Row], folder: Path) -> Outputs:
    schema = pa.schema([(name, pa.string()) for name in rows[0]])
    batches = pa.Table.from_pylist(rows, schema).to_batches(max_chunksize=7)
    paths = str(folder / "rejects"), str(folder / "receipts")
    with SendContextFactory(ScaledClock(400.0)).open(plan, 3, 0) as context:
        encoded = encode_batches(batches, plan)
        report = TaskWriter(*paths, plan.run_id, context).write_all(run_task(plan, encoded, context, follows=True))
    return Outputs(report, *(pq.read_table(folder / name).to_pylist() for name in ("rejects", "receipts")))


@pytest.fixture(scope="module")
def klaviyos() -> Iterator[dict[bool, KlaviyoSimulator]]:
    """Two local Klaviyos: one names every bad row in a refusal, the other only the first."""
    with KlaviyoSimulator() as every, KlaviyoSimulator(name_every_bad_row=False) as first:
        yield {True: every, False: first}


def posting(kind: str, times: int, **more: Any) -> Fault:
    """A fault of the requests that write."""
    return Fault(kind, path=JOBS, method="POST", times=times, **more)


times = st.integers(1, 4)
FAULTS = st.one_of(
    st.builds(lambda n, a: posting("status", n, status=400, after=a), times, st.integers(0, 3)),
    st.builds(lambda n: posting("status", n, status=413, body="empty"), times),
    st.builds(lambda n: posting("conflict_409", n), times),
    st.builds(lambda n: posting("status", n * 3, status=429, retry_after=1), times),
    st.builds(lambda n, s: posting("status", n, status=s), times, st.sampled_from([500, 502, 503, 504])),
    st.builds(lambda n: posting("reset_before", n), times),
    st.builds(lambda n: posting("reset_after", n), times),
    st.builds(lambda share, seed: Fault("job_row_errors", share=share, seed=seed), st.floats(0, 1), st.integers(0, 9)),
    st.builds(lambda share: Fault("job_row_errors", share=share, original_payload=False), st.floats(0, 1)),
    st.builds(lambda share: Fault("job_counts_only", share=share), st.floats(0, 1)),
    st.builds(lambda n: Fault("import_errors_pages", page_size=n), times),
    st.builds(lambda n: Fault("job_cancelled", times=n), times),
    st.builds(lambda n: Fault("job_gone", times=n), times),
    st.builds(lambda n: Fault("html_status", times=n), times),
    st.just(Fault("job_never_ends", times=1)),
    st.just(Fault("status_refused")),
)
SINGLE = "/api/profile-import"
ALONE = st.one_of(
    st.builds(
        lambda n, s: Fault("status", path=SINGLE, times=n, status=s, body="html"),
        times,
        st.sampled_from([500, 502, 504]),
    ),
    st.builds(lambda n: Fault("status", path=SINGLE, times=n, status=500), times),
    st.builds(lambda n, a: Fault("reset_after", path=SINGLE, times=n, after=a), times, st.integers(0, 5)),
    st.builds(lambda n, a: Fault("reset_before", path=SINGLE, times=n, after=a), times, st.integers(0, 5)),
    st.builds(lambda n: Fault("conflict_409", path=SINGLE, times=n), times),
    st.builds(lambda n: Fault("status", path=SINGLE, times=n, status=400), times),
    st.builds(lambda n: Fault("status", path=SINGLE, times=n * 3, status=429, retry_after=1), times),
    st.builds(lambda n: Fault("truncated", path=SINGLE, times=n), times),
)
KINDS = st.sampled_from(["good", "good", "good", "good", "bad_email", "empty", "again"])


def rows_of(kinds: list[str]) -> list[Row]:
    """Rows that a tag in `first_name` tells apart; `again` repeats the email of the row before it."""
    rows: list[Row] = []
    for number, kind in enumerate(kinds):
        email: object = {"bad_email": f"not an email {number}", "empty": None}.get(kind, f"e{number}@example.com")
        if kind == "again" and rows:
            email = rows[-1]["email"]
        rows.append({"email": email, "first_name": f"r{number}"})
    return rows


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kinds=st.lists(KINDS, min_size=1, max_size=40),
    faults=st.lists(FAULTS, max_size=3),
    max_rows=st.integers(1, 15),
    workers=st.integers(1, 3),
    names_every=st.booleans(),
    validate=st.sampled_from(["strict", "off"]),
)
def test_report_and_datasets_and_klaviyo_agree_about_every_row(
    klaviyos: dict[bool, KlaviyoSimulator],
    kinds: list[str],
    faults: list[Fault],
    max_rows: int,
    workers: int,
    names_every: bool,
    validate: str,
) -> None:
    klaviyo = klaviyos[names_every]
    klaviyo.reset()
    klaviyo.inject(*faults)
    rows = rows_of(kinds)
    plan = plan_for(
        klaviyo, rows[0], max_rows=max_rows, workers=workers, validate=validate, job_timeout_seconds=300, attempts=5
    )
    with tempfile.TemporaryDirectory() as folder:
        ran = send(plan, rows, Path(folder))

    report = ran.report
    assert report.adds_up()
    assert report.rows == len(rows)
    assert report.stopped is None

    rejected = ran.rejected()
    assert len(ran.rejects) == len(rejected) == report.rejected
    assert Counter(str(row["code"]) for row in ran.rejects) == report.reasons
    assert all(row["email"] == json.loads(str(row["record"]))["attributes"].get("email") for row in ran.rejects)

    assert len(ran.receipts) == report.requests
    sent = sum(request.method == "POST" and request.path == JOBS for request in klaviyo.requests)
    assert sent == sum(int(str(row["attempts"])) for row in ran.receipts) + report.throttled
    taken = [row for row in ran.receipts if row["job_id"] is not None]
    settled = sum(int(str(row["rows"])) for row in taken) - report.delivered - report.accepted
    assert settled == sum(row["status"] is None and row["code"] == "invalid" for row in ran.rejects if by_job(row))

    _agrees_with_klaviyo(klaviyo, rows, report, rejected)
    if not any(fault.kind == "reset_after" for fault in faults):  # stored at first, and refused by a later whim
        _nothing_refused_is_stored(klaviyo, rows, report, rejected)


def by_job(row: dict[str, object]) -> bool:
    """Whether a job refused the row: its error points nowhere in the request."""
    return row["pointer"] == "/data" and row["status"] is None


def _agrees_with_klaviyo(
    klaviyo: KlaviyoSimulator, rows: list[Row], report: TaskReport, rejected: dict[str, str]
) -> None:
    """No row counts as delivered that Klaviyo does not hold."""
    stored = {profile["email"] for profile in klaviyo.profiles}
    missing = {email for email, codes in _fates(rows, rejected).items() if email not in stored and codes == {"taken"}}
    assert len(missing) <= report.accepted
    assert report.delivered <= len(rows) - len(rejected) - report.skipped


def _nothing_refused_is_stored(
    klaviyo: KlaviyoSimulator, rows: list[Row], report: TaskReport, rejected: dict[str, str]
) -> None:
    stored = {profile["email"] for profile in klaviyo.profiles}
    fates = _fates(rows, rejected)
    assert [email for email in stored if not fates[email] & {"taken", *MAY_HAVE_ARRIVED}] == []
    assert len(stored) <= report.delivered + report.accepted + sum(
        code in MAY_HAVE_ARRIVED for code in rejected.values()
    )


def _fates(rows: list[Row], rejected: dict[str, str]) -> dict[object, set[str]]:
    """What became of the rows with each email: taken, or the codes of their rejections."""
    fates: dict[object, set[str]] = {}
    for row in rows:
        fates.setdefault(row["email"], set()).add(rejected.get(str(row["first_name"]), "taken"))
    return fates


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kinds=st.lists(st.sampled_from(["good", "good", "bad_email", "empty", "two"]), min_size=1, max_size=15),
    faults=st.lists(ALONE, max_size=3),
    workers=st.integers(1, 3),
    resend=st.sampled_from(["auto", "never"]),
)
@example(kinds=["two"], faults=[Fault("status", path=SINGLE, times=1, status=502)], workers=1, resend="auto")
def test_of_single_records_exactly_those_that_klaviyo_holds_are_delivered(
    klaviyos: dict[bool, KlaviyoSimulator], kinds: list[str], faults: list[Fault], workers: int, resend: str
) -> None:
    """A row `two` names two people, so that Klaviyo answers 409, also after an answer was lost."""
    klaviyo = klaviyos[True]
    klaviyo.reset()
    twos = [number for number, kind in enumerate(kinds) if kind == "two"]
    rows: list[Row] = [{**row, "phone_number": None} for row in rows_of(kinds)]
    for number in twos:
        rows[number]["phone_number"] = f"+1617555{number:04d}"
        people: list[Row] = [{"email": f"e{number}@example.com", "phone_number": None}]
        run(klaviyo, [*people, {"email": None, "phone_number": rows[number]["phone_number"]}])
    klaviyo.inject(*faults)
    plan = plan_for(klaviyo, rows[0], template="create_or_update_profile", workers=workers, resend=resend, attempts=5)
    with tempfile.TemporaryDirectory() as folder:
        ran = send(plan, rows, Path(folder))

    rejected = ran.rejected()
    assert ran.report.adds_up()
    assert (ran.report.rows, ran.report.stopped) == (len(rows), None)
    assert ran.report.delivered == len(rows) - len(rejected)
    assert ran.report.rejected == len(rejected)
    assert {f"r{number}" for number in twos} <= set(rejected)
    stored = {str(profile["first_name"]) for profile in klaviyo.profiles if profile.get("first_name")}
    taken = {str(row["first_name"]) for row in rows} - set(rejected)
    doubtful = {tag for tag, code in rejected.items() if code in MAY_HAVE_ARRIVED}
    assert taken <= stored
    lost = any(fault.kind in ("reset_after", "truncated") for fault in faults)  # stored, and refused by a later whim
    assert stored <= taken | doubtful or lost
