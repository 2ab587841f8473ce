"""A session that records everything it can: every entry point, used well and badly, with a recognisable key and email.

`python -m tests.secrets.spill URL FOLDER`: the key is in KLAVIYO_API_KEY. What the user sees goes to standard output,
logs at DEBUG to standard error, Spark's event log, its REST answers and the process list into FOLDER.
"""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import traceback
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark import cloudpickle

from spark_klaviyo import klaviyo_batch_writer, klaviyo_partition_writer, preview_klaviyo, register, write_klaviyo
from spark_klaviyo.arrow.encoded import SPARK_ENCODED
from spark_klaviyo.core.arrow_types import ddl_of
from spark_klaviyo.entrypoints.read import options_at
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.plan.make import make_plan
from spark_klaviyo.plan.types import read_schema

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

EMAIL, BAD_EMAIL = "recognisable.person@example.com", "recognisable.person(at)example.com"
WRONG_KEY = "pk_wrong_but_recognisable_key_0000000"
REPOSITORY = str(Path(__file__).resolve().parents[2])
LOUD = "import logging; logging.basicConfig(level=logging.DEBUG)\n"  # for Spark's workers


def session(folder: Path) -> SparkSession:
    from pyspark.sql import SparkSession

    (folder / "loud").mkdir()
    (folder / "loud" / "sitecustomize.py").write_text(LOUD)
    (folder / "events").mkdir()
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["PYTHONPATH"] = os.pathsep.join([str(folder / "loud"), REPOSITORY])
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    settings = {
        "spark.eventLog.enabled": "true",
        "spark.eventLog.compress": "false",
        "spark.eventLog.dir": (folder / "events").as_uri(),
        "spark.ui.enabled": "true",
        "spark.ui.port": "0",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.shuffle.partitions": "1",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.execution.pyspark.udf.tracebackWithLocals.enabled": "true",
    }
    builder = SparkSession.builder.master("local[2]").appName("spill")
    for name, value in settings.items():
        builder = builder.config(name, value)
    made = builder.getOrCreate()
    made.sparkContext.setLogLevel("DEBUG")
    return made


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")


def attempt(name: str, use: Callable[[], object]) -> None:
    """Use an entry point; print what it returns or raises, with every cause."""
    say("---", name)
    try:
        say(repr(use()))
    except Exception as error:
        say("".join(traceback.format_exception(error)))
        for one in chain(error):
            say(repr(one), one.args, vars(one).get("report"))


def chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def used(df: DataFrame, spark: SparkSession, url: str, folder: Path) -> None:
    """Every entry point, well and badly."""
    one: dict[str, object] = {"template": "bulk_import_profiles", "base_url": url, "rate_limit": "none"}
    wrong = {**one, "api_key": "env:WRONG_KEY"}
    kept = {"receipts_path": str(folder / "receipts"), "state_path": str(folder / "state")}
    attempt("function", lambda: report_shown(df, {**one, **kept, "on_reject": "keep"}))
    attempt("function, rows rejected", lambda: write_klaviyo(df, **one))
    attempt("function, literal key", lambda: write_klaviyo(df, **{**one, "api_key": WRONG_KEY}))
    attempt("function, wrong key", lambda: write_klaviyo(df, **wrong))
    attempt("function, bad schema", lambda: write_klaviyo(df.select("note"), **one))
    attempt("function, bad option", lambda: write_klaviyo(df, **one, max_row=WRONG_KEY, header={"x": WRONG_KEY}))
    attempt("manual, key in query", lambda: write_klaviyo(df, url=f"{url}/__sink", key_in="query", on_reject="keep"))
    attempt("manual, refused", lambda: write_klaviyo(df, url=f"{url}/api/nothing", key_in="query", on_reject="keep"))
    attempt("manual, key in url", lambda: write_klaviyo(df, url=f"{url}/x?k={WRONG_KEY}", method="FETCH"))
    attempt("partition", lambda: df.foreachPartition(klaviyo_partition_writer(**one)))
    attempt("partition, wrong key", lambda: df.foreachPartition(klaviyo_partition_writer(**wrong)))
    attempt("no server", lambda: write_klaviyo(df, **{**one, "base_url": "http://127.0.0.1:9", "attempts": 1}))
    sourced(df, spark, one, wrong)
    streamed(spark, one, wrong, folder)
    planned(df, one)


def report_shown(df: DataFrame, options: dict[str, object]) -> object:
    report = write_klaviyo(df, **options)
    say(report, json.dumps(report.to_dict()), report.to_html(), report.receipts)
    return report


def sourced(df: DataFrame, spark: SparkSession, one: dict[str, object], wrong: dict[str, object]) -> None:
    if not hasattr(spark, "dataSource"):
        return
    register(spark, api_key="env:KLAVIYO_API_KEY")

    def save(options: dict[str, object]) -> None:
        df.write.format("klaviyo").mode("append").options(**options).save()

    attempt("source", lambda: save({**one, "on_reject": "keep"}))
    attempt("source, rows rejected", lambda: save(one))
    attempt("source, bad option", lambda: save({**one, "max_row": 1}))
    register(spark, api_key="env:WRONG_KEY")
    attempt("source, wrong key", lambda: save({name: value for name, value in wrong.items() if name != "api_key"}))


def streamed(spark: SparkSession, one: dict[str, object], wrong: dict[str, object], folder: Path) -> None:
    for name, options in (("stream", one), ("stream, wrong key", wrong)):

        def run(options: dict[str, object] = options, name: str = name) -> None:
            rows = spark.readStream.schema("email string, note string").parquet(str(folder / "people"))
            writer = klaviyo_batch_writer(**options, state_path=str(folder / "streamed"))
            started = rows.writeStream.foreachBatch(writer).option("checkpointLocation", str(folder / f"check {name}"))
            started.trigger(availableNow=True).start().awaitTermination()

        attempt(name, run)


def planned(df: DataFrame, one: dict[str, object]) -> None:
    """What plans show of themselves, and what `explain` prints."""
    options = options_at(EntryPoint.FUNCTION, one)
    plan = make_plan(options, read_schema(df.schema.jsonValue()), "run")
    say(repr(plan), str(options), repr(cloudpickle.loads(cloudpickle.dumps(plan))), repr(plan.credentials))
    from spark_klaviyo.runs.tasks import encode_for_spark, sent_columns

    printed = io.StringIO()
    with redirect_stdout(printed):
        frame, sent = sent_columns(df, plan)
        frame.mapInArrow(partial(encode_for_spark, sent), ddl_of(SPARK_ENCODED)).explain("extended")
    say(printed.getvalue())


def rest(spark: SparkSession, folder: Path) -> None:
    """Every answer of the UI's REST interface, and its pages."""
    base = spark.sparkContext.uiWebUrl or ""
    application = spark.sparkContext.applicationId
    paths = ["environment", "jobs", "stages?details=true", "executors", "sql?details=true&length=1000", "storage/rdd"]
    pages = ["/environment/", "/SQL/", "/jobs/", "/stages/", "/StreamingQuery/"]
    wanted = [f"/api/v1/applications/{application}/{path}" for path in paths] + pages
    with (folder / "rest.txt").open("w", encoding="utf-8") as kept:
        for path in wanted:
            try:
                with urllib.request.urlopen(base + path, timeout=60) as answer:  # noqa: S310
                    kept.write(f"{path}\n{answer.read().decode('utf-8', 'replace')}\n")
            except urllib.error.HTTPError as error:
                kept.write(f"{path}\n{error.code}\n")


def processes(folder: Path) -> None:
    """The command lines of all processes."""
    lines = [file.read_bytes().replace(b"\0", b" ") for file in Path("/proc").glob("[0-9]*/cmdline") if file.exists()]
    (folder / "processes.txt").write_bytes(b"\n".join(lines))


def main(url: str, folder: Path) -> None:
    os.environ["WRONG_KEY"] = WRONG_KEY
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
    spark = session(folder)
    rows = [(EMAIL, "a"), (BAD_EMAIL, "b"), ("another@example.com", "c")]
    spark.createDataFrame(rows, "email string, note string").coalesce(1).write.parquet(str(folder / "people"))
    df = spark.read.parquet(str(folder / "people"))
    used(df, spark, url, folder)
    preview = preview_klaviyo(df, template="bulk_import_profiles", base_url=url)
    (folder / "preview.txt").write_text(f"{preview}\n{preview.to_html()}", encoding="utf-8")
    rest(spark, folder)
    processes(folder)
    spark.stop()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
