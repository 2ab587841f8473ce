"""Runs with a state, through Spark and over real HTTP: what is sent again, and what is not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from spark_klaviyo import KlaviyoError, OptionError, WriteReport, WriteStopped, compact_state, write_klaviyo
from spark_klaviyo.core.models import StateLocation
from spark_klaviyo.datasets.storage import Folder
from spark_klaviyo.simulator import Fault, KlaviyoSimulator
from spark_klaviyo.state.known import KNOWN
from spark_klaviyo.state.lock import LOCK
from tests.state.recorded import locked, recorded, state_at

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

IMPORTS = "/api/profile-bulk-import-jobs*"


@dataclass
class StateRuns:
    """A local Klaviyo, a state, and runs that use both."""

    spark: SparkSession
    klaviyo: KlaviyoSimulator
    state: Path

    def people(self, *rows: Sequence[str | None], columns: str = "email string, first_name string") -> DataFrame:
        return self.spark.createDataFrame([tuple(row) for row in rows], columns).coalesce(1)

    def write(self, df: DataFrame, **options: object) -> WriteReport:
        given: dict[str, object] = {
            "template": "create_or_update_profile",
            "api_key": "pk_test_key_of_the_state",
            "base_url": self.klaviyo.url,
            "state_path": str(self.state),
            "rate_limit": "none",
        }
        return write_klaviyo(df, **{**given, **options})

    def sent(self, df: DataFrame, **options: object) -> int:
        """How many rows of this were sent; all others were skipped."""
        report = self.write(df, **options)
        assert report.delivered + report.accepted + report.skipped == report.rows
        return report.delivered + report.accepted


@pytest.fixture
def runs(spark: SparkSession, tmp_path: Path) -> Iterator[StateRuns]:
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        yield StateRuns(spark, klaviyo, tmp_path / "state")


def test_only_what_is_new_or_changed_is_sent(runs: StateRuns) -> None:
    first = runs.people(("ann@x.com", "Ann"), ("bob@x.com", "Bob"))
    assert runs.sent(first) == 2
    report = runs.write(first)
    assert (report.skipped, report.requests) == (2, 0)
    assert "unchanged" in str(report)
    assert Folder.at(str(runs.state)).names_with(KNOWN) == []
    assert runs.sent(runs.people(("ann@x.com", "Ann"), ("bob@x.com", "Rob"), ("eve@x.com", "Eve"))) == 2
    assert {profile["first_name"] for profile in runs.klaviyo.profiles} == {"Ann", "Rob", "Eve"}


def test_a_then_b_then_a_again_is_sent_three_times(runs: StateRuns) -> None:
    for name in ("A", "B", "A"):
        assert runs.sent(runs.people(("ann@x.com", name))) == 1
    assert runs.klaviyo.profiles[0]["first_name"] == "A"


def test_the_order_of_the_columns_makes_no_difference_and_emails_ignore_case(runs: StateRuns) -> None:
    columns = "email string, first_name string, tier string, age int"
    runs.sent(runs.spark.createDataFrame([("ann@x.com", "Ann", "gold", 7)], columns))
    turned = runs.spark.createDataFrame(
        [(7, "gold", "Ann", "ann@x.com")], "age int, tier string, first_name string, email string"
    )
    assert runs.sent(turned) == 0
    assert runs.sent(runs.people((" ANN@x.com", "B"))) == 1
    assert len({row["key"] for row in recorded(runs.state)}) == 1


def test_records_with_nulls_are_recognised(runs: StateRuns) -> None:
    rows = runs.people(("ann@x.com", None), ("bob@x.com", "Bob"))
    assert runs.sent(rows, nulls="send") == 2
    assert runs.sent(rows, nulls="send") == 0
    assert runs.sent(runs.people(("ann@x.com", None), ("bob@x.com", None)), nulls="send") == 1


def test_each_list_template_and_account_has_its_own_rows(runs: StateRuns) -> None:
    rows = runs.people(("ann@x.com", "Ann"))
    imports = {"template": "bulk_import_profiles"}
    lists = sorted(runs.klaviyo.lists)[:2]
    assert [runs.sent(rows, **imports, list_id=one) for one in (*lists, *lists)] == [1, 1, 0, 0]
    assert runs.sent(rows) == 1
    with KlaviyoSimulator(job_polls=0, account="Another Shop") as another:
        ids = [klaviyo.account.id for klaviyo in (runs.klaviyo, another)]
        assert runs.sent(rows, base_url=another.url) == (0 if ids[0] == ids[1] else 1)


def test_a_list_named_by_a_column_is_part_of_the_key(runs: StateRuns) -> None:
    one, two = sorted(runs.klaviyo.lists)[:2]
    columns = "email string, audience string"
    options = {"template": "add_profiles_to_list", "list_id": "column:audience"}
    assert runs.sent(runs.people(("ann@x.com", one), ("ann@x.com", two), columns=columns), **options) == 2
    assert runs.sent(runs.people(("ann@x.com", two), ("ann@x.com", one), columns=columns), **options) == 0


def test_events_are_recognised_by_their_unique_id(runs: StateRuns) -> None:
    columns = "email string, metric string, unique_id string, value double, time string"
    options = {"template": "bulk_create_events"}

    def order(number: str, value: float) -> tuple[object, ...]:
        return ("ann@x.com", "Ordered", number, value, "2026-10-15T08:00:00Z")

    first = runs.spark.createDataFrame([order("1", 5.0), order("2", 5.0)], columns)
    assert runs.sent(first, **options) == 2
    assert runs.sent(first.union(runs.spark.createDataFrame([order("3", 5.0)], columns)), **options) == 1
    assert len(runs.klaviyo.events) == 3


def test_events_without_an_id_are_recognised_by_their_content(runs: StateRuns) -> None:
    columns = "email string, metric string, value double, time string"
    options = {"template": "bulk_create_events"}
    rows = [("ann@x.com", "Ordered", float(n), "2026-10-15T08:00:00Z") for n in range(3)]
    assert runs.sent(runs.spark.createDataFrame(rows, columns), **options) == 3
    assert runs.sent(runs.spark.createDataFrame([*rows, rows[0]], columns), **options) == 0


def test_of_several_rows_with_one_identifier_the_last_counts_however_often_they_are_sent(runs: StateRuns) -> None:
    rows = runs.people(("ann@x.com", "A"), ("bob@x.com", "B"), ("ann@x.com", "C"))
    report = runs.write(rows, batch_mode=False)
    assert (report.delivered, report.skipped) == (2, 1)
    assert runs.sent(rows) == 0
    assert {profile["first_name"] for profile in runs.klaviyo.profiles} == {"B", "C"}


def test_the_last_row_counts_also_where_the_rows_of_one_identifier_lie_in_several_partitions(runs: StateRuns) -> None:
    df = runs.spark.range(0, 400, 1, 4).selectExpr(
        "concat('p', id % 100, '@x.com') email", "concat('N', id) first_name"
    )
    report = runs.write(df, template="bulk_import_profiles")
    assert (report.delivered, report.skipped) == (100, 300)
    assert {profile["first_name"] for profile in runs.klaviyo.profiles} == {f"N{n}" for n in range(300, 400)}


def test_equal_rows_without_an_identifier_are_counted_in_manual_mode(runs: StateRuns) -> None:
    options = {"template": None, "url": f"{runs.klaviyo.url}/__sink", "headers": "x:y"}
    line, other = ("a", "1"), ("b", "1")
    assert runs.sent(runs.people(line, line, other), **options) == 3
    assert runs.sent(runs.people(line, line, other), **options) == 0
    assert runs.sent(runs.people(line, line, line, other), **options) == 1


def test_rejected_rows_are_sent_again(runs: StateRuns) -> None:
    rows = runs.people(("ann@x.com", "Ann"), ("no address", "Bob"))
    for _ in range(2):
        report = runs.write(rows, on_reject="keep")
        assert report.rejected == 1
    assert runs.sent(runs.people(("ann@x.com", "Ann"), ("bob@x.com", "Bob"))) == 1


def test_the_rows_of_an_open_job_wait_for_what_the_job_says(runs: StateRuns) -> None:
    rows = runs.people(*((f"p{n}@x.com", f"N{n}") for n in range(4)))
    options = {"template": "bulk_import_profiles", "max_rows": 2}
    runs.klaviyo.inject(
        Fault("job_row_errors", identifiers=("p1@x.com",), times=2)
    )  # one of the run's two jobs has her
    report = runs.write(rows, wait_for_jobs=False, **options)
    assert report.accepted == 4
    assert {row["outcome"] for row in recorded(runs.state)} == {"pending"}
    assert runs.sent(rows, **options) == 1  # only the row that its job refused
    assert runs.sent(rows, **options) == 0


def test_the_rows_of_a_cancelled_job_are_sent_again_and_those_of_a_forgotten_one_are_not(runs: StateRuns) -> None:
    rows = runs.people(("ann@x.com", "Ann"))
    options = {"template": "bulk_import_profiles"}
    runs.klaviyo.inject(Fault("job_cancelled", times=1))
    runs.write(rows, wait_for_jobs=False, **options)
    assert runs.sent(rows, **options) == 1
    other = runs.people(("bob@x.com", "Bob"))
    runs.write(other, wait_for_jobs=False, **options)
    runs.klaviyo.inject(Fault("job_gone"))
    assert runs.sent(other, **options, job_timeout_seconds=4) == 0  # gone once it is unknown for half as long


def test_the_rows_of_a_job_that_still_runs_or_cannot_be_read_are_not_sent_again(runs: StateRuns) -> None:
    rows = runs.people(("ann@x.com", "Ann"))
    options = {"template": "bulk_import_profiles", "job_timeout_seconds": 1}
    runs.klaviyo.inject(Fault("job_never_ends", times=1))
    assert runs.write(rows, **options).accepted == 1
    assert runs.sent(rows, **options) == 0
    runs.klaviyo.inject(Fault("status_refused"))
    assert runs.sent(rows, **options) == 0


def test_a_compacted_state_says_the_same_in_fewer_files(runs: StateRuns) -> None:
    rows = runs.people(*((f"p{n}@x.com", f"N{n}") for n in range(6)))
    options = {"template": "bulk_import_profiles", "max_rows": 1}
    runs.klaviyo.inject(Fault("job_row_errors", identifiers=("p1@x.com",), times=6))
    assert runs.write(rows, on_reject="keep", **options).rejected == 1
    runs.sent(runs.people(("p2@x.com", "other")), **options)
    before = len(recorded(runs.state))
    with locked(state_at(runs.state)), pytest.raises(KlaviyoError, match="another run"):
        compact_state(runs.spark, str(runs.state))
    assert compact_state(runs.spark, str(runs.state)) > 1
    assert len(Folder.at(str(runs.state)).names()) == 1
    assert len(recorded(runs.state)) == 5 < before
    assert {row["outcome"] for row in recorded(runs.state)} == {"sent"}
    assert runs.sent(rows, **options) == 2  # the one refused, and the one that was other meanwhile


def test_a_clock_that_goes_back_between_runs_changes_nothing(runs: StateRuns) -> None:
    runs.sent(runs.people(("ann@x.com", "A")))
    for file in runs.state.glob("part-*"):  # as if that run had been ahead by a day
        table = pq.read_table(file)
        ahead = pc.add(table["at"], pa.scalar(86_400_000_000, pa.duration("us")))
        pq.write_table(table.set_column(table.schema.get_field_index("at"), "at", ahead), file)
    runs.sent(runs.people(("ann@x.com", "B")))
    assert runs.sent(runs.people(("ann@x.com", "B"))) == 0
    assert runs.sent(runs.people(("ann@x.com", "A"))) == 1


def test_a_state_without_its_format_file_still_orders_its_runs(runs: StateRuns) -> None:
    for name in ("A", "B"):
        runs.sent(runs.people(("ann@x.com", name)))
    (runs.state / "_format.json").unlink()  # as a copy made with Spark leaves it out
    for name in ("A", "B", "A"):
        assert runs.sent(runs.people(("ann@x.com", name))) == 1


def test_messages_and_plans_hide_the_secrets_in_the_uri_of_a_state(runs: StateRuns) -> None:
    with pytest.raises(OptionError) as caught:
        runs.write(runs.people(("ann@x.com", "A")), state_path="gopher://me:hidden-word@x/y")
    assert "hidden-word" not in f"{caught.value} {caught.value.__cause__} {caught.value.__context__}"
    uri = "file://me:hidden-word@" + str(runs.state)
    assert "hidden-word" not in repr(StateLocation(uri, b"", "run"))
    runs.state.mkdir()
    (runs.state / "_format.json").write_text("{}")
    with pytest.raises(OptionError, match="give the folder of a state") as caught:
        runs.write(runs.people(("ann@x.com", "A")), state_path=uri)
    assert "hidden-word" not in str(caught.value)


def test_a_second_run_on_the_same_state_is_refused_until_the_first_is_done(runs: StateRuns) -> None:
    rows = runs.people(("ann@x.com", "A"))
    with locked(state_at(runs.state, run_id="the-other-run", stale_seconds=2.0)), pytest.raises(WriteStopped) as caught:
        runs.write(rows)
    assert "the-other-run" in str(caught.value)
    assert LOCK in str(caught.value)
    assert caught.value.report is not None
    assert caught.value.report.stopped is not None
    assert caught.value.report.stopped[0] == "state_in_use"
    assert runs.klaviyo.profiles == []
    assert runs.sent(rows) == 1


def test_a_state_of_another_format_or_an_unusable_path_is_refused_before_anything_is_sent(
    runs: StateRuns, tmp_path: Path
) -> None:
    rows = runs.people(("ann@x.com", "A"))
    runs.state.mkdir()
    (runs.state / "_format.json").write_text(json.dumps({"format": 99, "runs": 1}))
    with pytest.raises(OptionError, match="format is 99 and this version reads 1"):
        runs.write(rows)
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below", "gopher://x/y"):
        with pytest.raises(OptionError, match=r"state_path|gopher"):
            runs.write(rows, state_path=str(path))
    assert runs.klaviyo.profiles == []


def test_without_the_scope_for_accounts_a_warning_says_that_the_state_belongs_to_the_key(
    spark: SparkSession, tmp_path: Path
) -> None:
    with KlaviyoSimulator(
        api_keys={"pk_narrow_key": ["profiles:write"], "pk_other_key": ["profiles:write"]}
    ) as klaviyo:
        runs = StateRuns(spark, klaviyo, tmp_path / "state")
        rows = runs.people(("ann@x.com", "A"))
        report = runs.write(rows, api_key="pk_narrow_key")
        assert report.delivered == 1
        assert any("accounts:read" in warning for warning in report.warnings)
        assert runs.sent(rows, api_key="pk_narrow_key") == 0
        assert runs.sent(rows, api_key="pk_other_key") == 1


def test_a_wrong_key_stops_the_write_before_the_state_is_created(spark: SparkSession, tmp_path: Path) -> None:
    with KlaviyoSimulator(api_keys=["pk_right_key"]) as klaviyo:
        runs = StateRuns(spark, klaviyo, tmp_path / "state")
        with pytest.raises(WriteStopped, match="refuses this key"):
            runs.write(runs.people(("ann@x.com", "A")), api_key="pk_wrong_key")
    assert not runs.state.exists()


def test_the_state_holds_no_personal_data_and_no_key(runs: StateRuns) -> None:
    runs.sent(runs.people(("ann.recognisable@x.com", "Recognisable")), template="bulk_import_profiles")
    content = b"".join(file.read_bytes() for file in runs.state.iterdir())
    assert b"recognisable" not in content.lower()
    assert b"pk_test" not in content
    columns = set(recorded(runs.state)[0])
    assert columns == {
        "scope", "key", "fingerprint", "outcome", "job_id", "run_id", "partition_id", "run_number", "at",
    }  # fmt: skip
    assert Folder.at(str(runs.state)).names_with("_lock") == []


def test_rows_in_flight_when_a_run_was_killed_are_in_doubt_where_a_resend_could_do_harm(runs: StateRuns) -> None:
    rows = runs.people(("ann@x.com", "A"), ("bob@x.com", "B"))
    options = {"template": "create_profile", "on_reject": "keep"}
    runs.sent(runs.people(("ann@x.com", "A")), **options)
    for file in runs.state.glob("part-*"):  # as if no answer had been recorded
        table = pq.read_table(file)
        kept = table.filter(pc.equal(table["outcome"], "begun"))
        pq.write_table(kept, file)
    report = runs.write(rows, **options)
    assert (report.delivered, report.reasons) == (1, {"in_doubt": 1})
    compact_state(runs.spark, str(runs.state))
    report = runs.write(rows, **options)
    assert (report.skipped, report.reasons) == (1, {"in_doubt": 1})
    report = runs.write(rows, **options, resend="always")
    assert (report.skipped, report.rejected) == (1, 1)  # Klaviyo says itself that it has her
