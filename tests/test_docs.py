"""README.md is true: its tables come from the code, its examples run or are valid calls, its messages exist."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

import spark_klaviyo
from spark_klaviyo import simulator
from spark_klaviyo.cli.main import parser
from spark_klaviyo.entrypoints.read import options_at
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.options.model import OPTIONS
from spark_klaviyo.simulator import KlaviyoSimulator
from spark_klaviyo.templates import find_template, templates
from tests import docs, ran

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TEXT = docs.README.read_text(encoding="utf-8")
PACKAGE = docs.README.parent / "spark_klaviyo"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
PYTHON = [code for language, code in BLOCKS if language == "python"]
FUNCTIONS = {
    "write_klaviyo": EntryPoint.FUNCTION,
    "preview_klaviyo": EntryPoint.PREVIEW,
    "check_klaviyo": EntryPoint.CHECK,
    "klaviyo_batch_writer": EntryPoint.BATCH,
    "klaviyo_partition_writer": EntryPoint.PARTITION,
}
NO_OPTION = ("rows", "send_sample")  # parameters of preview_klaviyo and check_klaviyo


# --- tables ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", docs.SECTIONS)
def test_a_generated_table_is_what_the_code_says(name: str) -> None:
    start, end = docs.section_of(TEXT, name)
    assert TEXT[start:end] == docs.SECTIONS[name]().rstrip() + "\n", "python -m tests.docs writes it anew"


def test_generating_the_tables_again_changes_nothing() -> None:
    assert docs.generated(TEXT) == TEXT


def test_the_options_table_names_every_option_and_the_templates_table_every_template() -> None:
    for option in OPTIONS:
        assert f"\n| `{option.name}` |" in docs.all_options()
    for template in templates():
        assert f"\n| `{template.name}`" in docs.template_table()


@pytest.mark.parametrize("table", ran.HEADS)
def test_a_table_of_where_it_runs_has_the_rows_that_tests_prove(table: str) -> None:
    """`pytest -n 0 --record tests/engines` and `tests/stores` write them anew."""
    assert sorted(ran.recorded(table)["rows"]) == sorted(ran.proven(table))


def test_the_versions_are_those_of_the_legs_of_ci_and_the_oldest_is_what_the_wheel_allows() -> None:
    """Each leg writes its own with `pytest --leg NAME`."""
    root = docs.README.parent
    legs = re.findall(r"--leg (\w+)", (root / ".ci" / "run").read_text(encoding="utf-8"))
    assert set(ran.versions()) == set(legs)
    settings = (root / "pyproject.toml").read_text(encoding="utf-8")
    lowest = {"Python": re.findall(r'requires-python = ">=([\d.]+)"', settings)[0]}
    lowest |= {name.lower(): version for name, version in re.findall(r'^  "([\w.-]+)>=([\d.]+)', settings, re.M)}
    for name, version in ran.versions()["oldest"].items():
        assert name == "Java" or f"{version}.".startswith(f"{lowest[name]}."), name


def test_times_follow_from_the_rate_limits() -> None:
    # 10 million rows, 9,980 in a request of 5 MB: 1,003 requests at 150 a minute
    assert docs.rows_per_request(find_template("add_profiles_to_list")) == 9_980
    [row] = [line for line in docs.sizing().splitlines() if line.startswith("| `add_profiles_to_list`")]
    assert row.split(" | ")[4] == "6 min"


def test_what_every_user_needs_comes_before_the_first_long_table_in_under_200_lines() -> None:
    essentials = TEXT[: TEXT.index("<details>")]
    assert essentials.count("\n") < 200
    sections = ("Install", "Quickstart", "Ways to write", "Options", "Map columns", "Preview", "The report", "Rejected")
    assert [section for section in sections if f"\n## {section}" not in essentials] == []


def test_long_tables_are_folded() -> None:
    unfolded = re.sub(r"<details>.*?</details>", "", TEXT, flags=re.DOTALL)
    tables = re.findall(r"(?:^\|.*\n)+", unfolded, re.MULTILINE)
    assert max(table.count("\n") for table in tables) <= 12


def test_links_inside_the_page_lead_to_headings() -> None:
    lines = re.findall(r"^#{2,3} (.*)$", TEXT, re.MULTILINE)
    headings = {re.sub(r"[^\w -]", "", line).strip().lower().replace(" ", "-") for line in lines}
    assert set(re.findall(r"\]\(#([\w-]+)\)", TEXT)) <= headings


def test_folders_that_the_page_names_exist() -> None:
    how = TEXT[TEXT.index("## How a row travels") : TEXT.index("## Development")]
    cells = re.findall(r"\| ((?:`\w+`(?:, )?)+) \|$", how, re.MULTILINE)
    named = [*re.findall(r"`(\w+)`", ", ".join(cells)), "task", "runs", "modes", "entrypoints"]
    assert len(named) >= 15
    assert [name for name in named if not (PACKAGE / name / "__init__.py").is_file()] == []
    assert "`http/judge.py`" in how
    assert (PACKAGE / "http" / "judge.py").is_file()


def test_the_tests_of_the_nine_rules_exist() -> None:
    rules = TEXT[TEXT.index("## Nine rules") : TEXT.index("## Test your own code")]
    rows = re.findall(r"^\| [A-Z][^|]+ \| ([^|]+) \|$", rules, re.MULTILINE)
    assert len(rows) == 9
    for name in re.findall(r"`([\w/]+\.py)`", " ".join(rows)):
        assert (docs.README.parent / "tests" / name).is_file(), name


# --- examples -------------------------------------------------------------------------------------


def calls(code: str) -> Iterator[tuple[EntryPoint, dict[str, Any]]]:
    """Calls of the public functions with those options that are written out as constants."""
    tree = ast.parse(code)
    constants = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict) and isinstance(node.targets[0], ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS:
            given: dict[str, Any] = {}
            for keyword in node.keywords:
                if keyword.arg is None:
                    assert isinstance(keyword.value, ast.Name)
                    given |= constants[keyword.value.id]
                elif keyword.arg not in NO_OPTION and isinstance(keyword.value, ast.Constant | ast.Dict):
                    given[keyword.arg] = ast.literal_eval(keyword.value)
            yield FUNCTIONS[node.func.id], given


EVERY_CALL = [call for code in PYTHON for call in calls(code)]


@pytest.mark.parametrize(("entry_point", "given"), EVERY_CALL)
def test_every_call_has_options_that_its_entry_point_takes(
    entry_point: EntryPoint, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_test")
    options_at(entry_point, given)


def test_there_are_calls_of_every_public_function_to_check() -> None:
    assert len(EVERY_CALL) >= 8
    assert {entry_point for entry_point, _ in EVERY_CALL} == set(FUNCTIONS.values())


@pytest.mark.parametrize("code", PYTHON)
def test_python_examples_import_public_names_only(code: str) -> None:
    public = {"spark_klaviyo": spark_klaviyo.__all__, "spark_klaviyo.simulator": simulator.__all__}
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("spark_klaviyo"):
            assert {name.name for name in node.names} <= set(public[str(node.module)])


def test_the_quickstart_runs_and_prints_what_the_page_says(
    spark: SparkSession, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert spark.version  # the session that the example finds
    [code] = [code for code in PYTHON if "getOrCreate" in code]
    [promised] = [code for language, code in BLOCKS if language == "text"]
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        monkeypatch.setenv("KLAVIYO_API_KEY", "pk_test")
        local = code.replace('list_id="Y6nRLr"', f'list_id="Y6nRLr", base_url="{klaviyo.url}"')
        exec(compile(local, "README.md", "exec"), {})  # noqa: S102  (our own README)
    assert re.sub("took .*", "took", capsys.readouterr().out) == re.sub("took .*", "took", promised)


def test_the_example_of_a_users_own_test_passes(spark: SparkSession) -> None:
    [code] = [code for code in PYTHON if "with KlaviyoSimulator" in code]
    names: dict[str, Any] = {}
    exec(compile(code, "README.md", "exec"), names)  # noqa: S102  (our own README)
    [test] = [name for name in names if name.startswith("test_")]
    names[test](spark)


def test_shell_examples_are_valid_and_their_commands_exist() -> None:
    known = {line.split()[0] for line in parser().format_help().splitlines() if re.match("    [a-z]", line)}
    shell = [code for language, code in BLOCKS if language == "bash"]
    for code in shell:
        assert subprocess.run(["bash", "-n"], input=code, text=True, capture_output=True).returncode == 0
    for command in re.findall(r"spark-klaviyo\s([a-z]+)\b", TEXT):
        assert command in known


def test_the_demo_and_the_tests_are_each_set_up_by_one_command() -> None:
    commands = [line for line in TEXT.splitlines() if line.startswith("python3 -m venv")]
    assert [line.partition(" && ")[0] for line in commands] == ["python3 -m venv .venv"] * 2
    assert commands[0].endswith("spark-klaviyo demo")
    assert commands[1].endswith("python -m pytest")


def test_extras_that_the_page_names_exist() -> None:
    settings = (docs.README.parent / "pyproject.toml").read_text(encoding="utf-8")
    named = set(re.findall(r"\[(\w+)\]'", TEXT))
    assert named >= {"local", "dev"}
    assert [name for name in named if f"\n{name} = [" not in settings] == []


# --- messages and names ---------------------------------------------------------------------------


@functools.cache
def package_texts() -> list[str]:
    """Every string constant of the package; adjacent ones count as one."""
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
def test_a_message_that_is_explained_is_one_of_the_package(message: str) -> None:
    for part in filter(None, (part.strip() for part in message.split("…"))):
        assert any(part in text for text in package_texts()), part


def test_templates_that_the_page_names_exist() -> None:
    names = {template.name for template in templates()}
    for name in re.findall(r'template="?(\w+)"?', TEXT):
        assert name in names
    migration = TEXT[TEXT.index("From the v1 and v2 APIs") :]
    migration = migration[: migration.index("</details>")]
    for name in re.findall(r"\| `(\w+_\w+)`", migration):
        assert name in names | {"unique_id"}


def test_the_readme_imports_public_names_only() -> None:
    imported = re.findall(r"^from (spark_klaviyo[.\w]*) import (.+)$", TEXT, re.MULTILINE)
    assert imported
    for module, names in imported:
        public = {"spark_klaviyo": spark_klaviyo.__all__, "spark_klaviyo.simulator": simulator.__all__}
        assert set(names.split(", ")) <= set(public[module])
