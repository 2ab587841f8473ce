"""Parquet files that Spark's tasks read and write with pyarrow, in stores that Spark has no file system for."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from spark_klaviyo.core.arrow_types import ddl_of
from spark_klaviyo.datasets.storage import MOST_BYTES, MOST_ROWS, PARQUET, Folder

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def read_in_tasks(spark: Any, location: str, names: Sequence[str], schema: pa.Schema) -> DataFrame:
    """The rows of these files; a column of the schema that a file lacks is null."""
    files: DataFrame = spark.createDataFrame([(name,) for name in names], "name string")
    return files.mapInArrow(partial(_read, location, schema), ddl_of(schema))


def write_in_tasks(frame: DataFrame, location: str) -> None:
    """Run the frame, once, and append its rows. Files of attempts that Spark has given up are deleted."""
    stem = f"part-{uuid.uuid4().hex}-"
    written = frame.mapInArrow(partial(_write, location, stem), "name string").collect()
    folder = Folder.at(location)
    for name in set(folder.names_with(stem)) - {row["name"] for row in written}:
        folder.delete(name)


def _read(location: str, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    folder = Folder.at(location)
    for batch in batches:
        for name in batch.column(0).to_pylist():
            for rows in folder.read_batches(name, schema.names, MOST_ROWS):
                yield _conformed(rows, schema)


def _conformed(rows: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    found = rows.schema.names
    columns = [
        rows.column(field.name).cast(field.type) if field.name in found else pa.nulls(len(rows), field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _write(location: str, stem: str, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Write the rows of a partition to files of bounded size, and yield their names."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held += [batch] if batch.num_rows else []
        if sum(one.nbytes for one in held) >= MOST_BYTES:
            yield _file(location, stem, held)
            held = []
    if held:
        yield _file(location, stem, held)


def _file(location: str, stem: str, held: list[pa.RecordBatch]) -> pa.RecordBatch:
    name = f"{stem}{uuid.uuid4().hex[:12]}{PARQUET}"
    Folder.at(location).write(name, pa.Table.from_batches(held))
    return pa.RecordBatch.from_pydict({"name": [name]})
