"""Where Spark writes for a session door: a path or a catalog table, appended to, and the staging place of one run."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spark_klaviyo.datasets.schemas import Column, ddl
from spark_klaviyo.datasets.storage import Folder
from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.addresses import is_table, shown_place

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

STAGING = "_staging"  # hidden from Spark's readers, like all names that begin so
OWNER_ONLY = 0o700


def spark_errors() -> tuple[type[Exception], ...]:
    """What Spark raises when it cannot read or write, on classic Spark and under Connect."""
    from pyspark.errors import PySparkException

    try:
        from py4j.protocol import Py4JError
    except ImportError:  # a client without a JVM
        return (PySparkException, OSError)
    return (PySparkException, Py4JError, OSError)


@dataclass(frozen=True)
class Dataset:
    """One dataset: `option` names it in messages, `place` is a path, a URI or `table:NAME`."""

    spark: Any
    option: str
    place: str
    columns: tuple[Column, ...]

    @property
    def table(self) -> str:
        """The table's name; empty for a path."""
        return self.place.partition(":")[2] if is_table(self.place) else ""

    @property
    def shown(self) -> str:
        """The place as messages show it."""
        return self.place if self.table else shown_place(self.place)

    def read(self) -> DataFrame:
        """All of it, whatever run wrote it."""
        found: DataFrame = self.spark.table(self.table) if self.table else self.spark.read.parquet(self.place)
        return found

    def prepare(self) -> bool:
        """Make sure before anything is sent that rows can be appended: `OptionError` otherwise.

        Whether there is a dataset now; else an empty one has to be appended if no row ever is.
        """
        try:
            there = self._columns_there()
            if there is None and (self.table or java(self.spark) is None):
                self.append_rows([])
                return True
            if there is None:
                make_directory(self.spark, self.place)
                return False
        except spark_errors() as error:
            # Spark's own words quote the place whole, which may hold a store's secrets
            why, chain = (_first_line(error), error) if self.shown == self.place else (type(error).__name__, None)
            raise OptionError(f"{self.option}: {self.shown} cannot be written: {why}") from chain
        missing = [column.name for column in self.columns if column.name not in there]
        if missing:
            raise OptionError(
                f"{self.option}: {self.shown} holds something else: it has no column {', '.join(missing)}; "
                "give another place"
            )
        return True

    def append(self, frame: DataFrame) -> None:
        """Add rows; columns are matched by name."""
        rows = frame.select([column.name for column in self.columns])
        if not self.table:
            self._append_files(rows)
        elif self.spark.catalog.tableExists(self.table):
            rows.select(self.spark.table(self.table).columns).write.insertInto(self.table)
        else:
            rows.write.mode("append").saveAsTable(self.table)

    def append_rows(self, rows: list[tuple[object, ...]]) -> None:
        """Add a bounded number of rows from this process; none make an empty dataset."""
        self.append(self.spark.createDataFrame(rows, ddl(self.columns)))

    def _append_files(self, rows: DataFrame) -> None:
        """Append Parquet files, next to other runs that do the same at this moment.

        Hadoop's committer puts the files of every job into `_temporary/0` and clears `_temporary` at the end, which
        would take another run's files along. Another number, cleared by us, keeps the runs apart.
        """
        writer = rows.write.mode("append")
        if java(self.spark) is None:
            writer.parquet(self.place)
            return
        number = 1 + secrets.randbelow(2**31 - 2)
        apart = {
            "mapreduce.job.application.attempt.id": str(number),
            "mapreduce.fileoutputcommitter.cleanup.skipped": "true",
        }
        writer.options(**apart).parquet(self.place)
        remove_directory(self.spark, f"{self.place}/_temporary/{number}")

    def _columns_there(self) -> list[str] | None:
        """Columns of what is there already; None where nothing is."""
        from pyspark.errors import AnalysisException

        try:
            return list(self.read().columns)
        except AnalysisException:  # no such path or table, or a directory without a single file
            return None


def java(spark: Any) -> Any | None:
    """The JVM's door of a classic session; None under Connect."""
    context = getattr(spark, "_sc", None)
    return None if context is None else context._jvm


def _hadoop(spark: Any, place: str) -> tuple[Any, Any]:
    """A place's file system and path, as Spark's JVM knows them."""
    path = java(spark).org.apache.hadoop.fs.Path(place)  # type: ignore[union-attr]
    return path.getFileSystem(spark._jsparkSession.sessionState().newHadoopConf()), path


def make_directory(spark: Any, place: str) -> None:
    """Create a directory for its owner alone, where it is not there and Spark's JVM can be asked."""
    if java(spark) is None:
        return
    system, path = _hadoop(spark, place)
    if not system.exists(path):
        permission = java(spark).org.apache.hadoop.fs.permission.FsPermission(OWNER_ONLY)  # type: ignore[union-attr]
        if not system.mkdirs(path, permission):
            raise OSError("the directory cannot be made")


def remove_directory(spark: Any, place: str) -> None:
    """Take a directory away, and the hidden one that held it once that is empty. Raises one of `spark_errors`."""
    if java(spark) is None:
        Folder.at(place).remove()
        holder = Folder.at(place.rpartition("/")[0])
        if holder.is_empty():
            holder.remove()
        return
    system, path = _hadoop(spark, place)
    system.delete(path, True)
    holder = path.getParent()
    if system.exists(holder) and len(system.listStatus(holder)) == 0:
        system.delete(holder, False)


@dataclass(frozen=True)
class Staging:
    """Where one run's result rows stand between the tasks and their datasets."""

    spark: Any
    beside: str
    run_id: str

    @property
    def place(self) -> str:
        """The table or the directory."""
        if is_table(self.beside):
            return f"{self.beside}_staging_{self.run_id}"
        return f"{self.beside}/{STAGING}/{self.run_id}"

    @property
    def shown(self) -> str:
        """The place as messages show it."""
        return self.place if self.table else shown_place(self.place)

    @property
    def table(self) -> str:
        """The table's name; empty for a path."""
        return self.place.partition(":")[2] if is_table(self.place) else ""

    def write(self, frame: DataFrame) -> None:
        """Run the frame, once, and keep its rows."""
        writer = frame.write.mode("error")
        if self.table:
            writer.saveAsTable(self.table)
        else:
            writer.parquet(self.place)

    def add(self, rows: list[tuple[str, str]], schema: str) -> None:
        """Keep a bounded number of rows of this process, besides those already kept."""
        writer = self.spark.createDataFrame(rows, schema).write.mode("append")
        if self.table:
            writer.saveAsTable(self.table)
        else:
            writer.parquet(self.place)

    def read(self, schema: str) -> DataFrame:
        """The rows."""
        if self.table:
            held: DataFrame = self.spark.table(self.table)
            return held
        found: DataFrame = self.spark.read.schema(schema).parquet(self.place)
        return found

    def remove(self) -> None:
        """Take it away. Raises one of `spark_errors`."""
        if self.table:
            self.spark.sql(f"DROP TABLE IF EXISTS {'.'.join(f'`{part}`' for part in self.table.split('.'))}")
        else:
            remove_directory(self.spark, self.place)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300]
