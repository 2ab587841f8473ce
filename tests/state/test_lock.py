"""A state's format file and the runs that it counts; its lock is tested with whole runs in `test_resuming`."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from spark_klaviyo.datasets.storage import Folder
from spark_klaviyo.errors import OptionError
from spark_klaviyo.state.format import FORMAT, FORMAT_FILE
from spark_klaviyo.state.lock import begin_run, note, notes_of, runs_of


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "give the folder of a state"),
        (b"{}", "give the folder of a state"),
        (b"[1]", "give the folder of a state"),
        (b'{"format": 1}', "give the folder of a state"),
        (b'{"format": 2, "runs": 3}', "its format is 2 and this version reads 1"),
        (b'{"format": "x"}', "its format is 'x' and this version reads 1"),
    ],
)
def test_a_format_that_is_not_ours_is_refused_with_what_to_do(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / FORMAT_FILE).write_bytes(content)
    with pytest.raises(OptionError, match=f"state_path: the state: .*{message}"):
        runs_of(Folder.at(str(tmp_path)), "the state")


def test_the_runs_of_a_state_are_counted(tmp_path: Path) -> None:
    folder = Folder.at(str(tmp_path))
    assert runs_of(folder, "") == 0
    assert [begin_run(folder) for _ in range(3)] == [1, 2, 3]
    assert folder.read_json(FORMAT_FILE) == {"format": FORMAT, "runs": 3, "open": 3}


def test_a_state_that_was_copied_without_its_format_file_goes_on_counting(tmp_path: Path) -> None:
    folder = Folder.at(str(tmp_path))
    for name, numbers in (("a", [3, 7]), ("b", [5])):
        folder.write(f"part-{name}.parquet", pa.table({"run_number": numbers}))
    assert begin_run(folder) == 8


def test_a_run_is_cut_off_until_its_end_is_noted(tmp_path: Path) -> None:
    folder = Folder.at(str(tmp_path))
    assert notes_of(folder) == (0, False)
    begin_run(folder)
    note(folder, removals=True)
    assert notes_of(folder) == (1, True)
    note(folder, open=0)
    assert notes_of(folder) == (0, True)
    assert begin_run(folder) == 2
    assert notes_of(folder) == (2, True)


def test_runs_of_a_state_of_an_older_version_have_ended(tmp_path: Path) -> None:
    folder = Folder.at(str(tmp_path))
    folder.write_json(FORMAT_FILE, {"format": FORMAT, "runs": 7})
    assert notes_of(folder) == (0, False)
