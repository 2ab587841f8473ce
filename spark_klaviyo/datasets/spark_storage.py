"""Datasets of entry points with a session, at a path or in a catalog table, and one run's staging data.

Knows nothing of what the rows mean; which columns a dataset has is in `datasets.schemas`.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import cached_property, partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa

from spark_klaviyo.core.arrow_types import ddl_of
from spark_klaviyo.datasets.schemas import Column, arrow_schema, ddl, missing_keys
from spark_klaviyo.datasets.storage import MOST_ROWS, PARQUET, Folder, as_time, is_local, local_path, record_batch
from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.addresses import is_table, shown_place

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

NO_CHECKPOINTS = ("NOT_SUPPORTED", "checkpoint object-store path is not configured")  # the second one is Sail's
NO_FILE_SYSTEM = ("No FileSystem for scheme", "UnsupportedFileSystemException", "FileSystem not found")
STAGING = "_staging"  # hidden from Spark's readers, like all names that begin so
# Rows of this process, a bounded number of them; or batches of them, where a dataset has a `folder`; or Spark's.
NewRows: TypeAlias = "Sequence[Mapping[str, object]] | Iterator[pa.RecordBatch] | DataFrame"


def spark_errors() -> tuple[type[Exception], ...]:
    """What Spark raises when it cannot read or write, on classic Spark and under Connect."""
    from pyspark.errors import PySparkException

    try:
        from py4j.protocol import Py4JError
    except ImportError:  # a client without a JVM
        return (PySparkException, OSError)
    return (PySparkException, Py4JError, OSError)


@dataclass(frozen=True)
class SparkLocation:
    """Where Spark keeps rows: a path, a URI or `table:NAME`."""

    spark: Any
    location: str

    @property
    def table(self) -> str:
        """The table's name; empty for a path."""
        return self.location.partition(":")[2] if is_table(self.location) else ""

    @property
    def quoted_table(self) -> str:
        """The table's name as SQL takes it."""
        return ".".join(f"`{part}`" for part in self.table.split("."))

    @property
    def shown(self) -> str:
        """The location as messages show it, without secrets."""
        return self.location if self.table else shown_place(self.location)

    @cached_property
    def through_arrow(self) -> bool:
        """Whether tasks read and write it with pyarrow, as Spark has no file system of its kind."""
        return not self.table and not is_local(self.location) and not has_file_system(self.spark, self.location)

    def read(self, schema: pa.Schema, names: Sequence[str] | None = None) -> DataFrame:
        """All rows, or those of some of its files; of files that lack a column of `schema` it is null."""
        if self.table:
            return self.spark.table(self.table)
        if self.through_arrow or (names is not None and not names):
            found = Folder.at(self.location).names() if names is None else names
            files = self.spark.createDataFrame([(name,) for name in found], "name string")
            return files.mapInArrow(partial(_read_in_task, self.location, schema), ddl_of(schema))
        paths = [self.location] if names is None else [f"{self.location}/{name}" for name in names]
        return self.spark.read.schema(ddl_of(schema)).parquet(*paths)

    def append_frame(self, frame: DataFrame) -> None:
        """Run the frame, once, and add its rows; what is written with Arrow takes batches alone."""
        if not self.table:
            self._append_files(frame)
        elif self.spark.catalog.tableExists(self.table):
            frame.select(self.spark.table(self.table).columns).write.insertInto(self.table)
        else:
            frame.write.mode("append").saveAsTable(self.table)

    def _append_files(self, rows: DataFrame) -> None:
        """Append Parquet files, while other runs may append to the same directory.

        Hadoop's committer puts the files of every job into `_temporary/0` and clears `_temporary` at the end, which
        would delete another run's files. A random number, cleared here, keeps the runs apart.
        """
        writer = rows.write.mode("append")
        if jvm_of(self.spark) is None:
            writer.parquet(self.location)
        else:
            number = 1 + secrets.randbelow(2**31 - 2)
            apart = {
                "mapreduce.job.application.attempt.id": str(number),
                "mapreduce.fileoutputcommitter.cleanup.skipped": "true",
            }
            writer.options(**apart).parquet(self.location)
            remove_directory(self.spark, f"{self.location}/_temporary/{number}")
        if is_local(self.location):
            Folder.at(self.location).restrict_files()  # Spark lets everybody read them

    def staging(self, run_id: str) -> SparkLocation:
        """Where the result rows of a run that writes here are kept between the tasks and the datasets."""
        name = f"{self.location}_staging_{run_id}" if self.table else f"{self.location}/{STAGING}/{run_id}"
        return SparkLocation(self.spark, name)

    def remove(self) -> None:
        """Delete it. Raises one of `spark_errors`."""
        if self.table:
            self.spark.sql(f"DROP TABLE IF EXISTS {self.quoted_table}")
        elif self.through_arrow or jvm_of(self.spark) is None:
            remove_folder(self.location)
        else:
            remove_directory(self.spark, self.location)


@dataclass(frozen=True)
class Dataset(SparkLocation):
    """One dataset; `option` names it in messages."""

    option: str
    columns: tuple[Column, ...]

    @property
    def folder(self) -> Folder | None:
        """The directory, where this process fills it; under Connect Spark does, which may type times differently."""
        return self.shared_folder if self.through_arrow or jvm_of(self.spark) is not None else None

    @property
    def shared_folder(self) -> Folder | None:
        """The directory, where this process and Spark's see the same one."""
        # where Spark's default file system is another one, that directory may not even exist here
        is_here = not self.table and is_local(self.location) and Path(local_path(self.location)).is_dir()
        return Folder.at(self.location) if self.through_arrow or (is_here and self._is_shared) else None

    @cached_property
    def _is_shared(self) -> bool:
        """Whether Spark finds what this process writes to the directory: tries it, and cleans up."""
        place = f"{self.location}/{STAGING}/probe-{secrets.token_hex(8)}"
        try:
            Folder.at(place).write("probe.parquet", pa.table({"probe": pa.array([1])}))
            if jvm_of(self.spark) is None:
                return bool(self.spark.read.schema("probe bigint").parquet(place).count())
            system, path = _hadoop(self.spark, f"{place}/probe.parquet")
            return bool(system.exists(path))
        except spark_errors():
            return False
        finally:
            with suppress(OSError):
                remove_folder(place)

    def prepare(self) -> None:
        """Make sure, before anything is sent, that rows can be appended: `OptionError` otherwise.

        Where there is nothing, an empty dataset is made. A table of an older version gets the columns that it lacks;
        files need not be changed.
        """
        try:
            self._make_directory()
            found = self._found_columns()
            if found is None:
                self.append([])
                return
            missing = missing_keys(self.columns, found)
            if missing:
                lacks = f"it has no column {', '.join(missing)}"
                raise OptionError(f"{self.shown} holds something else: {lacks}; give another path or table")
            newer = [column for column in self.columns if column.name not in found]
            if newer and self.table:
                self.spark.sql(f"ALTER TABLE {self.quoted_table} ADD COLUMNS ({ddl(newer)})")
        except OptionError as error:
            raise OptionError([f"{self.option}: {text}" for text in error.complaints]) from error.__cause__
        except (*spark_errors(), pa.ArrowException) as error:
            # Spark's message quotes the whole location, which may hold a store's secrets
            first_line = str(error).strip().partition("\n")[0][:300]
            why, cause = (first_line, error) if self.shown == self.location else (type(error).__name__, None)
            raise OptionError(f"{self.option}: {self.shown} cannot be written: {why}") from cause

    def append(self, rows: NewRows) -> None:
        """Add rows; columns are matched by name."""
        if isinstance(rows, Iterator):
            self._append_batches(rows)
        elif not isinstance(rows, Sequence):
            self.append_frame(rows.select([column.name for column in self.columns]))
        elif self.folder is not None:
            self._append_batches(iter([record_batch(rows, self.columns)]))
        else:
            self.append_frame(self.spark.createDataFrame(plain_rows(rows, self.columns), ddl(self.columns)))

    def _append_batches(self, batches: Iterator[pa.RecordBatch]) -> None:
        """Append a file from this process; without rows one that holds the schema, where there is no file."""
        folder, filled = Folder.at(self.location), (batch for batch in batches if batch.num_rows)
        first = list(islice(filled, 1))
        if first or not folder.names():
            name = f"part-{uuid.uuid4().hex}{PARQUET}"
            folder.write_batches(name, arrow_schema(self.columns), chain(first, filled))

    def _make_directory(self) -> None:
        """Create the directory of a path for its owner alone; under Connect Spark does so with the first rows."""
        if self.through_arrow:
            Folder.at(self.location).make()
        elif not self.table and jvm_of(self.spark) is not None:
            system, path = _hadoop(self.spark, self.location)
            permission = jvm_of(self.spark).org.apache.hadoop.fs.permission.FsPermission(0o700)
            if not system.exists(path) and not system.mkdirs(path, permission):
                raise OSError("the directory cannot be made")

    def _found_columns(self) -> list[str] | None:
        """Columns of what is there already; None where nothing is."""
        from pyspark.errors import AnalysisException

        folder = self.folder
        names = folder.names() if folder is not None else []
        if folder is not None and (names or self.through_arrow or folder.is_empty()):
            return folder.columns_of(names[0]) if names else None
        try:
            found = self.spark.table(self.table) if self.table else self.spark.read.parquet(self.location)
            return list(found.columns) or None  # to some engines a path where nothing is has no columns
        except AnalysisException:  # no such path or table, or a directory without a single file
            return None


def _read_in_task(location: str, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The rows of some files, for stores that Spark has no file system for."""
    import pyarrow.dataset  # here: it imports pandas, which costs other tasks start-up time and 45 MB

    folder = Folder.at(location)
    for batch in batches:
        paths = [f"{folder.path}/{name}" for name in batch.column(0).to_pylist()]
        files = pyarrow.dataset.dataset(paths, schema, "parquet", folder.system)
        yield from files.to_batches(batch_size=MOST_ROWS)


def checkpointed(frame: DataFrame) -> DataFrame | None:
    """The rows of a frame, evaluated once and held by the executors; None, and nothing evaluated, where Spark cannot.

    Where an executor is lost afterwards, reading them fails, and Spark does not evaluate the frame again.
    """
    from pyspark.errors import PySparkException

    try:
        return frame.localCheckpoint(eager=True)
    except PySparkException as error:
        # of a Connect client before Spark 4, or of a server that holds no rows
        if isinstance(error, NotImplementedError) or any(sign in str(error) for sign in NO_CHECKPOINTS):
            return None
        raise


def plain_rows(rows: Iterable[Mapping[str, object]], columns: Sequence[Column]) -> list[tuple[object, ...]]:
    """Rows for `createDataFrame`, with the text of enums in their place: the JVM of Spark 3.5 cannot read an enum."""
    return [tuple(_plain(row[column.name], column) for column in columns) for row in rows]


def _plain(value: object, column: Column) -> object:
    if isinstance(value, Enum):
        return value.value
    return as_time(value) if column.type == "timestamp" else value


def jvm_of(spark: Any) -> Any:
    """The JVM gateway of a classic session; None under Connect."""
    context = getattr(spark, "_sc", None)
    return None if context is None else context._jvm


def _hadoop(spark: Any, location: str) -> tuple[Any, Any]:
    """A location's file system and path, as Spark's JVM knows them."""
    path = jvm_of(spark).org.apache.hadoop.fs.Path(location)
    return path.getFileSystem(spark._jsparkSession.sessionState().newHadoopConf()), path


def remove_directory(spark: Any, location: str) -> None:
    """Delete a directory, and the hidden one that holds it once that is empty; for classic sessions."""
    system, path = _hadoop(spark, location)
    system.delete(path, True)
    holder = path.getParent()
    if system.exists(holder) and len(system.listStatus(holder)) == 0:
        system.delete(holder, False)


def remove_folder(location: str) -> None:
    """The same with pyarrow. Raises OSError."""
    Folder.at(location).remove()
    Folder.at(location.rpartition("/")[0]).remove_if_empty()


def has_file_system(spark: Any, location: str) -> bool:
    """Whether Spark has a file system for a location; what else may be wrong with it shows when it is used."""
    try:
        if jvm_of(spark) is not None:
            _hadoop(spark, location)
        else:
            spark.read.parquet(location).schema  # noqa: B018  asks the server
    except spark_errors() as error:
        return not any(sign in str(error) for sign in NO_FILE_SYSTEM)
    return True
