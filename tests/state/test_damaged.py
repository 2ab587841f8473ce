"""A file of a state that cannot be read is named, with what to do; other errors stay what they are."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from spark_klaviyo.datasets.storage import Folder
from spark_klaviyo.errors import OptionError
from spark_klaviyo.state.lock import naming_damaged_files


def test_a_damaged_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    folder = Folder.at(str(tmp_path))
    folder.write("part-whole.parquet", pa.table({"a": [1]}))
    (tmp_path / "part-cut.parquet").write_bytes(b"PAR1 and no more")
    with (
        pytest.raises(
            OptionError, match=r"state_path: /s: its file part-cut.parquet is damaged; nothing was sent.*delete"
        ),
        naming_damaged_files(folder, "/s"),
    ):
        folder.read("part-cut.parquet", ["a"])


def test_other_errors_are_passed_on(tmp_path: Path) -> None:
    folder = Folder.at(str(tmp_path))
    folder.write("part-whole.parquet", pa.table({"a": [1]}))
    with pytest.raises(ValueError, match="another"), naming_damaged_files(folder, "/s"):
        raise ValueError("another")
