"""The README tells the truth: its tables are the code's, its examples run or at least read, its messages exist."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

import spark_klaviyo
from spark_klaviyo.cli.main import parser
from spark_klaviyo.entrypoints.read import options_at
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.options.table import OPTIONS
from spark_klaviyo.simulator import KlaviyoSimulator
from spark_klaviyo.templates import find_template, templates
from tests import docs

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TEXT = docs.README.read_text(encoding="utf-8")
PACKAGE = docs.README.parent / "spark_klaviyo"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
PYTHON = [code for language, code in BLOCKS if language == "python"]
DOORS_OF = {
    "write_klaviyo": "function",
    "preview_klaviyo": "preview",
    "check_klaviyo": "check",
    "klaviyo_batch_writer": "batch",
    "klaviyo_partition_writer": "partition",
}


# --- tables ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", docs.SECTIONS)
def test_a_generated_table_is_what_the_code_says(name: str) -> None:
    found = docs.between(name).search(TEXT)
    assert found is not None, f"README.md has no markers of {name}"
    assert found[0] == docs.SECTIONS[name]().rstrip() + "\n", "python -m tests.docs writes it anew"


def test_writing_the_tables_again_changes_nothing() -> None:
    assert docs.generated(TEXT) == TEXT


def test_the_options_table_names_every_option_and_the_templates_table_every_template() -> None:
    for option in OPTIONS:
        assert f"\n| `{option.name}` |" in docs.options()
    for template in templates():
        assert f"\n| `{template.name}`" in docs.template_table()


def test_times_follow_from_the_limits() -> None:
    # 10 million rows, 9,980 in a request of 5 MB: 1,003 requests at 150 a minute
    assert docs.rows_a_request(find_template("add_profiles_to_list")) == 9_980
    [row] = [line for line in docs.sizing().splitlines() if line.startswith("| `add_profiles_to_list`")]
    assert row.split(" | ")[4] == "6 min"


# --- examples -------------------------------------------------------------------------------------


def calls(code: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Calls of our doors with the options that are written out; what is computed is left to run."""
    tree = ast.parse(code)
    constants = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict) and isinstance(node.targets[0], ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in DOORS_OF:
            given: dict[str, Any] = {}
            for word in node.keywords:
                if word.arg is None:
                    assert isinstance(word.value, ast.Name)
                    given |= constants[word.value.id]
                elif isinstance(word.value, ast.Constant):
                    given[word.arg] = word.value.value
            yield DOORS_OF[node.func.id], given


EVERY_CALL = [call for code in PYTHON for call in calls(code)]


@pytest.mark.parametrize(("door", "given"), EVERY_CALL)
def test_every_call_that_is_shown_has_options_that_its_door_takes(
    door: str, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_test")
    options_at(EntryPoint(door), given)


def test_examples_are_there_to_be_checked() -> None:
    assert len(EVERY_CALL) >= 8
    assert {door for door, _ in EVERY_CALL} >= {"function", "batch", "partition"}


@pytest.mark.parametrize("code", PYTHON)
def test_python_examples_are_python_and_import_what_there_is(code: str) -> None:
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module == "spark_klaviyo":
            assert {name.name for name in node.names} <= set(spark_klaviyo.__all__)


def test_the_first_example_runs_and_prints_such_a_sentence(
    spark: SparkSession, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code = PYTHON[0]
    rows = [(f"p{number}@example.com",) for number in range(40)] + [("no address",)]
    profiles = spark.createDataFrame(rows, "email string").coalesce(1)
    with KlaviyoSimulator() as klaviyo:
        monkeypatch.setenv("KLAVIYO_API_KEY", "pk_test")
        # the one thing that an example cannot say: that Klaviyo is here
        local = code.replace('list_id="Y6nRLr")', f'list_id="Y6nRLr", base_url="{klaviyo.url}", on_reject="keep")')
        assert local != code
        exec(compile(local, "README.md", "exec"), {"profiles": profiles})  # noqa: S102  (our own README)
    printed = capsys.readouterr().out
    promised = re.search(r"print\(report\)  # (.*)", code)
    assert promised is not None
    form = re.compile(r"[\d,]+ rows: [\d,]+ delivered in [\d,]+ requests?, [\d,]+ rejected \(.*\)")
    assert form.match(promised[1])
    assert form.match(printed)
    assert printed.startswith("41 rows: 40 delivered in 1 request, 1 rejected (1 bad_email)")


def test_the_simulators_example_runs_as_it_is(spark: SparkSession, capsys: pytest.CaptureFixture[str]) -> None:
    [code] = [code for code in PYTHON if "with KlaviyoSimulator" in code]
    frame = spark.createDataFrame([("ann@example.com",), ("bob@example.com",)], "email string")
    names = {"df": frame, "write_klaviyo": spark_klaviyo.write_klaviyo}
    exec(compile(code, "README.md", "exec"), names)  # noqa: S102  (our own README)
    assert capsys.readouterr().out == "2 profiles arrived\n"


def test_shell_examples_are_shell_and_their_commands_exist() -> None:
    known = {line.split()[0] for line in parser().format_help().splitlines() if re.match("    [a-z]", line)}
    shell = [code for language, code in BLOCKS if language == "bash"]
    for code in shell:
        assert subprocess.run(["bash", "-n"], input=code, text=True, capture_output=True).returncode == 0
    for command in re.findall(r"spark-klaviyo ([a-z]+)\b", TEXT):
        assert command in known


def test_the_two_commands_stand_where_they_are_looked_for() -> None:
    commands = [line for line in TEXT.splitlines() if line.startswith("python3 -m venv")]
    assert [line.partition(" && ")[0] for line in commands] == ["python3 -m venv .venv"] * 2
    assert commands[0].endswith("spark-klaviyo demo")
    assert commands[1].endswith("python -m pytest")


def test_extras_that_are_named_exist() -> None:
    settings = (docs.README.parent / "pyproject.toml").read_text(encoding="utf-8")
    named = set(re.findall(r"\[(\w+)\]'", TEXT))
    assert named >= {"local", "dev"}
    assert [name for name in named if f"\n{name} = [" not in settings] == []


# --- messages -------------------------------------------------------------------------------------


@functools.cache
def texts() -> list[str]:
    """Every text in the package, as far as it is written down: adjacent ones are one."""
    trees = (ast.parse(file.read_text(encoding="utf-8")) for file in PACKAGE.rglob("*.py"))
    nodes = (node for tree in trees for node in ast.walk(tree))
    return [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]


MESSAGES = re.findall(
    r"^\| `([^|]+)` \| [^|]+ \|$", TEXT[TEXT.index("## Troubleshooting") : TEXT.index("## Migration")], re.M
)


def test_troubleshooting_explains_many_messages() -> None:
    assert len(MESSAGES) >= 20
    assert len(MESSAGES) == len(set(MESSAGES))


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_that_is_explained_is_one_of_ours(message: str) -> None:
    ours = texts()
    for part in filter(None, (part.strip() for part in message.split("…"))):
        assert any(part in text for text in ours), part


def test_templates_and_options_that_the_text_names_exist() -> None:
    names = {template.name for template in templates()}
    for name in re.findall(r'template="?(\w+)"?', TEXT):
        assert name in names
    migration = TEXT[TEXT.index("From the v1 and v2 APIs") :]
    for name in re.findall(r"\| `(\w+_\w+)`", migration):
        assert name in names | {"unique_id"}
