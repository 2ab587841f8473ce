"""Folders: files appear when they are complete, only their owner may read them, and paths have several spellings."""

from __future__ import annotations

import stat
from pathlib import Path

import pyarrow as pa
import pytest

from spark_klaviyo.datasets.storage import Folder
from spark_klaviyo.errors import OptionError

TABLE = pa.table({"a": [1, 2, 3]})


@pytest.mark.parametrize("spelling", ["{}", "file://{}", "file:{}"])
def test_a_local_folder_has_many_spellings(tmp_path: Path, spelling: str) -> None:
    folder = Folder.at(spelling.format(tmp_path / "here"))
    folder.write("x.parquet", TABLE)
    assert folder.names() == ["x.parquet"]
    assert folder.read("x.parquet", ["a"]).equals(TABLE)
    assert (tmp_path / "here" / "x.parquet").exists()


def test_only_their_owner_may_read_files_and_folders(tmp_path: Path) -> None:
    Folder.at(str(tmp_path / "new" / "folder")).write("x.parquet", TABLE)
    file = tmp_path / "new" / "folder" / "x.parquet"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_half_written_and_hidden_files_are_not_listed(tmp_path: Path) -> None:
    for name in ("_x.parquet.part", "_hidden.parquet", ".crc.parquet", "_SUCCESS", "seen.parquet"):
        (tmp_path / name).write_bytes(b"PAR1")
    (tmp_path / "cut_off.parquet").write_bytes(b"")
    assert Folder.at(str(tmp_path)).names() == ["seen.parquet"]


def test_a_folder_that_does_not_exist_is_empty(tmp_path: Path) -> None:
    folder = Folder.at(str(tmp_path / "nowhere"))
    assert folder.names() == []
    assert folder.folders() == []
    folder.delete("x.parquet")


def test_a_file_that_cannot_be_written_leaves_no_visible_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError, match="file"):
        Folder.at(str(tmp_path / "file" / "inside")).write("x.parquet", TABLE)


def test_a_file_system_that_cannot_be_opened_is_named() -> None:
    with pytest.raises(OptionError, match="wasbs: no file system of this kind"):
        Folder.at("wasbs://container@account/path")


def test_a_folder_is_empty_when_nothing_hidden_is_in_it_either(tmp_path: Path) -> None:
    folder = Folder.at(str(tmp_path))
    assert folder.is_empty()
    (tmp_path / "_hidden").write_text("")
    assert not folder.is_empty()
