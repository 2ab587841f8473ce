"""A dry run shows what the write then does, and sends nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from spark_klaviyo import preview_klaviyo, write_klaviyo
from spark_klaviyo.core.policy import Quota
from spark_klaviyo.errors import OptionError, SchemaError
from spark_klaviyo.preview.dry_run import quota_seconds
from spark_klaviyo.simulator import KlaviyoSimulator

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

LIST: dict[str, Any] = {"template": "add_profiles_to_list", "list_id": "Y6nRLr", "api_key": "pk_secret_of_mine"}


@pytest.fixture(autouse=True)
def no_internet(monkeypatch: pytest.MonkeyPatch) -> None:
    """No preview asks the real Klaviyo for names: nobody listens at this proxy."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")


@pytest.fixture(scope="module")
def people(spark: SparkSession) -> DataFrame:
    rows = [(f"p{number}@example.com", "Ann", number, "gold") for number in range(1_200)]
    return spark.createDataFrame(rows, "email string, First_Name string, orders int, e_mail2 string").coalesce(1)


def test_the_requests_are_those_that_the_write_sends(people: DataFrame) -> None:
    with KlaviyoSimulator() as klaviyo:
        few = people.limit(3)
        seen = preview_klaviyo(few, **LIST, base_url=klaviyo.url)
        assert {request.method for request in klaviyo.requests} == {"GET"}  # the names of account and list
        write_klaviyo(few, **LIST, base_url=klaviyo.url)
        sent = next(request for request in klaviyo.requests if request.method == "POST")
        (previewed,) = seen.requests
        assert (previewed.method, previewed.url) == ("POST", klaviyo.url + sent.path)
        assert json.loads(previewed.body) == json.loads(sent.body)
        assert (previewed.rows, previewed.bytes) == (3, len(sent.body))
        for name, value in previewed.headers:
            if name != "Authorization":
                assert sent.headers[name] == value


def test_the_key_is_nowhere(people: DataFrame) -> None:
    seen = preview_klaviyo(people.limit(2), **LIST)
    assert ("Authorization", "Klaviyo-API-Key ***") in seen.requests[0].headers
    shown = f"{seen}{seen!r}{seen.text(bodies=True)}{seen.to_dict(bodies=True)}{seen._repr_html_()}"
    assert "secret_of_mine" not in shown


def test_no_key_is_needed(people: DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KLAVIYO_API_KEY", raising=False)
    assert preview_klaviyo(people, template="add_profiles_to_list", list_id="Y6nRLr").rows == 1_200


def test_only_the_first_rows_are_shown_and_all_are_estimated(people: DataFrame) -> None:
    seen = preview_klaviyo(people, rows=2, **LIST, max_rows=500)
    assert [request.rows for request in seen.requests] == [2]
    assert seen.rows == 1_200
    assert seen.requests_expected == 3
    assert seen.minutes_expected == 0
    one = len(json.dumps({"type": "profile"}))
    assert seen.bytes_expected is not None
    assert seen.bytes_expected > 1_200 * one


def test_estimated_bytes_and_requests_are_those_of_the_write(people: DataFrame) -> None:
    with KlaviyoSimulator() as klaviyo:
        given = {**LIST, "base_url": klaviyo.url, "max_bytes": 20_000, "tasks": 1}
        seen = preview_klaviyo(people, **given)
        report = write_klaviyo(people, **given)
        assert seen.requests_expected is not None
        assert seen.bytes_expected is not None
        assert abs(seen.requests_expected - report.requests) <= 1
        assert abs(seen.bytes_expected - report.bytes) < 0.02 * report.bytes


def test_minutes_are_those_of_the_limits(people: DataFrame) -> None:
    seen = preview_klaviyo(people, **LIST, max_rows=2, rate_limit="10/s,150/m")
    assert seen.requests_expected == 600
    assert seen.minutes_expected == 3.0
    assert preview_klaviyo(people, **LIST, max_rows=2, rate_limit="none").minutes_expected == 0


@pytest.mark.parametrize(("requests", "seconds"), [(0, 0), (1, 0), (10, 0), (11, 1), (150, 14), (151, 60), (450, 120)])
def test_a_quota_lets_its_number_pass_at_once(requests: int, seconds: float) -> None:
    assert quota_seconds(Quota(((10, 1.0), (150, 60.0))), requests) == seconds


def test_every_column_is_listed_with_its_field_and_near_misses_have_a_hint(people: DataFrame) -> None:
    seen = preview_klaviyo(people, **LIST)
    assert [(column.column, column.becomes) for column in seen.mapping] == [
        ("email", "email"),
        ("First_Name", "first_name"),
        ("orders", "custom property"),
        ("e_mail2", "custom property"),
    ]
    assert {column.column: column.hint for column in seen.mapping if column.hint} == {"e_mail2": "did you mean email?"}


def test_dropped_columns_and_columns_of_settings_are_listed(people: DataFrame) -> None:
    given = {**LIST, "list_id": "column:e_mail2"}
    seen = preview_klaviyo(people, **given, other_columns="drop")
    becomes = {column.column: column.becomes for column in seen.mapping}
    assert becomes["orders"] == "dropped"
    assert becomes["e_mail2"] == "list_id"
    assert json.loads(seen.requests[0].body)["data"]["relationships"]["lists"]["data"][0]["id"] == "gold"


def test_rejected_rows_are_listed_with_the_reason_and_without_their_values(spark: SparkSession) -> None:
    rows = [("ann@example.com", 1.0), ("not an address", 1.0), (None, 1.0), ("bob@example.com", float("inf"))]
    seen = preview_klaviyo(spark.createDataFrame(rows, "email string, spent double").coalesce(1), **LIST)
    assert [(row.row, row.code) for row in seen.rejected] == [
        (1, "bad_email"),
        (2, "no_identifier"),
        (3, "not_finite"),
    ]
    assert "not an address" not in str(seen)
    assert seen.requests_expected == 1


def test_repeated_identifiers_are_warned_about(spark: SparkSession) -> None:
    frame = spark.createDataFrame([("ann@example.com",), ("Ann@example.com",)], "email string").coalesce(1)
    assert any("replaces them" in warning for warning in preview_klaviyo(frame, **LIST).warnings)


def test_a_name_is_looked_up_where_there_is_a_key(people: DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KLAVIYO_API_KEY", raising=False)
    with KlaviyoSimulator() as klaviyo:
        given = {**LIST, "list_id": "name:Newsletter", "base_url": klaviyo.url}
        seen = preview_klaviyo(people, **given)
        assert '"id":"Y6nRLr"' in seen.requests[0].body
        assert {request.method for request in klaviyo.requests} == {"GET"}
        with pytest.raises(OptionError, match="no list is called 'Nowhere'"):
            preview_klaviyo(people, **{**given, "list_id": "name:Nowhere"})
        asked = len(klaviyo.requests)
        del given["api_key"]
        assert any(
            "without a key it cannot be looked up" in warning for warning in preview_klaviyo(people, **given).warnings
        )
        assert len(klaviyo.requests) == asked


def test_a_name_that_cannot_be_looked_up_is_a_warning(people: DataFrame) -> None:
    with KlaviyoSimulator(api_keys=["pk_other"]) as klaviyo:
        seen = preview_klaviyo(people, **{**LIST, "list_id": "name:Newsletter"}, base_url=klaviyo.url)
        assert any("refuses this key" in warning for warning in seen.warnings)
        assert seen.rows == 1_200


def test_manual_requests_are_shown_with_secrets_hidden(people: DataFrame) -> None:
    seen = preview_klaviyo(
        people,
        rows=1,
        url="https://api.example.com/people/{email}?plan=basic",
        method="PUT",
        trusted_hosts="api.example.com",
        headers={"X-Api-Key": "open-sesame-12345", "X-Trace": "on"},
        key_in="query",
        api_key="pk_secret_of_mine",
    )
    (request,) = seen.requests
    assert request.url == "https://api.example.com/people/p0%40example.com?plan=basic&api_key=***"
    assert dict(request.headers)["X-Api-Key"] == "***"
    assert dict(request.headers)["X-Trace"] == "on"
    assert seen.requests_expected == 1_200
    assert "p0%40example.com" not in str(seen)


def test_the_v2_api_shows_its_body_without_the_key(people: DataFrame) -> None:
    seen = preview_klaviyo(people.limit(2), **LIST, api="v2")
    body = json.loads(seen.requests[0].body)
    assert body["api_key"] == "***"
    assert seen.requests[0].bytes == len(seen.requests[0].body) - len("***") + len("pk_secret_of_mine")
    assert [profile["email"] for profile in body["profiles"]] == ["p0@example.com", "p1@example.com"]


def test_each_task_may_fill_a_last_request_of_its_own(people: DataFrame) -> None:
    assert preview_klaviyo(people, **LIST).more_requests == 7
    assert preview_klaviyo(people, **LIST, tasks=3).more_requests == 2
    assert preview_klaviyo(people.limit(3), **LIST).more_requests == 2
    assert preview_klaviyo(people, **LIST, send_from="driver").more_requests == 0
    assert preview_klaviyo(people, **LIST, batch_mode=False).more_requests == 0
    assert "Up to 7 more requests, as each task fills its own last one" in str(preview_klaviyo(people, **LIST))


def test_deleting_says_which_number_the_write_will_ask_for(people: DataFrame) -> None:
    given: dict[str, Any] = {
        "template": "request_profile_deletion",
        "api_key": "pk_secret_of_mine",
        "other_columns": "drop",
    }
    for number in (None, 3):
        warnings = preview_klaviyo(people.limit(4), **given, confirm_deletion=number).warnings
        assert any("4 rows would be deleted for good" in warning for warning in warnings)
    assert preview_klaviyo(people.limit(4), **given, confirm_deletion=4).warnings == ()


def test_an_empty_dataframe_makes_no_request(people: DataFrame) -> None:
    seen = preview_klaviyo(people.limit(0), **LIST)
    assert (seen.rows, seen.requests, seen.requests_expected, seen.minutes_expected) == (0, (), 0, 0.0)


def test_wrong_options_and_schemas_are_refused(people: DataFrame) -> None:
    with pytest.raises(OptionError, match="list_id"):
        preview_klaviyo(people, template="add_profiles_to_list")
    with pytest.raises(SchemaError, match="no column is an identifier"):
        preview_klaviyo(people.select("orders"), **LIST)
    with pytest.raises(OptionError, match="rows"):
        preview_klaviyo(people, rows=-1, **LIST)


def test_change_data_shows_upserts_and_deletes_and_counts_the_skipped(spark: SparkSession) -> None:
    rows = [
        ("ann@example.com", "insert", 1),
        ("ann@example.com", "update_postimage", 2),
        ("bob@example.com", "delete", 2),
        ("cat@example.com", "strange", 2),
    ]
    frame = spark.createDataFrame(rows, "email string, _change_type string, _commit_version long")
    seen = preview_klaviyo(frame, **LIST, change_column="_change_type", on_delete="remove")
    assert seen.rows == 4
    assert seen.requests_expected == 2
    assert [request.method for request in seen.requests] == ["POST", "DELETE"]
    assert [column.column for column in seen.mapping] == ["email"]
    warnings = " ".join(seen.warnings)
    assert "deletes, which mean remove: 1" in warnings
    assert "older changes, to be skipped: 1" in warnings
    assert "changes of no known kind, to be rejected: 1" in warnings


def test_a_mirror_shows_who_would_be_added_and_removed(spark: SparkSession) -> None:
    frame = spark.createDataFrame([(f"p{number}@example.com",) for number in range(5)], "email string")
    with KlaviyoSimulator() as klaviyo:
        klaviyo.add_profiles([{"email": f"P{number}@example.com"} for number in range(3, 23)], "Y6nRLr")
        given = {**LIST, "list_id": "name:Newsletter", "base_url": klaviyo.url, "list_mode": "mirror"}
        seen = preview_klaviyo(frame, **given)
        assert seen.mirror is not None
        assert (seen.mirror.members, seen.mirror.additions, seen.mirror.removals, seen.mirror.max_removals) == (
            20,
            3,
            18,
            2,
        )
        assert set(seen.mirror.additions_sample) == {"p0@example.com", "p1@example.com", "p2@example.com"}
        staying = {"p3@example.com", "p4@example.com"}
        leaving = {one["email"] for one in klaviyo.profiles if one["email"].lower() not in staying}
        assert len(seen.mirror.removals_sample) == 5
        assert set(seen.mirror.removals_sample) < leaving
        assert "3 would be added, 18 would be removed" in str(seen)
        assert "would stop and send nothing" in str(seen._repr_html_())
        assert "@example.com" not in f"{seen}{seen!r}{seen.to_dict()}"
        assert {request.method for request in klaviyo.requests} == {"GET"}
        assert len(klaviyo.lists["Y6nRLr"]) == 20


def test_a_mirror_counts_each_added_person_once_and_no_rejected_ones(spark: SparkSession) -> None:
    rows = [("p0@example.com", 1.0), ("nobody", 1.0), ("bad@example.com", float("inf")), ("new@example.com", 1.0)]
    rows += [("p0@example.com", 1.0)] * 300 + [("New@example.com", 2.0), ("last@example.com", 1.0)]
    frame = spark.createDataFrame(rows, "email string, spent double").coalesce(1)
    with KlaviyoSimulator() as klaviyo:
        klaviyo.add_profiles([{"email": "p0@example.com"}, {"external_id": "77"}], "Y6nRLr")
        seen = preview_klaviyo(frame, **LIST, base_url=klaviyo.url, list_mode="mirror", max_removals=1)
        assert seen.mirror is not None
        assert (seen.mirror.additions, seen.mirror.removals, seen.mirror.unidentified_rows) == (2, 1, 1)
        assert [one.lower() for one in seen.mirror.additions_sample] == ["new@example.com", "last@example.com"]
        assert seen.mirror.removals_sample == ("77",)
        assert "1 row could mean any member, so the write would add, remove nobody and stop" in str(seen)
        exchanged = spark.createDataFrame([("x",)], "_kx string")
        with pytest.raises(SchemaError, match="mirror compares rows with members"):
            preview_klaviyo(exchanged, **LIST, base_url=klaviyo.url, list_mode="mirror")


def test_a_mirror_whose_list_cannot_be_read_is_previewed_with_a_warning(people: DataFrame) -> None:
    with KlaviyoSimulator(api_keys=["pk_other"]) as klaviyo:
        seen = preview_klaviyo(people, **LIST, base_url=klaviyo.url, list_mode="mirror")
        assert seen.mirror is None
        assert any("the list cannot be read" in warning for warning in seen.warnings)


def test_a_column_of_card_numbers_is_shown_as_a_secret(spark: SparkSession) -> None:
    rows = [("x", f"p{n}@example.com", "4111111111111111", float("inf") if n == 3 else 1.0) for n in range(120)]
    frame = spark.createDataFrame(rows, "password string, email string, reference string, score double")
    preview = preview_klaviyo(frame, template="bulk_import_profiles")
    found = {one.column: (one.becomes, one.sure, one.instead) for one in preview.mapping}
    assert found["reference"] == ("dropped", "secret", 'fields={"properties.reference":"reference"}')
    assert "4111111111111111" not in preview.to_html()
    assert [one.detail for one in preview.rejected] == ["column 'score' holds an infinity, which JSON cannot"]
