"""The command line: what it prints where, and the status it ends with."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from spark_klaviyo.cli.main import main, parser
from spark_klaviyo.simulator import KlaviyoSimulator
from spark_klaviyo.simulator.faults import Fault
from spark_klaviyo.templates import templates
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

KEY = "pk_test_0123456789abcdef"
COMMANDS = ("demo", "templates", "lists", "check", "doctor", "preview", "write", "follow", "simulate")
Out = pytest.CaptureFixture[str]


@pytest.fixture
def klaviyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[KlaviyoSimulator]:
    monkeypatch.setenv("KLAVIYO_API_KEY", KEY)
    with KlaviyoSimulator(job_polls=0) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def people(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Five people as Parquet, one of them with an impossible email."""
    path = str(tmp_path_factory.mktemp("cli") / "people")
    rows = [(f"p{n}@example.com" if n else "no address", n) for n in range(5)]
    spark.createDataFrame(rows, "email string, level int").coalesce(1).write.parquet(path)
    return path


def write(klaviyo: KlaviyoSimulator, people: str, *more: str, **options: str) -> int:
    """Run `write` with the main job's options."""
    given = {"template": "add_profiles_to_list", "list_id": "Y6nRLr", "base_url": klaviyo.url, **options}
    return main(["write", "--input", people, *more, *(f"--option={name}={value}" for name, value in given.items())])


# --- status ---------------------------------------------------------------------------------------


@pytest.mark.oldest
def test_status_0_means_that_the_write_is_done(klaviyo: KlaviyoSimulator, people: str, capsys: Out) -> None:
    assert write(klaviyo, people, on_reject="keep") == 0
    printed = capsys.readouterr()
    assert "5 rows: 4 delivered in 1 request, 1 rejected (1 bad_email)" in printed.out
    assert len(klaviyo.lists["Y6nRLr"]) == 4


def test_status_1_means_that_rows_were_rejected(klaviyo: KlaviyoSimulator, people: str, capsys: Out) -> None:
    assert write(klaviyo, people) == 1
    printed = capsys.readouterr()
    assert "4 delivered" in printed.out
    assert "on_reject=keep only reports" in printed.err


def test_status_2_means_bad_options_or_columns_and_nothing_sent(
    klaviyo: KlaviyoSimulator, people: str, capsys: Out
) -> None:
    assert write(klaviyo, people, lst_id="x", tasks="0") == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "lst_id: no such option (did you mean list_id?)" in printed.err
    assert "tasks: must be a whole number" in printed.err
    assert write(klaviyo, people, fields='{"email":"nowhere"}') == 2
    assert "the DataFrame has no such column" in capsys.readouterr().err
    assert main(["write", "--input", people, "--option", "template"]) == 2
    assert "--option template: expected NAME=VALUE" in capsys.readouterr().err
    assert klaviyo.requests == []


def test_status_2_also_means_that_the_input_cannot_be_read(klaviyo: KlaviyoSimulator, people: str, capsys: Out) -> None:
    assert write(klaviyo, f"{people}-nowhere") == 2
    assert "--input: Spark cannot read it as parquet" in capsys.readouterr().err
    assert write(klaviyo, people, "--format", "delta") == 2
    assert "--input: Spark cannot read it as delta" in capsys.readouterr().err
    assert klaviyo.requests == []


def test_status_3_means_that_the_write_was_stopped(klaviyo: KlaviyoSimulator, people: str, capsys: Out) -> None:
    klaviyo.inject(Fault("status", status=401))
    assert write(klaviyo, people) == 3
    printed = capsys.readouterr()
    assert "4 unsent" in printed.out
    assert "Klaviyo refuses this key (HTTP 401" in printed.err
    assert KEY not in printed.out + printed.err


def test_arguments_that_cannot_be_parsed_are_status_2_as_well(capsys: Out) -> None:
    for arguments in ([], ["nonsense"], ["write"], ["write", "--input", "x", "--format", "xlsx"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2
    assert "usage: spark-klaviyo" in capsys.readouterr().err


# --- output ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("on_reject", "status"), [("keep", 0), ("fail", 1)])
def test_json_is_alone_on_standard_output(
    klaviyo: KlaviyoSimulator, people: str, capsys: Out, on_reject: str, status: int
) -> None:
    assert write(klaviyo, people, "--json", on_reject=on_reject) == status
    report = json.loads(capsys.readouterr().out)
    assert (report["rows"], report["delivered"], report["rejected"]) == (5, 4, 1)


def test_a_demo_can_print_its_report_alone(capsys: Out) -> None:
    assert main(["demo", "--rows", "300", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["rows"] == report["delivered"] + report["rejected"] == 300
    assert report["rejected"] > 0
    assert main(["demo", "--rows", "0"]) == 2


@pytest.mark.parametrize(
    ("faults", "arguments"),
    [
        (None, ["--faults", "{path}"]),
        ("{}", ["--faults", "{path}"]),
        ('[{"kind": "status", "nope": 1}]', ["--faults", "{path}"]),
        ("[]", ["--port", "70000"]),
    ],
)
def test_a_simulator_that_cannot_start_is_status_2(
    faults: str | None, arguments: list[str], tmp_path: Path, capsys: Out
) -> None:
    path = tmp_path / "faults.json"
    if faults is not None:
        path.write_text(faults)
    assert main(["simulate", *(argument.format(path=path) for argument in arguments)]) == 2
    assert capsys.readouterr().err.startswith(f"cannot write to Klaviyo: {arguments[0]}: expected")


def test_an_unforeseen_failure_is_printed_without_its_text(
    klaviyo: KlaviyoSimulator, people: str, monkeypatch: pytest.MonkeyPatch, capsys: Out
) -> None:
    def fails(*_: object) -> None:
        message = "ann@example.com"
        raise ArithmeticError(message)

    monkeypatch.setattr("spark_klaviyo.modes.dispatch.write", fails)
    assert write(klaviyo, people) == 3
    printed = capsys.readouterr().err
    assert printed.endswith("write failed with ArithmeticError\n")
    assert "ann@example.com" not in printed


def test_the_version_is_printed(capsys: Out) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert re.fullmatch(r"spark-klaviyo \d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_json_is_alone_on_standard_output_of_a_process(klaviyo: KlaviyoSimulator, people: str) -> None:
    given = {"template": "add_profiles_to_list", "list_id": "Y6nRLr", "base_url": klaviyo.url, "on_reject": "keep"}
    options = [f"--option={name}={value}" for name, value in given.items()]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYSPARK_GATEWAY", "SPARK_R"))
    }
    done = subprocess.run(
        [sys.executable, "-m", "spark_klaviyo", "write", "--input", people, "--json", *options],
        env={**environment, "PYTHONPATH": REPOSITORY, "KLAVIYO_API_KEY": KEY},
        cwd=Path(people).parent,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["delivered"] == 4
    assert KEY not in done.stdout + done.stderr


@pytest.mark.parametrize("command", ["write", "preview", "check", "lists"])
def test_a_key_among_the_arguments_is_refused_and_not_repeated(command: str, capsys: Out) -> None:
    where = ["--input", "x"] if command in ("write", "preview") else []
    for option in (f"api_key={KEY}", f"API-Key={KEY}"):
        assert main([command, *where, "--option", option, "--option", "template=bulk_import_profiles"]) == 2
        printed = capsys.readouterr()
        assert "the command line takes references only" in printed.err
        assert KEY not in printed.err + printed.out


def test_a_key_inside_a_url_among_the_arguments_is_refused_too(capsys: Out) -> None:
    assert main(["write", "--input", "x", "--option", f"url=https://a.klaviyo.com/x?api_key={KEY}"]) == 2
    printed = capsys.readouterr()
    assert "references only" in printed.err
    assert KEY not in printed.err


# --- templates and help ---------------------------------------------------------------------------


@pytest.mark.oldest
def test_templates_lists_every_template_on_a_line(capsys: Out) -> None:
    assert main(["templates"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(templates())
    for template, line in zip(templates(), lines[1:], strict=True):
        assert line.startswith(template.name)
        assert template.summary in line


@pytest.mark.oldest
def test_templates_describes_one_in_each_form_it_has(capsys: Out) -> None:
    assert main(["templates", "add_profiles_to_list"]) == 0
    text = capsys.readouterr().out
    for word in ("list_id", "required", "/api/profile-bulk-import-jobs", "location.city", "api=v2", "lists:write"):
        assert word in text


@pytest.mark.oldest
def test_templates_are_json_where_asked(capsys: Out) -> None:
    assert main(["templates", "--json"]) == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out)] == [one.name for one in templates()]
    assert main(["templates", "track", "--json"]) == 0
    [track] = json.loads(capsys.readouterr().out)
    assert (track["api"], track["settings"][0]["name"]) == ("v1", "event")


@pytest.mark.oldest
def test_a_template_that_does_not_exist_gets_the_nearest_names(capsys: Out) -> None:
    assert main(["templates", "bulk_import_profile"]) == 2
    assert "did you mean bulk_import_profiles" in capsys.readouterr().err


@pytest.mark.oldest
def test_every_command_has_its_help() -> None:
    listed = [line.split()[0] for line in parser().format_help().splitlines() if re.match("    [a-z]", line)]
    assert listed == list(COMMANDS)
