"""Every way to write, called with the same arguments."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from spark_klaviyo import klaviyo_batch_writer, klaviyo_partition_writer, register, write_klaviyo
from spark_klaviyo.cli.main import main
from spark_klaviyo.options.entrypoints import EntryPoint

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

KEY = "pk_test_0123456789abcdef"
KEY_VARIABLE = "SPARK_KLAVIYO_TEST_KEY"
Options = dict[str, str]


class Ended(Exception):
    """The command line ended with an exit status other than 0."""


def function(df: DataFrame, options: Options, place: Path) -> None:  # noqa: ARG001  one signature for all
    write_klaviyo(df, api_key=KEY, **options)


def command(df: DataFrame, options: Options, place: Path) -> None:
    source = place / uuid4().hex
    df.write.parquet(str(source))
    pairs = [f"--option={name}={value}" for name, value in {"api_key": f"env:{KEY_VARIABLE}", **options}.items()]
    status = main(["write", "--input", str(source), *pairs])
    if status:
        raise Ended(f"exit status {status}")


def batch(df: DataFrame, options: Options, place: Path) -> None:  # noqa: ARG001
    klaviyo_batch_writer(api_key=KEY, **options)(df, 0)


def partition(df: DataFrame, options: Options, place: Path) -> None:  # noqa: ARG001
    df.foreachPartition(klaviyo_partition_writer(api_key=KEY, **options))


def source(df: DataFrame, options: Options, place: Path) -> None:  # noqa: ARG001
    register(df.sparkSession, api_key=KEY)
    df.write.format("klaviyo").mode("append").options(**options).save()


def stream(df: DataFrame, options: Options, place: Path) -> None:
    register(df.sparkSession, api_key=KEY)
    folder = place / uuid4().hex
    df.write.parquet(str(folder))
    rows = df.sparkSession.readStream.schema(df.schema).parquet(str(folder))
    writer = rows.writeStream.format("klaviyo").options(**options).trigger(availableNow=True)
    writer.option("checkpointLocation", str(place / uuid4().hex)).start().awaitTermination()


DRIVEN: dict[EntryPoint, Callable[[DataFrame, Options, Path], None]] = {
    EntryPoint.FUNCTION: function,
    EntryPoint.COMMAND: command,
    EntryPoint.BATCH: batch,
    EntryPoint.SOURCE: source,
    EntryPoint.PARTITION: partition,
    EntryPoint.STREAM: stream,
}
