"""Folders: files appear when they are complete, only their owner may read them, and paths have several spellings."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from spark_klaviyo.datasets import storage
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


def test_a_file_whose_rows_end_with_an_error_is_not_left_behind(tmp_path: Path) -> None:
    def rows() -> Iterator[pa.RecordBatch]:
        yield from TABLE.to_batches()
        raise ValueError("the rows ended")

    with pytest.raises(ValueError, match="the rows ended"):
        Folder.at(str(tmp_path)).write_batches("x.parquet", TABLE.schema, rows())
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_that_cannot_be_opened_is_named() -> None:
    with pytest.raises(OptionError, match="wasbs: no file system of this kind"):
        Folder.at("wasbs://container@account/path")


def test_dbfs_is_opened_where_it_is_mounted_and_refused_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "DBFS", str(tmp_path / "mount"))
    with pytest.raises(OptionError, match="mount is not mounted here"):
        Folder.at("dbfs:/klaviyo/rejects")
    (tmp_path / "mount").mkdir()
    Folder.at("dbfs:/klaviyo/rejects").write("x.parquet", TABLE)
    assert Folder.at(f"{tmp_path}/mount/klaviyo/rejects").names() == ["x.parquet"]


@pytest.mark.parametrize(
    ("location", "expected"),
    [("/Volumes/main/crm/files/state", True), ("/dbfs/state", True), ("/srv/state", False), ("/Volumesque", False)],
)
def test_databricks_mounts_are_object_stores(location: str, expected: bool) -> None:
    assert Folder.at(location).is_object_store is expected


def test_a_folder_is_empty_when_nothing_hidden_is_in_it_either(tmp_path: Path) -> None:
    folder = Folder.at(str(tmp_path / "folder"))
    folder.make()
    (tmp_path / "folder" / "_hidden").write_text("")
    folder.remove_if_empty()
    (tmp_path / "folder" / "_hidden").unlink()
    folder.remove_if_empty()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("folder", "file"), [(0o700, 0o600), (0o750, 0o640), (0o755, 0o644)])
def test_files_have_the_permissions_of_their_folder(tmp_path: Path, folder: int, file: int) -> None:
    tmp_path.chmod(folder)
    Folder.at(str(tmp_path)).write("ours.parquet", pa.table({"a": [1]}))
    theirs = tmp_path / "sparks.parquet"
    theirs.touch()
    theirs.chmod(0o644)
    Folder.at(str(tmp_path)).restrict_files()
    assert {stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()} == {file}


def test_a_file_that_is_cut_short_is_not_readable(tmp_path: Path) -> None:
    folder = Folder.at(str(tmp_path))
    folder.write("whole.parquet", pa.table({"a": [1]}))
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "whole.parquet").read_bytes()[:30])
    assert [folder.is_readable(name) for name in ("whole.parquet", "cut.parquet", "none.parquet")] == [
        True,
        False,
        False,
    ]
