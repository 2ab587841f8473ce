"""Tables of README.md that say where this runs: a row for each test that passed, recorded with `pytest -n 0 --record`.

A test marked `proves(TABLE, CELL, ...)` proves that row. `tests/TABLE/ran.json` holds the rows of the last recorded run
and what they ran with.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parent
HEADS = {
    "engines": ("way to write", "Sail", "why not"),
    "stores": ("store", "scheme", "opened by", "tested"),
}
PACKAGES = {
    "engines": ("pysail", "pyspark-client", "pyarrow"),
    "stores": ("pyspark", "pyarrow", "moto", "gcp-storage-emulator", "adlfs"),
}


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
