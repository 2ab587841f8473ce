"""A disk that is full at `state_path`: sending stops at once, and the report says what is missing in the state."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from spark_klaviyo.task.resume import UNRECORDED

REPOSITORY = Path(__file__).resolve().parents[2]


def test_a_full_disk_stops_the_write_and_tells_which_rows_the_next_run_sends_again(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.faults.full_disk", str(tmp_path / "state")]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["adds_up"]
    assert found["stopped"][0] == "state_unwritable"
    assert "state_path" in found["stopped"][1]
    assert found["arrived"] == found["accepted"] == found["warnings"][UNRECORDED]
    assert found["accepted"] <= 300 * 5  # the first request, and those that were under way when it was written down
    assert found["accepted"] + found["unsent"] == found["rows"]
    assert [file.name for file in (tmp_path / "state").glob("part-*")] == []
