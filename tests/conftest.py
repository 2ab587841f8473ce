"""Shared by all tests: one local Spark session, the `quick` marker, and the order in which files run."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from spark_klaviyo.account import names, reads, target
from spark_klaviyo.simulator import KlaviyoSimulator
from tests import ran

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TESTS = Path(__file__).resolve().parent
REPOSITORY = str(TESTS.parent)
# In sessions as short as those of tests, the second compiler of the JVM, threads that collect garbage, and the
# verification of Spark's classes cost more than they save.
JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"
os.environ.setdefault("SPARK_SUBMIT_OPTS", JAVA)

# Files run side by side, so the time that an example takes says nothing about the code.
# A test that wants more examples than others asks for a multiple of the profile's: `20 * settings().max_examples`.
settings.register_profile("full", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=10)

# pyspark 3.5 leaves the sockets of its collects to the garbage collector.
SPARK_SOCKETS = (
    "ignore:.*<socket.socket:pytest.PytestUnraisableExceptionWarning",
    "ignore:unclosed <socket:ResourceWarning",
)

# Started first, so that neither of two processes is left with one of them at the end.
LONGEST = ("test_notebooks.py", "test_connect.py", "test_kills.py", "test_channels.py", "test_datasets.py")

# Folders and files whose tests start Spark, processes or browsers of their own, or play through minutes of traffic.
NOT_QUICK = (
    "cli",
    "cluster",
    "connect",
    "engines",
    "entrypoints/test_shipped.py",
    "faults",
    "http/test_interruptible.py",
    "ratelimit/test_quota.py",
    "report/test_browser.py",
    "secrets",
    "simulator/test_simulator_sdk.py",
    "starts",
    "stores",
    "streams",
    "task/test_every_row.py",
    "test_floors.py",
    "test_notebooks.py",
    "test_packaging.py",
)


def pytest_configure(config: pytest.Config) -> None:
    """Try fewer generated examples in a quick run; refuse a list of slow tests that has gone stale."""
    settings.load_profile("quick" if config.option.markexpr == "quick" else "full")
    missing = [path for path in NOT_QUICK if not (TESTS / path).exists()]
    if missing:
        raise pytest.UsageError(f"tests/conftest.py: NOT_QUICK names files that do not exist: {', '.join(missing)}")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Record what the tests prove for tables of README.md."""
    parser.addoption("--record", action="store_true", help="write the rows that passing tests prove; needs -n 0")
    parser.addoption("--leg", help="write the versions that this leg of .ci/run ran with, if all tests pass")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Hand the rows that a test proves to its reports."""
    item.user_properties += [("proves", list(mark.args)) for mark in item.iter_markers("proves")]


def pytest_terminal_summary(terminalreporter: Any, exitstatus: int, config: pytest.Config) -> None:
    """Record the versions of a leg that has passed, and the rows whose tests have all passed."""
    if config.getoption("--leg") and exitstatus == pytest.ExitCode.OK:
        ran.record_versions(config.getoption("--leg"))
    if not config.getoption("--record"):
        return
    outcomes: dict[tuple[str, ...], set[str]] = {}
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, ()):
            for name, row in getattr(report, "user_properties", ()):
                outcomes.setdefault(tuple(row), set()).add(outcome if name == "proves" else "")
    rows: dict[str, list[list[str]]] = {}
    for (table, *cells), found in outcomes.items():
        rows.setdefault(table, []).extend([cells] if found == {"passed"} else [])
    ran.record(rows)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out of a quick run what it would import and then not run."""
    return True if config.option.markexpr == "quick" and listed(collection_path) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put long files first, mark quick tests, and ignore Spark's own sockets in the tests that use it."""
    items.sort(key=lambda item: item.path.name not in LONGEST)
    for item in items:
        if "spark" in getattr(item, "fixturenames", ()):
            for rule in SPARK_SOCKETS:
                item.add_marker(pytest.mark.filterwarnings(rule))
        elif is_quick(item):
            item.add_marker(pytest.mark.quick)


def is_quick(item: pytest.Item) -> bool:
    """Whether a test without a Spark session is quick: its file is not on the list, and it starts no process."""
    function = getattr(item, "function", None)
    starts_process = function is not None and "subprocess" in function.__code__.co_names
    return not starts_process and not listed(item.path)


@functools.cache
def listed(path: Path) -> bool:
    """Whether NOT_QUICK names the path or a folder above it."""
    return any(path.is_relative_to(TESTS / name) for name in NOT_QUICK)


@pytest.fixture(autouse=True)
def unknown_account() -> None:
    """Forget what was read of accounts: servers of different tests may get the same port, one after the other."""
    for known in (reads._accounts, names._lists, target._may_read):
        known.clear()


@pytest.fixture
def klaviyo() -> Iterator[KlaviyoSimulator]:
    """A simulated Klaviyo whose jobs have ended when they are first polled: writers wait a second between polls."""
    with KlaviyoSimulator(job_polls=0) as simulator:
        yield simulator


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """A classic session on two cores, in a time zone with half an hour and daylight saving, which hides no mistake."""
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [REPOSITORY, os.environ.get("PYTHONPATH", "")]))
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    session = (
        SparkSession.builder.master("local[2]")
        .appName("spark-klaviyo-tests")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.warehouse.dir", tmp_path_factory.mktemp("warehouse").as_uri())
        .config("spark.sql.session.timeZone", "America/St_Johns")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()
