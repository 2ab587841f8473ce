"""What protects people and accounts, at every way to write: the simulator's state is compared before and after."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from spark_klaviyo import OptionError, klaviyo_batch_writer, preview_klaviyo, write_klaviyo
from spark_klaviyo.entrypoints.capabilities import WRITING
from spark_klaviyo.entrypoints.read import options_at
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.simulator import KlaviyoSimulator
from tests.entrypoints.driving import DRIVEN, KEY, KEY_VARIABLE

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytest.importorskip("pyspark.sql.datasource")

EVERY = pytest.mark.parametrize("entry_point", WRITING, ids=lambda point: point.value)
WITH_SESSION = pytest.mark.parametrize(
    "entry_point", [EntryPoint.FUNCTION, EntryPoint.COMMAND, EntryPoint.BATCH], ids=lambda point: point.value
)
MERGE: dict[str, Any] = {"template": "merge_profiles", "fields": '{"id":"stays","profiles":"goes"}'}
PERSON = '{"type":"profile","attributes":{"email":"{email}"}}'
DELETION = f'{{"data":{{"type":"data-privacy-deletion-job","attributes":{{"profile":{{"data":{PERSON}}}}}}}}}'
# A URL, and a body where the call is to succeed once its number is confirmed.
ERASURES = [
    ("/api/data-privacy-deletion-jobs", DELETION),
    ("/api//Data-Privacy-Deletion-Jobs/", None),
    ("/api/{email}", None),
]


@pytest.fixture(autouse=True)
def key_in_the_environment() -> Iterator[None]:
    os.environ[KEY_VARIABLE] = KEY
    yield
    del os.environ[KEY_VARIABLE]


@pytest.fixture
def klaviyo() -> Iterator[KlaviyoSimulator]:
    with KlaviyoSimulator(job_polls=0, account="Acme") as simulator:
        yield simulator


@pytest.fixture(scope="module")
def two(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> DataFrame:
    folder = str(tmp_path_factory.mktemp("two"))
    rows = spark.createDataFrame([("a@b.co",), ("c@d.ef",)], "email string")
    rows.coalesce(1).write.mode("overwrite").parquet(folder)
    return spark.read.parquet(folder)


def to_list(klaviyo: KlaviyoSimulator, **options: str) -> dict[str, Any]:
    return {"template": "add_profiles_to_list", "list_id": "Y6nRLr", "base_url": klaviyo.url, **options}


def changed(klaviyo: KlaviyoSimulator) -> list[str]:
    """The paths of requests that may have changed something."""
    return [request.path for request in klaviyo.requests if request.method not in ("GET", "HEAD")]


# --- the account and the list ---------------------------------------------------------------------


@EVERY
def test_any_account_but_the_expected_one_is_refused_before_anything_is_sent(
    entry_point: EntryPoint, two: DataFrame, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    with pytest.raises(Exception, match=r"Xy12Ab is expected|exit status 2"):
        DRIVEN[entry_point](two, to_list(klaviyo, account_id="Xy12Ab"), tmp_path)
    assert changed(klaviyo) == []
    assert klaviyo.profiles == []
    DRIVEN[entry_point](two, to_list(klaviyo, account_id=klaviyo.account.id), tmp_path)
    assert len(klaviyo.lists["Y6nRLr"]) == 2


@EVERY
def test_the_runs_name_the_account_and_the_list(
    entry_point: EntryPoint, two: DataFrame, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    runs = str(tmp_path / "runs")
    DRIVEN[entry_point](two, to_list(klaviyo, runs_path=runs, account_id=klaviyo.account.id), tmp_path)
    rows = two.sparkSession.read.parquet(runs).select("account", "account_id", "list_name").distinct().collect()
    # Spark plans each micro-batch in a new process, so a stream reads no more than it is asked to compare
    list_name = "Newsletter" if entry_point is not EntryPoint.STREAM else None
    assert [tuple(row) for row in rows] == [("Acme", klaviyo.account.id, list_name)]


@EVERY
def test_a_key_that_may_not_read_the_account_writes_all_the_same(
    entry_point: EntryPoint, two: DataFrame, tmp_path: Path
) -> None:
    scopes = {KEY: {"lists:read", "lists:write", "profiles:read", "profiles:write"}}
    with KlaviyoSimulator(api_keys=scopes) as klaviyo:
        runs = str(tmp_path / "runs")
        DRIVEN[entry_point](two, to_list(klaviyo, runs_path=runs), tmp_path)
        assert len(klaviyo.lists["Y6nRLr"]) == 2
        assert [request.path for request in klaviyo.requests].count("/api/accounts") <= 1
        rows = two.sparkSession.read.parquet(runs).select("account", "list_name").distinct().collect()
        assert {row["account"] for row in rows} == {None}


def test_preview_and_report_name_the_account_and_the_list(two: DataFrame, klaviyo: KlaviyoSimulator) -> None:
    given: dict[str, Any] = {**to_list(klaviyo), "api_key": KEY}
    where = f"account Acme ({klaviyo.account.id}), list Newsletter"
    for shown in (preview_klaviyo(two, **given), write_klaviyo(two, **given)):
        assert (shown.account, shown.list_name) == ("Acme", "Newsletter")
        assert where in str(shown)
        assert f"Acme ({klaviyo.account.id}), list Newsletter" in shown.to_html()
        assert shown.to_dict()["account"] == "Acme"
        assert shown.to_dict()["list_name"] == "Newsletter"
    assert [request.path for request in klaviyo.requests].count("/api/accounts") == 1


def test_a_preview_refuses_another_account_as_the_write_does(two: DataFrame, klaviyo: KlaviyoSimulator) -> None:
    with pytest.raises(OptionError, match="Xy12Ab is expected"):
        preview_klaviyo(two, api_key=KEY, **to_list(klaviyo, account_id="Xy12Ab"))


def test_the_progress_names_them(two: DataFrame, klaviyo: KlaviyoSimulator, capsys: pytest.CaptureFixture[str]) -> None:
    write_klaviyo(two, api_key=KEY, progress="true", **to_list(klaviyo))
    assert f"klaviyo, Acme ({klaviyo.account.id}), list" in capsys.readouterr().err


def test_no_micro_batch_reads_the_account_again(two: DataFrame, klaviyo: KlaviyoSimulator) -> None:
    writer = klaviyo_batch_writer(api_key=KEY, account_id=klaviyo.account.id, **to_list(klaviyo))
    for batch in range(2):
        writer(two, batch)
    reads = [request.path for request in klaviyo.requests if request.path in ("/api/accounts", "/api/lists/Y6nRLr")]
    assert sorted(reads) == ["/api/accounts", "/api/lists/Y6nRLr"]


# --- the key --------------------------------------------------------------------------------------


@EVERY
def test_the_key_goes_to_no_other_host(entry_point: EntryPoint) -> None:
    given = {"template": "bulk_import_profiles", "api_key": f"env:{KEY_VARIABLE}"}
    for host in ("klaviyo.example.com", "a.klaviyo.com.evil.io"):
        with pytest.raises(OptionError, match="base_url: the key would be sent to"):
            options_at(entry_point, {**given, "base_url": f"https://{host}"})
        assert options_at(entry_point, {**given, "base_url": f"https://{host}", "trusted_hosts": host})


# --- merging --------------------------------------------------------------------------------------


def people(klaviyo: KlaviyoSimulator, *names: str) -> list[str]:
    """The ids of so many new people."""
    klaviyo.add_profiles([{"email": f"{name}@example.com"} for name in names])
    ids = {profile["email"]: profile["id"] for profile in klaviyo.profiles}
    return [ids[f"{name}@example.com"] for name in names]


def names(klaviyo: KlaviyoSimulator) -> str:
    return "".join(sorted(profile["email"][0] for profile in klaviyo.profiles))


@WITH_SESSION
def test_profiles_are_merged_when_their_number_is_confirmed_and_their_rows_agree(
    entry_point: EntryPoint, spark: SparkSession, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    a, b, c, d, e, f, g = people(klaviyo, *"abcdefg")
    pairs = [(a, b), (c, c.lower()), (d, a), (d, b), (e, f), (f, e), (g, a)]
    rows = spark.createDataFrame(pairs, "goes string, stays string").repartition(3)
    rejects = str(tmp_path / "rejects")
    options = {**MERGE, "base_url": klaviyo.url, "on_reject": "keep", "rejects_path": rejects}
    with pytest.raises(Exception, match=r"7 rows would be deleted|exit status 2"):
        DRIVEN[entry_point](rows, {**options, "confirm_deletion": "6"}, tmp_path)
    assert names(klaviyo) == "abcdefg"
    DRIVEN[entry_point](rows, {**options, "confirm_deletion": "7"}, tmp_path)
    assert names(klaviyo) == "bcdefg"  # g could have met a before or after it was merged away
    codes = sorted(row["code"] for row in spark.read.parquet(rejects).collect())
    assert codes == sorted(["self_merge", "merge_chain", *["ambiguous_merge", "merge_cycle"] * 2])


def test_the_refusal_names_the_account_and_the_number(spark: SparkSession, klaviyo: KlaviyoSimulator) -> None:
    a, b = people(klaviyo, *"ab")
    rows = spark.createDataFrame([(a, b)], "goes string, stays string")
    given: dict[str, Any] = {**MERGE, "api_key": KEY, "base_url": klaviyo.url}
    expected = rf"1 rows would be deleted for good in the account Acme \({klaviyo.account.id}\) with merge_profiles"
    with pytest.raises(OptionError, match=expected + ".*and no number was confirmed; nothing was sent"):
        write_klaviyo(rows, **given)
    assert names(klaviyo) == "ab"
    report = write_klaviyo(rows, confirm_deletion=1, **given)
    assert (report.accepted, report.account) == (1, "Acme")


def test_a_preview_shows_the_merges_that_would_be_refused(spark: SparkSession, klaviyo: KlaviyoSimulator) -> None:
    rows = spark.createDataFrame([("A", "A"), ("B", "C")], "goes string, stays string")
    seen = preview_klaviyo(rows, **MERGE, api_key=KEY, base_url=klaviyo.url, confirm_deletion=2)
    assert [(row.row, row.code) for row in seen.rejected] == [(0, "self_merge")]
    assert seen.requests_expected == 1
    assert seen.warnings == ()
    assert changed(klaviyo) == []


# --- manual mode ----------------------------------------------------------------------------------


@WITH_SESSION
@pytest.mark.parametrize(("path", "body"), ERASURES)
def test_a_url_that_erases_people_asks_for_their_number(
    entry_point: EntryPoint, path: str, body: str | None, two: DataFrame, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    klaviyo.add_profiles([{"email": "a@b.co"}, {"email": "c@d.ef"}, {"email": "stays@b.co"}])
    options = {"url": klaviyo.url + path, **({"body": body} if body else {})}
    with pytest.raises(Exception, match=r"2 rows would be deleted|confirm_deletion: is required|exit status 2"):
        DRIVEN[entry_point](two, options, tmp_path)
    if entry_point is not EntryPoint.BATCH:  # there it is a ceiling
        with pytest.raises(Exception, match=r"2 rows would be deleted .*, not 3|exit status 2"):
            DRIVEN[entry_point](two, {**options, "confirm_deletion": "3"}, tmp_path)
    assert changed(klaviyo) == []
    assert len(klaviyo.profiles) == 3
    if body:
        DRIVEN[entry_point](two, {**options, "confirm_deletion": "2"}, tmp_path)
        assert [profile["email"] for profile in klaviyo.profiles] == ["stays@b.co"]


def test_an_erasure_by_url_is_never_skipped_because_it_was_done_before(
    two: DataFrame, klaviyo: KlaviyoSimulator, tmp_path: Path
) -> None:
    given: dict[str, Any] = {"url": klaviyo.url + ERASURES[0][0], "body": DELETION, "api_key": KEY}
    for _ in range(2):
        klaviyo.add_profiles([{"email": "a@b.co"}, {"email": "c@d.ef"}])
        report = write_klaviyo(two, confirm_deletion=2, state_path=str(tmp_path / "state"), **given)
        assert (report.skipped, klaviyo.profiles) == (0, [])
