"""The commands that write nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from spark_klaviyo.cli.main import main
from spark_klaviyo.simulator import KlaviyoSimulator

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession

LISTS = {f"List{number:02d}": f"Shop {number}" for number in range(12)}


@pytest.fixture
def klaviyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[KlaviyoSimulator]:
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_test")
    with KlaviyoSimulator(lists={**LISTS, "Y6nRLr": "Newsletter"}, account="Test Shop") as running:
        yield running


def run(klaviyo: KlaviyoSimulator, command: str, *more: str, **options: str) -> int:
    given = {"base_url": klaviyo.url, **options}
    return main([command, *more, *(f"--option={name}={value}" for name, value in given.items())])


def test_lists_prints_every_id_with_its_name(klaviyo: KlaviyoSimulator, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(klaviyo, "lists") == 0
    printed = capsys.readouterr().out
    assert "Y6nRLr  Newsletter\n" in printed
    assert len(printed.splitlines()) == 13
    assert run(klaviyo, "lists", "--json") == 0
    assert {one["id"]: one["name"] for one in json.loads(capsys.readouterr().out)} == {**LISTS, "Y6nRLr": "Newsletter"}


def test_lists_end_with_status_3_where_the_key_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_unknown")
    with KlaviyoSimulator(api_keys=["pk_other"]) as other:
        assert run(other, "lists") == 3
    assert "refuses this key" in capsys.readouterr().err


def test_check_says_whether_a_write_can_begin(klaviyo: KlaviyoSimulator, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(klaviyo, "check", template="add_profiles_to_list", list_id="name:Newsletter") == 0
    assert "Ready to write to Test Shop" in capsys.readouterr().out
    assert run(klaviyo, "check", "--json", template="add_profiles_to_list", list_id="Nowhere") == 2
    assert json.loads(capsys.readouterr().out)["ok"] is False


def test_check_sends_a_sample_when_run(klaviyo: KlaviyoSimulator) -> None:
    row = '{"email": "ann@example.com"}'
    assert run(klaviyo, "check", "--send-sample", row, template="create_or_update_profile") == 0
    assert [profile["email"] for profile in klaviyo.profiles] == ["ann@example.com"]
    assert run(klaviyo, "check", "--send-sample", "no json", template="create_or_update_profile") == 2


def test_a_key_among_the_arguments_is_refused(klaviyo: KlaviyoSimulator, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("check", "lists"):
        assert run(klaviyo, command, **{"api.Key": "pk_secret_of_mine"}) == 2
    assert main(["follow", "--receipts", "nowhere", "--option", "api_key=pk_secret_of_mine"]) == 2
    printed = capsys.readouterr()
    assert printed.err.count("references only") == 3
    assert "secret_of_mine" not in printed.err + printed.out
    assert klaviyo.requests == []


@pytest.mark.parametrize("command", ["check", "preview --input nowhere", "write --input nowhere"])
@pytest.mark.parametrize(
    "argument",
    [
        "url=https://shop.example/hook?api_key=abcdef",
        "url=https://shop.example/hook?token=pk_secret_of_mine",
        "header.Authorization=Klaviyo-API-Key pk_secret_of_mine",
        'body={"api_key":"pk_secret_of_mine","rows":{rows}}',
    ],
)
def test_a_key_inside_another_argument_is_refused_at_every_command(
    command: str, argument: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command.split(), "--option", argument]) == 2
    printed = capsys.readouterr()
    assert f"{argument.partition('=')[0]}: a process list shows arguments" in printed.err
    assert "secret_of_mine" not in printed.err + printed.out


def test_a_reference_inside_a_url_is_taken(klaviyo: KlaviyoSimulator, capsys: pytest.CaptureFixture[str]) -> None:
    for key in ("{api_key}", "env:KLAVIYO_API_KEY"):
        main(["check", "--option", f"url={klaviyo.url}/api/track?api_key={key}"])
    assert "process list" not in capsys.readouterr().err


def test_preview_shows_the_requests_of_a_dataset(
    klaviyo: KlaviyoSimulator, spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people = str(tmp_path / "people")
    spark.createDataFrame([(f"p{number}@example.com",) for number in range(9)], "email string").write.parquet(people)
    where = ["--input", people, "--rows", "2", "--html", str(tmp_path / "shown.html")]
    chosen = {"template": "add_profiles_to_list", "list_id": "Y6nRLr"}
    assert run(klaviyo, "preview", *where, **chosen) == 0
    printed = capsys.readouterr().out
    assert "9 rows, 1 request" in printed
    assert '"profile-bulk-import-job"' in printed
    assert "<html" in (tmp_path / "shown.html").read_text(encoding="utf-8")
    assert run(klaviyo, "preview", "--json", "--no-bodies", *where, **chosen) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["rows"] == 9
    assert "body" not in shown["requests"][0]
    assert {request.method for request in klaviyo.requests} == {"GET"}  # the names of account and list
