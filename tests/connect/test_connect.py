"""Under Spark Connect every door works, or says which one does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.connect.apart import environment

pytest.importorskip("grpc", reason="Spark Connect's client needs it")
pytest.importorskip("pyspark.sql.datasource")

REPOSITORY = Path(__file__).resolve().parent.parent.parent
MINUTES = 8
ARRIVED = {"rows": 40, "delivered": 38, "rejected": 2, "reasons": {"bad_email": 2}, "unsent": 0, "stopped": None,
           "profiles": 38}  # fmt: skip
BOUND, LITERAL = "pk_connect_0123456789abcdef", "pk_literal_0123456789abcdef"
Told = dict[str, Any]

pytestmark = pytest.mark.timeout(60 * MINUTES)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("connect")


@pytest.fixture(scope="module")
def told(place: Path) -> Told:
    """What came of each door, all in one session."""
    results = place / "results.json"
    command = [sys.executable, str(Path(__file__).with_name("session.py")), str(results), str(place)]
    ran = subprocess.run(command, env=environment(REPOSITORY), capture_output=True, text=True, timeout=60 * MINUTES)
    assert ran.returncode == 0, ran.stderr[-3000:]
    found: Told = json.loads(results.read_text())
    return found


def arrived(counts: Told) -> Told:
    return {name: counts[name] for name in ARRIVED}


def test_write_klaviyo_works(told: Told) -> None:
    assert arrived(told["function"]) == ARRIVED


def test_the_calling_process_sends_with_the_same_accounting(told: Told) -> None:
    driver = told["driver"]
    assert arrived(driver) == ARRIVED
    assert (driver["codes"], driver["sent"], driver["requests"]) == (["bad_email", "bad_email"], 38, 4)


def test_the_calling_process_sends_what_only_tasks_can_encode(told: Told) -> None:
    assert arrived(told["driver_without_the_jvm"]) == ARRIVED


def test_where_tasks_reach_nobody_the_calling_process_tries(told: Told) -> None:
    assert told["unreachable"] == {"stopped": "unreachable", "unsent": 38, "rejected": 2, "warned": True}


def test_an_interrupted_write_stops_at_once_and_hands_back_its_report(told: Told) -> None:
    assert told["interrupted"] == {"stopped": "interrupted", "unsent": True, "few": True}


def test_preview_klaviyo_works_and_sends_nothing(told: Told) -> None:
    assert told["preview"] == {"rows": [8], "sent": 0}


def test_foreach_partition_works_without_a_report(told: Told) -> None:
    assert told["partition"]["profiles"] == 38
    assert told["partition"]["report"] is False, "there are no accumulators"


def test_df_write_works_with_a_bound_key_and_with_a_reference(told: Told) -> None:
    assert [told[name]["profiles"] for name in ("source", "reference")] == [38, 38]


def test_a_literal_key_at_df_write_is_refused_since_connect_writes_it_down(told: Told, place: Path) -> None:
    assert "OptionError" in told["literal_key"]["error"]
    assert "register(spark, api_key=...)" in told["literal_key"]["error"]
    assert (LITERAL in told["literal_key"]["error"], told["literal_key"]["requests"]) == (False, 0)
    logged = "".join(file.read_text() for file in (place / "events").rglob("events_*") if file.is_file())
    assert LITERAL in logged, "if Spark no longer writes options down, the refusal may go"
    assert BOUND not in logged


def test_foreach_batch_runs_in_a_process_of_the_server(told: Told) -> None:
    assert told["for_each_batch"] == {"orders": ["o-1", "o-2"], "batches": [[1, 0], [2, 1]], "report": False}


def test_write_stream_works(told: Told) -> None:
    assert told["stream"] == {"orders": ["o-1", "o-2"]}


def test_a_door_without_a_session_names_the_one_that_sends_from_the_calling_process(told: Told) -> None:
    assert "use write_klaviyo" in told["task_door_refuses_driver"]["error"]
