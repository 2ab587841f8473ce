"""Rows of a dataset in files of bounded size, which Spark and pyarrow read."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from spark_klaviyo.datasets.schemas import RECEIPTS, REJECTS, RUNS, arrow_schema, ddl
from spark_klaviyo.datasets.storage import MOST_BYTES, MOST_ROWS, MOST_SECONDS, Folder, PartWriter
from spark_klaviyo.report.counts.summary import COUNTERS


def reject(number: int, record: str = "{}") -> dict[str, object]:
    row: dict[str, object] = {column.name: None for column in REJECTS}
    return {
        **row,
        "run_id": "r",
        "partition_id": 0,
        "record": record,
        "code": f"c{number}",
        "detail": "",
        "pointer": "",
    }


@pytest.fixture
def writer(tmp_path: Path) -> PartWriter:
    return PartWriter(Folder.at(str(tmp_path)), REJECTS, "part-r-00000-0")


def test_a_part_is_written_when_it_holds_enough_rows(tmp_path: Path, writer: PartWriter) -> None:
    for number in range(MOST_ROWS + 1):
        writer.add(reject(number), 0.0)
    assert len(writer.names) == 1
    writer.flush()
    assert pq.read_table(tmp_path).num_rows == MOST_ROWS + 1


def test_a_part_is_written_when_it_holds_enough_bytes(writer: PartWriter) -> None:
    writer.add(reject(0, "x" * MOST_BYTES), 0.0)
    assert len(writer.names) == 1


def test_a_part_is_written_when_its_first_row_is_old(writer: PartWriter) -> None:
    writer.add(reject(0), 0.0)
    assert writer.names == []
    writer.add(reject(1), MOST_SECONDS)
    assert len(writer.names) == 1


def test_rows_of_the_writer_before_are_written_first(tmp_path: Path, writer: PartWriter) -> None:
    after = PartWriter(Folder.at(str(tmp_path / "after")), REJECTS, "part-r-00000-0", writer)
    writer.add(reject(0), 0.0)
    after.add(reject(1), 5.0)
    after.add(reject(2), 5.0 + MOST_SECONDS)
    assert (len(after.names), len(writer.names)) == (1, 1)


def test_two_writers_of_one_task_write_different_files(tmp_path: Path) -> None:
    for number in range(2):
        writer = PartWriter(Folder.at(str(tmp_path)), REJECTS, "same")
        writer.add(reject(number), 0.0)
        writer.flush()
    assert pq.read_table(tmp_path).num_rows == 2


def test_an_undone_writer_leaves_nothing(tmp_path: Path, writer: PartWriter) -> None:
    writer.add(reject(0), 0.0)
    writer.flush()
    writer.undo()
    assert list(tmp_path.iterdir()) == []


def test_an_empty_dataset_has_a_schema(tmp_path: Path, writer: PartWriter) -> None:
    writer.write_schema()
    writer.write_schema()
    table = pq.read_table(tmp_path)
    assert (table.num_rows, table.schema.names) == (0, [column.name for column in REJECTS])
    assert len(list(tmp_path.iterdir())) == 1


def test_the_datasets_have_the_documented_columns() -> None:
    assert ddl(REJECTS).startswith("run_id string, partition_id int, record string, email string, phone_number string")
    assert [field.name for field in arrow_schema(RECEIPTS)] == [
        "run_id", "partition_id", "sequence", "template", "method", "url", "status", "attempts", "rows", "bytes",
        "started_at", "seconds", "job_id", "outcome", "detail",
    ]  # fmt: skip
    assert {column.name for column in RUNS} >= {
        "run_id",
        "template",
        *COUNTERS,
        "started_at",
        "ended_at",
        "options",
    }
    assert all(column.help for columns in (REJECTS, RECEIPTS, RUNS) for column in columns)
