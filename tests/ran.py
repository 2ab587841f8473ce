"""Tables of README.md that say where this runs, from tests that passed.

A test marked `proves(TABLE, CELL, ...)` proves that row. `tests/TABLE/ran.json` holds the rows of the last recorded run
and what they ran with: `pytest -n 0 --record` writes it. `tests/versions.json` holds the versions that each leg of
`.ci/run` last ran with: `pytest --leg NAME` writes it.
"""

from __future__ import annotations

import ast
import json
import os
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from spark_klaviyo.cli.doctor import packages
from spark_klaviyo.cli.local_spark import own_java, version_of

TESTS = Path(__file__).resolve().parent
HEADS = {
    "engines": ("way to write", "Sail", "why not"),
    "starts": ("Spark is started by", '`format("klaviyo")`', "`write_klaviyo`"),
    "stores": ("store", "scheme", "opened by", "tested"),
}
PACKAGES = {
    "engines": ("pysail", "pyspark-client", "pyarrow"),
    "starts": ("pyspark", "pyarrow"),
    "stores": ("pyspark", "pyarrow", "moto", "gcp-storage-emulator", "adlfs"),
}
VERSIONS = TESTS / "versions.json"


def record_versions(leg: str) -> None:
    """Store what a leg of `.ci/run` has run with."""
    used = {"Python": platform.python_version(), "Java": str(version_of(own_java(os.environ)) or "")}
    used |= {name.lower(): _version(name) for name in ("pyspark", *sorted(packages()[1:]))}
    found = {**json.loads(VERSIONS.read_text(encoding="utf-8")), leg: used}
    VERSIONS.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def versions() -> dict[str, dict[str, str]]:
    """What each leg of `.ci/run` last ran with."""
    found: dict[str, dict[str, str]] = json.loads(VERSIONS.read_text(encoding="utf-8"))
    return found


def record(rows: dict[str, list[list[str]]]) -> None:
    """Store the rows of each table."""
    for table, proven_rows in rows.items():
        used = [f"{name} {number}" for name in PACKAGES[table] if (number := _version(name))]
        text = json.dumps({"with": used, "rows": proven_rows}, indent=2, ensure_ascii=False)
        (TESTS / table / "ran.json").write_text(text + "\n", encoding="utf-8")


def recorded(table: str) -> dict[str, Any]:
    """The rows of a table, and what they ran with."""
    found: dict[str, Any] = json.loads((TESTS / table / "ran.json").read_text(encoding="utf-8"))
    return found


def proven(table: str) -> Iterator[list[str]]:
    """The rows that the tests of a table would prove, as they are written there."""
    for file in (TESTS / table).glob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "proves":
                name, *cells = map(ast.literal_eval, node.args)
                assert name == table
                yield cells


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
