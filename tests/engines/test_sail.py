"""Ways to write on Sail, an engine in Rust that speaks Spark Connect, with pyspark's client that has no JVM classes.

Run by CI in an environment of its own: Sail refuses the newest pyspark.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spark_klaviyo import compact_state, klaviyo_batch_writer, klaviyo_partition_writer, preview_klaviyo, register
from spark_klaviyo import write_klaviyo as write
from spark_klaviyo.datasets.schemas import RECEIPTS, REJECTS, RUNS, ddl
from spark_klaviyo.errors import OptionError
from spark_klaviyo.simulator import KlaviyoSimulator

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

sail = pytest.importorskip("pysail.spark")
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
PEOPLE = 18  # of the rows that can be sent


@pytest.fixture(scope="module")
def session() -> Iterator[Any]:
    from pyspark.sql import SparkSession

    server = sail.SparkConnectServer(ip="127.0.0.1", port=0)
    server.start(background=True)
    _, port = server.listening_address
    spark = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").getOrCreate()
    yield spark
    spark.stop()
    server.stop()


@pytest.fixture
def people(session: Any) -> DataFrame:
    email = "CASE WHEN id % 10 = 3 THEN 'nobody' ELSE concat('p', id, '@example.com') END AS email"
    found: DataFrame = session.range(0, 20, 1, 2).selectExpr(email, "id AS tier")
    return found


@pytest.fixture
def goal(klaviyo: KlaviyoSimulator) -> dict[str, Any]:
    where = {"template": "add_profiles_to_list", "list_id": "Y6nRLr", "base_url": klaviyo.url}
    return {**where, "api_key": "pk_test_0123456789", "on_reject": "keep"}


@pytest.mark.proves("engines", "`write_klaviyo`, with rejects, receipts and runs", "yes", "")
@pytest.mark.parametrize("way", ["auto", "executors", "driver"])
def test_the_function_delivers_every_row_and_writes_datasets(
    way: str, people: DataFrame, goal: dict[str, Any], tmp_path: Path, klaviyo: KlaviyoSimulator
) -> None:
    places = {f"{name}_path": str(tmp_path / name) for name in ("rejects", "receipts", "runs")}
    for run in (1, 2):
        report: Any = write(people, send_from=way, **places, **goal)
        assert (report.delivered, report.rejected) == (PEOPLE, 2)
        assert report.rejects.count() == 2
        assert report.receipts.count() == report.requests
        assert people.sparkSession.read.parquet(places["runs_path"]).count() == run
    assert len(klaviyo.profiles) == PEOPLE


@pytest.mark.proves("engines", "`table:` destinations, as tables of Delta or Parquet", "yes", "")
@pytest.mark.parametrize("kind", ["delta", "parquet"])
def test_tables_get_every_row(kind: str, people: DataFrame, goal: dict[str, Any], tmp_path: Path, session: Any) -> None:
    datasets = {"rejects": REJECTS, "receipts": RECEIPTS, "runs": RUNS}
    for name, columns in datasets.items():
        place = (tmp_path / name).as_uri()
        session.sql(f"CREATE TABLE {kind}_{name} ({ddl(columns)}) USING {kind} LOCATION '{place}'").collect()
    places = {f"{name}_path": f"table:{kind}_{name}" for name in datasets}
    for run in (1, 2):
        report: Any = write(people, **places, **goal)
        assert (report.delivered, report.rejected, report.rejects.count()) == (PEOPLE, 2, 2)
        assert report.receipts.count() == report.requests
        assert session.table(f"{kind}_runs").count() == run
    assert [table.name for table in session.catalog.listTables() if "staging" in table.name] == []
    assert (tmp_path / "rejects" / "_delta_log").is_dir() is (kind == "delta")


@pytest.mark.proves("engines", "`state_path`, `compact_state`", "yes", "")
def test_a_state_sends_nothing_twice(people: DataFrame, goal: dict[str, Any], tmp_path: Path, session: Any) -> None:
    state = str(tmp_path / "state")
    assert write(people, state_path=state, **goal).delivered == PEOPLE
    assert compact_state(session, state) > 0
    assert write(people, state_path=state, **goal).delivered == 0


@pytest.mark.proves("engines", "`change_column`", "yes", "")
@pytest.mark.proves(
    "engines",
    "`list_mode=mirror`",
    "with `receipts_path` or `rejects_path`",
    "Sail holds no rows between two jobs",
)
def test_change_data_and_mirrors(
    people: DataFrame, goal: dict[str, Any], klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    valid = people.where("email <> 'nobody'")
    with pytest.raises(OptionError, match="receipts_path"):  # Sail holds no rows between two jobs
        write(valid, list_mode="mirror", max_removals="1", **goal)
    receipts = str(tmp_path / "receipts")
    assert write(valid, list_mode="mirror", max_removals="1", receipts_path=receipts, **goal).delivered == PEOPLE
    changed = [(f"p{n}@example.com", "delete" if n % 2 else "insert", n) for n in range(500)]
    change = people.sparkSession.createDataFrame(changed, "email string, op string, n int")
    report = write(change, change_column="op", change_order="n", on_delete="remove", **goal)
    assert report.rows == 500
    members = {one["email"] for one in klaviyo.profiles if one["id"] in klaviyo.lists["Y6nRLr"]}
    assert members == {email for email, change, _ in changed if change == "insert"}


@pytest.mark.proves("engines", "`preview_klaviyo`", "yes", "")
def test_a_preview_counts_every_row(people: DataFrame) -> None:
    assert "20 rows" in preview_klaviyo(people, template="add_profiles_to_list", list_id="Y6nRLr").text()


@pytest.mark.proves("engines", "`klaviyo_partition_writer`", "yes, without `report`", "")
def test_partition_writer(people: DataFrame, goal: dict[str, Any], klaviyo: KlaviyoSimulator) -> None:
    people.foreachPartition(klaviyo_partition_writer(schema=people.schema, **goal))
    assert len(klaviyo.profiles) == PEOPLE


@pytest.mark.proves(
    "engines", '`df.write.format("klaviyo")`', "after `register(spark)`", "Sail looks for no data sources by itself"
)
def test_data_source(people: DataFrame, goal: dict[str, Any], klaviyo: KlaviyoSimulator) -> None:
    register(people.sparkSession, api_key=goal.pop("api_key"))
    people.write.format("klaviyo").mode("append").options(**goal).save()
    assert len(klaviyo.profiles) == PEOPLE


def test_texts_that_a_file_holds_as_a_dictionary_are_cleaned(
    session: Any, goal: dict[str, Any], klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    emails = pa.array([" ann@example.com", "nobody", "n/a"]).dictionary_encode()
    pq.write_table(pa.table({"email": emails}), tmp_path / "people.parquet")  # as pandas writes categories
    register(session, api_key=goal.pop("api_key"))
    people = session.read.parquet(str(tmp_path / "people.parquet"))
    people.write.format("klaviyo").mode("append").options(**goal).save()
    assert [one["email"] for one in klaviyo.profiles] == ["ann@example.com"]


@pytest.mark.proves("engines", "`klaviyo_batch_writer`, `writeStream`", "no", "Sail has no `foreachBatch`")
def test_streams_are_refused_by_sail(session: Any, goal: dict[str, Any]) -> None:
    from pyspark.errors import PySparkException

    rows = session.readStream.format("rate").load().selectExpr("concat('p', value, '@example.com') AS email")
    with pytest.raises(PySparkException):
        rows.writeStream.foreachBatch(klaviyo_batch_writer(**goal)).start()
