"""Under Spark Connect every entry point works, or names one that does."""

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
Results = dict[str, Any]

pytestmark = pytest.mark.timeout(60 * MINUTES)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("connect")


@pytest.fixture(scope="module")
def results(place: Path) -> Results:
    """The results of every entry point, all in one session."""
    results = place / "results.json"
    command = [sys.executable, str(Path(__file__).with_name("session.py")), str(results), str(place)]
    ran = subprocess.run(command, env=environment(REPOSITORY), capture_output=True, text=True, timeout=60 * MINUTES)
    assert ran.returncode == 0, ran.stderr[-3000:]
    found: Results = json.loads(results.read_text())
    return found


def arrived(counts: Results) -> Results:
    return {name: counts[name] for name in ARRIVED}


def test_write_klaviyo_works(results: Results) -> None:
    assert arrived(results["function"]) == ARRIVED


def test_the_calling_process_sends_with_the_same_accounting(results: Results) -> None:
    driver = results["driver"]
    assert arrived(driver) == ARRIVED
    assert (driver["codes"], driver["sent"], driver["requests"]) == (["bad_email", "bad_email"], 38, 4)


def test_tables_get_every_row_whether_or_not_the_server_holds_rows(results: Results) -> None:
    written = [38, ["bad_email", "bad_email"], 38, []]
    assert results["tables"] == {"held": written, "streamed": written}


def test_what_spark_cannot_write_loses_no_count_and_sends_nobody_twice(results: Results) -> None:
    for name in ("held", "streamed"):
        *counts, error = results["lost_tables"][name]
        assert counts == [20, 20, 20]
        assert error == f"receipts_path (table:{name}.receipts) could not be written after sending"


def test_the_calling_process_sends_nulls(results: Results) -> None:
    assert arrived(results["driver_with_nulls"]) == ARRIVED


def test_where_tasks_cannot_connect_the_calling_process_tries(results: Results) -> None:
    assert results["unreachable"] == {"stopped": "unreachable", "unsent": 38, "rejected": 2, "warned": True}


def test_an_interrupted_write_stops_at_once_and_raises_with_its_report(results: Results) -> None:
    assert results["interrupted"] == {"stopped": "interrupted", "unsent": True, "few": True}


def test_an_interrupted_write_of_tasks_says_that_it_has_no_report_and_what_keeps_it(results: Results) -> None:
    found = results["interrupted_tasks"]
    assert (found["report"], found["few"]) == (False, True)
    assert "unknown what became of the rows" in found["error"]
    assert "send_from=driver keeps the report" in found["error"]


def test_a_job_that_fails_stops_the_write_with_its_cause(results: Results) -> None:
    assert "unknown what became of the rows" in results["failed"]["error"]
    assert results["failed"]["cause"]


def test_change_data_is_followed_by_key(results: Results) -> None:
    assert results["changes"] == {
        "deleted": ["a@example.com", "b@example.com"],
        "reasons": {"ambiguous_change": 1},
        "rows": 7,
        "skipped": 2,
    }


def test_preview_klaviyo_works_and_sends_nothing(results: Results) -> None:
    assert results["preview"] == {"rows": [8], "sent": 0}


def test_foreach_partition_works_without_a_report(results: Results) -> None:
    assert results["partition"]["profiles"] == 38
    assert results["partition"]["report"] is False, "there are no accumulators"


def test_df_write_works_with_a_bound_key_and_with_a_reference(results: Results) -> None:
    assert [results[name]["profiles"] for name in ("source", "reference")] == [38, 38]


def test_a_literal_key_at_df_write_is_refused_since_connect_logs_it(results: Results, place: Path) -> None:
    assert "OptionError" in results["literal_key"]["error"]
    assert "register(spark, api_key=...)" in results["literal_key"]["error"]
    assert (LITERAL in results["literal_key"]["error"], results["literal_key"]["requests"]) == (False, 0)
    logged = "".join(file.read_text() for file in (place / "events").rglob("events_*") if file.is_file())
    assert LITERAL in logged, "if Spark no longer writes options down, the refusal may go"
    assert BOUND not in logged


def test_foreach_batch_runs_in_a_process_of_the_server(results: Results) -> None:
    assert results["for_each_batch"] == {"orders": ["o-1", "o-2"], "batches": [[1, 0], [2, 1]], "report": False}


def test_write_stream_works(results: Results) -> None:
    assert results["stream"] == {"orders": ["o-1", "o-2"]}


def test_an_entry_point_without_a_session_names_one_that_can_send_from_the_driver(results: Results) -> None:
    assert "use write_klaviyo" in results["partition_writer_refuses_driver"]["error"]


def test_a_mirror_reads_its_dataframe_once_and_leaves_nothing_behind(results: Results) -> None:
    emails = [f"p{number}@example.com" for number in range(3)]
    held = [3, 1, emails, 1, {}]
    assert results["mirror"] == {"staged": held, "checkpointed": held, "left": False, "removed": 1}
